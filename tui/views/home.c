/* Home: presets as an invitation, and the last runs. */
#include "tui/screen/text.h"
#include "tui/state.h"
#include "tui/views/home_preview.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { PANE_PRESETS, PANE_RUNS };

static int shown_presets(const struct studio *studio, const cJSON *shown[], int capacity)
{
    int count = 0;
    const cJSON *preset = NULL;
    cJSON_ArrayForEach(preset, item_get(studio->catalogue, "presets"))
    {
        if (count == capacity) break;
        const char *notes = item_text(preset, "notes", "");
        if (filter_matches(studio, SCREEN_HOME, item_text(preset, "name", "")) ||
            filter_matches(studio, SCREEN_HOME, notes))
            shown[count++] = preset;
    }
    return count;
}

/* The preset that shows something soonest, of those that can be started: nobody's first run should be a long one. */
void home_choose_first(struct studio *studio, const cJSON *catalogue)
{
    const cJSON *item = NULL;
    double least = INFINITY;
    int at = 0;
    cJSON_ArrayForEach(item, item_get(catalogue, "presets"))
    {
        const cJSON *preset = item_get(item, "preset");
        double work = item_number(preset, "steps", INFINITY) * item_number(preset, "batch", 1) *
                      item_number(item_get(preset, "sampler"), "steps", 1);
        bool ready = item_get(item, "error") == NULL && !cJSON_IsFalse(item_get(item, "model_present"));
        if (ready && work < least) {
            least = work;
            studio->home[PANE_PRESETS].cursor = at;
        }
        at++;
    }
}

static const cJSON *chosen_preset(struct studio *studio)
{
    const cJSON *shown[TEXT_LIST];
    int count = shown_presets(studio, shown, TEXT_LIST);
    return studio->home[0].cursor < count ? shown[studio->home[0].cursor] : NULL;
}

static void reward_words(const cJSON *preset, char *text, size_t size)
{
    size_t length = 0;
    text[0] = 0;
    const cJSON *reward = NULL;
    cJSON_ArrayForEach(reward, item_get(preset, "rewards"))
    {
        int added =
            snprintf(text + length, size - length, "%s%s", length > 0 ? "+" : "", item_text(reward, "name", "?"));
        if (added < 0 || (size_t)added >= size - length) return;
        length += (size_t)added;
    }
}

static void preset_state(const cJSON *preset, const char **words, enum style *style)
{
    const cJSON *present = item_get(preset, "model_present");
    *words = "ready";
    *style = STYLE_GOOD;
    if (item_get(preset, "error") != NULL) {
        *words = "file is wrong";
        *style = STYLE_BAD;
    } else if (cJSON_IsFalse(present)) {
        *words = "model missing";
        *style = STYLE_WARNING;
    }
}

static bool is_marked(const struct studio *studio, const char *name, bool runs)
{
    return studio->marked_runs == runs &&
           (strcmp(studio->marked[0], name) == 0 || strcmp(studio->marked[1], name) == 0);
}

static void draw_preset(struct studio *studio, int row, struct area body, const cJSON *item, bool here)
{
    const cJSON *preset = item_get(item, "preset");
    char rewards[120], memory[24], time[24], expected[32];
    reward_words(preset, rewards, sizeof rewards);
    enum style text = here ? STYLE_SELECTED : STYLE_TEXT, dim = here ? STYLE_SELECTED : STYLE_DIM, state_style;
    const char *state = NULL;
    preset_state(item, &state, &state_style);
    if (here) draw_fill((struct area){row, body.column, 1, body.columns}, STYLE_SELECTED);
    int wide = body.columns >= 110 ? 12 : 0;
    int at = body.column;
    bool marked = is_marked(studio, item_text(item, "name", ""), false);
    draw_text(row, at, 2, here ? STYLE_SELECTED : STYLE_ACCENT, marked ? "*" : here ? "\u25b8" : " ");
    draw_text(row, at + 2, 20 + wide, text, item_text(item, "name", "?"));
    at += 23 + wide;
    const char *model = item_text(preset, "model", "");
    const char *slash = strrchr(model, '/');
    draw_text(row, at, 9 + wide / 2, dim, slash != NULL ? slash + 1 : model);
    at += 10 + wide / 2;
    draw_text(row, at, body.column + body.columns - 36 - at, dim, rewards);
    double bytes = item_number(item, "memory_bytes", NAN), seconds = item_number(item, "seconds_per_step", NAN);
    words_bytes(memory, sizeof memory, bytes);
    snprintf(expected, sizeof expected, isnan(seconds) ? "~" : "%s/step", words_seconds(time, sizeof time, seconds));
    int right = body.column + body.columns;
    draw_right(row, right - 35, 7, dim, "%s", memory);
    draw_right(row, right - 27, 11, dim, "%s", expected);
    draw_right(row, right - 14, 13, here ? STYLE_SELECTED : state_style, "%s", state);
}

