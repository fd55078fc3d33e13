/* Compare: two presets or two runs, and every setting in which they differ. */
#include "engine/base/format.h"
#include "tui/screen/text.h"
#include "tui/state.h"
#include "tui/views/curves.h"
#include "tui/views/preview.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* A run as its folder had it when it was read last. */
struct compared_run {
    char path[4096];
    int64_t size, modified; /* of metrics.jsonl: bytes, nanoseconds since 1970 */
    struct run *run;        /* NULL: none was readable */
    struct preview_picture picture;
};

struct compare_view {
    struct list differences;
    struct compared_run compared[2]; /* two runs side by side */
};

static struct compare_view *view_of(const struct studio *studio)
{
    return studio->views[SCREEN_COMPARE];
}

enum { DIFFERENCES = 256 };

struct difference {
    char key[120], left[160], right[160];
};

static void text_of(const cJSON *value, char *text, size_t size)
{
    if (!value || cJSON_IsNull(value)) { /* a key that is absent has its default, as one that is null */
        snprintf(text, size, "-");
        return;
    }
    if (cJSON_IsString(value)) {
        snprintf(text, size, "%s", value->valuestring);
        return;
    }
    char *printed = cJSON_PrintUnformatted(value);
    snprintf(text, size, "%s", printed ? printed : "");
    cJSON_free(printed);
}

/* How many of the strings are not among the others. */
static int missing_from(const cJSON *strings, const cJSON *others)
{
    const cJSON *string = NULL, *other = NULL;
    int missing = 0;
    cJSON_ArrayForEach(string, strings)
    {
        bool found = false;
        cJSON_ArrayForEach(other, others) found = found || cJSON_Compare(string, other, 1);
        missing += !found;
    }
    return missing;
}

/* A list of prompts is too long to be read beside another: how many it has, and how many of them alone. */
static void text_of_list(const cJSON *list, const cJSON *other, char *text, size_t size)
{
    int count = cJSON_GetArraySize(list), alone = missing_from(list, other);
    const cJSON *first = cJSON_GetArrayItem(list, 0);
    if (count == 1 && cJSON_IsString(first))
        snprintf(text, size, "%s", first->valuestring);
    else
        snprintf(text, size, alone > 0 ? "%d, %d only here" : "%d", count, alone);
}

static const cJSON *reward_with_id(const cJSON *rewards, const char *id)
{
    const cJSON *reward = NULL;
    cJSON_ArrayForEach(reward, rewards)
    {
        if (strcmp(json_get_text(reward, "id", json_get_text(reward, "name", "")), id) == 0) return reward;
    }
    return NULL;
}

static void add_difference(const cJSON *left, const cJSON *right, const char *path, struct difference *found,
                           int *count)
{
    struct difference difference;
    bool lists = strncmp(path, "prompts.", 8) == 0 && (cJSON_IsArray(left) || cJSON_IsArray(right));
    if (*count == DIFFERENCES || (lists && cJSON_Compare(left, right, 1))) return;
    if (lists) {
        text_of_list(left, right, difference.left, sizeof difference.left);
        text_of_list(right, left, difference.right, sizeof difference.right);
    } else {
        text_of(left, difference.left, sizeof difference.left);
        text_of(right, difference.right, sizeof difference.right);
        if (strcmp(difference.left, difference.right) == 0) return;
    }
    snprintf(difference.key, sizeof difference.key, "%s", path);
    found[(*count)++] = difference;
}

static void collect(const cJSON *left, const cJSON *right, const char *path, struct difference *found, int *count);

/* Rewards of the same id are compared with each other, wherever they stand in their lists. */
static void collect_rewards(const cJSON *left, const cJSON *right, struct difference *found, int *count)
{
    const cJSON *sides[2] = {left, right};
    for (int side = 0; side < 2; side++) {
        const cJSON *reward = NULL;
        cJSON_ArrayForEach(reward, sides[side])
        {
            const char *id = json_get_text(reward, "id", json_get_text(reward, "name", "?"));
            const cJSON *other = reward_with_id(sides[!side], id);
            if (side == 1 && other) continue;
            char path[120];
            snprintf(path, sizeof path, "rewards.%.100s", id);
            if (other)
                collect(reward, other, path, found, count);
            else if (*count < DIFFERENCES) {
                struct difference difference = {.left = "-", .right = "-"};
                snprintf(difference.key, sizeof difference.key, "%s", path);
                snprintf(side == 0 ? difference.left : difference.right, sizeof difference.left, "weight %g",
                         json_get_number(reward, "weight", 1));
                found[(*count)++] = difference;
            }
        }
    }
}

