/* A cursor in a list that may be longer than its place. */
#ifndef ALIGNPROP_TUI_SCREEN_LIST_H
#define ALIGNPROP_TUI_SCREEN_LIST_H

#include "tui/commands.h"

struct list {
    int cursor, top; /* the item under the cursor, and that of the first row */
};

/* Moves the cursor of a list of `count` items; `page` is how far a page goes. False when the command moves nothing. */
bool list_move(struct list *list, int count, int page, enum command_id command);
/* Keeps the cursor on the list and inside `rows`; returns the first row's item. */
int list_window(struct list *list, int count, int rows);

#endif
