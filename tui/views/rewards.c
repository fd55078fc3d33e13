/* Rewards: what each measures, which are chosen, and the formula of the total. */
#include "engine/base/format.h"
#include "tui/common_commands.h"
#include "tui/screen/text.h"
#include "tui/state.h"
#include "tui/views/cost.h"
#include "tui/views/object_list.h"
#include "tui/views/weight.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct rewards_view {
    int pane; /* 0 catalogue, 1 chosen */
    struct list catalogue, chosen;
};

static struct rewards_view *view_of(const struct studio *studio)
{
    return studio->views[SCREEN_REWARDS];
}

enum { PANE_CATALOGUE, PANE_CHOSEN };

static const cJSON *preset_of(const struct studio *studio)
{
    if (studio->run->preset && !studio_is_editing(studio)) return studio->run->preset;
    return studio->draft;
}

static void gather_kinds(const struct studio *studio, struct object_list *kinds)
{
    static const char *const searched[] = {"name", "measures", NULL};
    object_list_gather(kinds, message_get(studio->catalogue, "rewards"), "name", searched,
                       studio->filter[SCREEN_REWARDS]);
}

/* The kind of reward under the cursor; NULL when there is none. */
static const cJSON *kind_at_cursor(struct studio *studio)
{
    struct object_list kinds;
    gather_kinds(studio, &kinds);
    return object_list_chosen(&kinds, &view_of(studio)->catalogue);
}

static cJSON *chosen_rewards(const struct studio *studio)
{
    return cJSON_GetObjectItemCaseSensitive(preset_of(studio), "rewards");
}

static const char *id_of(const cJSON *reward)
{
    return message_text(reward, "id", message_text(reward, "name", "?"));
}

static uint64_t identity_of_chosen(const void *rewards, int place)
{
    return list_identity(id_of(cJSON_GetArrayItem(rewards, place)));
}

static struct list_items chosen_items(const struct studio *studio)
{
    const cJSON *rewards = chosen_rewards(studio);
    int count = cJSON_GetArraySize(rewards);
    return (struct list_items){.count = count, .all = count, .of = rewards, .identity = identity_of_chosen};
}

/* What a pane lists; `kinds` is filled where they are of use. */
static struct list_items items_of_pane(const struct studio *studio, int pane, struct object_list *kinds)
{
    if (pane == PANE_CHOSEN) return chosen_items(studio);
    gather_kinds(studio, kinds);
    return kinds->items;
}

static cJSON *reward_at_cursor(struct studio *studio)
{
    struct list_items items = chosen_items(studio);
    return cJSON_GetArrayItem(chosen_rewards(studio), list_follow(&view_of(studio)->chosen, &items));
}

static bool is_chosen(const struct studio *studio, const char *name)
{
    const cJSON *reward = NULL;
    cJSON_ArrayForEach(reward,
                       chosen_rewards(studio)) if (strcmp(message_text(reward, "name", ""), name) == 0) return true;
    return false;
}

static void describe_range(const cJSON *kind, char *text, size_t size)
{
    double low = message_number(kind, "low", NAN), high = message_number(kind, "high", NAN);
    if (!isnan(low) && !isnan(high))
        snprintf(text, size, "%g to %g", low, high);
    else if (!isnan(low))
        snprintf(text, size, "from %g", low);
    else if (!isnan(high))
        snprintf(text, size, "up to %g", high);
    else
        snprintf(text, size, "no bounds");
}

static void draw_kind(const struct studio *studio, const struct list_rows *rows, const cJSON *kind)
{
    int columns = rows->line.columns, names = columns >= 60 ? 20 : 14;
    const char *name = message_text(kind, "name", "?");
    bool missing = cJSON_IsFalse(message_get(kind, "available"));
    list_text(rows, 0, 1, STYLE_GOOD, is_chosen(studio, name) ? "\u2713" : " ");
    list_searched(rows, 2, names, missing ? STYLE_DIM : STYLE_TEXT, name);
    list_searched(rows, names + 3, columns - names - 3, STYLE_DIM, message_text(kind, "measures", ""));
}

