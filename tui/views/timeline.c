/* Timeline: scrub through the pictures that a run kept, one prompt and seed at a time. */
#include "engine/base/format.h"
#include "tui/common_commands.h"
#include "tui/screen/text.h"
#include "tui/state.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct timeline_view {
    int steps[TEXT_LIST], step_count, cursor, prompt;
    bool show_base, enlarged;
    char loaded_path[4300];
    struct image picture, base;
    char base_path[4300];
};

static struct timeline_view *view_of(const struct studio *studio)
{
    return studio->views[SCREEN_TIMELINE];
}

enum { CLICK_SCALE, CLICK_PICTURES };

static void refresh(struct studio *studio)
{
    struct timeline_view *view = view_of(studio);
    bool at_end = view->cursor >= view->step_count - 1;
    view->step_count = studio->run->path[0] != '\0' ? run_sample_steps(studio->run->path, view->steps, TEXT_LIST) : 0;
    if (at_end || view->cursor >= view->step_count) view->cursor = view->step_count > 0 ? view->step_count - 1 : 0;
}

/* Reads a picture when another one is due in that place. */
static bool load(const struct run *run, int step, int index, char *loaded, size_t size, struct image *image)
{
    char path[4300];
    if (!run_sample_path(run->path, step, index, path, sizeof path)) return false;
    if (strcmp(path, loaded) == 0) return true;
    if (image_load_png(path, image).code != STATUS_OK) return false;
    snprintf(loaded, size, "%s", path);
    return true;
}

static void draw_scale(const struct timeline_view *view, struct area area)
{
    draw_line(area.row, area.column, area.columns, STYLE_FRAME);
    int last = view->steps[view->step_count - 1], first = view->steps[0];
    for (int i = 0; i < view->step_count; i++) {
        int at = last > first ? (int)lround((double)(view->steps[i] - first) / (last - first) * (area.columns - 1)) : 0;
        bool here = i == view->cursor;
        draw_text(area.row, area.column + at, 1, here ? STYLE_TITLE : STYLE_DIM,
                  here              ? "\u25cf"
                  : style_unicode() ? "\u253c"
                                    : "+");
        char text[16];
        int width = snprintf(text, sizeof text, "%d", view->steps[i]);
        int column = at - width / 2 < 0 ? 0 : at + width / 2 >= area.columns ? area.columns - width : at - width / 2;
        if (here || i == 0 || i == view->step_count - 1)
            draw_text(area.row + 1, area.column + column, width, here ? STYLE_LIVE : STYLE_DIM, text);
    }
}

static double held_out_at(const struct run *run, int step)
{
    for (int at = 0; at < run->history_count; at++)
        if (run->history[at].step == step && run->history[at].evaluated)
            return run_total(run, run->history[at].held_out);
    return NAN;
}

static void draw(struct studio *studio, struct area body)
{
    struct timeline_view *view = view_of(studio);
    const struct run *run = studio->run;
    refresh(studio);
    if (view->step_count == 0) {
        bool open = studio->run->path[0] != '\0';
        draw_notice(body, open ? "This run has no pictures yet." : "No run is open.",
                    open ? "Press s to draw some after this step."
                         : "Press 1 to start one from a preset, 9 to list earlier runs.");
        return;
    }
    int step = view->steps[view->cursor];
    draw_scale(view, (struct area){body.row, body.column, 2, body.columns});
    studio_take_clicks(studio, (struct area){body.row, body.column, 2, body.columns}, CLICK_SCALE);
    studio_take_clicks(studio, (struct area){body.row + 2, body.column, body.rows - 2, body.columns}, CLICK_PICTURES);
    bool two = !view->enlarged;
    int width = two ? (body.columns - 2) / 2 : body.columns;
    struct area left = {body.row + 3, body.column, body.rows - 5, width};
    struct area right = {left.row, body.column + width + 2, left.rows, width};
    bool have = load(run, step, view->prompt, view->loaded_path, sizeof view->loaded_path, &view->picture);
    bool base = load(run, view->steps[0], view->prompt, view->base_path, sizeof view->base_path, &view->base);
    const struct image *shown = view->show_base && base ? &view->base : have ? &view->picture : NULL;
    int caption = left.row + left.rows;
    char text[24];
    if (two) {
        if (base) pictures_want(studio->pictures, left, &view->base);
        if (shown) pictures_want(studio->pictures, right, shown);
        draw_center(caption, left.column, width, STYLE_DIM, "step %d", view->steps[0]);
        draw_center(caption, right.column, width, STYLE_LIVE, "step %d", view->show_base ? view->steps[0] : step);
    } else {
        if (shown) pictures_want(studio->pictures, left, shown);
        draw_center(caption, left.column, width, STYLE_LIVE, "step %d", view->show_base ? view->steps[0] : step);
    }
    if (!shown)
        draw_center(left.row + left.rows / 2, right.column, width, STYLE_DIM, "no picture of this prompt at step %d",
                    step);
    double reward = held_out_at(run, step);
    draw_format(caption + 1, body.column, body.columns - 22, STYLE_DIM, "%d: %s", view->prompt + 1,
                run_held_out_prompt(run, view->prompt));
    if (!isnan(reward))
        draw_right(caption + 1, body.column, body.columns, STYLE_CURVE_HELD_OUT, "held-out %s",
                   format_number(text, sizeof text, reward));
}

