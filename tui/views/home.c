/* Home: presets as an invitation, and the last runs. */
#include "engine/base/format.h"
#include "engine/base/range.h"
#include "tui/common_commands.h"
#include "tui/screen/text.h"
#include "tui/state.h"
#include "tui/views/card.h"
#include "tui/views/run_list.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct home_view {
    struct list lists[2]; /* presets, runs */
    int pane;
    struct preview preview; /* of the card */
};

static struct home_view *view_of(const struct studio *studio)
{
    return studio->views[SCREEN_HOME];
}

enum { PANE_PRESETS, PANE_RUNS };

/* What a pane lists. */
static void gather(const struct studio *studio, int pane, struct object_list *objects)
{
    static const char *const searched[] = {"name", "notes", NULL};
    if (pane == PANE_RUNS)
        run_list_gather(studio, "", objects);
    else
        object_list_gather(objects, message_get(studio->catalogue, "presets"), "name", searched,
                           studio->filter[SCREEN_HOME]);
}

static const cJSON *chosen_in(struct studio *studio, int pane)
{
    struct object_list objects;
    gather(studio, pane, &objects);
    return object_list_chosen(&objects, &view_of(studio)->lists[pane]);
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
        bool ready = !message_get(item, "error") && !cJSON_IsFalse(message_get(item, "model_present")) &&
                     strcmp(message_text(preset, "model", ""), model) == 0;
        if (ready && work < least) {
            least = work;
            list_put(&view_of(studio)->lists[PANE_PRESETS], at);
        }
        at++;
    }
}

static const cJSON *chosen_preset(struct studio *studio)
{
    return chosen_in(studio, PANE_PRESETS);
}

static void reward_names(const cJSON *preset, char *text, size_t size)
{
    size_t length = 0;
    text[0] = '\0';
    const cJSON *reward = NULL;
    cJSON_ArrayForEach(reward, message_get(preset, "rewards"))
    {
        int added =
            snprintf(text + length, size - length, "%s%s", length > 0 ? "+" : "", message_text(reward, "name", "?"));
        if (added < 0 || (size_t)added >= size - length) return;
        length += (size_t)added;
    }
}

