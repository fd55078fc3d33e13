/* Prompts: training and held-out ones apart, with the reward of each beside it. */
#include "engine/base/format.h"
#include "engine/base/input_file.h"
#include "tui/common_commands.h"
#include "tui/screen/text.h"
#include "tui/state.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct prompts_view {
    int pane; /* 0 train, 1 held-out */
    struct list lists[2];
};

static struct prompts_view *view_of(const struct studio *studio)
{
    return studio->views[SCREEN_PROMPTS];
}

static const char *const list_keys[2] = {"prompts.train", "prompts.eval"};

static const cJSON *preset_of(const struct studio *studio)
{
    if (studio->run->preset && !studio_is_editing(studio)) return studio->run->preset;
    return studio->draft;
}

static cJSON *own_prompts(const struct studio *studio, int which)
{
    return (cJSON *)message_find(preset_of(studio), list_keys[which]);
}

static const cJSON *file_prompts(const struct studio *studio, int which)
{
    return studio_is_editing(studio) ? studio->file_prompts[which] : NULL;
}

static bool is_among(const cJSON *prompts, const char *text)
{
    const cJSON *prompt = NULL;
    cJSON_ArrayForEach(prompt, prompts)
    {
        if (cJSON_IsString(prompt) && strcmp(prompt->valuestring, text) == 0) return true;
    }
    return false;
}

static int own_count(const struct studio *studio, int which)
{
    return cJSON_GetArraySize(own_prompts(studio, which));
}

/* Those that are used: the preset's own and its file's. */
static int ticked_count(const struct studio *studio, int which)
{
    return own_count(studio, which) + cJSON_GetArraySize(file_prompts(studio, which));
}

/* The prompts of a list that the filter lets through. */
struct prompt_list {
    struct prompt {
        const char *text;
        int index; /* among the preset's own, then those of its file, then those that are left out */
    } shown[LIST_ROWS];
    struct list_items items;
};

static uint64_t identity_of_prompt(const void *list, int place)
{
    return list_identity(((const struct prompt_list *)list)->shown[place].text);
}

static void add_prompt(struct prompt_list *list, const cJSON *prompt)
{
    const char *text = cJSON_IsString(prompt) ? prompt->valuestring : "";
    int index = list->items.all++;
    if (list->items.count < LIST_ROWS && list_match(text, list->items.filter))
        list->shown[list->items.count++] = (struct prompt){text, index};
}

static void gather_prompts(const struct studio *studio, int which, struct prompt_list *list)
{
    const cJSON *prompt = NULL;
    list->items =
        (struct list_items){.filter = studio->filter[SCREEN_PROMPTS], .of = list, .identity = identity_of_prompt};
    cJSON_ArrayForEach(prompt, own_prompts(studio, which)) add_prompt(list, prompt);
    cJSON_ArrayForEach(prompt, file_prompts(studio, which)) add_prompt(list, prompt);
    if (!studio_is_editing(studio)) return;
    cJSON_ArrayForEach(prompt, studio->unticked[which])
    {
        bool used = is_among(own_prompts(studio, which), prompt->valuestring) ||
                    is_among(file_prompts(studio, which), prompt->valuestring);
        if (!used) add_prompt(list, prompt);
    }
}

/* The newest picture's reward of this prompt; NaN when there is none. */
static double reward_of(const struct studio *studio, enum picture_kind kind, const char *prompt)
{
    const struct run_picture *newest = NULL;
    for (int i = 0; i < RUN_PICTURES; i++) {
        const struct run_picture *picture = run_picture(studio->run, kind, i);
        if (picture && strcmp(picture->prompt, prompt) == 0 && (!newest || picture->serial > newest->serial))
            newest = picture;
    }
    return newest ? newest->reward : NAN;
}

/* Columns at the right that hold figures: none where no prompt of the list has one. */
static int figure_columns(const struct studio *studio, int which)
{
    if (studio_is_editing(studio) && !run_newest_held_out(studio->run)) return 0;
    return which == 0 ? 9 : 19;
}

static void draw_figures(const struct studio *studio, const struct list_rows *rows, int which, const char *text)
{
    double reward = reward_of(studio, which == 0 ? PICTURE_SAMPLE : PICTURE_EVALUATION, text);
    double base = which == 0 ? NAN : reward_of(studio, PICTURE_BASE, text);
    int figures = figure_columns(studio, which);
    char now[24], change[24];
    if (figures == 0 || isnan(reward)) return;
    list_right(rows, rows->line.columns - figures, 8, STYLE_TEXT, "%s", format_number(now, sizeof now, reward));
    if (isnan(base)) return;
    list_right(rows, rows->line.columns - 10, 10, reward >= base ? STYLE_GOOD : STYLE_BAD, "%s%s",
               reward >= base ? "+" : "", format_number(change, sizeof change, reward - base));
}

