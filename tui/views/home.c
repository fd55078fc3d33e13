/* Home: presets as an invitation, and the last runs. */
#include "tui/screen/text.h"
#include "tui/state.h"
#include "tui/views/card.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct home_view {
    struct list lists[2]; /* presets, runs */
    int pane;
};

static struct home_view *view_of(const struct studio *studio)
{
    return studio->views[SCREEN_HOME];
}

enum { PANE_PRESETS, PANE_RUNS };

static int shown_presets(const struct studio *studio, const cJSON *shown[], int capacity)
{
    int count = 0;
    const cJSON *preset = NULL;
    cJSON_ArrayForEach(preset, message_get(studio->catalogue, "presets"))
    {
        if (count == capacity) break;
        const char *notes = message_text(preset, "notes", "");
        if (filter_matches(studio, SCREEN_HOME, message_text(preset, "name", "")) ||
            filter_matches(studio, SCREEN_HOME, notes))
            shown[count++] = preset;
    }
    return count;
}

static const char *default_model(const cJSON *catalogue)
{
    const cJSON *field = NULL;
    cJSON_ArrayForEach(field, message_get(catalogue, "fields"))
    {
        if (strcmp(message_text(field, "key", ""), "model") == 0) return message_text(field, "default", "");
    }
    return "";
}

/* The preset of the default model that shows something soonest: nobody's first run should be a long one. */
static void choose_first(struct studio *studio, const cJSON *catalogue)
{
    const cJSON *item = NULL;
    const char *model = default_model(catalogue);
    double least = INFINITY;
    int at = 0;
    cJSON_ArrayForEach(item, message_get(catalogue, "presets"))
    {
        const cJSON *preset = message_get(item, "preset");
        double work = message_number(preset, "steps", INFINITY) * message_number(preset, "batch", 1) *
                      message_number(message_get(preset, "sampler"), "steps", 1);
        bool ready = message_get(item, "error") == NULL && !cJSON_IsFalse(message_get(item, "model_present")) &&
                     strcmp(message_text(preset, "model", ""), model) == 0;
        if (ready && work < least) {
            least = work;
            view_of(studio)->lists[PANE_PRESETS].cursor = at;
        }
        at++;
    }
}

static const cJSON *chosen_preset(struct studio *studio)
{
    const cJSON *shown[LIST_ROWS];
    int count = shown_presets(studio, shown, LIST_ROWS);
    return view_of(studio)->lists[0].cursor < count ? shown[view_of(studio)->lists[0].cursor] : NULL;
}

static void reward_words(const cJSON *preset, char *text, size_t size)
{
    size_t length = 0;
    text[0] = 0;
    const cJSON *reward = NULL;
    cJSON_ArrayForEach(reward, message_get(preset, "rewards"))
    {
        int added =
            snprintf(text + length, size - length, "%s%s", length > 0 ? "+" : "", message_text(reward, "name", "?"));
        if (added < 0 || (size_t)added >= size - length) return;
        length += (size_t)added;
    }
}

