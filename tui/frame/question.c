/* Questions with answers to choose from, and prompts for a line of text. */
#include "tui/frame/popup_kinds.h"
#include "tui/screen/text.h"

#include <stdio.h>
#include <string.h>

static void draw_question(struct studio *studio, struct area area)
{
    draw_frame(area, studio->question.title);
    struct area inside = {area.row + 1, area.column + 2, area.rows - 2, area.columns - 4};
    int row = inside.row + draw_wrapped(inside, STYLE_TEXT, studio->question.text) + 1;
    for (int index = 0; index < studio->question.count; index++) {
        const struct choice *choice = &studio->question.choices[index];
        bool here = index == studio->question.cursor;
        if (here) draw_fill((struct area){row + index, area.column + 1, 1, area.columns - 2}, STYLE_SELECTED);
        draw_format(row + index, inside.column, 3, here ? STYLE_SELECTED : STYLE_KEY, "%c", choice->key);
        draw_text(row + index, inside.column + 3, inside.columns - 3, here ? STYLE_SELECTED : STYLE_TEXT,
                  choice->label);
    }
}

static void choose(struct studio *studio, int index)
{
    struct choice choice = studio->question.choices[index];
    popup_close(studio);
    if (choice.chosen != NULL) choice.chosen(studio, choice.argument);
}

static void question_key(struct studio *studio, const struct input_event *event)
{
    if (event->key == KEY_CODE_ESCAPE) {
        popup_close(studio);
    } else if (event->key == KEY_CODE_ENTER || event->key == '\n') {
        choose(studio, studio->question.cursor);
    } else if (event->key == KEY_CODE_UP || event->key == 'k') {
        if (studio->question.cursor > 0) studio->question.cursor--;
    } else if (event->key == KEY_CODE_DOWN || event->key == 'j' || event->key == KEY_CODE_TAB) {
        if (studio->question.cursor + 1 < studio->question.count) studio->question.cursor++;
    } else {
        for (int index = 0; index < studio->question.count; index++) {
            if ((uint32_t)studio->question.choices[index].key != event->key) continue;
            choose(studio, index);
            return;
        }
    }
}

static int question_height(const struct studio *studio, int rows, int width)
{
    (void)rows;
    return wrapped_rows(width - 4, studio->question.text) + studio->question.count + 3;
}

static void question_click(struct studio *studio, struct area area, int row)
{
    int choice = row - (area.row + area.rows - 1 - studio->question.count);
    if (choice >= 0 && choice < studio->question.count) choose(studio, choice);
}

const struct popup popup_question = {
    .width = 64, .height = question_height, .draw = draw_question, .key = question_key, .click = question_click};

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
    studio_say(studio, MESSAGE_INFO, "not taken over; what you typed is there when you open it again");
}

static void prompt_key(struct studio *studio, const struct input_event *event)
{
    bool enter = event->key == KEY_CODE_ENTER || event->key == '\n';
    if (event->key == KEY_CODE_ESCAPE) {
        leave_prompt(studio);
    } else if (enter && event->kind == INPUT_PASTED) {
        if (studio->prompt.line == NULL) return;
        if (studio->prompt.field.length > 0) studio->prompt.line(studio, studio->prompt.field.text);
        field_set(&studio->prompt.field, "");
    } else if (enter) {
        char text[FIELD_CAPACITY];
        snprintf(text, sizeof text, "%s", studio->prompt.field.text);
        popup_close(studio);
        if (studio->prompt.done != NULL) studio->prompt.done(studio, text);
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