static void draw_catalogue(struct studio *studio, struct area area)
{
    struct object_list kinds;
    gather_kinds(studio, &kinds);
    struct list *list = &view_of(studio)->catalogue;
    bool focused = view_of(studio)->pane == PANE_CATALOGUE;
    struct area body = {area.row + 1, area.column, area.rows - 1, area.columns};
    struct list_rows rows = studio_show_list(studio, list, &kinds.items, body, PANE_CATALOGUE, focused);
    while (list_next(&rows)) draw_kind(studio, &rows, kinds.shown[rows.place]);
    list_heading(list, &kinds.items, (struct area){area.row, area.column, 1, area.columns}, focused,
                 "what can be rewarded");
    if (kinds.items.count == 0 && kinds.items.all > 0)
        draw_text(body.row, body.column + 2, body.columns - 2, STYLE_DIM, "No reward matches. Press Esc to show all.");
}

/* Each with its meaning and its default. */
static void draw_parameters(struct area area, const cJSON *kind)
{
    const cJSON *parameter = NULL;
    int row = 0;
    cJSON_ArrayForEach(parameter, message_get(kind, "parameters"))
    {
        if (row >= area.rows) return;
        const cJSON *fallback = message_get(parameter, "default");
        char text[60] = "required";
        if (cJSON_IsNumber(fallback)) snprintf(text, sizeof text, "default %g", fallback->valuedouble);
        if (cJSON_IsString(fallback)) snprintf(text, sizeof text, "default %s", fallback->valuestring);
        draw_text(area.row + row, area.column, 16, STYLE_ACCENT, message_text(parameter, "name", ""));
        draw_text(area.row + row, area.column + 17, area.columns - 37, STYLE_TEXT,
                  message_text(parameter, "meaning", ""));
        draw_right(area.row + row++, area.column + area.columns - 20, 20, STYLE_DIM, "%s", text);
    }
}

/* What the reward under the cursor measures, its range, where it is from, and what it takes. */
static void draw_details(struct studio *studio, struct area area)
{
    const cJSON *kind = kind_at_cursor(studio);
    if (!kind) return;
    char range[80];
    describe_range(kind, range, sizeof range);
    draw_text(area.row, area.column, 16, STYLE_LIVE, message_text(kind, "name", ""));
    draw_right(area.row, area.column + 17, area.columns - 17, STYLE_DIM, "range: %s", range);
    struct area rest = {area.row + 1, area.column, area.rows - 1, area.columns};
    int used = draw_wrapped(rest, STYLE_TEXT, message_text(kind, "measures", ""));
    rest.row += used;
    rest.rows -= used;
    const char *missing = message_text(kind, "missing", NULL);
    if (rest.rows < 1) return;
    used =
        draw_wrapped(rest, missing ? STYLE_WARNING : STYLE_DIM, missing ? missing : message_text(kind, "source", ""));
    rest.row += used + 1;
    rest.rows -= used + 1;
    draw_parameters(rest, kind);
}

static int index_in_run(const struct run *run, const char *id)
{
    for (int i = 0; i < run->reward_count; i++)
        if (strcmp(run->rewards[i].id, id) == 0) return i;
    return -1;
}

/* " name value name value", as much as there is room for. */
static void describe_parameters(const cJSON *reward, char *text, size_t size)
{
    size_t length = 0;
    const cJSON *item = NULL;
    text[0] = '\0';
    cJSON_ArrayForEach(item, message_get(reward, "params"))
    {
        int added = 0;
        if (cJSON_IsNumber(item))
            added = snprintf(text + length, size - length, " %s %g", item->string, item->valuedouble);
        else if (cJSON_IsString(item))
            added = snprintf(text + length, size - length, " %s", item->valuestring);
        if (added < 0 || (size_t)added >= size - length) return;
        length += (size_t)added;
    }
}

static bool is_of_run(const struct studio *studio)
{
    return !studio_is_editing(studio) && studio->run->preset;
}

/* Of a run as it is now, else as the preset has it. */
static double weight_of(const struct studio *studio, const cJSON *reward)
{
    int at = is_of_run(studio) ? index_in_run(studio->run, id_of(reward)) : -1;
    return at >= 0 ? studio->run->rewards[at].weight : message_number(reward, "weight", 1);
}

