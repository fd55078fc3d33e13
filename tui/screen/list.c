/* Lists: the cursor, the window over the items, the scroll bar, the count and the marks of a filter. */
#include "tui/screen/list.h"

#include "engine/base/range.h"
#include "tui/screen/text.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

uint64_t list_identity(const char *text)
{
    uint64_t hash = 0xcbf29ce484222325; /* FNV-1a, 64 bits */
    for (const char *at = text; *at != '\0'; at++) hash = (hash ^ (unsigned char)*at) * 0x100000001b3;
    return hash;
}

const char *list_match(const char *text, const char *filter)
{
    return strcasestr(text, filter);
}

static bool is_filtered(const struct list_items *items)
{
    return items->filter && items->filter[0] != '\0';
}

/* The place of the cursor's item, nearest to where it was when several are alike; -1 when it is gone. */
static int find_item(const struct list *list, const struct list_items *items)
{
    for (int distance = 0; distance < list->cursor + items->count; distance++) {
        const int sides[2] = {list->cursor - distance, list->cursor + distance};
        for (int i = 0; i < 2; i++)
            if (sides[i] >= 0 && sides[i] < items->count && items->identity(items->of, sides[i]) == list->item)
                return sides[i];
    }
    return -1;
}

int list_follow(struct list *list, const struct list_items *items)
{
    if (items->count == 0) return -1; /* the item may come back */
    uint64_t filter = list_identity(items->filter ? items->filter : "");
    if (items->identity && list->known) {
        int found = find_item(list, items);
        if (found < 0) found = filter != list->filter ? 0 : list->cursor;
        list->cursor = found;
    }
    list->cursor = clamp_int(list->cursor, 0, items->count - 1);
    list->filter = filter;
    list->known = items->identity;
    if (list->known) list->item = items->identity(items->of, list->cursor);
    return list->cursor;
}

void list_put(struct list *list, int place)
{
    list->cursor = place;
    list->known = false;
}

bool list_move(struct list *list, const struct list_items *items, enum command_id command)
{
    list_follow(list, items);
    int page = max_int(list->rows - 1, 1), last = max_int(items->count - 1, 0), place = list->cursor;
    switch (command) {
    case COMMAND_UP: place--; break;
    case COMMAND_DOWN: place++; break;
    case COMMAND_PAGE_UP: place -= page; break;
    case COMMAND_PAGE_DOWN: place += page; break;
    case COMMAND_FIRST: place = 0; break;
    case COMMAND_LAST: place = last; break;
    default: return false;
    }
    if (items->count > 0) list_put(list, clamp_int(place, 0, last));
    list_follow(list, items);
    return true;
}

bool list_click(struct list *list, const struct list_items *items, int place)
{
    if (place < 0 || place >= items->count) return false;
    bool again = list_follow(list, items) == place;
    list_put(list, place);
    list_follow(list, items);
    return again;
}

bool list_has_bar(const struct list *list)
{
    return list->count > list->rows;
}

void list_scroll(struct list *list, int items)
{
    if (!list_has_bar(list)) {
        list_put(list, clamp_int(list->cursor + (items > 0 ? 1 : -1), 0, max_int(list->count - 1, 0)));
        return;
    }
    list->top = clamp_int(list->top + items, 0, list->count - list->rows);
    list_put(list, clamp_int(list->cursor, list->top, list->top + list->rows - 1));
}

int list_place_at(const struct list *list, double part)
{
    int last = max_int(list->count - 1, 0);
    return clamp_int((int)lround(part * last), 0, last);
}

/* The window holds the cursor and no empty rows that items could fill. */
static void place_window(struct list *list)
{
    int last_top = max_int(list->count - list->rows, 0);
    list->top = clamp_int(list->top, list->cursor - list->rows + 1, list->cursor);
    list->top = clamp_int(list->top, 0, last_top);
}