static void preset_state(const cJSON *preset, const char **label, enum style *style)
{
    const cJSON *present = message_get(preset, "model_present");
    *label = "ready";
    *style = STYLE_GOOD;
    if (message_get(preset, "error")) {
        *label = "invalid file";
        *style = STYLE_BAD;
    } else if (cJSON_IsFalse(present)) {
        *label = "model missing";
        *style = STYLE_WARNING;
    }
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
static const char *state_dot(enum style style)
{
    if (!style_unicode()) return style == STYLE_GOOD ? "*" : "!";
    return style == STYLE_GOOD ? "\u25cf" : "\u25cb";
}

static void draw_preset(const struct studio *studio, const struct list_rows *rows, const cJSON *item)
{
    const cJSON *preset = message_get(item, "preset");
    char rewards[120], memory[24], time[24];
    reward_names(preset, rewards, sizeof rewards);
    enum style state_style;
    const char *state = NULL;
    preset_state(item, &state, &state_style);
    struct preset_columns at = preset_columns(rows->line.columns);
    list_cursor(rows, studio_is_marked(studio, false, message_text(item, "name", "")));
    list_text(rows, 2, 1, state_style, state_dot(state_style));
    list_searched(rows, 4, at.model - 5, STYLE_TEXT, message_text(item, "name", "?"));
    const char *model = message_text(preset, "model", ""), *slash = strrchr(model, '/');
    list_text(rows, at.model, at.rewards - at.model - 1, STYLE_DIM, slash ? slash + 1 : model);
    list_text(rows, at.rewards, at.memory - 8 - at.rewards, STYLE_DIM, rewards);
    if (state_style != STYLE_GOOD) {
        list_right(rows, at.time - 16, 16, state_style, "%s", state);
        return;
    }
    double seconds = message_number(item, "seconds_per_step", NAN);
    format_seconds(time, sizeof time, seconds);
    list_right(rows, at.memory - 8, 8, STYLE_DIM, "%s",
               format_bytes(memory, sizeof memory, message_number(item, "memory_bytes", NAN)));
    list_right(rows, at.time - 11, 11, STYLE_DIM, isnan(seconds) ? "%s" : "%s/step", time);
}

static void draw_reward_change(const struct list_rows *rows, int column, int width, double start, double newest)
{
    char text[60], first[24], last[24];
    snprintf(text, sizeof text, "%s \u2192 %s", format_number(first, sizeof first, start),
             format_number(last, sizeof last, newest));
    list_text(rows, column, width, STYLE_CURVE_HELD_OUT, text);
}

static void draw_run(const struct studio *studio, const struct list_rows *rows, const cJSON *run)
{
    char ago[32], short_name[128];
    int columns = rows->line.columns, name = columns >= 92 ? 36 : 24, after = 2 + name;
    const char *title = message_text(run, "name", "?"), *state = message_text(run, "state", "");
    list_cursor(rows, studio_is_marked(studio, true, message_text(run, "path", "")));
    list_text(rows, 2, name, STYLE_TEXT,
              text_width(title) <= name ? title : run_short_name(title, short_name, sizeof short_name));
    list_right(rows, after + 1, 9, STYLE_DIM, "%lld/%lld", message_integer(run, "step", 0),
               message_integer(run, "steps", 0));
    double start = message_number(run, "eval_first", NAN), newest = message_number(run, "eval_last", NAN);
    if (!isnan(start) && !isnan(newest)) draw_reward_change(rows, after + 12, columns - name - 14 - 25, start, newest);
    list_right(rows, columns - 25, 12, run_list_state_style(state), "%s", state);
    list_right(rows, columns - 13, 12, STYLE_DIM, "%s",
               format_ago(ago, sizeof ago, studio->wall_clock - message_number(run, "modified", NAN)));
}

static void draw_presets(struct studio *studio, struct area area)
{
    struct object_list objects;
    gather(studio, PANE_PRESETS, &objects);
    struct list *list = &view_of(studio)->lists[PANE_PRESETS];
    bool focused = view_of(studio)->pane == PANE_PRESETS;
    struct area body = {area.row + 1, area.column, area.rows - 1, area.columns};
    struct list_rows rows = studio_show_list(studio, list, &objects.items, body, PANE_PRESETS, focused);
    while (list_next(&rows)) draw_preset(studio, &rows, objects.shown[rows.place]);
    struct preset_columns at = preset_columns(area.columns);
    list_heading(list, &objects.items, (struct area){area.row, area.column, 1, at.memory - 9}, focused,
                 "Start from a preset");
    if (objects.items.count > 0) {
        draw_right(area.row, area.column + at.memory - 8, 8, STYLE_DIM, "memory");
        draw_right(area.row, area.column + at.time - 8, 8, STYLE_DIM, "time");
        return;
    }
    const char *text = studio->catalogue                 ? "No preset matches. Press Esc to show all."
                       : studio->engine_error[0] != '\0' ? studio->engine_error
                                                         : "Reading the presets \u2026";
    draw_wrapped((struct area){body.row, area.column + 2, 3, area.columns - 2}, STYLE_DIM, text);
}

static void draw_runs(struct studio *studio, struct area area)
{
    struct object_list objects;
    gather(studio, PANE_RUNS, &objects);
    struct list *list = &view_of(studio)->lists[PANE_RUNS];
    bool focused = view_of(studio)->pane == PANE_RUNS;
    struct area body = {area.row + 1, area.column, area.rows - 1, area.columns};
    struct list_rows rows = studio_show_list(studio, list, &objects.items, body, PANE_RUNS, focused);
    while (list_next(&rows)) draw_run(studio, &rows, objects.shown[rows.place]);
    list_heading(list, &objects.items, (struct area){area.row, area.column, 1, 36}, focused, "Continue a run");
    if (objects.items.count > 0 && !focused)
        draw_right(area.row, area.column, area.columns - 1, STYLE_DIM, "Tab switches here");
    if (objects.items.count == 0)
        draw_text(body.row, area.column + 2, area.columns - 2, STYLE_DIM, "None yet. Runs you start are listed here.");
}

static void draw_card(struct studio *studio, struct area area)
{
    enum { RUN_ROWS = 5 };
    bool runs = view_of(studio)->pane == PANE_RUNS;
    int needed = runs ? RUN_ROWS : card_rows(chosen_preset(studio), area.columns);
    bool pictures = pictures_protocol(studio->pictures) != PROTOCOL_NONE;
    if (!pictures && needed < area.rows) area.rows = needed;
    if (runs)
        card_draw_run(studio, &view_of(studio)->preview, area, chosen_in(studio, PANE_RUNS));
    else
        card_draw_preset(studio, &view_of(studio)->preview, area, chosen_preset(studio));
}

/* Presets and runs one above the other; the card stands between them, on a wide screen beside them. */
static void draw(struct studio *studio, struct area body)
{
    enum { LEAST_WIDE = 150, LIST = 96, GAP = 3 };
    bool wide = body.columns >= LEAST_WIDE;
    const cJSON *chosen = chosen_preset(studio);
    struct object_list objects;
    gather(studio, PANE_PRESETS, &objects);
    int presets = objects.items.count, runs = cJSON_GetArraySize(studio->runs);
    int width = wide ? LIST : body.columns;
    int run_rows = 1 + min_int(runs < 1 ? 1 : runs, wide ? body.rows / 2 : body.rows / 6);
    int needed = wide || !chosen ? 0 : card_rows(chosen, width);
    int preset_rows = min_int(1 + (presets < 3 ? 3 : presets), body.rows - run_rows - 1 - needed);
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
    if (!item) return;
    const char *name = message_text(item, "name", "?"), *label = NULL;
    enum style style;
    preset_state(item, &label, &style);
    if (style == STYLE_BAD) {
        studio_say(studio, MESSAGE_ERROR, "Cannot start %s: its file is invalid. Its card shows why.", name);
    } else if (style == STYLE_WARNING) {
        studio_say(studio, MESSAGE_ERROR, "%s needs the model %s, which is missing. Its card shows where to put it.",
                   name, message_text(message_get(item, "preset"), "model", "?"));
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
    if (!item || name[0] == '\0') return;
    cJSON *body = cJSON_CreateObject();
    cJSON_AddStringToObject(body, "name", name);
    cJSON_AddStringToObject(body, "preset", message_text(item, "name", ""));
    studio_request(studio, studio_asker(studio), REQUEST_SAVE_PRESET, "presets-save", body, "duplicate the preset");
}

static void rename_to(struct studio *studio, const char *name)
{
    const cJSON *item = chosen_preset(studio);
    if (!item || name[0] == '\0') return;
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
    if (item) delete_preset(studio, message_text(item, "name", ""));
}

static void delete_chosen(struct studio *studio)
{
    const cJSON *item = chosen_preset(studio);
    if (!item) return;
    const char *name = message_text(item, "name", "");
    if (!message_flag(item, "own", false)) {
        studio_say(studio, MESSAGE_INFO, "%s is built in and cannot be deleted. Press d to make a copy of your own.",
                   name);
        return;
    }
    if (is_abridged(item)) {
        char text[300];
        snprintf(text, sizeof text, "%.120s is too large to restore with u.", name);
        studio_ask(studio, "Delete the preset", text);
        studio_add_choice(studio, 'd', "delete its file permanently", delete_for_good, 0);
        studio_add_choice(studio, 'k', "keep it", NULL, 0);
        return;
    }
    if (studio->undo_count < UNDO_DEPTH) {
        struct undo *undo = &studio->undo[studio->undo_count++];
        *undo = (struct undo){.kind = UNDO_PRESET_DELETED, .before = cJSON_Duplicate(message_get(item, "preset"), 1)};
    }
    studio_say(studio, MESSAGE_INFO, "Deleted %s. Press u to restore it.", name);
    delete_preset(studio, name);
}

static void mark(struct studio *studio)
{
    bool runs = view_of(studio)->pane == PANE_RUNS;
    const cJSON *item = chosen_in(studio, view_of(studio)->pane);
    if (item) studio_mark(studio, runs, message_text(item, runs ? "path" : "name", ""));
}

static void edit(struct studio *studio, const cJSON *item)
{
    if (is_abridged(item)) {
        studio_say(
            studio, MESSAGE_INFO,
            "%s has %lld prompts, too many to edit here. Move them to a file and name it in prompts.train_file of %s.",
            message_text(item, "name", "?"), message_integer(item, "prompts", 0),
            message_text(item, "path", "its file"));
        return;
    }
    bool again = studio_return_to_draft(studio, message_text(item, "name", ""));
    if (!again) studio_edit_preset(studio, message_get(item, "preset"));
    studio_go(studio, SCREEN_EDIT);
    if (again) studio_say(studio, MESSAGE_INFO, "Your earlier changes are still here. Press u to undo them.");
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
        if (value) message_put(preset, message_text(field, "key", "notes"), cJSON_Duplicate(value, 1));
    }
    studio_edit_preset(studio, preset);
    cJSON_Delete(preset);
    studio_go(studio, SCREEN_EDIT);
}

static bool command(struct studio *studio, enum command_id id, bool coarse)
{
    (void)coarse;
    bool runs = view_of(studio)->pane == PANE_RUNS;
    struct object_list objects;
    gather(studio, view_of(studio)->pane, &objects);
    if (list_move(&view_of(studio)->lists[view_of(studio)->pane], &objects.items, id)) return true;
    const cJSON *item = chosen_in(studio, view_of(studio)->pane);
    switch (id) {
    case COMMAND_NEXT_PANE:
    case COMMAND_PREVIOUS_PANE: view_of(studio)->pane = !view_of(studio)->pane; return true;
    case COMMAND_OPEN:
        if (runs && item)
            studio_open_run(studio, item);
        else if (!runs)
            start_chosen(studio);
        return true;
    case COMMAND_EDIT:
        if (!runs && message_get(item, "preset")) edit(studio, item);
        return true;
    case COMMAND_NEW: new_preset(studio); return true;
    case COMMAND_DUPLICATE:
        if (!runs && item)
            studio_prompt(studio, "Duplicate preset", "The name of the copy.", message_text(item, "name", ""),
                          duplicate_as, NULL);
        return true;
    case COMMAND_RENAME:
        if (!runs && item)
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
    struct object_list objects;
    gather(studio, click->pane, &objects);
    bool here = view_of(studio)->pane == click->pane;
    view_of(studio)->pane = click->pane;
    bool again = list_click(&view_of(studio)->lists[click->pane], &objects.items, click->item);
    if (here && again && !click->drag) command(studio, COMMAND_OPEN, false);
}

static void refresh(struct studio *studio)
{
    if (studio->engine && studio->runs) studio_list_runs(studio);
}

static const struct screen_command commands[] = {
    {COMMAND_OPEN, "start the preset or open the run", "Enter", "start",
     "start tuning with this preset, or open this run"},
    {COMMAND_EDIT, "edit first", "e", "edit first", "look at the settings before starting"},
    {COMMAND_NEW, "new preset", "n", "new", "a preset with default settings"},
    {COMMAND_DUPLICATE, "duplicate preset", "d", NULL, "keep a copy of this preset under a new name"},
    {COMMAND_RENAME, "rename preset", "R", NULL, "rename one of your presets"},
    {COMMAND_DELETE, "delete preset", "D Delete", NULL, "delete one of your presets; u restores it"},
    {COMMAND_MARK, "mark for comparison", "Space", NULL, "mark two, then compare them on screen 7"},
    {COMMAND_GO + SCREEN_RUNS, "runs", "9 r", "runs", "every run, active and finished"},
    ROWS_PANES,
    ROW_FILTER,
};

static void free_preview(struct studio *studio)
{
    preview_free(&view_of(studio)->preview);
}

const struct screen screen_home = {
    .name = "Home",
    .about = "Choose a preset and press Enter: tuning starts and pictures appear. e shows the settings first. The "
             "lower list has your runs, active and finished.",
    .open = refresh,
    .commands = commands,
    .command_count = sizeof commands / sizeof *commands,
    .view_bytes = sizeof(struct home_view),
    .draw = draw,
    .command = command,
    .click = click,
    .begin = choose_first,
    .free = free_preview,
};
