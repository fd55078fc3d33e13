/* Edit: every setting of a preset as a form, with what it means and what it costs. All of it comes from the catalogue.
 */
#include "engine/base/format.h"
#include "tui/common_commands.h"
#include "tui/screen/slider.h"
#include "tui/screen/text.h"
#include "tui/state.h"
#include "tui/views/cost.h"
#include "tui/views/object_list.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct edit_view {
    struct list fields;
};

enum { PANE_FIELDS, PANE_SLIDER };

static struct edit_view *view_of(const struct studio *studio)
{
    return studio->views[SCREEN_EDIT];
}

static void gather_fields(const struct studio *studio, struct object_list *fields)
{
    static const char *const searched[] = {"group", "label", "key", NULL};
    object_list_gather(fields, message_get(studio->catalogue, "fields"), "key", searched, studio->filter[SCREEN_EDIT]);
}

static const cJSON *preset_shown(const struct studio *studio)
{
    return studio->run_settings ? studio->run_settings : studio->draft;
}

static const cJSON *value_of(const struct studio *studio, const cJSON *field)
{
    const cJSON *value = message_find(preset_shown(studio), message_text(field, "key", ""));
    return value ? value : message_get(field, "default");
}

static void text_of(const cJSON *value, char *text, size_t size)
{
    text[0] = '\0';
    if (!value) {
        snprintf(text, size, "auto");
    } else if (cJSON_IsString(value)) {
        snprintf(text, size, "%s", value->valuestring);
    } else if (cJSON_IsNumber(value)) {
        snprintf(text, size, "%.6g", value->valuedouble);
    } else if (cJSON_IsBool(value)) {
        snprintf(text, size, "%s", cJSON_IsTrue(value) ? "yes" : "no");
    } else if (cJSON_IsArray(value)) {
        size_t length = 0;
        const cJSON *item = NULL;
        cJSON_ArrayForEach(item, value)
        {
            if (!cJSON_IsString(item) || length >= size) continue;
            int added = snprintf(text + length, size - length, "%s%s", length > 0 ? " " : "", item->valuestring);
            length += added > 0 ? (size_t)added : 0;
        }
    } else {
        snprintf(text, size, "\u2026");
    }
}

/* Most settings of a run are fixed; a run that begins with a checkpoint's adapter has that adapter's model and shape.
 */
static bool is_locked(const struct studio *studio, const cJSON *field)
{
    const char *key = message_text(field, "key", "");
    if (studio->run_settings) return !message_flag(field, "live", false) || !studio->live;
    return studio->origin.run[0] != '\0' && (strncmp(key, "lora.", 5) == 0 || strcmp(key, "model") == 0);
}

static void say_locked(struct studio *studio, const cJSON *field)
{
    const char *label = message_text(field, "label", "this");
    if (!studio->run_settings)
        studio_say(studio, MESSAGE_INFO, "%s is fixed by the checkpoint. For a fresh adapter press 1, then e.", label);
    else if (!studio->live)
        studio_say(studio, MESSAGE_INFO, "This run has ended. Press N to start a new run from its newest checkpoint.");
    else
        studio_say(studio, MESSAGE_INFO,
                   "%s cannot change during a run. Press N to start a new run from its newest checkpoint.", label);
}

/* Takes the value over. */
static void set(struct studio *studio, const cJSON *field, cJSON *value)
{
    const char *key = message_text(field, "key", "notes");
    if (!studio->run_settings) {
        message_put(studio->draft, key, value);
        studio_draft_changed(studio);
        return;
    }
    const cJSON *before = value_of(studio, field);
    if (cJSON_IsNumber(value) && cJSON_IsNumber(before))
        studio_set_value(studio, key, value->valuedouble, before->valuedouble);
    cJSON_Delete(value);
}

static void put(struct studio *studio, const cJSON *field, cJSON *value)
{
    if (!studio->run_settings) studio_push_undo_draft(studio);
    set(studio, field, value);
}

static bool is_kind(const cJSON *field, const char *kind)
{
    return strcmp(message_text(field, "kind", "text"), kind) == 0;
}