/* The knob touches an end of its track only where the list does. */
static void draw_scroll_bar(const struct list *list, int row, int column, int rows)
{
    int knob = clamp_int(rows * list->rows / list->count, 1, rows), room = rows - knob,
        hidden = list->count - list->rows;
    int at = room * list->top / hidden;
    if (list->top > 0 && at == 0) at = room > 1;
    if (list->top < hidden && at == room) at = room > 1 ? room - 1 : 0;
    draw_column_line(row, column, rows, STYLE_FRAME);
    for (int i = 0; i < knob; i++) draw_text(row + at + i, column, 1, STYLE_ACCENT, style_unicode() ? "\u2503" : "#");
}

struct list_rows list_show(struct list *list, const struct list_items *items, struct area area, bool focused)
{
    int height = items->height > 0 ? items->height : 1;
    list_follow(list, items);
    list->count = items->count;
    list->rows = area.rows > 0 ? area.rows / height : 0;
    if (list->rows > 0) place_window(list);
    if (list->rows > 0 && list_has_bar(list)) draw_scroll_bar(list, area.row, area.column + area.columns, area.rows);
    return (struct list_rows){.line = {area.row - height, area.column, height, area.columns},
                              .filter = is_filtered(items) ? items->filter : NULL,
                              .list = list,
                              .plain = items->plain,
                              .focused = focused,
                              .next = list->top};
}

bool list_next(struct list_rows *rows)
{
    if (rows->next >= rows->list->count || rows->next - rows->list->top >= rows->list->rows) return false;
    rows->place = rows->next++;
    rows->line.row += rows->line.rows;
    rows->here = rows->focused && rows->place == rows->list->cursor;
    rows->selected = rows->here && !rows->plain;
    if (rows->selected) draw_fill(rows->line, STYLE_SELECTED);
    return true;
}

static enum style style_here(const struct list_rows *rows, enum style style)
{
    return rows->selected ? STYLE_SELECTED : style;
}

/* Marks what the filter has matched in a text that stands `used` cells wide on screen. */
static void mark_matches(const struct list_rows *rows, int column, int used, const char *text)
{
    size_t length = strlen(rows->filter);
    for (const char *at = list_match(text, rows->filter); at; at = list_match(at + length, rows->filter)) {
        int before = text_width_of(text, (size_t)(at - text)), cells = text_width_of(at, length);
        if (before >= used) return;
        style_cells(rows->line.row, column + before, before + cells > used ? used - before : cells,
                    rows->selected ? STYLE_SELECTED_MATCH : STYLE_MATCH);
    }
}

int list_text(const struct list_rows *rows, int column, int width, enum style style, const char *text)
{
    return draw_text(rows->line.row, rows->line.column + column, width, style_here(rows, style), text);
}

int list_searched(const struct list_rows *rows, int column, int width, enum style style, const char *text)
{
    int used = list_text(rows, column, width, style, text);
    if (rows->filter) mark_matches(rows, rows->line.column + column, used, text);
    return used;
}

void list_right(const struct list_rows *rows, int column, int width, enum style style, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    draw_right(rows->line.row, rows->line.column + column, width, style_here(rows, style), "%s", text);
}

void list_cursor(const struct list_rows *rows, bool marked)
{
    list_text(rows, 0, 2, STYLE_ACCENT, marked ? "*" : rows->here ? "\u25b8" : " ");
}

const char *list_count(const struct list *list, const struct list_items *items, char *text, size_t size)
{
    text[0] = '\0';
    if (is_filtered(items))
        snprintf(text, size, "%d of %d match", items->count, items->all);
    else if (list_has_bar(list))
        snprintf(text, size, "%d of %d", list->cursor + 1, items->count);
    return text;
}

int list_heading(const struct list *list, const struct list_items *items, struct area line, bool focused,
                 const char *title)
{
    char count[40];
    int used = draw_text(line.row, line.column, line.columns, focused ? STYLE_TITLE : STYLE_LIVE, title);
    list_count(list, items, count, sizeof count);
    if (count[0] == '\0' || used + 2 >= line.columns) return used;
    return used + 2 + draw_text(line.row, line.column + used + 2, line.columns - used - 2, STYLE_DIM, count);
}