static void draw_reward(const struct studio *studio, const struct list_rows *rows, const cJSON *reward)
{
    int columns = rows->line.columns, at = index_in_run(studio->run, id_of(reward));
    char raw[24] = "", params[160], text[24];
    const struct run_step *newest = run_newest(studio->run);
    if (is_of_run(studio) && at >= 0) format_number(raw, sizeof raw, newest ? newest->reward[at] : NAN);
    describe_parameters(reward, params, sizeof params);
    list_text(rows, 0, 1, style_of_reward(rows->place), style_unicode() ? "\u25a0" : "#");
    int used = list_text(rows, 2, columns - 18, STYLE_TEXT, id_of(reward));
    list_text(rows, 2 + used, columns - 19 - used, STYLE_DIM, params);
    list_right(rows, columns - 16, 8, STYLE_DIM, "%s", raw);
    list_right(rows, columns - 8, 8, STYLE_LIVE, "%s", weight_text(text, sizeof text, weight_of(studio, reward)));
}

static void draw_chosen(struct studio *studio, struct area area)
{
    struct list_items items = chosen_items(studio);
    struct list *list = &view_of(studio)->chosen;
    bool focused = view_of(studio)->pane == PANE_CHOSEN, of_run = is_of_run(studio);
    struct area body = {area.row + 1, area.column, area.rows - 1, area.columns};
    struct list_rows rows = studio_show_list(studio, list, &items, body, PANE_CHOSEN, focused);
    const cJSON *rewards = chosen_rewards(studio);
    while (list_next(&rows)) draw_reward(studio, &rows, cJSON_GetArrayItem(rewards, rows.place));
    list_heading(list, &items, (struct area){area.row, area.column, 1, area.columns - 16}, focused,
                 of_run ? "of this run" : "chosen");
    draw_right(area.row, area.column, area.columns, STYLE_DIM, "%s  weight", of_run ? "  raw" : "");
    if (items.count == 0)
        draw_wrapped(
            (struct area){body.row, area.column, 3, area.columns}, STYLE_DIM,
            preset_of(studio)
                ? "None yet. Press Enter on the left to add one."
                : "No preset is being edited and no run is open. Enter on a reward starts a new preset with it.");
}

static void draw_formula(const struct studio *studio, struct area area)
{
    char text[900] = "total = ";
    size_t length = strlen(text);
    const cJSON *rewards = chosen_rewards(studio), *reward = NULL;
    bool first = true;
    cJSON_ArrayForEach(reward, rewards)
    {
        double weight = weight_of(studio, reward);
        int added = snprintf(text + length, sizeof text - length, "%s%.3g \u00d7 %s",
                             first        ? (weight < 0 ? "-" : "")
                             : weight < 0 ? " - "
                                          : " + ",
                             fabs(weight), id_of(reward));
        if (added < 0 || (size_t)added >= sizeof text - length) break;
        length += (size_t)added;
        first = false;
    }
    draw_line(area.row, area.column, area.columns, STYLE_FRAME);
    draw_wrapped((struct area){area.row + 1, area.column, area.rows - 1, area.columns}, STYLE_ACCENT,
                 first ? "total = 0" : text);
}

static void draw(struct studio *studio, struct area body)
{
    enum { FORMULA_ROWS = 4, DETAIL_ROWS = 4, MOST_DETAILS = 12 };
    int left = body.columns * 11 / 20, kinds = cJSON_GetArraySize(message_get(studio->catalogue, "rewards"));
    int rows = body.rows - FORMULA_ROWS - DETAIL_ROWS - 1;
    if (kinds > 0 && rows > kinds + 1) rows = kinds + 1;
    int details = body.rows - FORMULA_ROWS - rows - 2;
    if (details < DETAIL_ROWS) details = DETAIL_ROWS;
    if (details > MOST_DETAILS) details = MOST_DETAILS;
    draw_catalogue(studio, (struct area){body.row, body.column, rows, left});
    draw_chosen(studio, (struct area){body.row, body.column + left + 2, rows, body.columns - left - 2});
    draw_details(studio, (struct area){body.row + rows + 1, body.column, details, body.columns});
    struct area formula = {body.row + rows + 1 + details, body.column, FORMULA_ROWS, body.columns};
    draw_formula(studio, formula);
    if (studio_is_editing(studio))
        cost_draw(studio, (struct area){formula.row + formula.rows - 1, body.column, 1, body.columns});
}