static void collect(const cJSON *left, const cJSON *right, const char *path, struct difference *found, int *count)
{
    if (strcmp(path, "rewards") == 0) {
        collect_rewards(left, right, found, count);
        return;
    }
    bool objects = (cJSON_IsObject(left) || !left) && (cJSON_IsObject(right) || !right);
    if (!objects) {
        add_difference(left, right, path, found, count);
        return;
    }
    const cJSON *sides[2] = {left, right};
    for (int side = 0; side < 2; side++) {
        const cJSON *item = NULL;
        cJSON_ArrayForEach(item, sides[side])
        {
            const cJSON *other = json_get(sides[!side], item->string);
            if (side == 1 && other) continue;
            char inner[120];
            snprintf(inner, sizeof inner, "%.55s%s%.55s", path, path[0] ? "." : "", item->string);
            collect(side == 0 ? item : NULL, side == 0 ? other : item, inner, found, count);
        }
    }
}

static const cJSON *preset_named(const struct studio *studio, const char *name)
{
    const cJSON *preset = NULL;
    cJSON_ArrayForEach(preset,
                       json_get(studio->catalogue, "presets")) if (strcmp(json_get_text(preset, "name", ""), name) ==
                                                                   0) return json_get(preset, "preset");
    return NULL;
}

struct differences {
    struct difference found[DIFFERENCES];
    struct list_items items;
};

static uint64_t identity_of_difference(const void *differences, int place)
{
    return list_identity(((const struct differences *)differences)->found[place].key);
}

static void gather_differences(const cJSON *left, const cJSON *right, struct differences *differences)
{
    differences->items = (struct list_items){.of = differences, .identity = identity_of_difference};
    collect(left, right, "", differences->found, &differences->items.count);
    differences->items.all = differences->items.count;
}

static void draw_differences(struct studio *studio, struct area area, const cJSON *left, const cJSON *right,
                             const char *names[2])
{
    struct differences differences;
    gather_differences(left, right, &differences);
    int key = area.columns / 4, width = (area.columns - key - 2) / 2, count = differences.items.count;
    struct list *list = &view_of(studio)->differences;
    struct area body = {area.row + 1, area.column, area.rows - 1, area.columns};
    struct list_rows rows = studio_show_list(studio, list, &differences.items, body, 0, true);
    while (list_next(&rows)) {
        const struct difference *difference = &differences.found[rows.place];
        list_text(&rows, 0, key, STYLE_TEXT, difference->key);
        list_text(&rows, key + 1, width - 1, STYLE_DIM, difference->left);
        list_text(&rows, key + 1 + width, width, STYLE_DIM, difference->right);
    }
    if (list_has_bar(list))
        draw_format(area.row, area.column, key, STYLE_DIM, "%d of %d differ", list->cursor + 1, count);
    else
        draw_format(area.row, area.column, key, STYLE_DIM, "%d differ", count);
    draw_text(area.row, area.column + key + 1, width - 1, STYLE_CURVE_TOTAL, names[0]);
    draw_text(area.row, area.column + key + 1 + width, width, STYLE_CURVE_HELD_OUT, names[1]);
    if (count == 0) draw_text(body.row, area.column, area.columns, STYLE_GOOD, "Every setting is the same.");
}

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* Name and best held-out reward, in the colour of its curve. */
static void draw_name(const struct run *run, const char *name, struct area area, enum style style)
{
    char value[24];
    const struct run_step *best = run_best(run);
    draw_format(area.row, area.column, area.columns, style, "%s  %s %s@%d", name, style_unicode() ? "\u25c6" : "*",
                format_number(value, sizeof value, best ? run_total(run, best->held_out) : NAN), best ? best->step : 0);
}

/* The run as its folder has it now; read anew when its figures have grown. False when it cannot be read. */
static bool load_run(struct compared_run *compared, const char *path)
{
    char name[4200];
    struct stat found = {0};
    snprintf(name, sizeof name, "%s/metrics.jsonl", path);
    if (stat(name, &found) != 0) found = (struct stat){0};
    int64_t modified = (int64_t)found.st_mtim.tv_sec * 1000000000 + found.st_mtim.tv_nsec;
    if (strcmp(compared->path, path) == 0 && compared->size == found.st_size && compared->modified == modified)
        return compared->run;
    snprintf(compared->path, sizeof compared->path, "%s", path);
    compared->size = found.st_size;
    compared->modified = modified;
    if (!compared->run) compared->run = run_new();
    if (run_load_folder(compared->run, path)) return true;
    run_free(compared->run);
    compared->run = NULL;
    return false;
}

