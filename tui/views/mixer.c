/* Mixer: adapters of finished runs, each with a strength, and the picture they make together. */
#include "tui/screen/text.h"
#include "tui/state.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void mixer_request(struct studio *studio);

static const double largest_scale = 1.5;

static void load_adapters(struct studio *studio)
{
    struct mixer_view *view = &studio->mixer;
    const cJSON *run = NULL;
    cJSON_ArrayForEach(run, studio->runs)
    {
        const char *path = item_text(run, "lora", NULL);
        bool known = path == NULL || view->count == MIXER_ADAPTERS;
        for (int index = 0; index < view->count && !known; index++)
            known = strcmp(view->adapters[index].path, path) == 0;
        if (known) continue;
        struct mixer_adapter *adapter = &view->adapters[view->count++];
        *adapter = (struct mixer_adapter){.scale = 1, .muted = NAN, .on = view->count == 1};
        snprintf(adapter->name, sizeof adapter->name, "%s", item_text(run, "name", "?"));
        snprintf(adapter->path, sizeof adapter->path, "%s", path);
        snprintf(adapter->run, sizeof adapter->run, "%s", item_text(run, "path", ""));
    }
    if (!view->loaded && view->count > 0) view->changed = studio->now;
    view->loaded = view->count > 0;
}

/* The run whose preset gives model, sampler and prompts: that of the first adapter that is on. */
static const struct mixer_adapter *leading(const struct mixer_view *view)
{
    for (int index = 0; index < view->count; index++)
        if (view->adapters[index].on) return &view->adapters[index];
    return view->count > 0 ? &view->adapters[0] : NULL;
}

static bool find_prompt(const struct mixer_adapter *adapter, int index, char *text, size_t size)
{
    char path[4200], *content = calloc(1, LARGEST_PRESET + 1);
    snprintf(path, sizeof path, "%s/preset.json", adapter->run);
    FILE *file = fopen(path, "r");
    size_t length = file != NULL && content != NULL ? fread(content, 1, LARGEST_PRESET, file) : 0;
    if (file != NULL) fclose(file);
    cJSON *preset = length > 0 ? item_object(content, length) : NULL;
    const cJSON *prompts = item_find(preset, "prompts.eval");
    if (cJSON_GetArraySize(prompts) == 0) prompts = item_find(preset, "prompts.train");
    int count = cJSON_GetArraySize(prompts);
    const cJSON *prompt = count > 0 ? cJSON_GetArrayItem(prompts, index % count) : NULL;
    if (cJSON_IsString(prompt)) snprintf(text, size, "%s", prompt->valuestring);
    bool found = cJSON_IsString(prompt);
    cJSON_Delete(preset);
    free(content);
    return found;
}

void mixer_request(struct studio *studio)
{
    struct mixer_view *view = &studio->mixer;
    const struct mixer_adapter *lead = leading(view);
    view->changed = 0;
    view->error[0] = 0;
    if (lead == NULL) return;
    cJSON *body = cJSON_CreateObject(), *adapters = cJSON_AddArrayToObject(body, "adapters");
    cJSON_AddStringToObject(body, "run", lead->run);
    if (find_prompt(lead, view->prompt, view->prompt_text, sizeof view->prompt_text)) {
        cJSON *prompts = cJSON_AddArrayToObject(body, "prompts");
        cJSON_AddItemToArray(prompts, cJSON_CreateString(view->prompt_text));
    }
    cJSON *seeds = cJSON_AddArrayToObject(body, "seeds");
    cJSON_AddItemToArray(seeds, cJSON_CreateString("42"));
    cJSON_AddBoolToObject(body, "previews", 1);
    for (int index = 0; index < view->count; index++) {
        const struct mixer_adapter *adapter = &view->adapters[index];
        if (!adapter->on || adapter->scale == 0) continue;
        cJSON *item = cJSON_CreateObject();
        cJSON_AddStringToObject(item, "path", adapter->path);
        cJSON_AddNumberToObject(item, "scale", adapter->scale);
        cJSON_AddItemToArray(adapters, item);
    }
    view->request = studio_request(studio, studio_asker(studio), REQUEST_SAMPLE, "sample", body, "redraw the picture");
}

static void draw_adapter(const struct mixer_view *view, int index, int row, struct area area)
{
    const struct mixer_adapter *adapter = &view->adapters[index];
    bool here = index == view->cursor;
    draw_text(row, area.column, 2, STYLE_ACCENT, here ? "\u25b8" : " ");
    draw_text(row, area.column + 2, 2, adapter->on ? STYLE_GOOD : STYLE_DIM,
              adapter->on ? (style_unicode() ? "\u25cf" : "*") : (style_unicode() ? "\u25cb" : "o"));
    draw_text(row, area.column + 4, area.columns - 12,
              here          ? STYLE_LIVE
              : adapter->on ? STYLE_TEXT
                            : STYLE_DIM,
              adapter->name);
    draw_right(row, area.column + area.columns - 7, 6, adapter->on ? STYLE_LIVE : STYLE_DIM, "%.2f", adapter->scale);
    int width = area.columns - 6, at = (int)lround(adapter->scale / largest_scale * (width - 1));
    draw_line(row + 1, area.column + 4, width, STYLE_FRAME);
    for (int cell = 0; cell < at; cell++)
        draw_text(row + 1, area.column + 4 + cell, 1, adapter->on ? STYLE_ACCENT : STYLE_FRAME, "\u2501");
    draw_text(row + 1, area.column + 4 + at, 1, here ? STYLE_TITLE : STYLE_DIM, "\u25cf");
}

