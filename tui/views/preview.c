#include "tui/views/preview.h"
#include "tui/screen/text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const cJSON *newest_run_of(const struct studio *studio, const char *preset)
{
    const cJSON *run = NULL;
    cJSON_ArrayForEach(run, studio->runs)
    {
        if (strcmp(item_text(run, "preset", ""), preset) == 0 && item_integer(run, "step", 0) > 0) return run;
    }
    return NULL;
}

static const char *model_folder(const struct studio *studio, const char *name)
{
    const cJSON *model = NULL;
    cJSON_ArrayForEach(model, item_get(studio->catalogue, "models"))
    {
        if (strcmp(item_text(model, "name", ""), name) == 0) return item_text(model, "path", NULL);
    }
    return NULL;
}

bool preview_load(struct preview_picture *picture, const char *path)
{
    if (strcmp(picture->path, path) == 0) return picture->image.pixels != NULL;
    snprintf(picture->path, sizeof picture->path, "%s", path);
    if (image_load_png(path, &picture->image).code == STATUS_OK) return true;
    image_free(&picture->image);
    return false;
}

/* Returns where the next picture may begin. */
static int draw_picture(struct studio *studio, struct area area, const struct image *image, enum style style,
                        const char *caption)
{
    struct area place =
        pictures_fit(studio->pictures, (struct area){area.row, area.column, area.rows - 1, area.columns}, image->width,
                     image->height);
    place.row = area.row;
    place.column = area.column;
    pictures_want(studio->pictures, place, image);
    draw_text(place.row + place.rows, place.column, place.columns, style, caption);
    return place.column + place.columns + 2;
}

/* The first and the newest picture of one prompt and seed. */
static bool draw_run(struct studio *studio, struct area area, const cJSON *run)
{
    char path[4300], caption[120], first[24], last[24];
    const char *folder = item_text(run, "path", "");
    int steps[TEXT_LIST], count = run_sample_steps(folder, steps, TEXT_LIST);
    if (count < 2) return false;
    int ends[2] = {steps[0], steps[count - 1]};
    for (int at = 0; at < 2; at++) {
        if (!run_sample_path(folder, ends[at], 0, path, sizeof path)) return false;
        if (!preview_load(&studio->preview[at], path)) return false;
    }
    struct area left = area;
    left.columns = area.columns / 2;
    struct area right = left;
    right.column = draw_picture(studio, left, &studio->preview[0].image, STYLE_DIM, "untuned");
    double from = item_number(run, "eval_first", NAN), to = item_number(run, "eval_last", NAN);
    snprintf(caption, sizeof caption, "after %d steps", ends[1]);
    int end = draw_picture(studio, right, &studio->preview[1].image, STYLE_ACCENT, caption);
    struct area words = {area.row, end, area.rows, area.column + area.columns - end};
    if (words.columns < 24 || isnan(from) || isnan(to)) return true;
    draw_text(words.row, words.column, words.columns, STYLE_DIM, item_text(run, "name", ""));
    draw_format(words.row + 1, words.column, words.columns, STYLE_CURVE_HELD_OUT, "held-out %s \u2192 %s",
                words_number(first, sizeof first, from), words_number(last, sizeof last, to));
    return true;
}

void preview_draw(struct studio *studio, struct area area, const cJSON *item, bool run)
{
    enum { LEAST_PREVIEW_ROWS = 9 };
    char path[4300];
    if (area.rows < LEAST_PREVIEW_ROWS || item == NULL) return;
    if (pictures_protocol(studio->pictures) == PROTOCOL_NONE) return;
    const cJSON *shown = run ? item : newest_run_of(studio, item_text(item, "name", ""));
    if (shown != NULL && draw_run(studio, area, shown)) return;
    const char *name = item_text(run ? item : item_get(item, "preset"), "model", ""),
               *folder = model_folder(studio, name);
    if (folder == NULL) return;
    snprintf(path, sizeof path, "%s/grid.png", folder);
    if (!preview_load(&studio->preview[0], path)) return;
    char caption[120];
    snprintf(caption, sizeof caption, "what %s draws untuned", name);
    draw_picture(studio, area, &studio->preview[0].image, STYLE_DIM, caption);
}