static bool may_change(struct studio *studio)
{
    if (studio_is_editing(studio)) return true;
    studio_say(studio, MESSAGE_INFO,
               "The rewards of a run are fixed; change their weights on screen 2. Press N for a new run from this "
               "checkpoint.");
    return false;
}

static void remove_reward(struct studio *studio, const char *name)
{
    cJSON *rewards = chosen_rewards(studio);
    for (int i = cJSON_GetArraySize(rewards) - 1; i >= 0; i--)
        if (strcmp(message_text(cJSON_GetArrayItem(rewards, i), "name", ""), name) == 0)
            cJSON_DeleteItemFromArray(rewards, i);
}

static void add_reward(struct studio *studio, const cJSON *kind)
{
    cJSON *rewards = chosen_rewards(studio);
    if (!cJSON_IsArray(rewards)) {
        message_put(studio->draft, "rewards", cJSON_CreateArray());
        rewards = chosen_rewards(studio);
    }
    cJSON *reward = cJSON_CreateObject(), *params = cJSON_AddObjectToObject(reward, "params");
    cJSON_AddStringToObject(reward, "name", message_text(kind, "name", ""));
    cJSON_AddNumberToObject(reward, "weight", 1);
    const cJSON *parameter = NULL;
    cJSON_ArrayForEach(parameter, message_get(kind, "parameters"))
    {
        const cJSON *fallback = message_get(parameter, "default");
        if (fallback && strcmp(message_text(parameter, "kind", ""), "model") != 0)
            cJSON_AddItemToObject(params, message_text(parameter, "name", "?"), cJSON_Duplicate(fallback, 1));
    }
    cJSON_AddItemToArray(rewards, reward);
}

static void toggle(struct studio *studio)
{
    if (!may_change(studio)) return;
    bool left = view_of(studio)->pane == PANE_CATALOGUE;
    const cJSON *kind = left ? kind_at_cursor(studio) : reward_at_cursor(studio);
    if (!kind) return;
    char name[64];
    snprintf(name, sizeof name, "%s", message_text(kind, "name", ""));
    studio_push_undo_draft(studio);
    if (is_chosen(studio, name))
        remove_reward(studio, name);
    else
        add_reward(studio, kind);
    studio_draft_changed(studio);
}

static void set_weight(struct studio *studio, double weight)
{
    cJSON *reward = reward_at_cursor(studio);
    if (!reward || !may_change(studio)) return;
    studio_push_undo_draft(studio);
    message_put(reward_at_cursor(studio), "weight", cJSON_CreateNumber(weight));
    studio_draft_changed(studio);
}

static void typed_weight(struct studio *studio, const char *text)
{
    double value;
    if (!text_number(text, &value))
        studio_say(studio, MESSAGE_ERROR, "Not a valid weight: \"%s\". Enter a number such as 0.5.", text);
    else
        set_weight(studio, value);
}

/* "key=value key=value", as the command line takes them. */
static void typed_parameters(struct studio *studio, const char *text)
{
    if (!reward_at_cursor(studio) || !may_change(studio)) return;
    char copy[FIELD_CAPACITY], *rest = copy;
    snprintf(copy, sizeof copy, "%s", text);
    cJSON *params = cJSON_CreateObject();
    for (char *word; (word = strsep(&rest, " ,"));) {
        char *equal = strchr(word, '=');
        if (!equal) continue;
        *equal = '\0';
        double number;
        bool is_number = text_number(equal + 1, &number);
        cJSON_AddItemToObject(params, word, is_number ? cJSON_CreateNumber(number) : cJSON_CreateString(equal + 1));
    }
    studio_push_undo_draft(studio);
    message_put(reward_at_cursor(studio), "params", params);
    studio_draft_changed(studio);
}