static bool is_numeric(const cJSON *field)
{
    return is_kind(field, "integer") || is_kind(field, "number");
}

static double within(const cJSON *field, double value)
{
    double low = message_number(field, "low", -INFINITY), high = message_number(field, "high", INFINITY);
    return fmin(high, fmax(low, value));
}

/* One step up or down: whole numbers by one (five when coarse), others by a tenth of their magnitude. */
static double stepped(const cJSON *field, double value, int direction, bool coarse)
{
    if (is_kind(field, "integer")) return within(field, value + direction * (coarse ? 5 : 1));
    if (message_flag(field, "log", false)) return within(field, value * pow(coarse ? 2 : 1.25, direction));
    double unit = value != 0 ? pow(10, floor(log10(fabs(value))) - 1) : 0.1;
    double moved = value + direction * unit * (coarse ? 10 : 1);
    return within(field, round(moved / unit) * unit);
}

static void next_choice(struct studio *studio, const cJSON *field, int direction)
{
    const cJSON *choices = message_get(field, "choices"), *value = value_of(studio, field);
    int count = cJSON_GetArraySize(choices), present = 0;
    if (count == 0) return;
    for (int i = 0; i < count; i++) {
        const cJSON *choice = cJSON_GetArrayItem(choices, i);
        if (cJSON_IsString(value) && cJSON_IsString(choice) && strcmp(value->valuestring, choice->valuestring) == 0)
            present = i;
    }
    put(studio, field, cJSON_Duplicate(cJSON_GetArrayItem(choices, (present + direction + count) % count), 1));
}

/* Flags go through the sets of one, then all of them. */
static void next_flags(struct studio *studio, const cJSON *field, int direction)
{
    const cJSON *choices = message_get(field, "choices"), *value = value_of(studio, field);
    int count = cJSON_GetArraySize(choices), present = count;
    if (count == 0) return;
    const cJSON *first = cJSON_GetArrayItem(value, 0);
    if (cJSON_GetArraySize(value) == 1 && cJSON_IsString(first))
        for (int i = 0; i < count; i++)
            if (strcmp(cJSON_GetArrayItem(choices, i)->valuestring, first->valuestring) == 0) present = i;
    int next = (present + direction + count + 1) % (count + 1);
    cJSON *set = cJSON_CreateArray();
    for (int i = 0; i < count; i++)
        if (next == count || i == next) cJSON_AddItemToArray(set, cJSON_Duplicate(cJSON_GetArrayItem(choices, i), 1));
    put(studio, field, set);
}

static void change(struct studio *studio, const cJSON *field, int direction, bool coarse)
{
    const cJSON *value = value_of(studio, field);
    if (is_locked(studio, field)) {
        say_locked(studio, field);
    } else if (is_kind(field, "choice")) {
        next_choice(studio, field, direction);
    } else if (is_kind(field, "flags")) {
        next_flags(studio, field, direction);
    } else if (is_kind(field, "seed") && cJSON_IsString(value)) {
        char text[32];
        snprintf(text, sizeof text, "%llu",
                 strtoull(value->valuestring, NULL, 10) + (unsigned long long)(long long)direction);
        put(studio, field, cJSON_CreateString(text));
    } else if (is_numeric(field)) {
        double present = cJSON_IsNumber(value) ? value->valuedouble : message_number(field, "low", 0);
        put(studio, field, cJSON_CreateNumber(stepped(field, present, direction, coarse)));
    }
}

static const cJSON *chosen_field(struct studio *studio)
{
    struct object_list fields;
    gather_fields(studio, &fields);
    return object_list_chosen(&fields, &view_of(studio)->fields);
}

