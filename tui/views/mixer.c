/* Mixer: the adapter being tuned and those that runs have left, each with a strength, and the picture they make. */
#include "engine/base/input_file.h"
#include "tui/screen/slider.h"
#include "tui/screen/text.h"
#include "tui/state.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct mixer_adapter {
    char name[128], path[4200], run[4096];
    double scale; /* of ΔW */
    bool on;
    bool current; /* the adapter being tuned, as it is now; has no path */
};

enum { MIXER_ADAPTERS = 64 };

struct mixer_view {
    struct mixer_adapter adapters[MIXER_ADAPTERS];
    struct list list; /* of the adapters */
    int count, prompt;
    struct image picture;
    char prompt_text[512];
    int request;     /* id of the sample in work; 0: none */
    int64_t changed; /* when a slider moved last; 0: the picture is up to date */
    bool loaded;
    bool dragged; /* the mouse holds a slider */
    char error[300];
};

static struct mixer_view *view_of(const struct studio *studio)
{
    return studio->views[SCREEN_MIXER];
}

enum { ADAPTER_ROWS = 3 }; /* of one in the list: its name, its slider, an empty one */

static const struct slider_scale strengths = {.low = 0, .high = 1.5};

static uint64_t identity_of_adapter(const void *of, int place)
{
    const struct mixer_view *view = of;
    const struct mixer_adapter *adapter = &view->adapters[place];
    return list_identity(adapter->current ? "" : adapter->path);
}

static struct list_items adapter_items(const struct mixer_view *view)
{
    return (struct list_items){.count = view->count,
                               .all = view->count,
                               .height = ADAPTER_ROWS,
                               .plain = true,
                               .of = view,
                               .identity = identity_of_adapter};
}

/* Only where there are adapters. */
static struct mixer_adapter *chosen_adapter(struct mixer_view *view)
{
    struct list_items items = adapter_items(view);
    return &view->adapters[list_follow(&view->list, &items)];
}

static int find_adapter(const struct mixer_view *view, const char *path, bool current)
{
    for (int i = 0; i < view->count; i++)
        if (view->adapters[i].current == current && strcmp(view->adapters[i].path, path) == 0) return i;
    return -1;
}

static struct mixer_adapter *insert_adapter(struct mixer_view *view, int at)
{
    memmove(view->adapters + at + 1, view->adapters + at, (size_t)(view->count - at) * sizeof *view->adapters);
    view->count++;
    view->adapters[at] = (struct mixer_adapter){.scale = 1, .on = view->count == 1};
    return &view->adapters[at];
}

static void remove_adapter(struct mixer_view *view, int at)
{
    view->count--;
    memmove(view->adapters + at, view->adapters + at + 1, (size_t)(view->count - at) * sizeof *view->adapters);
}

/* The adapter being tuned stands first while its run is on. */
static void follow_live_run(struct studio *studio)
{
    struct mixer_view *view = view_of(studio);
    const struct run *run = studio->run;
    bool alive = studio->live && (run->phase == RUN_RUNNING || run->phase == RUN_PAUSING || run->phase == RUN_PAUSED);
    int at = find_adapter(view, "", true);
    if (at >= 0 && (!alive || strcmp(view->adapters[at].run, run->path) != 0)) {
        remove_adapter(view, at);
        at = -1;
    }
    if (!alive || at >= 0 || view->count == MIXER_ADAPTERS) return;
    struct mixer_adapter *adapter = insert_adapter(view, 0);
    adapter->current = true;
    snprintf(adapter->name, sizeof adapter->name, "%.100s, as it is now", run->name);
    snprintf(adapter->run, sizeof adapter->run, "%s", run->path);
}

static void load_adapters(struct studio *studio)
{
    struct mixer_view *view = view_of(studio);
    follow_live_run(studio);
    int place = find_adapter(view, "", true) + 1; /* of the next run's adapter, newest first */
    const cJSON *run = NULL;
    cJSON_ArrayForEach(run, studio->runs)
    {
        const char *path = json_get_text(run, "lora", NULL);
        if (!path) continue;
        int known = find_adapter(view, path, false);
        if (known >= 0) {
            place = known + 1;
            continue;
        }
        if (view->count == MIXER_ADAPTERS) break;
        struct mixer_adapter *adapter = insert_adapter(view, place++);
        snprintf(adapter->name, sizeof adapter->name, "%s", json_get_text(run, "name", "?"));
        snprintf(adapter->path, sizeof adapter->path, "%s", path);
        snprintf(adapter->run, sizeof adapter->run, "%s", json_get_text(run, "path", ""));
    }
    if (!view->loaded && view->count > 0) view->changed = studio->now;
    view->loaded = view->count > 0;
}