/* " in about 2:10" where the time of a step has been measured, else nothing. */
static const char *duration_words(const cJSON *item, char *text, size_t size)
{
    double seconds =
        item_number(item, "seconds_per_step", NAN) * (double)item_integer(item_get(item, "preset"), "steps", 0);
    char time[32];
    text[0] = 0;
    if (seconds > 0) snprintf(text, size, " in about %s", words_seconds(time, sizeof time, seconds));
    return text;
}

/* What the chosen preset is about, and what it needs; returns the rows used. */
static int draw_details(struct area area, const cJSON *item)
{
    char cost[64];
    const cJSON *preset = item_get(item, "preset");
    const char *error = item_text(item, "error", NULL), *hint = item_text(item, "model_hint", NULL);
    struct area rest = area;
    if (error != NULL) return draw_wrapped(rest, STYLE_BAD, error);
    const cJSON *train = item_get(item_get(preset, "prompts"), "train");
    int count = cJSON_GetArraySize(train);
    const cJSON *first = cJSON_GetArrayItem(train, 0);
    char words[256];
    if (!cJSON_IsString(first))
        snprintf(words, sizeof words, "%lld prompts from a file", item_integer(item, "prompts", 0));
    else if (count > 1)
        snprintf(words, sizeof words, "\"%.200s\" and %d more", first->valuestring, count - 1);
    else
        snprintf(words, sizeof words, "\"%.200s\"", first->valuestring);
    draw_format(rest.row, rest.column, rest.columns, STYLE_DIM, "%s \u00b7 rank %lld \u00b7 %lld steps%s", words,
                item_integer(item_get(preset, "lora"), "rank", 0), item_integer(preset, "steps", 0),
                duration_words(item, cost, sizeof cost));
    rest.row++;
    rest.rows--;
    const char *notes = item_text(item, "notes", item_text(preset, "notes", ""));
    int used = draw_wrapped(rest, STYLE_TEXT, notes);
    rest.row += used;
    rest.rows -= used;
    if (hint != NULL && rest.rows > 0) used += draw_wrapped(rest, STYLE_WARNING, hint);
    return used + 1;
}

static void draw_run(struct studio *studio, int row, struct area body, const cJSON *run, bool here)
{
    enum style text = here ? STYLE_SELECTED : STYLE_TEXT, dim = here ? STYLE_SELECTED : STYLE_DIM;
    char ago[32], first[24], best[24];
    if (here) draw_fill((struct area){row, body.column, 1, body.columns}, STYLE_SELECTED);
    bool marked = is_marked(studio, item_text(run, "path", ""), true);
    draw_text(row, body.column, 2, here ? STYLE_SELECTED : STYLE_ACCENT, marked ? "*" : here ? "\u25b8" : " ");
    int name = body.columns >= 110 ? 40 : 20, after = body.column + name;
    draw_text(row, body.column + 2, name, text, item_text(run, "name", "?"));
    draw_format(row, after + 3, 14, dim, "step %lld/%lld", item_integer(run, "step", 0), item_integer(run, "steps", 0));
    double start = item_number(run, "eval_first", NAN), last = item_number(run, "eval_last", NAN);
    if (!isnan(start) && !isnan(last))
        draw_format(row, after + 18, body.columns - name - 43, dim, "%s \u2192 %s",
                    words_number(first, sizeof first, start), words_number(best, sizeof best, last));
    const char *state = item_text(run, "state", "");
    bool waits = strcmp(state, "interrupted") == 0 || strcmp(state, "paused") == 0;
    enum style state_style = strcmp(state, "running") == 0 ? STYLE_GOOD : waits ? STYLE_WARNING : STYLE_DIM;
    int right = body.column + body.columns;
    draw_right(row, right - 26, 12, here ? STYLE_SELECTED : state_style, "%s", state);
    draw_right(row, right - 13, 12, dim, "%s",
               words_ago(ago, sizeof ago, studio->wall_clock - item_number(run, "modified", NAN)));
}