static void typed(struct studio *studio, const char *text)
{
    const cJSON *field = chosen_field(studio);
    if (!field) return;
    const char *label = message_text(field, "label", message_text(field, "key", "value"));
    if (is_numeric(field)) {
        double value;
        bool number = text_number(text, &value);
        bool nothing = text[0] == '\0' || strcmp(text, "none") == 0 || strcmp(text, "auto") == 0;
        if (!number && nothing) {
            bool word = cJSON_IsString(message_get(field, "default")) && strcmp(text, "auto") == 0;
            put(studio, field, word ? cJSON_CreateString("auto") : cJSON_CreateNull());
        } else if (!number || value != within(field, value) || (is_kind(field, "integer") && value != floor(value))) {
            studio_say(studio, MESSAGE_ERROR, "Not a valid %s: \"%s\". Enter a %s from %g to %g.", label, text,
                       is_kind(field, "integer") ? "whole number" : "number", message_number(field, "low", -INFINITY),
                       message_number(field, "high", INFINITY));
        } else {
            put(studio, field, cJSON_CreateNumber(value));
        }
    } else if (is_kind(field, "flags")) {
        cJSON *set = cJSON_CreateArray();
        char copy[FIELD_CAPACITY], *rest = copy;
        snprintf(copy, sizeof copy, "%s", text);
        for (char *word; (word = strsep(&rest, " ,"));)
            if (word[0] != '\0') cJSON_AddItemToArray(set, cJSON_CreateString(word));
        put(studio, field, set);
    } else {
        put(studio, field,
            text[0] != '\0' && strcmp(text, "auto") != 0 ? cJSON_CreateString(text) : cJSON_CreateNull());
    }
}

static void describe_range(const cJSON *field, char *text, size_t size)
{
    char fallback[120];
    text_of(message_get(field, "default"), fallback, sizeof fallback);
    double low = message_number(field, "low", NAN), high = message_number(field, "high", NAN);
    const cJSON *choices = message_get(field, "choices");
    if (choices) {
        char list[300];
        text_of(choices, list, sizeof list);
        snprintf(text, size, "default %s \u00b7 one of: %s", fallback, list);
    } else if (!isnan(low) && !isnan(high)) {
        snprintf(text, size, "default %s \u00b7 from %g to %g", fallback, low, high);
    } else if (!isnan(low)) {
        snprintf(text, size, "default %s \u00b7 from %g", fallback, low);
    } else {
        snprintf(text, size, "default %s", fallback);
    }
}

static void edit_value(struct studio *studio)
{
    const cJSON *field = chosen_field(studio);
    if (!field) return;
    if (is_locked(studio, field)) {
        say_locked(studio, field);
        return;
    }
    char text[FIELD_CAPACITY], range[500], hint[300];
    text_of(value_of(studio, field), text, sizeof text);
    describe_range(field, range, sizeof range);
    snprintf(hint, sizeof hint, "%.150s (%.130s)", message_text(field, "meaning", ""), range);
    studio_prompt(studio, message_text(field, "label", "value"), hint, text, typed, NULL);
}

static void draw_field(const struct studio *studio, const struct list_rows *rows, const cJSON *field, const char *group)
{
    enum { LABEL = 12, VALUE = 31 };
    char text[400], fallback[120];
    int columns = rows->line.columns;
    text_of(value_of(studio, field), text, sizeof text);
    text_of(message_get(field, "default"), fallback, sizeof fallback);
    bool changed = strcmp(text, fallback) != 0, of_run = studio->run_settings, locked = is_locked(studio, field);
    if (group) list_searched(rows, 0, LABEL - 1, STYLE_ACCENT, group);
    list_searched(rows, LABEL, 18, of_run && locked ? STYLE_DIM : STYLE_TEXT,
                  message_text(field, "label", message_text(field, "key", "?")));
    int used = list_text(rows, VALUE, columns - VALUE - 2, changed ? STYLE_LIVE : STYLE_DIM, text);
    const char *unit = message_text(field, "unit", "");
    if (unit[0] != '\0' && cJSON_IsNumber(value_of(studio, field)))
        list_text(rows, VALUE + 1 + used, columns - VALUE - 2 - used, STYLE_DIM, unit);
    if (locked && !of_run) list_right(rows, columns - 22, 21, STYLE_DIM, "of the checkpoint");
    if (!locked && of_run) list_right(rows, columns - 25, 21, STYLE_GOOD, "may change now");
    bool adjustable =
        !locked && (is_numeric(field) || is_kind(field, "choice") || is_kind(field, "flags") || is_kind(field, "seed"));
    if (!rows->here || !adjustable) return;
    list_text(rows, VALUE - 2, 1, STYLE_SELECTED, "\u2190");
    list_text(rows, columns - 2, 1, STYLE_SELECTED, "\u2192");
}

