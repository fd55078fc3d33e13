/* Runs: all of them, alive and finished. */
#include "tui/screen/text.h"
#include "tui/state.h"
#include "tui/views/card.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct runs_view {
    struct list list;
};

static struct runs_view *view_of(const struct studio *studio)
{
    return studio->views[SCREEN_RUNS];
}

static int shown_runs(const struct studio *studio, const cJSON *shown[LIST_ROWS])
{
    int count = 0;
    const cJSON *run = NULL;
    cJSON_ArrayForEach(run, studio->runs)
    {
        if (count == LIST_ROWS) break;
        if (filter_matches(studio, SCREEN_RUNS, message_text(run, "name", "")) ||
            filter_matches(studio, SCREEN_RUNS, message_text(run, "state", "")))
            shown[count++] = run;
    }
    return count;
}

static enum style state_style(const char *state)
{
    if (strcmp(state, "running") == 0) return STYLE_GOOD;
    return strcmp(state, "interrupted") == 0 || strcmp(state, "paused") == 0 ? STYLE_WARNING : STYLE_DIM;
}

/* Where the columns of the table stand; `last` is 0 where there is no room for it. */
struct run_columns {
    int name, state, step, start, best, last;
};

static struct run_columns run_columns(struct area body)
{
    enum { STATE = 12, FIGURE = 10, AGO = 15, LEAST_WIDE = 96 };
    bool wide = body.columns >= LEAST_WIDE;
    struct run_columns at = {.name = body.columns - 2 - STATE - (wide ? 4 : 3) * FIGURE - AGO};
    at.state = body.column + 2 + at.name + 1;
    at.step = at.state + STATE - 1;
    at.start = at.step + FIGURE;
    at.best = at.start + FIGURE;
    at.last = wide ? at.best + FIGURE : 0;
    return at;
}

static void draw_row(struct studio *studio, const cJSON *run, int row, struct area body, bool here)
{
    enum style text = here ? STYLE_SELECTED : STYLE_TEXT, dim = here ? STYLE_SELECTED : STYLE_DIM;
    const char *path = message_text(run, "path", ""), *state = message_text(run, "state", "");
    bool marked = studio->marked_runs && (strcmp(studio->marked[0], path) == 0 || strcmp(studio->marked[1], path) == 0);
    struct run_columns at = run_columns(body);
    char first[24], best[24], last[24], ago[32];
    if (here) draw_fill((struct area){row, body.column, 1, body.columns}, STYLE_SELECTED);
    draw_text(row, body.column, 2, here ? STYLE_SELECTED : STYLE_ACCENT, marked ? "*" : here ? "\u25b8" : " ");
    draw_text(row, body.column + 2, at.name, text, message_text(run, "name", "?"));
    draw_text(row, at.state, 11, here ? STYLE_SELECTED : state_style(state), state);
    draw_right(row, at.step, 9, dim, "%lld/%lld", message_integer(run, "step", 0), message_integer(run, "steps", 0));
    draw_right(row, at.start, 9, dim, "%s", words_number(first, sizeof first, message_number(run, "eval_first", NAN)));
    draw_right(row, at.best, 9, text, "%s", words_number(best, sizeof best, message_number(run, "eval_best", NAN)));
    if (at.last > 0)
        draw_right(row, at.last, 9, dim, "%s", words_number(last, sizeof last, message_number(run, "eval_last", NAN)));
    draw_right(row, body.column + body.columns - 13, 12, dim, "%s",
               words_ago(ago, sizeof ago, studio->wall_clock - message_number(run, "modified", NAN)));
}

static int smaller(int left, int right)
{
    return left < right ? left : right;
}