static void preset_state(const cJSON *preset, const char **words, enum style *style)
{
    const cJSON *present = message_get(preset, "model_present");
    *words = "ready";
    *style = STYLE_GOOD;
    if (message_get(preset, "error") != NULL) {
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

/* Where the columns of the list of presets stand, from its left edge; figures end at their column. */
struct preset_columns {
    int model, rewards, memory, time;
};

static struct preset_columns preset_columns(int columns)
{
    enum { MARKS = 4, LEAST_NAME = 27, MODEL = 9, MEMORY = 9, TIME = 12, LEAST_WIDE = 92 };
    bool wide = columns >= LEAST_WIDE;
    struct preset_columns at = {.model = MARKS + LEAST_NAME + 1 + (wide ? 4 : 0)};
    at.rewards = at.model + MODEL + 1 + (wide ? 4 : 0);
    at.time = columns - 1;
    at.memory = at.time - TIME;
    return at;
}

/* A dot that says whether it can be started. */
static void draw_state_dot(int row, int column, enum style style, bool here)
{
    const char *dot = !style_unicode() ? (style == STYLE_GOOD ? "*" : "!") : style == STYLE_GOOD ? "\u25cf" : "\u25cb";
    draw_text(row, column, 1, here ? STYLE_SELECTED : style, dot);
}

static void draw_preset(struct studio *studio, int row, struct area body, const cJSON *item, bool here)
{
    const cJSON *preset = message_get(item, "preset");
    char rewards[120], memory[24], time[24];
    reward_words(preset, rewards, sizeof rewards);
    enum style text = here ? STYLE_SELECTED : STYLE_TEXT, dim = here ? STYLE_SELECTED : STYLE_DIM, state_style;
    const char *state = NULL;
    preset_state(item, &state, &state_style);
    if (here) draw_fill((struct area){row, body.column, 1, body.columns}, STYLE_SELECTED);
    struct preset_columns at = preset_columns(body.columns);
    bool marked = is_marked(studio, message_text(item, "name", ""), false);
    draw_text(row, body.column, 2, here ? STYLE_SELECTED : STYLE_ACCENT, marked ? "*" : here ? "\u25b8" : " ");
    draw_state_dot(row, body.column + 2, state_style, here);
    draw_text(row, body.column + 4, at.model - 5, text, message_text(item, "name", "?"));
    const char *model = message_text(preset, "model", ""), *slash = strrchr(model, '/');
    draw_text(row, body.column + at.model, at.rewards - at.model - 1, dim, slash != NULL ? slash + 1 : model);
    draw_text(row, body.column + at.rewards, at.memory - 8 - at.rewards, dim, rewards);
    if (state_style != STYLE_GOOD) {
        draw_right(row, body.column + at.time - 16, 16, here ? STYLE_SELECTED : state_style, "%s", state);
        return;
    }
    double seconds = message_number(item, "seconds_per_step", NAN);
    words_seconds(time, sizeof time, seconds);
    draw_right(row, body.column + at.memory - 8, 8, dim, "%s",
               words_bytes(memory, sizeof memory, message_number(item, "memory_bytes", NAN)));
    draw_right(row, body.column + at.time - 11, 11, dim, isnan(seconds) ? "%s" : "%s/step", time);
}

static void draw_run(struct studio *studio, int row, struct area body, const cJSON *run, bool here)
{
    enum style text = here ? STYLE_SELECTED : STYLE_TEXT, dim = here ? STYLE_SELECTED : STYLE_DIM;
    char ago[32], first[24], last[24];
    if (here) draw_fill((struct area){row, body.column, 1, body.columns}, STYLE_SELECTED);
    bool marked = is_marked(studio, message_text(run, "path", ""), true);
    draw_text(row, body.column, 2, here ? STYLE_SELECTED : STYLE_ACCENT, marked ? "*" : here ? "\u25b8" : " ");
    int name = body.columns >= 92 ? 36 : 24, after = body.column + 2 + name;
    char whole_name[128];
    const char *title = message_text(run, "name", "?");
    draw_text(row, body.column + 2, name, text,
              text_width(title) <= name ? title : run_short_name(title, whole_name, sizeof whole_name));
    draw_right(row, after + 1, 9, dim, "%lld/%lld", message_integer(run, "step", 0), message_integer(run, "steps", 0));
    double start = message_number(run, "eval_first", NAN), newest = message_number(run, "eval_last", NAN);
    if (!isnan(start) && !isnan(newest))
        draw_format(row, after + 12, body.columns - name - 14 - 25, here ? STYLE_SELECTED : STYLE_CURVE_HELD_OUT,
                    "%s \u2192 %s", words_number(first, sizeof first, start), words_number(last, sizeof last, newest));
    const char *state = message_text(run, "state", "");
    bool waits = strcmp(state, "interrupted") == 0 || strcmp(state, "paused") == 0;
    enum style state_style = strcmp(state, "running") == 0 ? STYLE_GOOD : waits ? STYLE_WARNING : STYLE_DIM;
    int right = body.column + body.columns;
    draw_right(row, right - 25, 12, here ? STYLE_SELECTED : state_style, "%s", state);
    draw_right(row, right - 13, 12, dim, "%s",
               words_ago(ago, sizeof ago, studio->wall_clock - message_number(run, "modified", NAN)));
}

/* Which of how many, where not all are in sight. */
static void draw_place(int row, int column, const struct list *list, int count, int rows)
{
    if (count > rows) draw_format(row, column, 12, STYLE_DIM, "%d of %d", list->cursor + 1, count);
}

static void draw_presets(struct studio *studio, struct area area)
{
    const cJSON *shown[LIST_ROWS];
    int count = shown_presets(studio, shown, LIST_ROWS), rows = area.rows - 1;
    bool focused = view_of(studio)->pane == PANE_PRESETS;
    struct list *list = &view_of(studio)->lists[PANE_PRESETS];
    int first = list_window(list, count, rows);
    int used = draw_text(area.row, area.column, 20, focused ? STYLE_TITLE : STYLE_LIVE, "Start from a preset");
    draw_place(area.row, area.column + used + 2, list, count, rows);
    struct preset_columns at = preset_columns(area.columns);
    if (count > 0) draw_right(area.row, area.column + at.memory - 8, 8, STYLE_DIM, "memory");
    if (count > 0) draw_right(area.row, area.column + at.time - 8, 8, STYLE_DIM, "time");
    for (int row = 0; row < rows && first + row < count; row++)
        draw_preset(studio, area.row + 1 + row, area, shown[first + row], focused && first + row == list->cursor);
    studio_take_clicks(studio, (struct area){area.row + 1, area.column, rows, area.columns}, PANE_PRESETS, first);
    if (count > 0) return;
    const char *words = studio->catalogue != NULL ? "no preset matches; Esc shows all"
                        : studio->engine_error[0] ? studio->engine_error
                                                  : "reading the presets \u2026";
    draw_wrapped((struct area){area.row + 1, area.column + 2, 3, area.columns - 2}, STYLE_DIM, words);
}

static void draw_runs(struct studio *studio, struct area area)
{
    int count = cJSON_GetArraySize(studio->runs), rows = area.rows - 1;
    bool focused = view_of(studio)->pane == PANE_RUNS;
    struct list *list = &view_of(studio)->lists[PANE_RUNS];
    int first = list_window(list, count, rows);
    int used = draw_text(area.row, area.column, 20, focused ? STYLE_TITLE : STYLE_LIVE, "Continue a run");
    draw_place(area.row, area.column + used + 2, list, count, rows);
    if (count > 0 && !focused) draw_right(area.row, area.column, area.columns - 1, STYLE_DIM, "Tab goes here");
    for (int row = 0; row < rows && first + row < count; row++)
        draw_run(studio, area.row + 1 + row, area, cJSON_GetArrayItem(studio->runs, first + row),
                 focused && first + row == list->cursor);
    if (count == 0)
        draw_text(area.row + 1, area.column + 2, area.columns - 2, STYLE_DIM, "none yet: what you start stands here");
    studio_take_clicks(studio, (struct area){area.row + 1, area.column, rows, area.columns}, PANE_RUNS, first);
}

static void draw_card(struct studio *studio, struct area area)
{
    enum { RUN_ROWS = 5 };
    bool runs = view_of(studio)->pane == PANE_RUNS;
    int needed = runs ? RUN_ROWS : card_rows(chosen_preset(studio), area.columns);
    bool pictures = pictures_protocol(studio->pictures) != PROTOCOL_NONE;
    if (!pictures && needed < area.rows) area.rows = needed;
    if (runs)
        card_draw_run(studio, area, cJSON_GetArrayItem(studio->runs, view_of(studio)->lists[PANE_RUNS].cursor));
    else
        card_draw_preset(studio, area, chosen_preset(studio));
}

static int smaller(int left, int right)
{
    return left < right ? left : right;
}

/* Presets and runs one above the other; the card stands between them, on a wide screen beside them. */
static void draw(struct studio *studio, struct area body)
{
    enum { LEAST_WIDE = 150, LIST = 96, GAP = 3 };
    bool wide = body.columns >= LEAST_WIDE;
    const cJSON *shown[LIST_ROWS], *chosen = chosen_preset(studio);
    int presets = shown_presets(studio, shown, LIST_ROWS), runs = cJSON_GetArraySize(studio->runs);
    int width = wide ? LIST : body.columns;
    int run_rows = 1 + smaller(runs < 1 ? 1 : runs, wide ? body.rows / 2 : body.rows / 6);
    int needed = wide || chosen == NULL ? 0 : card_rows(chosen, width);
    int preset_rows = smaller(1 + (presets < 3 ? 3 : presets), body.rows - run_rows - 1 - needed);
    draw_presets(studio, (struct area){body.row, body.column, preset_rows, width});
    int row = body.row + preset_rows;
    if (wide) {
        int left = width + GAP;
        draw_card(studio, (struct area){body.row, body.column + left, body.rows, body.columns - left});
        draw_runs(studio, (struct area){row + 1, body.column, body.rows - preset_rows - 1, width});
    } else {
        int runs_at = body.row + body.rows - run_rows;
        draw_card(studio, (struct area){row, body.column, runs_at - 1 - row, width});
        draw_runs(studio, (struct area){runs_at, body.column, run_rows, width});
    }
}

/* Its prompts are too many for a message: it can be started, copied and renamed, but not edited here. */
static bool is_abridged(const cJSON *item)
{
    return message_flag(item, "abridged", false);
}

static void start_chosen(struct studio *studio)
{
    const cJSON *item = chosen_preset(studio);
    if (item == NULL) return;
    const char *name = message_text(item, "name", "?"), *words = NULL;
    enum style style;
    preset_state(item, &words, &style);
    if (style == STYLE_BAD) {
        studio_say(studio, MESSAGE_ERROR, "%s cannot be started: its file is wrong, as its card says", name);
    } else if (style == STYLE_WARNING) {
        studio_say(studio, MESSAGE_ERROR, "%s needs the model %s, which is not here; its card says where it goes", name,
                   message_text(message_get(item, "preset"), "model", "?"));
    } else if (is_abridged(item)) {
        studio_start(studio, NULL, name, "ask");
    } else {
        studio_edit_preset(studio, message_get(item, "preset"));
        studio_start(studio, studio->draft, name, "ask");
    }
}

static void duplicate_as(struct studio *studio, const char *name)
{
    const cJSON *item = chosen_preset(studio);
    if (item == NULL || name[0] == 0) return;
    cJSON *body = cJSON_CreateObject();
    cJSON_AddStringToObject(body, "name", name);
    cJSON_AddStringToObject(body, "preset", message_text(item, "name", ""));
    studio_request(studio, studio_asker(studio), REQUEST_SAVE_PRESET, "presets-save", body, "duplicate the preset");
}

static void rename_to(struct studio *studio, const char *name)
{
    const cJSON *item = chosen_preset(studio);
    if (item == NULL || name[0] == 0) return;
    cJSON *body = cJSON_CreateObject();
    cJSON_AddStringToObject(body, "name", message_text(item, "name", ""));
    cJSON_AddStringToObject(body, "to", name);
    studio_request(studio, studio_asker(studio), REQUEST_CHANGE_PRESETS, "presets-rename", body, "rename the preset");
}

static void delete_preset(struct studio *studio, const char *name)
{
    cJSON *body = cJSON_CreateObject();
    cJSON_AddStringToObject(body, "name", name);
    studio_request(studio, studio_asker(studio), REQUEST_CHANGE_PRESETS, "presets-delete", body, "delete the preset");
}

static void delete_for_good(struct studio *studio, int argument)
{
    (void)argument;
    const cJSON *item = chosen_preset(studio);
    if (item != NULL) delete_preset(studio, message_text(item, "name", ""));
}

static void delete_chosen(struct studio *studio)
{
    const cJSON *item = chosen_preset(studio);
    if (item == NULL) return;
    const char *name = message_text(item, "name", "");
    if (!message_flag(item, "own", false)) {
        studio_say(studio, MESSAGE_INFO, "%s comes with the program and stays; d makes a copy of your own", name);
        return;
    }
    if (is_abridged(item)) {
        char text[300];
        snprintf(text, sizeof text, "%.120s is too large to be brought back with u.", name);
        studio_ask(studio, "Delete the preset", text);
        studio_add_choice(studio, 'd', "delete its file for good", delete_for_good, 0);
        studio_add_choice(studio, 'k', "keep it", NULL, 0);
        return;
    }
    if (studio->undo_count < UNDO_DEPTH) {
        struct undo *undo = &studio->undo[studio->undo_count++];
        *undo = (struct undo){.kind = UNDO_PRESET_DELETED, .before = cJSON_Duplicate(message_get(item, "preset"), 1)};
    }
    studio_say(studio, MESSAGE_INFO, "%s is deleted; u brings it back", name);
    delete_preset(studio, name);
}

static void mark(struct studio *studio)
{
    bool runs = view_of(studio)->pane == PANE_RUNS;
    const cJSON *item =
        runs ? cJSON_GetArrayItem(studio->runs, view_of(studio)->lists[1].cursor) : chosen_preset(studio);
    const char *name = message_text(item, runs ? "path" : "name", "");
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

static void edit(struct studio *studio, const cJSON *item)
{
    if (is_abridged(item)) {
        studio_say(studio, MESSAGE_INFO,
                   "%s holds %lld prompts, more than can be edited here; move them to a file and name it in "
                   "prompts.train_file of %s",
                   message_text(item, "name", "?"), message_integer(item, "prompts", 0),
                   message_text(item, "path", "its file"));
        return;
    }
    bool again = studio_return_to_draft(studio, message_text(item, "name", ""));
    if (!again) studio_edit_preset(studio, message_get(item, "preset"));
    studio_go(studio, SCREEN_EDIT);
    if (again) studio_say(studio, MESSAGE_INFO, "with the changes you made before; u takes them back");
}

static void new_preset(struct studio *studio)
{
    const cJSON *field = NULL;
    cJSON *preset = cJSON_CreateObject();
    cJSON_AddNumberToObject(preset, "schema", 1);
    cJSON_AddStringToObject(preset, "name", "my-preset");
    cJSON_ArrayForEach(field, message_get(studio->catalogue, "fields"))
    {
        const cJSON *value = message_get(field, "default");
        if (value != NULL) message_put(preset, message_text(field, "key", "notes"), cJSON_Duplicate(value, 1));
    }
    studio_edit_preset(studio, preset);
    cJSON_Delete(preset);
    studio_go(studio, SCREEN_EDIT);
}

static bool command(struct studio *studio, enum command_id id, bool coarse)
{
    (void)coarse;
    bool runs = view_of(studio)->pane == PANE_RUNS;
    const cJSON *shown[LIST_ROWS];
    int count = runs ? cJSON_GetArraySize(studio->runs) : shown_presets(studio, shown, LIST_ROWS);
    if (list_move(&view_of(studio)->lists[view_of(studio)->pane], count, 10, id)) return true;
    const cJSON *item =
        runs ? cJSON_GetArrayItem(studio->runs, view_of(studio)->lists[1].cursor) : chosen_preset(studio);
    switch (id) {
    case COMMAND_NEXT_PANE:
    case COMMAND_PREVIOUS_PANE: view_of(studio)->pane = !view_of(studio)->pane; return true;
    case COMMAND_OPEN:
        if (runs && item != NULL)
            studio_open_run(studio, item);
        else if (!runs)
            start_chosen(studio);
        return true;
    case COMMAND_EDIT:
        if (!runs && message_get(item, "preset") != NULL) edit(studio, item);
        return true;
    case COMMAND_NEW: new_preset(studio); return true;
    case COMMAND_DUPLICATE:
        if (!runs && item != NULL)
            studio_prompt(studio, "Duplicate preset", "The copy's name.", message_text(item, "name", ""), duplicate_as,
                          NULL);
        return true;
    case COMMAND_RENAME:
        if (!runs && item != NULL)
            studio_prompt(studio, "Rename preset", "The new name.", message_text(item, "name", ""), rename_to, NULL);
        return true;
    case COMMAND_DELETE:
        if (!runs) delete_chosen(studio);
        return true;
    case COMMAND_MARK: mark(studio); return true;
    default: return false;
    }
}

static void click(struct studio *studio, const struct click *click)
{
    struct list *list = &view_of(studio)->lists[click->pane];
    bool chosen = view_of(studio)->pane == click->pane && click->item == list->cursor;
    view_of(studio)->pane = click->pane;
    list->cursor = click->item;
    if (chosen && !click->drag) command(studio, COMMAND_OPEN, false);
}

static void refresh(struct studio *studio)
{
    if (studio->engine != NULL && studio->runs != NULL) studio_list_runs(studio);
}

static void begin_with_first(struct studio *studio)
{
    view_of(studio)->lists[PANE_PRESETS] = (struct list){0};
}

const struct screen screen_home = {
    .name = "Home",
    .about = "Choose a preset and press Enter: it starts tuning, and the pictures appear. e shows the settings first. "
             "The lower "
             "list has your runs, alive and finished.",
    .open = refresh,
    .view_bytes = sizeof(struct home_view),
    .draw = draw,
    .command = command,
    .click = click,
    .filtered = begin_with_first,
    .begin = choose_first,
};