/* Numbers between two bounds have a slider: a logarithmic one where the bounds are far apart, which begins above 0. */
static bool find_scale(const struct studio *studio, const cJSON *field, struct slider_scale *scale)
{
    const double far_apart = 1000, decades_of_zero = 1e-8;
    double low = message_number(field, "low", NAN), high = message_number(field, "high", NAN);
    bool logarithmic = message_flag(field, "log", false);
    if (!(low < high) || !is_numeric(field) || is_locked(studio, field)) return false;
    if (low == 0 && !logarithmic && high >= far_apart) return false;
    logarithmic |= low > 0 && high >= far_apart * low;
    *scale = (struct slider_scale){low, high, logarithmic && low >= 0};
    if (scale->logarithmic && low == 0) scale->low = high * decades_of_zero;
    return true;
}

/* Its ends stand beside it. */
static struct area slider_area(struct area line)
{
    enum { END = 10, MOST = 60 };
    int columns = line.columns < MOST ? line.columns : MOST;
    return (struct area){line.row, line.column + END, 1, columns - 2 * END};
}

static void draw_slider(struct studio *studio, const cJSON *field, struct area line)
{
    struct slider slider = {.mark = NAN, .line = STYLE_ACCENT, .knob = STYLE_TITLE};
    if (!find_scale(studio, field, &slider.scale)) return;
    const cJSON *value = value_of(studio, field);
    if (!cJSON_IsNumber(value)) return;
    slider.value = value->valuedouble;
    struct area area = slider_area(line);
    draw_right(line.row, line.column, area.column - line.column - 1, STYLE_DIM, "%g", slider.scale.low);
    slider_draw(area.row, area.column, area.columns, &slider);
    draw_format(line.row, area.column + area.columns + 1, 9, STYLE_DIM, "%g", slider.scale.high);
    studio_take_clicks(studio, area, PANE_SLIDER);
}

/* What the setting under the cursor means and may be, in two rows. */
static void draw_meaning(const cJSON *field, struct area area)
{
    char range[500];
    describe_range(field, range, sizeof range);
    draw_text(area.row, area.column, area.columns, STYLE_TEXT, message_text(field, "meaning", ""));
    draw_format(area.row + 1, area.column, area.columns, STYLE_DIM, "%s \u00b7 %s", message_text(field, "key", ""),
                range);
}

/* Whose settings these are, and what can be done with them. */
static void draw_heading(const struct studio *studio, const struct list_items *items, struct area area)
{
    const struct draft_origin *origin = &studio->origin;
    const struct list *list = &view_of(studio)->fields;
    enum { HINT = 31 };
    struct area title = {area.row, area.column, 1, area.columns - HINT};
    if (studio->run_settings) {
        bool alive = studio->live && run_alive(studio->run);
        list_heading(list, items, title, true, "settings of this run");
        draw_right(area.row, area.column + area.columns - 40, 39, STYLE_DIM, "%s",
                   alive ? "mostly fixed during the run" : "the run has ended");
        return;
    }
    char text[200], from[40] = "";
    if (origin->run[0] != '\0') snprintf(from, sizeof from, ", from step %d", origin->step);
    snprintf(text, sizeof text, "%s%s%s", origin->name, from, studio->draft_changed ? " (changed)" : "");
    list_heading(list, items, title, true, text);
    draw_right(area.row, area.column + area.columns - HINT, HINT - 1, STYLE_DIM, "3 rewards  4 prompts  s start");
}