/* The run whose preset gives model, sampler and prompts: that of the first adapter that is on. */
static const struct mixer_adapter *leading(const struct mixer_view *view)
{
    for (int i = 0; i < view->count; i++)
        if (view->adapters[i].on) return &view->adapters[i];
    return view->count > 0 ? &view->adapters[0] : NULL;
}

static bool find_prompt(const struct mixer_adapter *adapter, int index, char *text, size_t size)
{
    char path[4200], *content = calloc(1, LARGEST_PRESET + 1);
    snprintf(path, sizeof path, "%s/preset.json", adapter->run);
    FILE *file = NULL;
    if (input_stream_open(path, &file).code != STATUS_OK) file = NULL;
    size_t length = file && content ? fread(content, 1, LARGEST_PRESET, file) : 0;
    if (file) fclose(file);
    cJSON *preset = length > 0 ? message_object(content, length) : NULL;
    const cJSON *prompts = json_find(preset, "prompts.eval");
    if (cJSON_GetArraySize(prompts) == 0) prompts = json_find(preset, "prompts.train");
    int count = cJSON_GetArraySize(prompts);
    const cJSON *prompt = count > 0 ? cJSON_GetArrayItem(prompts, index % count) : NULL;
    const char *words = cJSON_GetStringValue(prompt);
    bool found = words;
    if (found) snprintf(text, size, "%s", words);
    cJSON_Delete(preset);
    free(content);
    return found;
}

static bool uses_current(const struct mixer_view *view)
{
    for (int i = 0; i < view->count; i++)
        if (view->adapters[i].on && view->adapters[i].current && view->adapters[i].scale != 0) return true;
    return false;
}

static void request_picture(struct studio *studio)
{
    struct mixer_view *view = view_of(studio);
    const struct mixer_adapter *lead = leading(view);
    view->changed = 0;
    view->error[0] = '\0';
    if (!lead) return;
    cJSON *body = cJSON_CreateObject(), *adapters = cJSON_AddArrayToObject(body, "adapters");
    cJSON_AddStringToObject(body, "run", lead->run);
    if (find_prompt(lead, view->prompt, view->prompt_text, sizeof view->prompt_text)) {
        cJSON *prompts = cJSON_AddArrayToObject(body, "prompts");
        cJSON_AddItemToArray(prompts, cJSON_CreateString(view->prompt_text));
    }
    cJSON *seeds = cJSON_AddArrayToObject(body, "seeds");
    cJSON_AddItemToArray(seeds, cJSON_CreateString("42"));
    cJSON_AddBoolToObject(body, "previews", 1);
    for (int i = 0; i < view->count; i++) {
        const struct mixer_adapter *adapter = &view->adapters[i];
        if (!adapter->on || adapter->scale == 0) continue;
        cJSON *item = cJSON_CreateObject();
        if (adapter->current)
            cJSON_AddBoolToObject(item, "current", true);
        else
            cJSON_AddStringToObject(item, "path", adapter->path);
        cJSON_AddNumberToObject(item, "scale", adapter->scale);
        cJSON_AddItemToArray(adapters, item);
    }
    /* Only its own engine has the adapter being tuned. */
    struct client *client = uses_current(view) ? studio->live : studio_asker(studio);
    view->request = studio_request(studio, client, REQUEST_SAMPLE, "sample", body, "redraw the picture");
}

static void draw_adapter(const struct list_rows *rows, const struct mixer_adapter *adapter)
{
    int columns = rows->line.columns;
    const char *dot = adapter->on ? (style_unicode() ? "\u25cf" : "*") : style_unicode() ? "\u25cb" : "o";
    enum style name = rows->here ? STYLE_LIVE : adapter->on ? STYLE_TEXT : STYLE_DIM;
    list_cursor(rows, false);
    list_text(rows, 2, 2, adapter->on ? STYLE_GOOD : STYLE_DIM, dot);
    list_text(rows, 4, columns - 12, name, adapter->name);
    list_right(rows, columns - 7, 6, adapter->on ? STYLE_LIVE : STYLE_DIM, "%.2f", adapter->scale);
    struct slider slider = {.scale = strengths,
                            .value = adapter->scale,
                            .mark = NAN,
                            .line = adapter->on ? STYLE_ACCENT : STYLE_FRAME,
                            .knob = rows->here ? STYLE_TITLE : STYLE_DIM};
    slider_draw(rows->line.row + 1, rows->line.column + 4, columns - 6, &slider);
}

