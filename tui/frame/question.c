/* Questions with answers to choose from, and prompts for a line of text. */
#include "tui/frame/internal.h"
#include "tui/screen/text.h"

#include <stdio.h>
#include <string.h>

static struct list_items question_items(const struct studio *studio)
{
    return (struct list_items){.count = studio->question.count, .all = studio->question.count};
}

static void draw_question(struct studio *studio, struct area area)
{
    draw_frame(area, studio->question.title);
    struct area inside = {area.row + 1, area.column + 2, area.rows - 2, area.columns - 4};
    int row = inside.row + draw_wrapped(inside, STYLE_TEXT, studio->question.text) + 1;
    struct list_items items = question_items(studio);
    struct area body = {row, area.column + 1, area.row + area.rows - 1 - row, area.columns - 2};
    struct list_rows rows = list_show(&studio->question.list, &items, body, true);
    while (list_next(&rows)) {
        const struct choice *choice = &studio->question.choices[rows.place];
        const char key[] = {choice->key, '\0'};
        list_text(&rows, 1, 3, STYLE_KEY, key);
        list_text(&rows, 4, body.columns - 5, STYLE_TEXT, choice->label);
    }
}

static void choose(struct studio *studio, int index)
{
    struct choice choice = studio->question.choices[index];
    popup_close(studio);
    if (choice.chosen) choice.chosen(studio, choice.argument);
}

static enum command_id question_movement(const struct input_event *event)
{
    if (event->key == 'k') return COMMAND_UP;
    return event->key == 'j' || event->key == KEY_CODE_TAB ? COMMAND_DOWN : popup_movement(event);
}

static void choose_by_key(struct studio *studio, uint32_t key)
{
    for (int i = 0; i < studio->question.count; i++) {
        if ((uint32_t)studio->question.choices[i].key != key) continue;
        choose(studio, i);
        return;
    }
}

static void question_key(struct studio *studio, const struct input_event *event)
{
    struct list_items items = question_items(studio);
    if (event->key == KEY_CODE_ESCAPE)
        popup_close(studio);
    else if (event->key == KEY_CODE_ENTER || event->key == '\n')
        choose(studio, studio->question.list.cursor);
    else if (!list_move(&studio->question.list, &items, question_movement(event)))
        choose_by_key(studio, event->key);
}

static struct list *question_list(struct studio *studio)
{
    return &studio->question.list;
}

static int question_height(const struct studio *studio, int rows, int width)
{
    (void)rows;
    return wrapped_rows(width - 4, studio->question.text) + studio->question.count + 3;
}

static void question_click(struct studio *studio, struct area area, int row)
{
    const struct list *list = &studio->question.list;
    int place = row - (area.row + area.rows - 1 - list->rows);
    if (place >= 0 && place + list->top < studio->question.count) choose(studio, list->top + place);
}

const struct popup popup_question = {.width = 64,
                                     .height = question_height,
                                     .draw = draw_question,
                                     .key = question_key,
                                     .list = question_list,
                                     .click = question_click};

static void draw_prompt(struct studio *studio, struct area area)
{
    draw_frame(area, studio->prompt.title);
    struct area inside = {area.row + 1, area.column + 2, area.rows - 4, area.columns - 4};
    draw_wrapped(inside, STYLE_DIM, studio->prompt.hint);
    field_draw(&studio->prompt.field, area.row + area.rows - 3, inside.column, inside.columns);
}

/* What was typed is not lost: the prompt opens with it when it is asked for again. */
static void leave_prompt(struct studio *studio)
{
    popup_close(studio);
    if (strcmp(studio->prompt.field.text, studio->prompt.offered) == 0) return;
    snprintf(studio->unfinished.title, sizeof studio->unfinished.title, "%s", studio->prompt.title);
    snprintf(studio->unfinished.offered, sizeof studio->unfinished.offered, "%s", studio->prompt.offered);
    snprintf(studio->unfinished.typed, sizeof studio->unfinished.typed, "%s", studio->prompt.field.text);
    studio_say(studio, MESSAGE_INFO, "Cancelled. Your text is kept.");
}

static void prompt_key(struct studio *studio, const struct input_event *event)
{
    bool enter = event->key == KEY_CODE_ENTER || event->key == '\n';
    if (event->key == KEY_CODE_ESCAPE) {
        leave_prompt(studio);
    } else if (enter && event->kind == INPUT_PASTED) {
        if (!studio->prompt.line) return;
        if (studio->prompt.field.length > 0) studio->prompt.line(studio, studio->prompt.field.text);
        field_set(&studio->prompt.field, "");
    } else if (enter) {
        char text[FIELD_CAPACITY];
        snprintf(text, sizeof text, "%s", studio->prompt.field.text);
        popup_close(studio);
        if (studio->prompt.done) studio->prompt.done(studio, text);
    } else {
        field_key(&studio->prompt.field, event);
    }
}

static int prompt_height(const struct studio *studio, int rows, int width)
{
    (void)rows;
    return wrapped_rows(width - 4, studio->prompt.hint) + 5;
}

const struct popup popup_prompt = {
    .width = 76, .height = prompt_height, .draw = draw_prompt, .key = prompt_key, .leave = leave_prompt};
