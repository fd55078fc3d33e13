/* Log: what the engine said, newest last. */
#include "tui/screen/text.h"
#include "tui/state.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

struct log_view {
    struct list lines;
};

static struct log_view *view_of(const struct studio *studio)
{
    return studio->views[SCREEN_LOG];
}

static const struct run_log_line *line_at(const struct run *run, int index)
{
    int first = (run->log_next - run->log_count + RUN_LOG_LINES) % RUN_LOG_LINES;
    return &run->log[(first + index) % RUN_LOG_LINES];
}

static int shown_lines(const struct studio *studio, int shown[RUN_LOG_LINES])
{
    int count = 0;
    for (int index = 0; index < studio->run->log_count; index++)
        if (filter_matches(studio, SCREEN_LOG, line_at(studio->run, index)->text)) shown[count++] = index;
    return count;
}

static void draw_line_of_log(const struct run_log_line *line, int row, struct area body, bool here)
{
    char when[16] = "";
    if (!isnan(line->time)) {
        time_t seconds = (time_t)line->time;
        struct tm parts;
        if (localtime_r(&seconds, &parts) != NULL) strftime(when, sizeof when, "%H:%M:%S", &parts);
    }
    enum style style = strcmp(line->level, "error") == 0     ? STYLE_BAD
                       : strcmp(line->level, "warning") == 0 ? STYLE_WARNING
                                                             : STYLE_TEXT;
    if (here) {
        draw_fill((struct area){row, body.column, 1, body.columns}, STYLE_SELECTED);
        style = STYLE_SELECTED;
    }
    draw_text(row, body.column, 9, here ? STYLE_SELECTED : STYLE_DIM, when);
    draw_text(row, body.column + 10, body.columns - 10, style, line->text);
}

static void draw(struct studio *studio, struct area body)
{
    int shown[RUN_LOG_LINES], count = shown_lines(studio, shown);
    draw_text(body.row, body.column, body.columns, STYLE_TITLE, "Log");
    if (studio->run->path[0] != 0)
        draw_right(body.row, body.column + 10, body.columns - 11, STYLE_DIM, "%s/engine.log", studio->run->path);
    int row = body.row + 1;
    if (studio->engine_error[0] != 0)
        row += draw_wrapped((struct area){row, body.column, 3, body.columns}, STYLE_BAD, studio->engine_error);
    int rows = body.row + body.rows - row;
    int first = list_window(&view_of(studio)->lines, count, rows);
    studio_take_clicks(studio, (struct area){row, body.column, rows, body.columns}, 0, first);
    for (int index = 0; index < rows && first + index < count; index++)
        draw_line_of_log(line_at(studio->run, shown[first + index]), row + index, body,
                         first + index == view_of(studio)->lines.cursor);
    if (count == 0) draw_text(row, body.column, body.columns, STYLE_DIM, "nothing was said yet");
}

static void open_log(struct studio *studio)
{
    view_of(studio)->lines.cursor = studio->run->log_count;
}

static bool command(struct studio *studio, enum command_id id, bool coarse)
{
    (void)coarse;
    int shown[RUN_LOG_LINES];
    return list_move(&view_of(studio)->lines, shown_lines(studio, shown), 20, id);
}

static void click(struct studio *studio, const struct click *click)
{
    view_of(studio)->lines.cursor = click->item;
}

const struct screen screen_log = {
    .name = "Log",
    .about = "What the engine said. The whole log is the file named at the top right.",
    .open = open_log,
    .view_bytes = sizeof(struct log_view),
    .draw = draw,
    .command = command,
    .click = click,
};