static void recipe(const struct mixer_view *view, char *text, size_t size)
{
    size_t length = 0;
    text[0] = 0;
    for (int index = 0; index < view->count; index++) {
        const struct mixer_adapter *adapter = &view->adapters[index];
        if (!adapter->on) continue;
        int added =
            snprintf(text + length, size - length, "%s%.2f %s", length > 0 ? " + " : "", adapter->scale, adapter->name);
        if (added < 0 || (size_t)added >= size - length) return;
        length += (size_t)added;
    }
    if (length == 0) snprintf(text, size, "the base model alone");
}

static void draw(struct studio *studio, struct area body)
{
    struct mixer_view *view = &studio->mixer;
    load_adapters(studio);
    if (view->count == 0) {
        draw_notice(body, "No run has left an adapter yet.", "1 starts one; when it has saved, mix it here");
        return;
    }
    int left = body.columns >= 110 ? 44 : 32;
    draw_text(body.row, body.column, left, STYLE_TITLE, "adapters");
    for (int index = 0; index < view->count && 3 * index + 3 < body.rows; index++)
        draw_adapter(view, index, body.row + 1 + 3 * index, (struct area){body.row, body.column, 2, left});
    studio->list_area = (struct area){body.row + 1, body.column, 3 * view->count, left};
    struct area right = {body.row, body.column + left + 2, body.rows - 2, body.columns - left - 2};
    if (view->picture.pixels != NULL) pictures_want(studio->pictures, right, &view->picture);
    char text[500];
    recipe(view, text, sizeof text);
    if (view->error[0] != 0)
        draw_wrapped((struct area){right.row, right.column, 3, right.columns}, STYLE_BAD, view->error);
    else if (view->picture.pixels == NULL)
        draw_center(right.row + right.rows / 2, right.column, right.columns, STYLE_DIM, "drawing \u2026");
    draw_format(body.row + body.rows - 2, right.column, right.columns, STYLE_DIM, "\"%s\" \u00b7 seed 42",
                view->prompt_text);
    draw_text(body.row + body.rows - 1, right.column, right.columns, STYLE_ACCENT, text);
    if (view->request != 0) draw_text(body.row + body.rows - 1, body.column, left, STYLE_DIM, "redrawing \u2026");
}

static void moved(struct studio *studio, double scale)
{
    struct mixer_adapter *adapter = &studio->mixer.adapters[studio->mixer.cursor];
    adapter->scale = fmin(largest_scale, fmax(0, round(scale * 100) / 100));
    adapter->on = true;
    studio->mixer.changed = studio->now;
}

static void typed(struct studio *studio, const char *text)
{
    char *end = NULL;
    double value = strtod(text, &end);
    if (end == text || *end != 0 || !(value >= 0 && value <= largest_scale))
        studio_say(studio, MESSAGE_ERROR, "\"%s\" is no strength: a number from 0 to 1.5", text);
    else
        moved(studio, value);
}

static void show_command(struct studio *studio)
{
    const struct mixer_adapter *lead = leading(&studio->mixer);
    struct bytes text = {0};
    bytes_format(&text, "alignprop sample --preset %s/preset.json --seed 42 --prompt '%s'",
                 lead != NULL ? lead->run : "", studio->mixer.prompt_text);
    for (int index = 0; index < studio->mixer.count; index++) {
        const struct mixer_adapter *adapter = &studio->mixer.adapters[index];
        if (adapter->on) bytes_format(&text, " --lora %s:%.2f", adapter->path, adapter->scale);
    }
    if (!text.failed) studio_say(studio, MESSAGE_INFO, "%.*s", (int)text.length, text.data);
    bytes_free(&text);
}

static bool command(struct studio *studio, enum command_id id, bool coarse)
{
    struct mixer_view *view = &studio->mixer;
    if (view->count == 0) return false;
    struct mixer_adapter *adapter = &view->adapters[view->cursor];
    double step = coarse ? 0.25 : 0.05;
    switch (id) {
    case COMMAND_UP: view->cursor = view->cursor > 0 ? view->cursor - 1 : 0; return true;
    case COMMAND_DOWN: view->cursor = view->cursor + 1 < view->count ? view->cursor + 1 : view->cursor; return true;
    case COMMAND_LESS: moved(studio, adapter->scale - step); return true;
    case COMMAND_MORE: moved(studio, adapter->scale + step); return true;
    case COMMAND_OPEN:
    case COMMAND_MUTE:
        adapter->on = !adapter->on;
        view->changed = studio->now;
        return true;
    case COMMAND_SOLO:
        for (int index = 0; index < view->count; index++) view->adapters[index].on = index == view->cursor;
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

static void click(struct studio *studio, int row, int column, bool again)
{
    (void)again;
    struct mixer_view *view = &studio->mixer;
    if (row / 3 >= view->count) return;
    view->cursor = row / 3;
    int width = studio->list_area.columns - 6;
    if (row % 3 == 1 && column >= 4 && width > 1) moved(studio, largest_scale * (column - 4) / (width - 1));
}

static void refresh(struct studio *studio)
{
    if (studio->runs == NULL) studio_request(studio, studio_asker(studio), REQUEST_RUNS, "runs", NULL, "list the runs");
}

const struct screen screen_mixer = {
    .name = "Mixer",
    .about = "Adapters that runs have left, each with a strength from 0 to 1.5; they add up. The picture follows the "
             "sliders. y shows "
             "the command that makes the same picture.",
    .open = refresh,
    .draw = draw,
    .command = command,
    .click = click,
};