/* The settings below their heading. */
static void draw_fields(struct studio *studio, struct area area)
{
    struct object_list fields;
    gather_fields(studio, &fields);
    struct list *list = &view_of(studio)->fields;
    struct area body = {area.row + 1, area.column, area.rows - 1, area.columns};
    struct list_rows rows = studio_show_list(studio, list, &fields.items, body, PANE_FIELDS, true);
    while (list_next(&rows)) {
        const char *group = message_text(fields.shown[rows.place], "group", "");
        bool opens =
            rows.place == list->top || strcmp(group, message_text(fields.shown[rows.place - 1], "group", "")) != 0;
        draw_field(studio, &rows, fields.shown[rows.place], opens ? group : NULL);
    }
    draw_heading(studio, &fields.items, area);
    if (fields.items.count == 0)
        draw_text(body.row, body.column, body.columns, STYLE_DIM,
                  studio->catalogue ? "No setting matches. Press Esc to show all." : "Reading the settings \u2026");
}

static void draw_over(const char *error, struct area area)
{
    draw_fill(area, STYLE_TEXT);
    draw_wrapped(area, STYLE_BAD, error);
}

static void apply_remedy(struct studio *studio, int index)
{
    const cJSON *set = message_get(cJSON_GetArrayItem(message_get(studio->plan, "remedies"), index), "set"),
                *item = NULL;
    if (!set) return;
    studio_push_undo_draft(studio);
    cJSON_ArrayForEach(item, set) message_put(studio->draft, item->string, cJSON_Duplicate(item, 1));
    studio_draft_changed(studio);
}

/* The keys are no digits, which switch screens: a, b, c. */
/* Says that the planned draft does not fit, with what would under a key, once for each plan and not over another
 * message. */
static void offer_remedies(struct studio *studio)
{
    if (studio->run_settings) return;
    if (!studio->plan || !message_get(studio->plan, "fits") || message_flag(studio->plan, "fits", false)) return;
    if (!studio->remedies_due || (studio->message_level != MESSAGE_NONE && !studio->refused_for_memory)) return;
    studio->remedies_due = studio->refused_for_memory = false;
    char needed[32], available[32];
    double free_bytes = message_number(studio->plan, "free_bytes", NAN);
    double limit = message_number(studio->plan, "limit_bytes", free_bytes);
    studio_say(studio, MESSAGE_ERROR,
               limit < free_bytes ? "Does not fit: needs %s, the limit is %s." : "Does not fit: needs %s, %s free.",
               format_bytes(needed, sizeof needed, message_number(studio->plan, "total_bytes", NAN)),
               format_bytes(available, sizeof available, limit));
    const cJSON *remedies = message_get(studio->plan, "remedies");
    for (int i = 0; i < cJSON_GetArraySize(remedies) && i < 4; i++)
        studio_add_remedy(studio, (char)('a' + i), message_text(cJSON_GetArrayItem(remedies, i), "label", "?"),
                          apply_remedy, i);
}

/* In a column that begins at `column` of the body, or where that is 0 in the last row. */
static void draw_costs(struct studio *studio, struct area body, int column)
{
    struct area cost = {body.row + body.rows - 1, body.column, 1, body.columns};
    if (column > 0) cost = (struct area){body.row, body.column + column, body.rows - 1, 40};
    if (studio->run_settings)
        cost_draw_run(studio->run, cost);
    else if (column == 0 && studio->plan_error[0] != '\0')
        draw_over(studio->plan_error, (struct area){body.row + body.rows - 2, body.column, 2, body.columns});
    else
        cost_draw(studio, cost);
}

static void draw(struct studio *studio, struct area body)
{
    if (studio->run_settings) {
        cJSON_Delete(studio->run_settings);
        studio->run_settings = studio_present_preset(studio->run);
    }
    if (!preset_shown(studio)) {
        draw_notice(body, "No preset is being edited.", "Press 1 to choose one, then e to see its settings.");
        return;
    }
    offer_remedies(studio);
    bool wide = body.columns >= 104;
    int width = wide ? body.columns - 42 : body.columns;
    draw_fields(studio, (struct area){body.row, body.column, body.rows - (wide ? 4 : 5), width});
    const cJSON *field = chosen_field(studio);
    if (field) {
        draw_slider(studio, field, (struct area){body.row + body.rows - 4, body.column, 1, width});
        draw_meaning(field, (struct area){body.row + body.rows - 3, body.column, 2, width});
    }
    draw_costs(studio, body, wide ? width + 2 : 0);
}