static void edit_parameters(struct studio *studio)
{
    const cJSON *reward = reward_at_cursor(studio), *kind = NULL, *found = NULL, *item = NULL;
    if (!reward) return;
    cJSON_ArrayForEach(kind, message_get(studio->catalogue, "rewards")) if (strcmp(message_text(kind, "name", ""),
                                                                                   message_text(reward, "name", "?")) ==
                                                                            0) found = kind;
    char text[600] = "", hint[300] = "";
    size_t length = 0, used = 0;
    cJSON_ArrayForEach(item, message_get(reward, "params"))
    {
        int added = cJSON_IsNumber(item)   ? snprintf(text + length, sizeof text - length, "%s%s=%g", length ? " " : "",
                                                      item->string, item->valuedouble)
                    : cJSON_IsString(item) ? snprintf(text + length, sizeof text - length, "%s%s=%s", length ? " " : "",
                                                      item->string, item->valuestring)
                                           : 0;
        if (added < 0 || (size_t)added >= sizeof text - length) break;
        length += (size_t)added;
    }
    cJSON_ArrayForEach(item, message_get(found, "parameters"))
    {
        int added = snprintf(hint + used, sizeof hint - used, "%s%s: %s", used ? "; " : "",
                             message_text(item, "name", ""), message_text(item, "meaning", ""));
        if (added < 0 || (size_t)added >= sizeof hint - used) break;
        used += (size_t)added;
    }
    studio_prompt(studio, "Parameters", used > 0 ? hint : "This reward has no parameters.", text, typed_parameters,
                  NULL);
}

static bool command(struct studio *studio, enum command_id id, bool coarse)
{
    struct object_list kinds;
    bool left = view_of(studio)->pane == PANE_CATALOGUE;
    struct list_items items = items_of_pane(studio, view_of(studio)->pane, &kinds);
    if (list_move(left ? &view_of(studio)->catalogue : &view_of(studio)->chosen, &items, id)) return true;
    double weight = message_number(reward_at_cursor(studio), "weight", 1);
    switch (id) {
    case COMMAND_NEXT_PANE:
    case COMMAND_PREVIOUS_PANE: view_of(studio)->pane = !view_of(studio)->pane; return true;
    case COMMAND_OPEN: toggle(studio); return true;
    case COMMAND_LESS: set_weight(studio, weight_moved(weight, weight, -1, coarse)); return true;
    case COMMAND_MORE: set_weight(studio, weight_moved(weight, weight, 1, coarse)); return true;
    case COMMAND_TYPE_VALUE: {
        char text[32];
        snprintf(text, sizeof text, "%g", weight);
        if (may_change(studio))
            studio_prompt(studio, "Weight", "A number; a higher one counts more.", text, typed_weight, NULL);
        return true;
    }
    case COMMAND_EDIT: edit_parameters(studio); return true;
    default: return false;
    }
}

static void click(struct studio *studio, const struct click *click)
{
    struct object_list kinds;
    bool left = click->pane == PANE_CATALOGUE, here = view_of(studio)->pane == click->pane;
    struct list_items items = items_of_pane(studio, click->pane, &kinds);
    view_of(studio)->pane = click->pane;
    bool again = list_click(left ? &view_of(studio)->catalogue : &view_of(studio)->chosen, &items, click->item);
    if (here && again && !click->drag) toggle(studio);
}

/* Changes are made to a draft alone. */
static bool offers(const struct studio *studio, enum command_id id)
{
    switch (id) {
    case COMMAND_OPEN:
    case COMMAND_EDIT:
    case COMMAND_MORE: return studio_is_editing(studio);
    default: return studio_offers(studio, id);
    }
}

static const struct screen_command commands[] = {
    ROW_PAUSE,
    {COMMAND_TYPE_VALUE, "type a value", "=", NULL, "type the weight as a number"},
    ROWS_STEERING,
    ROW_BRANCH,
    {COMMAND_OPEN, "add or remove the reward", "Enter Space", "add/remove", "choose this reward or drop it"},
    {COMMAND_LESS, "less weight", "Left h", NULL, "less weight"},
    {COMMAND_MORE, "more weight", "Right l", "weight", "more weight"},
    {COMMAND_EDIT, "parameters", "e", "parameters", "the parameters of this reward"},
    ROWS_PANES,
    ROW_FILTER,
};

const struct screen screen_rewards = {
    .name = "Rewards",
    .about = "On the left all rewards with what they measure; Enter adds or removes one. On the right the chosen ones "
             "with their weights; tuning raises the total below. Tab switches sides.",
    .commands = commands,
    .command_count = sizeof commands / sizeof *commands,
    .view_bytes = sizeof(struct rewards_view),
    .draw = draw,
    .command = command,
    .click = click,
    .offers = offers,
};
