/* Log: what the engine said, newest last. */
#include "tui/common_commands.h"
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

/* The number, among all lines ever said, of a line of the log by its place. */
static int64_t number_of(const struct run *run, int place)
{
    return run->log_total - run->log_count + place;
}

static const struct run_log_line *line_at(const struct run *run, int place)
{
    return &run->log[number_of(run, place) % RUN_LOG_LINES];
}

/* The lines that the filter lets through, by their place in the log. */
struct log_lines {
    const struct run *run;
    int shown[RUN_LOG_LINES];
    struct list_items items;
};

static uint64_t identity_of_line(const void *lines, int place)
{
    const struct log_lines *log = lines;
    return (uint64_t)number_of(log->run, log->shown[place]);
}

static void gather_lines(const struct studio *studio, struct log_lines *lines)
{
    lines->run = studio->run;
    lines->items = (struct list_items){
        .all = studio->run->log_count, .filter = studio->filter[SCREEN_LOG], .of = lines, .identity = identity_of_line};
    for (int i = 0; i < studio->run->log_count; i++)
        if (list_match(line_at(studio->run, i)->text, lines->items.filter)) lines->shown[lines->items.count++] = i;
}

static void draw_line_of_log(const struct list_rows *rows, const struct run_log_line *line)
{
    char when[16] = "";
    if (!isnan(line->time)) {
        time_t seconds = (time_t)line->time;
        struct tm parts;
        if (localtime_r(&seconds, &parts)) strftime(when, sizeof when, "%H:%M:%S", &parts);
    }
    enum style style = strcmp(line->level, "error") == 0     ? STYLE_BAD
                       : strcmp(line->level, "warning") == 0 ? STYLE_WARNING
                                                             : STYLE_TEXT;
    list_text(rows, 0, 9, STYLE_DIM, when);
    list_searched(rows, 10, rows->line.columns - 10, style, line->text);
}

static void draw(struct studio *studio, struct area body)
{
    enum { TITLE = 24 };
    struct log_lines lines;
    gather_lines(studio, &lines);
    struct list *list = &view_of(studio)->lines;
    struct area rest = {body.row + 1, body.column, body.rows - 1, body.columns};
    if (studio->engine_error[0] != '\0') {
        int used = draw_wrapped((struct area){rest.row, rest.column, 3, rest.columns}, STYLE_BAD, studio->engine_error);
        rest.row += used;
        rest.rows -= used;
    }
    struct list_rows rows = studio_show_list(studio, list, &lines.items, rest, 0, true);
    while (list_next(&rows)) draw_line_of_log(&rows, line_at(studio->run, lines.shown[rows.place]));
    list_heading(list, &lines.items, (struct area){body.row, body.column, 1, TITLE}, true, "Log");
    if (studio->run->path[0] != '\0')
        draw_right(body.row, body.column + TITLE, body.columns - TITLE - 1, STYLE_DIM, "%s/engine.log",
                   studio->run->path);
    if (lines.items.count == 0)
        draw_text(rest.row, rest.column, rest.columns, STYLE_DIM,
                  lines.items.all > 0 ? "No line matches. Press Esc to show all." : "No messages yet.");
}

/* The newest line is what one comes for. */
static void open_log(struct studio *studio)
{
    list_put(&view_of(studio)->lines, studio->run->log_count);
}

static bool command(struct studio *studio, enum command_id id, bool coarse)
{
    struct log_lines lines;
    (void)coarse;
    gather_lines(studio, &lines);
    return list_move(&view_of(studio)->lines, &lines.items, id);
}

static void click(struct studio *studio, const struct click *click)
{
    struct log_lines lines;
    gather_lines(studio, &lines);
    list_click(&view_of(studio)->lines, &lines.items, click->item);
}

static const struct screen_command commands[] = {
    ROW_FILTER,
};

const struct screen screen_log = {
    .name = "Log",
    .about = "Messages of the engine. The file named at the top right has the complete log.",
    .open = open_log,
    .commands = commands,
    .command_count = sizeof commands / sizeof *commands,
    .view_bytes = sizeof(struct log_view),
    .draw = draw,
    .command = command,
    .click = click,
};