static const char *tick(bool ticked)
{
    if (ticked) return "\u2713";
    return style_unicode() ? "\u00b7" : "-";
}

static void draw_prompt(const struct studio *studio, const struct list_rows *rows, int which,
                        const struct prompt *prompt)
{
    bool own = prompt->index < own_count(studio, which), ticked = prompt->index < ticked_count(studio, which);
    bool editing = studio_is_editing(studio);
    int at = editing ? 4 : 2;
    list_cursor(rows, false);
    if (editing) list_text(rows, 2, 1, ticked ? STYLE_GOOD : STYLE_DIM, tick(ticked));
    list_searched(rows, at, rows->line.columns - figure_columns(studio, which) - 1 - at, own ? STYLE_TEXT : STYLE_DIM,
                  prompt->text);
    draw_figures(studio, rows, which, prompt->text);
}

static void draw_heading(const struct studio *studio, const struct list_items *items, struct area area, int which)
{
    static const char *const titles[2] = {"training prompts", "held-out prompts"};
    static const char *const file_keys[2] = {"prompts.train_file", "prompts.eval_file"};
    const cJSON *file = message_find(studio->draft, file_keys[which]);
    bool focused = view_of(studio)->pane == which;
    int ticked = ticked_count(studio, which), figures = figure_columns(studio, which);
    char title[80];
    snprintf(title, sizeof title, ticked < items->all ? "%s (%d of %d)" : "%s (%d)", titles[which], ticked, items->all);
    struct area line = {area.row, area.column, 1, area.columns - figures};
    int used = list_heading(&view_of(studio)->lists[which], items, line, focused, title);
    if (studio_is_editing(studio) && cJSON_IsString(file) && cJSON_GetArraySize(file_prompts(studio, which)) > 0)
        draw_format(area.row, area.column + used + 2, area.columns - figures - used - 2, STYLE_DIM, "of %s",
                    file->valuestring);
    if (figures > 0)
        draw_right(area.row, area.column, area.columns, STYLE_DIM, "%s", which == 0 ? "reward" : "reward  from base");
}

static void draw_list(struct studio *studio, struct area area, int which)
{
    struct prompt_list prompts;
    gather_prompts(studio, which, &prompts);
    struct area body = {area.row + 1, area.column, area.rows - 1, area.columns};
    struct list_rows rows = studio_show_list(studio, &view_of(studio)->lists[which], &prompts.items, body, which,
                                             view_of(studio)->pane == which);
    while (list_next(&rows)) draw_prompt(studio, &rows, which, &prompts.shown[rows.place]);
    draw_heading(studio, &prompts.items, area, which);
    if (prompts.items.count == 0)
        draw_text(body.row, area.column + 2, area.columns - 2, STYLE_DIM,
                  prompts.items.all > 0 ? "No prompt matches. Press Esc to show all."
                                        : "None. Press a to add one, f to load a file.");
}

static void draw(struct studio *studio, struct area body)
{
    if (!preset_of(studio)) {
        draw_notice(body, "No preset is being edited and no run is open.",
                    "Press 1 to choose a preset, then e to see its settings.");
        return;
    }
    if (body.columns >= 110) {
        int half = (body.columns - 3) / 2;
        draw_list(studio, (struct area){body.row, body.column, body.rows - 2, half}, 0);
        draw_list(studio, (struct area){body.row, body.column + half + 3, body.rows - 2, body.columns - half - 3}, 1);
    } else {
        int upper = (body.rows - 1) * 3 / 5;
        draw_list(studio, (struct area){body.row, body.column, upper, body.columns}, 0);
        draw_list(studio, (struct area){body.row + upper + 1, body.column, body.rows - upper - 2, body.columns}, 1);
    }
    if (!studio_is_editing(studio))
        draw_text(body.row + body.rows - 1, body.column, body.columns, STYLE_DIM,
                  "The prompts of a run are fixed. Press N for a new run from this checkpoint.");
    else
        draw_text(body.row + body.rows - 1, body.column, body.columns, STYLE_DIM,
                  "Held-out prompts are never trained on, so they show what was really learnt.");
}

static bool may_change(struct studio *studio)
{
    if (studio_is_editing(studio)) return true;
    studio_say(studio, MESSAGE_INFO, "The prompts of a run are fixed. Press N for a new run from this checkpoint.");
    return false;
}

static cJSON *own_list(struct studio *studio, int which)
{
    cJSON *list = (cJSON *)message_find(studio->draft, list_keys[which]);
    if (cJSON_IsArray(list)) return list;
    message_put(studio->draft, list_keys[which], cJSON_CreateArray());
    return (cJSON *)message_find(studio->draft, list_keys[which]);
}