static bool command(struct studio *studio, enum command_id id, bool coarse)
{
    struct object_list fields;
    gather_fields(studio, &fields);
    if (list_move(&view_of(studio)->fields, &fields.items, id)) return true;
    if (!preset_shown(studio)) return false;
    bool of_run = studio->run_settings;
    const cJSON *field = chosen_field(studio);
    switch (id) {
    case COMMAND_LESS:
    case COMMAND_MORE:
    case COMMAND_TOGGLE:
        if (field) change(studio, field, id == COMMAND_LESS ? -1 : 1, coarse);
        return true;
    case COMMAND_OPEN: edit_value(studio); return true;
    case COMMAND_START:
        if (of_run)
            studio_say(studio, MESSAGE_INFO,
                       "This run has started already. Press N to start a new one from its newest checkpoint.");
        else
            studio_start(studio, studio->draft, studio->origin.name, "ask");
        return true;
    case COMMAND_SAVE_PRESET:
        if (of_run)
            studio_save_run(studio);
        else
            studio_save_draft(studio);
        return true;
    case COMMAND_BRANCH: return !of_run; /* which the studio does for every screen of a run */
    default: return false;
    }
}

/* Whole numbers, others to three digits; a drag is one change for u. */
static void move_slider(struct studio *studio, const struct click *click)
{
    const cJSON *field = chosen_field(studio);
    struct slider_scale scale;
    if (!field || !find_scale(studio, field, &scale)) return;
    double value = slider_value_at(&scale, click->column, click->columns);
    double unit = is_kind(field, "integer") || value == 0 ? 1 : pow(10, floor(log10(fabs(value))) - 2);
    value = within(field, round(value / unit) * unit);
    const cJSON *before = value_of(studio, field);
    if (cJSON_IsNumber(before) && before->valuedouble == value) return;
    if (!studio->run_settings && !click->drag) studio_push_undo_draft(studio);
    set(studio, field, cJSON_CreateNumber(value));
}

static void click(struct studio *studio, const struct click *click)
{
    struct object_list fields;
    gather_fields(studio, &fields);
    if (click->pane == PANE_SLIDER)
        move_slider(studio, click);
    else if (list_click(&view_of(studio)->fields, &fields.items, click->item) && !click->drag)
        edit_value(studio);
}

/* The settings of a run change while it is on, and it has started already. */
static bool offers(const struct studio *studio, enum command_id id)
{
    bool of_run = studio->run_settings, alive = studio->live && run_alive(studio->run);
    switch (id) {
    case COMMAND_START: return !of_run;
    case COMMAND_TOGGLE:
    case COMMAND_OPEN:
    case COMMAND_MORE: return !of_run || alive;
    case COMMAND_BRANCH: return of_run && studio_offers(studio, id);
    default: return studio_offers(studio, id);
    }
}

static const struct screen_command commands[] = {
    ROW_START,
    {COMMAND_OPEN, "edit the value", "Enter", "edit", "type a value for this setting"},
    {COMMAND_TOGGLE, "next choice", "Space", "choose", "the next of the choices"},
    {COMMAND_LESS, "less", "Left h", NULL, "a smaller value, the previous choice"},
    {COMMAND_MORE, "more", "Right l", "change", "a larger value, the next choice"},
    {COMMAND_SAVE_PRESET, "save as preset", "S", "save preset", "save these settings under a name"},
    ROW_BRANCH,
    ROW_FILTER,
};

const struct screen screen_edit = {
    .name = "Settings",
    .about = "Every setting of the preset. Left and right change a value (Shift: in larger steps), Enter types one, u "
             "undoes a change. The cost estimate follows. Nothing is kept until you save or start. During a run most "
             "settings are fixed; N starts a new run from its checkpoint.",
    .commands = commands,
    .command_count = sizeof commands / sizeof *commands,
    .view_bytes = sizeof(struct edit_view),
    .draw = draw,
    .command = command,
    .click = click,
    .offers = offers,
    .planned = offer_remedies,
};