static void recipe(const struct mixer_view *view, char *text, size_t size)
{
    size_t length = 0;
    text[0] = '\0';
    for (int i = 0; i < view->count; i++) {
        const struct mixer_adapter *adapter = &view->adapters[i];
        if (!adapter->on) continue;
        int added =
            snprintf(text + length, size - length, "%s%.2f %s", length > 0 ? " + " : "", adapter->scale, adapter->name);
        if (added < 0 || (size_t)added >= size - length) return;
        length += (size_t)added;
    }
    if (length == 0) snprintf(text, size, "the base model alone");
}

static void draw_adapters(struct studio *studio, struct area area)
{
    struct mixer_view *view = view_of(studio);
    struct list_items items = adapter_items(view);
    struct area body = {area.row + 1, area.column, area.rows - 1, area.columns};
    struct list_rows rows = studio_show_list(studio, &view->list, &items, body, 0, true);
    while (list_next(&rows)) draw_adapter(&rows, &view->adapters[rows.place]);
    list_heading(&view->list, &items, area, true, "adapters");
}

static void draw(struct studio *studio, struct area body)
{
    struct mixer_view *view = view_of(studio);
    load_adapters(studio);
    if (view->count == 0) {
        draw_notice(body, "No run has left an adapter yet.",
                    "Press 1 to start one. Mix its adapter here once it has saved.");
        return;
    }
    int left = body.columns >= 110 ? 44 : 32;
    draw_adapters(studio, (struct area){body.row, body.column, body.rows - 1, left});
    struct area right = {body.row, body.column + left + 2, body.rows - 2, body.columns - left - 2};
    if (view->picture.pixels) pictures_want(studio->pictures, right, &view->picture);
    char text[500];
    recipe(view, text, sizeof text);
    if (view->error[0] != '\0')
        draw_wrapped((struct area){right.row, right.column, 3, right.columns}, STYLE_BAD, view->error);
    else if (!view->picture.pixels)
        draw_center(right.row + right.rows / 2, right.column, right.columns, STYLE_DIM, "Drawing \u2026");
    draw_format(body.row + body.rows - 2, right.column, right.columns, STYLE_DIM, "\"%s\" \u00b7 seed 42",
                view->prompt_text);
    draw_text(body.row + body.rows - 1, right.column, right.columns, STYLE_ACCENT, text);
    if (view->request != 0) draw_text(body.row + body.rows - 1, body.column, left, STYLE_DIM, "Redrawing \u2026");
}

static void moved(struct studio *studio, double scale)
{
    struct mixer_adapter *adapter = chosen_adapter(view_of(studio));
    adapter->scale = fmin(strengths.high, fmax(strengths.low, round(scale * 100) / 100));
    adapter->on = true;
    view_of(studio)->changed = studio->now;
}

static void typed(struct studio *studio, const char *text)
{
    double value;
    if (!text_number(text, &value) || value < strengths.low || value > strengths.high)
        studio_say(studio, MESSAGE_ERROR, "Not a valid strength: \"%s\". Enter a number from 0 to 1.5.", text);
    else
        moved(studio, value);
}

static void show_command(struct studio *studio)
{
    const struct mixer_adapter *lead = leading(view_of(studio));
    struct bytes text = {0};
    bytes_format(&text, "alignprop sample --preset %s/preset.json --seed 42 --prompt '%s'", lead ? lead->run : "",
                 view_of(studio)->prompt_text);
    for (int i = 0; i < view_of(studio)->count; i++) {
        const struct mixer_adapter *adapter = &view_of(studio)->adapters[i];
        if (!adapter->on) continue;
        if (adapter->current)
            bytes_format(&text, " --lora %s/lora.safetensors:%.2f", adapter->run, adapter->scale);
        else
            bytes_format(&text, " --lora %s:%.2f", adapter->path, adapter->scale);
    }
    if (!text.failed) studio_say(studio, MESSAGE_INFO, "%.*s", (int)text.length, text.data);
    bytes_free(&text);
}

