/* The palette: commands by a few of their letters. */
#include "tui/frame/popup_kinds.h"
#include "tui/screen/text.h"

#include <stdio.h>

enum { PALETTE_CAPACITY = 96, PALETTE_HEAD = 3 /* rows above the first command */ };

/* Commands that fit the palette's pattern, best first. */
static int palette_matches(const struct studio *studio, const struct screen_command *found[], int capacity)
{
    int count = 0, total = 0, scores[128];
    const struct screen_command *all = screen_commands(&total);
    for (int index = 0; index < total; index++) {
        const struct screen_command *command = &all[index];
        if (!(command->screens & (1u << studio->screen))) continue;
        bool movement = command->id >= COMMAND_UP && command->id <= COMMAND_LAST && command->label == NULL;
        bool double_row = false;
        for (int at = 0; at < count; at++) double_row = double_row || found[at]->id == command->id;
        int score = fuzzy_score(studio->palette.field.text, command->name);
        if (movement || double_row || score == 0 || count == capacity) continue;
        int at = count++;
        while (at > 0 && scores[at - 1] < score) {
            scores[at] = scores[at - 1];
            found[at] = found[at - 1];
            at--;
        }
        scores[at] = score;
        found[at] = command;
    }
    return count;
}

static void draw_palette(struct studio *studio, struct area area)
{
    const struct screen_command *found[PALETTE_CAPACITY];
    int count = palette_matches(studio, found, PALETTE_CAPACITY);
    draw_frame(area, "Commands");
    int rows = area.rows - PALETTE_HEAD - 1;
    struct list list = {studio->palette.cursor, 0};
    int first = list_window(&list, count, rows);
    studio->palette.cursor = list.cursor;
    studio->palette.first = first;
    for (int row = 0; row < rows && first + row < count; row++) {
        const struct screen_command *command = found[first + row];
        bool here = first + row == studio->palette.cursor;
        int line = area.row + PALETTE_HEAD + row;
        if (here) draw_fill((struct area){line, area.column + 1, 1, area.columns - 2}, STYLE_SELECTED);
        draw_text(line, area.column + 2, 26, here ? STYLE_SELECTED : STYLE_TEXT, command->name);
        draw_text(line, area.column + 29, area.columns - 42, here ? STYLE_SELECTED : STYLE_DIM, command->help);
        char key[16];
        draw_right(line, area.column + area.columns - 12, 10, here ? STYLE_SELECTED : STYLE_KEY, "%s",
                   command_key_text(command, key, sizeof key));
    }
    if (count == 0)
        draw_text(area.row + PALETTE_HEAD, area.column + 2, area.columns - 4, STYLE_DIM,
                  "no command has these letters");
    draw_text(area.row + 1, area.column + 2, 2, STYLE_ACCENT, ":");
    field_draw(&studio->palette.field, area.row + 1, area.column + 4, area.columns - 6);
}

void popup_open_palette(struct studio *studio)
{
    studio->popup = POPUP_PALETTE;
    studio->palette.cursor = 0;
    field_set(&studio->palette.field, "");
}

static void run_from_palette(struct studio *studio, int index)
{
    const struct screen_command *found[PALETTE_CAPACITY];
    int count = palette_matches(studio, found, PALETTE_CAPACITY);
    popup_close(studio);
    if (index >= 0 && index < count) studio_command(studio, found[index]->id, false);
}

static void palette_key(struct studio *studio, const struct input_event *event)
{
    if (event->key == KEY_CODE_ESCAPE) {
        popup_close(studio);
    } else if (event->key == KEY_CODE_ENTER || event->key == '\n') {
        run_from_palette(studio, studio->palette.cursor);
    } else if (event->key == KEY_CODE_UP) {
        if (studio->palette.cursor > 0) studio->palette.cursor--;
    } else if (event->key == KEY_CODE_DOWN || event->key == KEY_CODE_TAB) {
        studio->palette.cursor++;
    } else if (field_key(&studio->palette.field, event)) {
        studio->palette.cursor = 0;
    }
}

static int palette_height(const struct studio *studio, int rows, int width)
{
    enum { ROWS = 16 };
    (void)studio;
    (void)width;
    return rows - 4 < ROWS ? rows - 4 : ROWS;
}

static void palette_click(struct studio *studio, struct area area, int row)
{
    if (row >= area.row + PALETTE_HEAD && row < area.row + area.rows - 1)
        run_from_palette(studio, studio->palette.first + row - area.row - PALETTE_HEAD);
}

const struct popup popup_palette = {
    .width = 76, .height = palette_height, .draw = draw_palette, .key = palette_key, .click = palette_click};
