/* Runs: all of them, alive and finished. */
#include "engine/base/format.h"
#include "engine/base/range.h"
#include "tui/common_commands.h"
#include "tui/screen/text.h"
#include "tui/state.h"
#include "tui/views/card.h"
#include "tui/views/run_list.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct runs_view {
    struct list list;
    struct preview preview; /* of the card */
};

static struct runs_view *view_of(const struct studio *studio)
{
    return studio->views[SCREEN_RUNS];
}

/* Where the columns of the table stand, from its left edge; `last` is 0 where there is no room for it. */
struct run_columns {
    int name, state, step, start, best, last;
};

static struct run_columns run_columns(int columns)
{
    enum { STATE = 12, FIGURE = 10, AGO = 15, LEAST_WIDE = 96 };
    bool wide = columns >= LEAST_WIDE;
    struct run_columns at = {.name = columns - 2 - STATE - (wide ? 4 : 3) * FIGURE - AGO};
    at.state = 2 + at.name + 1;
    at.step = at.state + STATE - 1;
    at.start = at.step + FIGURE;
    at.best = at.start + FIGURE;
    at.last = wide ? at.best + FIGURE : 0;
    return at;
}

static void draw_row(const struct studio *studio, const struct list_rows *rows, const cJSON *run)
{
    const char *path = message_text(run, "path", ""), *state = message_text(run, "state", "");
    struct run_columns at = run_columns(rows->line.columns);
    char first[24], best[24], last[24], ago[32];
    list_cursor(rows, studio_is_marked(studio, true, path));
    list_searched(rows, 2, at.name, STYLE_TEXT, message_text(run, "name", "?"));
    list_searched(rows, at.state, 11, run_list_state_style(state), state);
    list_right(rows, at.step, 9, STYLE_DIM, "%lld/%lld", message_integer(run, "step", 0),
               message_integer(run, "steps", 0));
    list_right(rows, at.start, 9, STYLE_DIM, "%s",
               format_number(first, sizeof first, message_number(run, "eval_first", NAN)));
    list_right(rows, at.best, 9, STYLE_TEXT, "%s",
               format_number(best, sizeof best, message_number(run, "eval_best", NAN)));
    if (at.last > 0)
        list_right(rows, at.last, 9, STYLE_DIM, "%s",
                   format_number(last, sizeof last, message_number(run, "eval_last", NAN)));
    list_right(rows, rows->line.columns - 13, 12, STYLE_DIM, "%s",
               format_ago(ago, sizeof ago, studio->wall_clock - message_number(run, "modified", NAN)));
}

static void draw_heading(const struct list *list, const struct list_items *items, struct area line)
{
    struct run_columns at = run_columns(line.columns);
    list_heading(list, items, (struct area){line.row, line.column, 1, at.state - 1}, true, "Runs");
    draw_text(line.row, line.column + at.state, 8, STYLE_DIM, "state");
    draw_right(line.row, line.column + at.step, 9, STYLE_DIM, "step");
    draw_right(line.row, line.column + at.start, 9, STYLE_DIM, "at start");
    draw_right(line.row, line.column + at.best, 9, STYLE_DIM, "best");
    if (at.last > 0) draw_right(line.row, line.column + at.last, 9, STYLE_DIM, "last");
}

static void draw(struct studio *studio, struct area body)
{
    enum { CARD_TEXT = 4, CARD_PICTURES = 16 };
    struct object_list runs;
    run_list_gather(studio, studio->filter[SCREEN_RUNS], &runs);
    struct list *list = &view_of(studio)->list;
    int card = body.rows >= 30 ? CARD_TEXT + CARD_PICTURES : body.rows / 2 + 2;
    int height = min_int(runs.items.count < 1 ? 1 : runs.items.count, body.rows - 2 - card);
    int beside = (body.columns - 55) / 4 + 3, highest = beside > 16 ? beside : 16; /* of two pictures and their text */
    struct area table = {body.row + 1, body.column, height, body.columns};
    struct list_rows rows = studio_show_list(studio, list, &runs.items, table, 0, true);
    while (list_next(&rows)) draw_row(studio, &rows, runs.shown[rows.place]);
    draw_heading(list, &runs.items, (struct area){body.row, body.column, 1, body.columns});
    struct area below = {table.row + height + 1, body.column, min_int(body.rows - height - 2, highest), body.columns};
    const char *nothing = runs.items.all > 0 ? "No run matches. Press Esc to show all."
                          : studio->runs     ? "No run yet. Press 1 to start one from a preset."
                                             : "Reading the runs \u2026";
    if (runs.items.count > 0)
        card_draw_run(studio, &view_of(studio)->preview, below, runs.shown[list->cursor]);
    else
        draw_text(table.row, body.column + 2, body.columns - 2, STYLE_DIM, nothing);
}

static void refresh(struct studio *studio)
{
    studio_list_runs(studio);
}

static bool command(struct studio *studio, enum command_id id, bool coarse)
{
    (void)coarse;
    struct object_list runs;
    run_list_gather(studio, studio->filter[SCREEN_RUNS], &runs);
    if (list_move(&view_of(studio)->list, &runs.items, id)) return true;
    const cJSON *run = object_list_chosen(&runs, &view_of(studio)->list);
    if (!run) return false;
    switch (id) {
    case COMMAND_OPEN: studio_open_run(studio, run); return true;
    case COMMAND_RESUME:
        if (message_text(run, "socket", NULL))
            studio_open_run(studio, run);
        else
            studio_resume(studio, message_text(run, "path", ""), "ask");
        return true;
    case COMMAND_EXPORT:
        studio_export(studio, message_text(run, "path", ""), message_text(run, "name", "adapter"));
        return true;
    case COMMAND_MARK: studio_mark(studio, true, message_text(run, "path", "")); return true;
    default: return false;
    }
}

static void click(struct studio *studio, const struct click *click)
{
    struct object_list runs;
    run_list_gather(studio, studio->filter[SCREEN_RUNS], &runs);
    if (list_click(&view_of(studio)->list, &runs.items, click->item) && !click->drag)
        command(studio, COMMAND_OPEN, false);
}

/* They are of the run under the cursor. */
static bool offers(const struct studio *studio, enum command_id id)
{
    return id == COMMAND_RESUME || id == COMMAND_EXPORT || studio_offers(studio, id);
}

static const struct screen_command commands[] = {
    {COMMAND_MARK, "mark for comparison", "Space", "mark", "mark two, then compare them on screen 7"},
    {COMMAND_OPEN, "open the run", "Enter", "open", "watch this run, or look at its results"},
    {COMMAND_RESUME, "resume the run", "r", "resume", "continue from the newest checkpoint"},
    {COMMAND_EXPORT, "export the adapter", "E", "export", "this run's newest adapter as a file for other programs"},
    ROW_FILTER,
};

static void free_preview(struct studio *studio)
{
    preview_free(&view_of(studio)->preview);
}

const struct screen screen_runs = {
    .name = "Runs",
    .about = "All runs on this machine. Enter watches an active one or shows the results of a finished one. Mark two "
             "with Space and press 7 to compare them.",
    .open = refresh,
    .commands = commands,
    .command_count = sizeof commands / sizeof *commands,
    .view_bytes = sizeof(struct runs_view),
    .draw = draw,
    .command = command,
    .click = click,
    .offers = offers,
    .free = free_preview,
};