/* Prompts of a file can be changed once they are the preset's own; the files are named no longer. */
static void take_file_prompts(struct studio *studio)
{
    static const char *const file_keys[2] = {"prompts.train_file", "prompts.eval_file"};
    for (int which = 0; which < 2; which++) {
        if (cJSON_GetArraySize(studio->file_prompts[which]) == 0) continue;
        const cJSON *prompt = NULL;
        cJSON_ArrayForEach(prompt, studio->file_prompts[which])
            cJSON_AddItemToArray(own_list(studio, which), cJSON_CreateString(prompt->valuestring));
        message_put(studio->draft, file_keys[which], cJSON_CreateNull());
        cJSON_Delete(studio->file_prompts[which]);
        studio->file_prompts[which] = NULL;
    }
}

static void append(struct studio *studio, int which, const char *text)
{
    while (*text == ' ') text++;
    if (*text != '\0' && *text != '#') cJSON_AddItemToArray(own_list(studio, which), cJSON_CreateString(text));
}

static void add_one(struct studio *studio, const char *text)
{
    if (text[0] == '\0') return;
    studio_push_undo_draft(studio);
    append(studio, view_of(studio)->pane, text);
    studio_draft_changed(studio);
}

/* The prompt under the cursor; false when there is none. */
static bool find_chosen(struct studio *studio, struct prompt *prompt)
{
    struct prompt_list prompts;
    int pane = view_of(studio)->pane;
    gather_prompts(studio, pane, &prompts);
    int chosen = list_follow(&view_of(studio)->lists[pane], &prompts.items);
    if (chosen >= 0) *prompt = prompts.shown[chosen];
    return chosen >= 0;
}

static void forget_unticked(struct studio *studio, int which, const char *text)
{
    cJSON *unticked = studio->unticked[which];
    for (int i = cJSON_GetArraySize(unticked) - 1; i >= 0; i--)
        if (strcmp(cJSON_GetArrayItem(unticked, i)->valuestring, text) == 0) cJSON_DeleteItemFromArray(unticked, i);
}

static void remember_unticked(struct studio *studio, int which, const char *text)
{
    forget_unticked(studio, which, text);
    if (!studio->unticked[which]) studio->unticked[which] = cJSON_CreateArray();
    cJSON_AddItemToArray(studio->unticked[which], cJSON_CreateString(text));
}

/* What is done to the prompt under the cursor takes it elsewhere; the next one comes under the cursor. */
static void stay_in_place(struct studio *studio)
{
    struct list *list = &view_of(studio)->lists[view_of(studio)->pane];
    list_put(list, list->cursor);
}

static void replace_chosen(struct studio *studio, const char *text)
{
    struct prompt prompt;
    int pane = view_of(studio)->pane;
    if (text[0] == '\0' || !find_chosen(studio, &prompt)) return;
    stay_in_place(studio);
    if (prompt.index >= ticked_count(studio, pane)) {
        forget_unticked(studio, pane, prompt.text);
        remember_unticked(studio, pane, text);
        return;
    }
    studio_push_undo_draft(studio);
    take_file_prompts(studio);
    cJSON_ReplaceItemInArray(own_list(studio, pane), prompt.index, cJSON_CreateString(text));
    studio_draft_changed(studio);
}

/* Takes the prompt under the cursor out of its list, and says whether it was used. The caller owns it; NULL when there
 * is none to change. */
static cJSON *take_chosen(struct studio *studio, bool *ticked)
{
    struct prompt prompt;
    int pane = view_of(studio)->pane;
    if (!find_chosen(studio, &prompt) || !may_change(studio)) return NULL;
    stay_in_place(studio);
    cJSON *taken = cJSON_CreateString(prompt.text);
    *ticked = prompt.index < ticked_count(studio, pane);
    studio_push_undo_draft(studio);
    take_file_prompts(studio);
    forget_unticked(studio, pane, taken->valuestring);
    if (*ticked) cJSON_DeleteItemFromArray(own_list(studio, pane), prompt.index);
    studio_draft_changed(studio);
    return taken;
}

static void remove_chosen(struct studio *studio)
{
    bool ticked;
    cJSON_Delete(take_chosen(studio, &ticked));
}

static void move_chosen(struct studio *studio)
{
    bool ticked;
    cJSON *prompt = take_chosen(studio, &ticked);
    if (prompt) cJSON_AddItemToArray(own_list(studio, !view_of(studio)->pane), prompt);
}

/* What is used is left out but stays in sight, and the other way round. */
static void tick_chosen(struct studio *studio)
{
    bool ticked;
    int pane = view_of(studio)->pane;
    cJSON *prompt = take_chosen(studio, &ticked);
    if (!prompt) return;
    if (ticked) {
        remember_unticked(studio, pane, prompt->valuestring);
        cJSON_Delete(prompt);
    } else {
        cJSON_AddItemToArray(own_list(studio, pane), prompt);
    }
}

