/* Lists: the cursor and the window over it. */
#include "tui/screen/list.h"

bool list_move(struct list *list, int count, int page, enum command_id command)
{
    switch (command) {
    case COMMAND_UP: list->cursor--; break;
    case COMMAND_DOWN: list->cursor++; break;
    case COMMAND_PAGE_UP: list->cursor -= page; break;
    case COMMAND_PAGE_DOWN: list->cursor += page; break;
    case COMMAND_FIRST: list->cursor = 0; break;
    case COMMAND_LAST: list->cursor = count - 1; break;
    default: return false;
    }
    if (list->cursor >= count) list->cursor = count - 1;
    if (list->cursor < 0) list->cursor = 0;
    return true;
}

int list_window(struct list *list, int count, int rows)
{
    if (list->cursor >= count) list->cursor = count - 1;
    if (list->cursor < 0) list->cursor = 0;
    if (list->top > list->cursor) list->top = list->cursor;
    if (rows > 0 && list->cursor >= list->top + rows) list->top = list->cursor - rows + 1;
    if (list->top > count - rows) list->top = count - rows;
    if (list->top < 0) list->top = 0;
    return list->top;
}
