/* The table of popups, and what they have in common. */
#include "tui/frame/popup.h"

#include "tui/frame/internal.h"
#include "tui/screen/text.h"

#include <curses.h>

static const struct popup *const kinds[] = {
    [POPUP_HELP] = &popup_help,
    [POPUP_PALETTE] = &popup_palette,
    [POPUP_QUESTION] = &popup_question,
    [POPUP_PROMPT] = &popup_prompt,
};

void popup_draw_count(struct area area, const struct list *list, const struct list_items *items)
{
    char count[40];
    list_count(list, items, count, sizeof count);
    if (count[0] != '\0')
        draw_right(area.row + area.rows - 1, area.column + 2, area.columns - 4, STYLE_DIM, " %s ", count);
}

enum command_id popup_movement(const struct input_event *event)
{
    switch (event->key) {
    case KEY_CODE_UP: return COMMAND_UP;
    case KEY_CODE_DOWN: return COMMAND_DOWN;
    case KEY_CODE_PAGE_UP: return COMMAND_PAGE_UP;
    case KEY_CODE_PAGE_DOWN: return COMMAND_PAGE_DOWN;
    case KEY_CODE_HOME: return COMMAND_FIRST;
    case KEY_CODE_END: return COMMAND_LAST;
    default: return COMMAND_NONE;
    }
}

struct area popup_area(const struct studio *studio, int rows, int columns)
{
    if (studio->popup == POPUP_NONE) return (struct area){0, 0, 0, 0};
    const struct popup *popup = kinds[studio->popup];
    int width = columns - 4 < popup->width ? columns - 4 : popup->width;
    int height = popup->height(studio, rows, width);
    if (height > rows - 3) height = rows - 3;
    return (struct area){(rows - height) / 2, (columns - width) / 2, height, width};
}

void popup_draw(struct studio *studio, struct area area)
{
    if (studio->popup != POPUP_NONE) kinds[studio->popup]->draw(studio, area);
}

void popup_key(struct studio *studio, const struct input_event *event)
{
    if (studio->popup != POPUP_NONE) kinds[studio->popup]->key(studio, event);
}

void popup_close(struct studio *studio)
{
    studio->popup = POPUP_NONE;
    studio->dirty = true;
}

struct list *popup_list(struct studio *studio)
{
    if (studio->popup == POPUP_NONE || !kinds[studio->popup]->list) return NULL;
    return kinds[studio->popup]->list(studio);
}

void popup_click(struct studio *studio, int row, int column)
{
    if (studio->popup == POPUP_NONE) return;
    const struct popup *popup = kinds[studio->popup];
    struct area area = popup_area(studio, LINES, COLS);
    if (area_contains(area, row, column)) {
        if (popup->click) popup->click(studio, area, row);
    } else if (popup->leave) {
        popup->leave(studio);
    } else {
        popup_close(studio);
    }
}