static bool command(struct studio *studio, enum command_id id, bool coarse)
{
    struct timeline_view *view = view_of(studio);
    int stride = coarse ? 5 : 1;
    switch (id) {
    case COMMAND_LEFT: view->cursor = view->cursor > stride ? view->cursor - stride : 0; return true;
    case COMMAND_RIGHT:
        view->cursor = view->cursor + stride < view->step_count ? view->cursor + stride : view->step_count - 1;
        return true;
    case COMMAND_FIRST: view->cursor = 0; return true;
    case COMMAND_LAST: view->cursor = view->step_count - 1; return true;
    case COMMAND_NEXT_PICTURE: {
        char path[4300];
        view->prompt++;
        if (view->step_count == 0 ||
            !run_sample_path(studio->run->path, view->steps[0], view->prompt, path, sizeof path))
            view->prompt = 0;
        return true;
    }
    case COMMAND_UP: view->prompt = view->prompt > 0 ? view->prompt - 1 : 0; return true;
    case COMMAND_SWAP: view->show_base = !view->show_base; return true;
    case COMMAND_OPEN: view->enlarged = !view->enlarged; return true;
    default: return false;
    }
}

/* The step whose mark lies nearest to the column of the scale. */
static int nearest_step(const struct timeline_view *view, int column, int columns)
{
    int first = view->steps[0], last = view->steps[view->step_count - 1], nearest = 0;
    double wanted = first + (double)column / (columns > 1 ? columns - 1 : 1) * (last - first);
    for (int i = 1; i < view->step_count; i++)
        if (fabs(view->steps[i] - wanted) < fabs(view->steps[nearest] - wanted)) nearest = i;
    return nearest;
}

static void click(struct studio *studio, const struct click *click)
{
    struct timeline_view *view = view_of(studio);
    if (click->pane == CLICK_SCALE)
        view->cursor = nearest_step(view, click->column, click->columns);
    else if (!click->drag)
        view->enlarged = !view->enlarged;
}

static void reset(struct studio *studio)
{
    struct timeline_view *view = view_of(studio);
    view->step_count = view->cursor = 0;
    view->loaded_path[0] = view->base_path[0] = '\0';
}

static void free_pictures(struct studio *studio)
{
    image_free(&view_of(studio)->picture);
    image_free(&view_of(studio)->base);
}

static const struct screen_command commands[] = {
    {COMMAND_LEFT, "earlier", "Left h", "scrub", "the step before"},
    {COMMAND_RIGHT, "later", "Right l", NULL, "the step after"},
    {COMMAND_NEXT_PICTURE, "next picture", "n Down j", "next prompt", "the next prompt and seed"},
    {COMMAND_OPEN, "enlarge", "Enter", "enlarge", "this picture over the whole screen, and back"},
    ROW_PAUSE,
    ROW_SAMPLE,
    ROW_SWAP,
    ROWS_STEERING,
    ROW_BRANCH,
};

const struct screen screen_timeline = {
    .name = "Timeline",
    .about = "The same prompt and seed at every step with pictures. Left and right scrub, down goes to the next "
             "prompt, b shows the base model's picture, Enter enlarges.",
    .commands = commands,
    .command_count = sizeof commands / sizeof *commands,
    .view_bytes = sizeof(struct timeline_view),
    .draw = draw,
    .command = command,
    .click = click,
    .reset = reset,
    .free = free_pictures,
};
