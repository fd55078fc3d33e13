/* Pictures of a card. */
#include "tui/views/preview.h"

#include "tui/screen/text.h"

#include <stdio.h>
#include <string.h>

static const cJSON *newest_run_of(const struct studio *studio, const char *preset)
{
    const cJSON *run = NULL;
    cJSON_ArrayForEach(run, studio->runs)
    {
        if (strcmp(json_get_text(run, "preset", ""), preset) == 0 && json_get_integer(run, "step", 0) > 0) return run;
    }
    return NULL;
}

static const char *model_folder(const struct studio *studio, const char *name)
{
    const cJSON *model = NULL;
    cJSON_ArrayForEach(model, json_get(studio->catalogue, "models"))
    {
        if (strcmp(json_get_text(model, "name", ""), name) == 0) return json_get_text(model, "path", NULL);
    }
    return NULL;
}

bool preview_load(struct preview_picture *picture, const char *path)
{
    if (strcmp(picture->path, path) == 0) return picture->image.pixels;
    snprintf(picture->path, sizeof picture->path, "%s", path);
    if (image_load_png(path, &picture->image).code == STATUS_OK) return true;
    image_free(&picture->image);
    return false;
}

/* The picture at the area's left, its caption below; returns the columns that both take. */
static int draw_picture(struct studio *studio, struct area area, const struct image *image, enum style style,
                        const char *caption)
{
    struct area place =
        pictures_fit(studio->pictures, (struct area){area.row, area.column, area.rows - 1, area.columns}, image->width,
                     image->height);
    place.row = area.row;
    place.column = area.column;
    pictures_want(studio->pictures, place, image);
    int caption_columns = draw_text(place.row + place.rows, place.column, area.columns, style, caption);
    return caption_columns > place.columns ? caption_columns : place.columns;
}

/* The pictures of one prompt and seed at two steps, side by side; returns the columns used, 0 where one is missing. */
static int draw_pair(struct studio *studio, struct preview *preview, struct area area, const char *folder,
                     const int steps[2], int index)
{
    enum { GAP = 2 };
    char path[4300], caption[120];
    struct preview_picture *pictures = &preview->pictures[2 * index];
    for (int at = 0; at < 2; at++) {
        if (!run_sample_path(folder, steps[at], index, path, sizeof path)) return 0;
        if (!preview_load(&pictures[at], path)) return 0;
    }
    area.columns = (area.columns - GAP) / 2;
    int used = draw_picture(studio, area, &pictures[0].image, STYLE_DIM, "untuned") + GAP;
    area.column += used;
    snprintf(caption, sizeof caption, "after %d steps", steps[1]);
    return used + draw_picture(studio, area, &pictures[1].image, STYLE_ACCENT, caption);
}

/* The first and the newest picture of the first prompt, and below of the second where there is room. */
static int draw_run(struct studio *studio, struct preview *preview, struct area area, const cJSON *run)
{
    const char *folder = json_get_text(run, "path", "");
    int steps[TEXT_LIST], count = run_sample_steps(folder, steps, TEXT_LIST);
    if (count < 2) return 0;
    int ends[2] = {steps[0], steps[count - 1]}, high = area.columns / 4 + 2; /* rows of a pair as wide as the area */
    bool two = area.rows >= 2 * high - high / 4;
    if (two) area.rows /= 2;
    int used = draw_pair(studio, preview, area, folder, ends, 0);
    area.row += area.rows;
    if (used > 0 && two) draw_pair(studio, preview, area, folder, ends, 1);
    return used;
}

int preview_draw(struct studio *studio, struct preview *preview, struct area area, const cJSON *item, bool run)
{
    char path[4300], caption[120];
    if (area.rows < PREVIEW_LEAST_ROWS || !item) return 0;
    if (pictures_protocol(studio->pictures) == PROTOCOL_NONE) return 0;
    const cJSON *shown = run ? item : newest_run_of(studio, json_get_text(item, "name", ""));
    int used = shown ? draw_run(studio, preview, area, shown) : 0;
    if (used > 0) return used;
    const char *name = json_get_text(run ? item : json_get(item, "preset"), "model", ""),
               *folder = model_folder(studio, name);
    if (!folder) return 0;
    snprintf(path, sizeof path, "%s/grid.png", folder);
    if (!preview_load(&preview->pictures[0], path)) return 0;
    snprintf(caption, sizeof caption, "what %s draws untuned", name);
    return draw_picture(studio, area, &preview->pictures[0].image, STYLE_DIM, caption);
}

void preview_free(struct preview *preview)
{
    for (int i = 0; i < 4; i++) image_free(&preview->pictures[i].image);
}