static bool command(struct studio *studio, enum command_id id, bool coarse)
{
    struct mixer_view *view = view_of(studio);
    if (view->count == 0) return false;
    struct list_items items = adapter_items(view);
    if (list_move(&view->list, &items, id)) return true;
    struct mixer_adapter *adapter = chosen_adapter(view);
    double step = coarse ? 0.25 : 0.05;
    switch (id) {
    case COMMAND_LESS: moved(studio, adapter->scale - step); return true;
    case COMMAND_MORE: moved(studio, adapter->scale + step); return true;
    case COMMAND_OPEN:
    case COMMAND_MUTE:
        adapter->on = !adapter->on;
        view->changed = studio->now;
        return true;
    case COMMAND_SOLO:
        for (int i = 0; i < view->count; i++) view->adapters[i].on = &view->adapters[i] == adapter;
        view->changed = studio->now;
        return true;
    case COMMAND_TYPE_VALUE: {
        char text[32];
        snprintf(text, sizeof text, "%.2f", adapter->scale);
        studio_prompt(studio, "Strength", "From 0 (the base model) to 1.5; 1 is as tuned.", text, typed, NULL);
        return true;
    }
    case COMMAND_NEXT_PICTURE:
        view->prompt++;
        view->changed = studio->now;
        return true;
    case COMMAND_RECIPE: show_command(studio); return true;
    default: return false;
    }
}

static void click(struct studio *studio, const struct click *click)
{
    struct mixer_view *view = view_of(studio);
    struct list_items items = adapter_items(view);
    if (click->item >= view->count && !click->drag) return;
    if (!click->drag) list_click(&view->list, &items, click->item);
    if (!click->drag) view->dragged = click->row % ADAPTER_ROWS == 1 && click->column >= 4;
    int width = click->columns - 6;
    if (view->dragged && width > 1) moved(studio, slider_value_at(&strengths, click->column - 4, width));
    if (click->drag || click->row % ADAPTER_ROWS != 0 || click->column >= 4) return;
    command(studio, COMMAND_OPEN, false); /* on the dot before the name */
}

static void refresh(struct studio *studio)
{
    studio_list_runs(studio);
}

/* The picture follows when a slider has rested for a moment. */
static int tick(struct studio *studio)
{
    enum { MIXER_PAUSE = 150 };
    int64_t changed = view_of(studio)->changed;
    if (changed == 0) return -1;
    int left = (int)(changed + MIXER_PAUSE - studio->now);
    if (left > 0) return left;
    request_picture(studio);
    return -1;
}

static void take_answer(struct studio *studio, const char *type, const cJSON *message)
{
    struct mixer_view *view = view_of(studio);
    if (strcmp(type, "sampled") != 0 || json_get_integer(message, "re", 0) != view->request) return;
    view->request = 0;
    const cJSON *warning = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(message, "warnings"), 0);
    if (cJSON_IsString(warning)) studio_say(studio, MESSAGE_WARNING, "%s", warning->valuestring);
    if (!json_get_flag(message, "ok", false) && !json_get_flag(message, "superseded", false))
        snprintf(view->error, sizeof view->error, "%s",
                 json_get_text(message, "error", "The picture could not be drawn."));
}

static void take_picture(struct studio *studio, const struct client_message *picture)
{
    struct mixer_view *view = view_of(studio);
    if (json_get_integer(picture->json, "re", 0) == view->request)
        image_set(&view->picture, picture->width, picture->height, picture->pixels);
}

static void free_picture(struct studio *studio)
{
    image_free(&view_of(studio)->picture);
}

static bool offers(const struct studio *studio, enum command_id id)
{
    return id == COMMAND_MUTE || studio_offers(studio, id); /* adapters, not the run's rewards */
}

static const struct screen_command commands[] = {
    {COMMAND_OPEN, "turn the adapter on", "Enter Space", "on/off", "use this adapter or leave it out"},
    {COMMAND_LESS, "less strength", "Left h", NULL, "weaker; with Shift in coarse steps"},
    {COMMAND_MORE, "more strength", "Right l", "strength", "stronger; with Shift in coarse steps"},
    {COMMAND_NEXT_PICTURE, "next prompt", "n", "prompt", "the next prompt and seed"},
    {COMMAND_RECIPE, "show the recipe", "y", NULL, "show the command that makes this picture"},
    {COMMAND_MUTE, "mute", "x", "mute", "leave this adapter out, and back"},
    {COMMAND_SOLO, "solo", "o", NULL, "this adapter alone"},
    {COMMAND_TYPE_VALUE, "type a value", "=", NULL, "type the strength as a number"},
};

const struct screen screen_mixer = {
    .name = "Mixer",
    .about = "Adapters of your runs, each with a strength from 0 to 1.5; they add up. The picture follows the sliders. "
             "y shows the command that draws the same picture.",
    .open = refresh,
    .commands = commands,
    .command_count = sizeof commands / sizeof *commands,
    .view_bytes = sizeof(struct mixer_view),
    .draw = draw,
    .command = command,
    .click = click,
    .offers = offers,
    .tick = tick,
    .message = take_answer,
    .picture = take_picture,
    .free = free_picture,
};
