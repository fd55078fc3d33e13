/* The table of popups, and what they have in common. */
#include "tui/frame/popup.h"

#include "tui/frame/popup_kinds.h"

#include <curses.h>

static const struct popup *const kinds[] = {
    [POPUP_HELP] = &popup_help,
    [POPUP_PALETTE] = &popup_palette,
    [POPUP_QUESTION] = &popup_question,
    [POPUP_PROMPT] = &popup_prompt,
};

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

void popup_click(struct studio *studio, int row, int column)
{
    if (studio->popup == POPUP_NONE) return;
    const struct popup *popup = kinds[studio->popup];
    struct area area = popup_area(studio, LINES, COLS);
    if (area_contains(area, row, column)) {
        if (popup->click != NULL) popup->click(studio, area, row);
    } else if (popup->leave != NULL) {
        popup->leave(studio);
    } else {
        popup_close(studio);
    }
}