static void draw(struct studio *studio, struct area body)
{
    const cJSON *shown[LIST_ROWS];
    enum { CARD_TEXT = 4, CARD_PICTURES = 16 };
    int count = shown_runs(studio, shown);
    int card = body.rows >= 30 ? CARD_TEXT + CARD_PICTURES : body.rows / 2 + 2, least = count < 1 ? 1 : count;
    int rows = least < body.rows - 2 - card ? least : body.rows - 2 - card;
    int beside = (body.columns - 55) / 4 + 3, highest = beside > 16 ? beside : 16; /* of two pictures and their words */
    struct run_columns at = run_columns(body);
    draw_text(body.row, body.column, 20, STYLE_TITLE, "Runs");
    draw_text(body.row, at.state, 8, STYLE_DIM, "state");
    draw_right(body.row, at.step, 9, STYLE_DIM, "step");
    draw_right(body.row, at.start, 9, STYLE_DIM, "at start");
    draw_right(body.row, at.best, 9, STYLE_DIM, "best");
    if (at.last > 0) draw_right(body.row, at.last, 9, STYLE_DIM, "last");
    int first = list_window(&view_of(studio)->list, count, rows);
    studio_take_clicks(studio, (struct area){body.row + 1, body.column, rows, body.columns}, 0, first);
    for (int row = 0; row < rows && first + row < count; row++)
        draw_row(studio, shown[first + row], body.row + 1 + row, body, first + row == view_of(studio)->list.cursor);
    if (count == 0)
        draw_text(body.row + 1, body.column + 2, body.columns - 2, STYLE_DIM,
                  studio->runs == NULL ? "reading the runs \u2026" : "no run yet: 1 starts one from a preset");
    else
        card_draw_run(
            studio,
            (struct area){body.row + rows + 2, body.column, smaller(body.rows - rows - 2, highest), body.columns},
            shown[view_of(studio)->list.cursor]);
}

static void refresh(struct studio *studio)
{
    studio_list_runs(studio);
}

static void mark(struct studio *studio, const char *path)
{
    if (!studio->marked_runs) studio->marked[0][0] = studio->marked[1][0] = 0;
    studio->marked_runs = true;
    for (int index = 0; index < LIST_MARKS; index++) {
        if (strcmp(studio->marked[index], path) != 0) continue;
        studio->marked[index][0] = 0;
        return;
    }
    int place = studio->marked[0][0] == 0 ? 0 : 1;
    snprintf(studio->marked[place], sizeof studio->marked[place], "%s", path);
    if (studio->marked[0][0] && studio->marked[1][0])
        studio_say(studio, MESSAGE_INFO, "two are marked: 7 shows them side by side");
}

static bool command(struct studio *studio, enum command_id id, bool coarse)
{
    (void)coarse;
    const cJSON *shown[LIST_ROWS];
    int count = shown_runs(studio, shown);
    if (list_move(&view_of(studio)->list, count, 10, id)) return true;
    const cJSON *run = view_of(studio)->list.cursor < count ? shown[view_of(studio)->list.cursor] : NULL;
    if (run == NULL) return false;
    switch (id) {
    case COMMAND_OPEN: studio_open_run(studio, run); return true;
    case COMMAND_RESUME:
        if (message_text(run, "socket", NULL) != NULL)
            studio_open_run(studio, run);
        else
            studio_resume(studio, message_text(run, "path", ""), "ask");
        return true;
    case COMMAND_EXPORT:
        studio_export(studio, message_text(run, "path", ""), message_text(run, "name", "adapter"));
        return true;
    case COMMAND_MARK: mark(studio, message_text(run, "path", "")); return true;
    default: return false;
    }
}

static void click(struct studio *studio, const struct click *click)
{
    if (click->item != view_of(studio)->list.cursor)
        view_of(studio)->list.cursor = click->item;
    else if (!click->drag)
        command(studio, COMMAND_OPEN, false);
}

static void begin_with_first(struct studio *studio)
{
    view_of(studio)->list = (struct list){0};
}

const struct screen screen_runs = {
    .name = "Runs",
    .about = "Every run of this machine. Enter watches one that is alive, or shows what a finished one left. Mark two "
             "with Space "
             "and press 7 to see them side by side.",
    .open = refresh,
    .view_bytes = sizeof(struct runs_view),
    .draw = draw,
    .command = command,
    .click = click,
    .filtered = begin_with_first,
};