/* The newest picture of the first held-out prompt of each run, at the right of the area; returns the columns used. */
static int draw_pictures(struct studio *studio, struct area area)
{
    enum { LEAST_ROWS = 9, LEAST_CURVE = 48 };
    char path[4300];
    int width = 2 * (area.rows - 1);
    if (pictures_protocol(studio->pictures) == PROTOCOL_NONE || area.rows < LEAST_ROWS ||
        area.columns - 2 * (width + 2) < LEAST_CURVE)
        return 0;
    for (int side = 0; side < 2; side++) {
        struct compared_run *compared = &view_of(studio)->compared[side];
        int steps[TEXT_LIST], count = run_sample_steps(compared->path, steps, TEXT_LIST);
        if (count == 0 || !run_sample_path(compared->path, steps[count - 1], 0, path, sizeof path)) continue;
        if (!preview_load(&compared->picture, path)) continue;
        struct area place = {area.row, area.column + area.columns - (2 - side) * (width + 2) + 2, area.rows - 1, width};
        pictures_want(studio->pictures, place, &compared->picture.image);
        draw_center(area.row + area.rows - 1, place.column, width, side == 0 ? STYLE_CURVE_TOTAL : STYLE_CURVE_HELD_OUT,
                    "step %d", steps[count - 1]);
    }
    return 2 * (width + 2);
}

/* The presets that are compared, as read last; NULL where there is none. */
static void compared_presets(const struct studio *studio, const cJSON *presets[2])
{
    for (int side = 0; side < 2; side++) {
        const struct run *run = view_of(studio)->compared[side].run;
        presets[side] = !studio->marks.runs ? preset_named(studio, studio->marks.names[side])
                        : run               ? run->preset
                                            : NULL;
    }
}

static void draw_runs(struct studio *studio, struct area area, const char *names[2])
{
    const struct run *left = view_of(studio)->compared[0].run, *right = view_of(studio)->compared[1].run;
    int half = (area.columns - 16) / 2;
    draw_text(area.row, area.column, 15, STYLE_TITLE, "held-out reward");
    draw_name(left, names[0], (struct area){area.row, area.column + 16, 1, half - 1}, STYLE_CURVE_TOTAL);
    draw_name(right, names[1], (struct area){area.row, area.column + 16 + half, 1, half}, STYLE_CURVE_HELD_OUT);
    struct area curves = {area.row + 1, area.column, area.rows - 1, area.columns};
    curves.columns -= draw_pictures(studio, curves);
    curves_draw_two(left, right, curves);
}

/* False when a run cannot be read, which is said. */
static bool load_runs(struct studio *studio, struct area body)
{
    for (int side = 0; side < 2; side++) {
        const char *path = studio->marks.names[side];
        if (load_run(&view_of(studio)->compared[side], path)) continue;
        draw_format(body.row, body.column, body.columns, STYLE_BAD,
                    "%s cannot be read. Press 9, then Space, to take its mark away.", path);
        return false;
    }
    return true;
}

static void draw(struct studio *studio, struct area body)
{
    if (!studio_has_two_marks(studio)) {
        draw_notice(body, "Nothing is marked yet.",
                    "Mark two presets (1) or two runs (9) with Space, then come back with 7.");
        return;
    }
    const char *names[2] = {last_part(studio->marks.names[0]), last_part(studio->marks.names[1])};
    struct area differences = body;
    if (studio->marks.runs) {
        if (!load_runs(studio, body)) return;
        int upper = body.rows / 2 - 1;
        draw_runs(studio, (struct area){body.row, body.column, upper, body.columns}, names);
        differences = (struct area){body.row + upper + 1, body.column, body.rows - upper - 1, body.columns};
    }
    const cJSON *presets[2];
    compared_presets(studio, presets);
    draw_differences(studio, differences, presets[0], presets[1], names);
}

static bool command(struct studio *studio, enum command_id id, bool coarse)
{
    struct differences differences;
    const cJSON *presets[2];
    (void)coarse;
    compared_presets(studio, presets);
    gather_differences(presets[0], presets[1], &differences);
    return list_move(&view_of(studio)->differences, &differences.items, id);
}

static void click(struct studio *studio, const struct click *click)
{
    struct differences differences;
    const cJSON *presets[2];
    compared_presets(studio, presets);
    gather_differences(presets[0], presets[1], &differences);
    list_click(&view_of(studio)->differences, &differences.items, click->item);
}

static void free_runs(struct studio *studio)
{
    for (int side = 0; side < 2; side++) {
        image_free(&view_of(studio)->compared[side].picture.image);
        run_free(view_of(studio)->compared[side].run);
    }
}

const struct screen screen_compare = {
    .name = "Compare",
    .about = "Two presets: every setting in which they differ. Two runs: their held-out curves over each other as "
             "well. Mark two with "
             "Space on screen 1 or 9.",
    .view_bytes = sizeof(struct compare_view),
    .draw = draw,
    .command = command,
    .click = click,
    .free = free_runs,
};