static void edit_chosen(struct studio *studio)
{
    struct prompt prompt;
    if (find_chosen(studio, &prompt) && may_change(studio))
        studio_prompt(studio, "Edit the prompt", "Enter saves, Esc cancels.", prompt.text, replace_chosen, NULL);
}

static void load_file(struct studio *studio, const char *path)
{
    FILE *file;
    status opened = input_stream_open(path, &file);
    if (opened.code != STATUS_OK) {
        studio_say(studio, MESSAGE_ERROR, "%s. Press f to try another file.", opened.message);
        return;
    }
    studio_push_undo_draft(studio);
    char *line = NULL;
    size_t capacity = 0;
    int before = cJSON_GetArraySize(own_list(studio, view_of(studio)->pane));
    while (getline(&line, &capacity, file) > 0) {
        line[strcspn(line, "\r\n")] = '\0';
        append(studio, view_of(studio)->pane, line);
    }
    free(line);
    fclose(file);
    studio_say(studio, MESSAGE_INFO, "Added %d prompts. Press u to undo.",
               cJSON_GetArraySize(own_list(studio, view_of(studio)->pane)) - before);
    studio_draft_changed(studio);
}

static bool command(struct studio *studio, enum command_id id, bool coarse)
{
    (void)coarse;
    struct prompt_list prompts;
    int pane = view_of(studio)->pane;
    gather_prompts(studio, pane, &prompts);
    if (list_move(&view_of(studio)->lists[pane], &prompts.items, id)) return true;
    switch (id) {
    case COMMAND_NEXT_PANE:
    case COMMAND_PREVIOUS_PANE: view_of(studio)->pane = !pane; return true;
    case COMMAND_ADD:
        if (may_change(studio))
            studio_prompt(studio, pane == 0 ? "Add a training prompt" : "Add a held-out prompt",
                          "Paste several lines to add each as a prompt.", "", add_one, add_one);
        return true;
    case COMMAND_OPEN: edit_chosen(studio); return true;
    case COMMAND_DELETE: remove_chosen(studio); return true;
    case COMMAND_TOGGLE: tick_chosen(studio); return true;
    case COMMAND_MOVE: move_chosen(studio); return true;
    case COMMAND_LOAD_FILE:
        if (may_change(studio))
            studio_prompt(studio, "Load prompts", "A text file with one prompt per line; # starts a comment.", "",
                          load_file, NULL);
        return true;
    case COMMAND_START:
        if (studio_is_editing(studio)) studio_start(studio, studio->draft, studio->origin.name, "ask");
        return true;
    default: return false;
    }
}

static void click(struct studio *studio, const struct click *click)
{
    struct prompt_list prompts;
    bool at_tick = studio_is_editing(studio) && click->column < 4 && !click->drag;
    gather_prompts(studio, click->pane, &prompts);
    view_of(studio)->pane = click->pane;
    list_click(&view_of(studio)->lists[click->pane], &prompts.items, click->item);
    if (at_tick && click->item < prompts.items.count) tick_chosen(studio);
}

/* Changes are made to a draft alone. */
static bool offers(const struct studio *studio, enum command_id id)
{
    switch (id) {
    case COMMAND_ADD:
    case COMMAND_DELETE:
    case COMMAND_TOGGLE:
    case COMMAND_MOVE:
    case COMMAND_LOAD_FILE:
    case COMMAND_START:
    case COMMAND_OPEN: return studio_is_editing(studio);
    default: return studio_offers(studio, id);
    }
}

static const struct screen_command commands[] = {
    ROW_START,
    ROW_BRANCH,
    {COMMAND_ADD, "add a prompt", "a", "add", "type a prompt; pasted lines are added one by one"},
    {COMMAND_OPEN, "edit the prompt", "Enter e", "edit", "change this prompt"},
    {COMMAND_DELETE, "remove the prompt", "d Delete", "remove", "remove this prompt; u restores it"},
    {COMMAND_TOGGLE, "tick or untick", "Space", "tick", "use this prompt, or keep it in the list unused"},
    {COMMAND_MOVE, "train or held-out", "m", "move", "move this prompt to the other list"},
    {COMMAND_LOAD_FILE, "load a file", "f", "file", "add the prompts of a text file, one per line"},
    ROWS_PANES,
    ROW_FILTER,
};

const struct screen screen_prompts = {
    .name = "Prompts",
    .about = "The model is tuned on the training prompts; held-out prompts are only evaluated, so they show what was "
             "really learnt. Space ticks or unticks, m moves a prompt to the other list, a adds one, f loads a file.",
    .commands = commands,
    .command_count = sizeof commands / sizeof *commands,
    .view_bytes = sizeof(struct prompts_view),
    .draw = draw,
    .command = command,
    .click = click,
    .offers = offers,
};