static void draw_heading(int row, struct area body, const char *title, bool focused, const char *right)
{
    draw_text(row, body.column, 40, focused ? STYLE_TITLE : STYLE_LIVE, title);
    if (right != NULL) draw_right(row, body.column + 40, body.columns - 41, STYLE_DIM, "%s", right);
}

static void draw_presets(struct studio *studio, struct area area)
{
    const cJSON *shown[TEXT_LIST];
    int count = shown_presets(studio, shown, TEXT_LIST);
    bool focused = studio->home_pane == PANE_PRESETS;
    char more[40] = "memory        time         state";
    draw_heading(area.row, area, "Start from a preset", focused, count > 0 ? more : NULL);
    int rows = area.rows - 5;
    struct list *list = &studio->home[0];
    int first = list_window(list, count, rows);
    for (int row = 0; row < rows && first + row < count; row++)
        draw_preset(studio, area.row + 1 + row, area, shown[first + row], focused && first + row == list->cursor);
    studio->home_lists[PANE_PRESETS] = (struct area){area.row + 1, area.column, rows, area.columns};
    if (first + rows < count)
        draw_right(area.row + 1 + rows, area.column, area.columns - 1, STYLE_DIM, "%d more below",
                   count - first - rows);
    if (count == 0) {
        const char *words = studio->catalogue != NULL ? "no preset matches"
                            : studio->engine_error[0] ? studio->engine_error
                                                      : "reading the presets \u2026";
        draw_wrapped((struct area){area.row + 1, area.column + 2, 3, area.columns - 2}, STYLE_DIM, words);
    } else if (list->cursor < count) {
        int used = 2 + (count < rows ? count : rows);
        struct area rest = {area.row + used, area.column + 2, area.rows - used, area.columns - 4};
        used = draw_details(rest, shown[list->cursor]) + 1;
        const cJSON *run = cJSON_GetArrayItem(studio->runs, studio->home[1].cursor);
        home_preview_draw(studio, (struct area){rest.row + used, rest.column, rest.rows - used, rest.columns},
                          focused ? shown[list->cursor] : run, !focused);
    }
}

static void draw_runs(struct studio *studio, struct area area)
{
    int count = cJSON_GetArraySize(studio->runs);
    bool focused = studio->home_pane == PANE_RUNS;
    draw_heading(area.row, area, "Continue a run", focused, NULL);
    struct list *list = &studio->home[1];
    int rows = area.rows - 1, first = list_window(list, count, rows);
    for (int row = 0; row < rows && first + row < count; row++)
        draw_run(studio, area.row + 1 + row, area, cJSON_GetArrayItem(studio->runs, first + row),
                 focused && first + row == list->cursor);
    if (count == 0)
        draw_text(area.row + 1, area.column + 2, area.columns - 2, STYLE_DIM, "none yet: what you start stands here");
    studio->home_lists[PANE_RUNS] = (struct area){area.row + 1, area.column, rows, area.columns};
}

