/* Grid: prompts by steps, as small pictures. */
#include "tui/common_commands.h"
#include "tui/screen/text.h"
#include "tui/state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct thumbnail {
    int step, index;
    struct image image;
    bool missing;
};

struct grid_view {
    int row, column, top, left;
    int cell_rows, cell_columns; /* of one picture with its gap, as drawn */
    bool enlarged;
    struct thumbnail *thumbnails; /* cache, count of them */
    int thumbnail_count;
};

static struct grid_view *view_of(const struct studio *studio)
{
    return studio->views[SCREEN_GRID];
}

enum { CACHED = 256 };

static void forget_thumbnails(struct studio *studio)
{
    struct grid_view *view = view_of(studio);
    for (int i = 0; i < view->thumbnail_count; i++) image_free(&view->thumbnails[i].image);
    view->thumbnail_count = 0;
}

/* The picture of a step and prompt, read once. */
static const struct image *thumbnail(struct studio *studio, int step, int index)
{
    struct grid_view *view = view_of(studio);
    for (int at = 0; at < view->thumbnail_count; at++)
        if (view->thumbnails[at].step == step && view->thumbnails[at].index == index)
            return view->thumbnails[at].missing ? NULL : &view->thumbnails[at].image;
    if (!view->thumbnails) view->thumbnails = calloc(CACHED, sizeof *view->thumbnails);
    if (!view->thumbnails) return NULL;
    if (view->thumbnail_count == CACHED) forget_thumbnails(studio);
    struct thumbnail *fresh = &view->thumbnails[view->thumbnail_count];
    char path[4300];
    *fresh = (struct thumbnail){.step = step, .index = index};
    if (!run_sample_path(studio->run->path, step, index, path, sizeof path)) return NULL;
    fresh->missing = image_load_png(path, &fresh->image).code != STATUS_OK;
    view->thumbnail_count++;
    return fresh->missing ? NULL : &fresh->image;
}

static int prompt_count(const struct studio *studio, int step)
{
    char path[4300];
    int count = 0;
    while (count < RUN_PICTURES && run_sample_path(studio->run->path, step, count, path, sizeof path)) count++;
    return count;
}

static void keep_inside(int *top, int cursor, int room)
{
    if (cursor < *top) *top = cursor;
    if (cursor >= *top + room) *top = cursor - room + 1;
}

/* A thick line below the picture. */
static void draw_cursor(const struct studio *studio, struct area cell, const struct image *image)
{
    struct area place = cell;
    if (image) place = pictures_fit(studio->pictures, cell, image->width, image->height);
    draw_bar(cell.row + cell.rows, place.column, place.columns, 1, STYLE_TITLE);
}

