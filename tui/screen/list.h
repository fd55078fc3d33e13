/* A list: its cursor follows the item that it is on, and rows that are more than fit get a scroll bar and a count. What
 * a filter has matched is marked in each row. */
#ifndef ALIGNPROP_TUI_SCREEN_LIST_H
#define ALIGNPROP_TUI_SCREEN_LIST_H

#include "tui/commands.h"
#include "tui/screen/area.h"
#include "tui/screen/style.h"

#include <stddef.h>
#include <stdint.h>

/* All zero: at the first item. */
struct list {
    int cursor, top;       /* the places of the item under the cursor and of that in the first row */
    int count, rows;       /* items, and how many of them have room; as shown last */
    bool known;            /* what the cursor is on: */
    uint64_t item, filter; /* the identities of that item and of the filter it was found with */
};

/* What a list shows, made anew for each use. */
struct list_items {
    int count, all;     /* items, and how many they would be without the filter */
    int height;         /* screen rows of an item; 0: one */
    bool plain;         /* the cursor's row has its mark alone, no ground of its own */
    const char *filter; /* NULL or "": none */
    const void *of;     /* handed to `identity` */
    /* Tells the item at that place apart from the others, wherever it stands next time; NULL: places are all there is.
     */
    uint64_t (*identity)(const void *of, int place);
};

/* An identity made of a text, a name or a path. */
uint64_t list_identity(const char *text);
/* Where `filter` occurs in the text, whatever the case; NULL: nowhere. An empty filter is found at the start. */
const char *list_match(const char *text, const char *filter);

/* Finds the cursor's item again; where it is gone the cursor keeps its place, or goes to the first item when another
 * filter has taken it out of sight. Returns the cursor's place, -1 where there are no items. */
int list_follow(struct list *list, const struct list_items *items);
/* Moves the cursor. False when the command moves nothing. */
bool list_move(struct list *list, const struct list_items *items, enum command_id command);
/* The cursor goes to that place, or stays there whatever becomes of its item. */
void list_put(struct list *list, int place);
/* A click on that place; true when the cursor was there already. Beyond the items it does nothing. */
bool list_click(struct list *list, const struct list_items *items, int place);
/* Moves the window by so many items and takes the cursor along, or the cursor alone where all items have room. */
void list_scroll(struct list *list, int items);
/* Whether more items are there than have room, as shown last: the bar stands one column right of the list's area. */
bool list_has_bar(const struct list *list);
/* The place of the item that a click this far down the scroll bar means, `part` from 0 to 1. */
int list_place_at(const struct list *list, double part);

/* The items in sight, one after the other. */
struct list_rows {
    struct area line; /* of the item */
    int place;        /* of the item */
    bool here;        /* the cursor is on it and shown */
    bool selected;    /* likewise, and its ground is the selection's */
    bool plain;
    const char *filter;
    const struct list *list;
    bool focused;
    int next; /* place of the next one */
};

/* Begins to draw a list into the area, and draws its scroll bar. `focused`: the cursor is shown. Then
 * `while (list_next(&rows))` draw the item at rows.place into rows.line. */
struct list_rows list_show(struct list *list, const struct list_items *items, struct area area, bool focused);
bool list_next(struct list_rows *rows);
/* Draws into the item's line, `column` from its left edge, in the selection's style under the cursor; returns the cells
 * used. */
int list_text(const struct list_rows *rows, int column, int width, enum style style, const char *text);
/* Likewise a text that the filter looks through: what it has matched is marked. */
int list_searched(const struct list_rows *rows, int column, int width, enum style style, const char *text);
/* Ends at column + width. */
void list_right(const struct list_rows *rows, int column, int width, enum style style, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
/* The mark of the cursor's row, or `*` for an item that is marked. */
void list_cursor(const struct list_rows *rows, bool marked);

/* "12 of 340" where not all items are in sight, "3 of 12 match" under a filter, else "". Returns `text`. */
const char *list_count(const struct list *list, const struct list_items *items, char *text, size_t size);
/* A title with the list's count after it; returns the cells used. */
int list_heading(const struct list *list, const struct list_items *items, struct area line, bool focused,
                 const char *title);

#endif