static void draw(struct studio *studio, struct area body)
{
    studio->list_area = body;
    int runs = cJSON_GetArraySize(studio->runs);
    int most = body.rows / 3;
    int run_rows = (runs < 1 ? 1 : runs > most - 1 ? most - 1 : runs) + 1;
    draw_presets(studio, (struct area){body.row, body.column, body.rows - run_rows - 1, body.columns});
    draw_runs(studio, (struct area){body.row + body.rows - run_rows, body.column, run_rows, body.columns});
    if (studio->message_level == MESSAGE_NONE && studio->filter[SCREEN_HOME][0] == 0 && !studio->filtering &&
        studio->catalogue != NULL)
        draw_right(body.row + body.rows, body.column, body.columns - 1, STYLE_ACCENT, "%s",
                   studio->home_pane == PANE_PRESETS ? "Enter starts it. Tab: runs" : "Enter opens it. Tab: presets");
}

static void start_chosen(struct studio *studio)
{
    const cJSON *item = chosen_preset(studio);
    if (item == NULL) return;
    const char *name = item_text(item, "name", "?"), *words = NULL;
    enum style style;
    preset_state(item, &words, &style);
    if (style == STYLE_BAD) {
        studio_say(studio, MESSAGE_ERROR, "%s cannot be started: %s", name,
                   item_text(item, "error", "its file is wrong"));
    } else if (style == STYLE_WARNING) {
        studio_say(studio, MESSAGE_ERROR, "%s needs the model %s. %s", name,
                   item_text(item_get(item, "preset"), "model", "?"),
                   item_text(item, "model_hint", "It was not found."));
    } else {
        studio_edit_preset(studio, item_get(item, "preset"));
        studio_start(studio, studio->draft, name, "ask");
    }
}

static void duplicate_as(struct studio *studio, const char *name)
{
    const cJSON *item = chosen_preset(studio);
    if (item == NULL || name[0] == 0) return;
    cJSON *copy = cJSON_Duplicate(item_get(item, "preset"), 1), *body = cJSON_CreateObject();
    item_put(copy, "name", cJSON_CreateString(name));
    cJSON_AddStringToObject(body, "name", name);
    cJSON_AddItemToObject(body, "preset", copy);
    studio_request(studio, studio_asker(studio), REQUEST_SAVE_PRESET, "presets-save", body, "duplicate the preset");
}

static void rename_to(struct studio *studio, const char *name)
{
    const cJSON *item = chosen_preset(studio);
    if (item == NULL || name[0] == 0) return;
    cJSON *body = cJSON_CreateObject();
    cJSON_AddStringToObject(body, "name", item_text(item, "name", ""));
    cJSON_AddStringToObject(body, "to", name);
    studio_request(studio, studio_asker(studio), REQUEST_CHANGE_PRESETS, "presets-rename", body, "rename the preset");
}

static void delete_chosen(struct studio *studio)
{
    const cJSON *item = chosen_preset(studio);
    if (item == NULL) return;
    const char *name = item_text(item, "name", "");
    if (!item_true(item, "own")) {
        studio_say(studio, MESSAGE_INFO, "%s comes with the program and stays; d makes a copy of your own", name);
        return;
    }
    if (studio->undo_count < UNDO_DEPTH) {
        struct undo *undo = &studio->undo[studio->undo_count++];
        *undo = (struct undo){.kind = UNDO_PRESET_DELETED, .before = cJSON_Duplicate(item_get(item, "preset"), 1)};
    }
    cJSON *body = cJSON_CreateObject();
    cJSON_AddStringToObject(body, "name", name);
    studio_say(studio, MESSAGE_INFO, "%s is deleted; u brings it back", name);
    studio_request(studio, studio_asker(studio), REQUEST_CHANGE_PRESETS, "presets-delete", body, "delete the preset");
}