static void draw(struct studio *studio, struct area body)
{
    struct grid_view *view = view_of(studio);
    int steps[TEXT_LIST],
        step_count = studio->run->path[0] != '\0' ? run_sample_steps(studio->run->path, steps, TEXT_LIST) : 0;
    if (step_count == 0) {
        bool open = studio->run->path[0] != '\0';
        draw_notice(body, open ? "This run has no pictures yet." : "No run is open.",
                    open ? "Press s to draw some after this step."
                         : "Press 1 to start one from a preset, 9 to list earlier runs.");
        return;
    }
    int prompts = prompt_count(studio, steps[0]);
    if (view->column >= step_count) view->column = step_count - 1;
    if (view->row >= prompts) view->row = prompts > 0 ? prompts - 1 : 0;
    if (view->enlarged) {
        const struct image *image = thumbnail(studio, steps[view->column], view->row);
        if (image)
            pictures_want(studio->pictures, (struct area){body.row, body.column, body.rows - 1, body.columns}, image);
        draw_center(body.row + body.rows - 1, body.column, body.columns, STYLE_LIVE, "prompt %d at step %d",
                    view->row + 1, steps[view->column]);
        studio_take_clicks(studio, body, 0);
        return;
    }
    int shown = prompts < 4 ? (prompts > 0 ? prompts : 1) : 4;
    int rows = (body.rows - 2) / shown - 1;
    if (rows > 16) rows = 16;
    if (rows < 5) rows = 5;
    int down = (body.rows - 2) / (rows + 1), width = rows * 2 + 2;
    int across = body.columns / width > 0 ? body.columns / width : 1;
    int capacity = pictures_capacity(studio->pictures);
    if (down > prompts) down = prompts > 0 ? prompts : 1;
    while (across > 1 && across * down > capacity) across--;
    keep_inside(&view->left, view->column, across);
    keep_inside(&view->top, view->row, down);
    view->cell_rows = rows + 1;
    view->cell_columns = width;
    studio_take_clicks(studio, (struct area){body.row + 1, body.column, down * (rows + 1), across * width}, 0);
    for (int column = 0; column < across && view->left + column < step_count; column++) {
        int index = view->left + column;
        draw_center(body.row, body.column + column * width, width - 2, index == view->column ? STYLE_TITLE : STYLE_DIM,
                    "step %d", steps[index]);
        for (int row = 0; row < down && view->top + row < prompts; row++) {
            struct area cell = {body.row + 1 + row * (rows + 1), body.column + column * width, rows, width - 2};
            const struct image *image = thumbnail(studio, steps[index], view->top + row);
            bool here = index == view->column && view->top + row == view->row;
            if (image) pictures_want(studio->pictures, cell, image);
            if (here) draw_cursor(studio, cell, image);
        }
    }
    draw_format(body.row + body.rows - 1, body.column, body.columns, STYLE_DIM, "prompt %d of %d: %s", view->row + 1,
                prompts, run_held_out_prompt(studio->run, view->row));
}

static bool command(struct studio *studio, enum command_id id, bool coarse)
{
    struct grid_view *view = view_of(studio);
    int stride = coarse ? 5 : 1;
    switch (id) {
    case COMMAND_LEFT: view->column = view->column > stride ? view->column - stride : 0; return true;
    case COMMAND_RIGHT: view->column += stride; return true;
    case COMMAND_UP: view->row = view->row > 0 ? view->row - 1 : 0; return true;
    case COMMAND_DOWN: view->row++; return true;
    case COMMAND_FIRST: view->column = 0; return true;
    case COMMAND_LAST: view->column = TEXT_LIST; return true;
    case COMMAND_OPEN: view->enlarged = !view->enlarged; return true;
    case COMMAND_BACK:
        if (!view->enlarged) return false;
        view->enlarged = false;
        return true;
    default: return false;
    }
}

static void click(struct studio *studio, const struct click *click)
{
    struct grid_view *view = view_of(studio);
    if (click->drag) return;
    if (view->enlarged || view->cell_rows < 1 || view->cell_columns < 1) {
        view->enlarged = false;
        return;
    }
    int row = view->top + click->row / view->cell_rows, column = view->left + click->column / view->cell_columns;
    view->enlarged = row == view->row && column == view->column;
    view->row = row;
    view->column = column;
}

static void free_thumbnails(struct studio *studio)
{
    forget_thumbnails(studio);
    free(view_of(studio)->thumbnails);
}

static const struct screen_command commands[] = {
    {COMMAND_OPEN, "enlarge", "Enter", "enlarge", "this picture over the whole screen, and back"},
    ROW_PAUSE,
    ROW_SAMPLE,
    ROWS_STEERING,
    ROW_BRANCH,
};

const struct screen screen_grid = {
    .name = "Grid",
    .about =
        "Each row is a held-out prompt with its seed, each column a step. Arrows select a picture, Enter enlarges it.",
    .commands = commands,
    .command_count = sizeof commands / sizeof *commands,
    .view_bytes = sizeof(struct grid_view),
    .draw = draw,
    .command = command,
    .click = click,
    .reset = forget_thumbnails,
    .free = free_thumbnails,
};
