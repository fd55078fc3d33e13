/* The palette: commands by a few of their letters. */
#include "tui/frame/internal.h"
#include "tui/screen/text.h"

#include <stdio.h>

enum { PALETTE_CAPACITY = 96, PALETTE_HEAD = 3 /* rows above the first command */ };

/* Commands that fit the palette's pattern, best first. */
static int palette_matches(const struct studio *studio, const struct screen_command *found[], int capacity)
{
    int count = 0, total = screen_command_count(studio->screen), scores[PALETTE_CAPACITY];
    for (int i = 0; i < total; i++) {
        const struct screen_command *command = screen_command_at(studio->screen, i);
        bool movement = command->id >= COMMAND_UP && command->id <= COMMAND_LAST && !command->label;
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

static struct list_items palette_items(const struct studio *studio, const struct screen_command *found[])
{
    int count = palette_matches(studio, found, PALETTE_CAPACITY);
    return (struct list_items){.count = count, .all = count};
}

static void draw_command(const struct list_rows *rows, const struct screen_command *command)
{
    enum { NAME = 1, NAME_COLUMNS = 26, HELP = 28, KEY_COLUMNS = 10 };
    int columns = rows->line.columns;
    char key[16];
    list_text(rows, NAME, NAME_COLUMNS, STYLE_TEXT, command->name);
    list_text(rows, HELP, columns - HELP - KEY_COLUMNS - 2, STYLE_DIM, command->help);
    list_right(rows, columns - KEY_COLUMNS - 1, KEY_COLUMNS, STYLE_KEY, "%s",
               command_key_text(command, key, sizeof key));
}

static void draw_palette(struct studio *studio, struct area area)
{
    const struct screen_command *found[PALETTE_CAPACITY];
    struct list_items items = palette_items(studio, found);
    struct list *list = &studio->palette.list;
    struct area body = {area.row + PALETTE_HEAD, area.column + 1, area.rows - PALETTE_HEAD - 1, area.columns - 2};
    draw_frame(area, "Commands");
    struct list_rows rows = list_show(list, &items, body, true);
    while (list_next(&rows)) draw_command(&rows, found[rows.place]);
    popup_draw_count(area, list, &items);
    if (items.count == 0)
        draw_text(body.row, body.column + 1, body.columns - 2, STYLE_DIM, "No command has these letters.");
    draw_text(area.row + 1, area.column + 2, 2, STYLE_ACCENT, ":");
    field_draw(&studio->palette.field, area.row + 1, area.column + 4, area.columns - 6);
}

void popup_open_palette(struct studio *studio)
{
    studio->popup = POPUP_PALETTE;
    studio->palette.list = (struct list){0};
    field_set(&studio->palette.field, "");
}

static void run_from_palette(struct studio *studio, int index)
{
    const struct screen_command *found[PALETTE_CAPACITY];
    int count = palette_matches(studio, found, PALETTE_CAPACITY);
    popup_close(studio);
    if (index >= 0 && index < count) studio_command(studio, found[index]->id, false);
}

static struct list *palette_list(struct studio *studio)
{
    return &studio->palette.list;
}

static void palette_key(struct studio *studio, const struct input_event *event)
{
    const struct screen_command *found[PALETTE_CAPACITY];
    struct list_items items = palette_items(studio, found);
    enum command_id movement = popup_movement(event);
    if (event->key == KEY_CODE_TAB) movement = COMMAND_DOWN;
    if (event->key == KEY_CODE_ESCAPE) {
        popup_close(studio);
    } else if (event->key == KEY_CODE_ENTER || event->key == '\n') {
        run_from_palette(studio, studio->palette.list.cursor);
    } else if (movement != COMMAND_NONE && movement != COMMAND_FIRST && movement != COMMAND_LAST) {
        list_move(&studio->palette.list, &items, movement);
    } else if (field_key(&studio->palette.field, event)) {
        studio->palette.list = (struct list){0}; /* the best match is the first */
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
        run_from_palette(studio, studio->palette.list.top + row - area.row - PALETTE_HEAD);
}

const struct popup popup_palette = {.width = 76,
                                    .height = palette_height,
                                    .draw = draw_palette,
                                    .key = palette_key,
                                    .list = palette_list,
                                    .click = palette_click};