static void mark(struct studio *studio)
{
    bool runs = studio->home_pane == PANE_RUNS;
    const cJSON *item = runs ? cJSON_GetArrayItem(studio->runs, studio->home[1].cursor) : chosen_preset(studio);
    const char *name = item_text(item, runs ? "path" : "name", "");
    if (studio->marked_runs != runs) studio->marked[0][0] = studio->marked[1][0] = 0;
    studio->marked_runs = runs;
    for (int index = 0; index < LIST_MARKS; index++) {
        if (strcmp(studio->marked[index], name) != 0) continue;
        studio->marked[index][0] = 0;
        return;
    }
    int free_place = studio->marked[0][0] == 0 ? 0 : 1;
    snprintf(studio->marked[free_place], sizeof studio->marked[free_place], "%s", name);
    if (studio->marked[0][0] && studio->marked[1][0])
        studio_say(studio, MESSAGE_INFO, "two are marked: 7 compares them");
}

static void new_preset(struct studio *studio)
{
    const cJSON *field = NULL;
    cJSON *preset = cJSON_CreateObject();
    cJSON_AddNumberToObject(preset, "schema", 1);
    cJSON_AddStringToObject(preset, "name", "my-preset");
    cJSON_ArrayForEach(field, item_get(studio->catalogue, "fields"))
    {
        const cJSON *value = item_get(field, "default");
        if (value != NULL) item_put(preset, item_text(field, "key", "notes"), cJSON_Duplicate(value, 1));
    }
    studio_edit_preset(studio, preset);
    cJSON_Delete(preset);
    studio_go(studio, SCREEN_EDIT);
}

static bool command(struct studio *studio, enum command_id id, bool coarse)
{
    (void)coarse;
    bool runs = studio->home_pane == PANE_RUNS;
    const cJSON *shown[TEXT_LIST];
    int count = runs ? cJSON_GetArraySize(studio->runs) : shown_presets(studio, shown, TEXT_LIST);
    if (list_move(&studio->home[studio->home_pane], count, 10, id)) return true;
    const cJSON *item = runs ? cJSON_GetArrayItem(studio->runs, studio->home[1].cursor) : chosen_preset(studio);
    switch (id) {
    case COMMAND_NEXT_PANE:
    case COMMAND_PREVIOUS_PANE: studio->home_pane = !studio->home_pane; return true;
    case COMMAND_OPEN:
        if (runs && item != NULL)
            studio_open_run(studio, item);
        else if (!runs)
            start_chosen(studio);
        return true;
    case COMMAND_EDIT:
        if (!runs && item_get(item, "preset") != NULL) {
            studio_edit_preset(studio, item_get(item, "preset"));
            studio_go(studio, SCREEN_EDIT);
        }
        return true;
    case COMMAND_NEW: new_preset(studio); return true;
    case COMMAND_DUPLICATE:
        if (!runs && item != NULL)
            studio_prompt(studio, "Duplicate preset", "The copy's name.", item_text(item, "name", ""), duplicate_as,
                          NULL);
        return true;
    case COMMAND_RENAME:
        if (!runs && item != NULL)
            studio_prompt(studio, "Rename preset", "The new name.", item_text(item, "name", ""), rename_to, NULL);
        return true;
    case COMMAND_DELETE:
        if (!runs) delete_chosen(studio);
        return true;
    case COMMAND_MARK: mark(studio); return true;
    default: return false;
    }
}

static void click(struct studio *studio, int row, int column, bool again)
{
    (void)again;
    for (int pane = PANE_PRESETS; pane <= PANE_RUNS; pane++) {
        struct area area = studio->home_lists[pane];
        int at = studio->list_area.row + row - area.row;
        if (!area_contains(area, area.row + at, studio->list_area.column + column)) continue;
        struct list *list = &studio->home[pane];
        bool chosen = studio->home_pane == pane && list->top + at == list->cursor;
        studio->home_pane = pane;
        list->cursor = list->top + at;
        if (chosen) command(studio, COMMAND_OPEN, false);
    }
}

const struct screen screen_home = {
    .name = "Home",
    .about = "Choose a preset and press Enter: it starts tuning, and the pictures appear. e shows the settings first. "
             "The lower "
             "list has your runs, alive and finished.",
    .draw = draw,
    .command = command,
    .click = click,
};
