/* A line of text being edited. */
#ifndef ALIGNPROP_TUI_SCREEN_FIELD_H
#define ALIGNPROP_TUI_SCREEN_FIELD_H

#include "tui/screen/area.h"
#include "tui/terminal/input.h"

#include <stddef.h>

enum { FIELD_CAPACITY = 4096 };

struct field {
    char text[FIELD_CAPACITY]; /* UTF-8 */
    size_t length, cursor;     /* bytes; the cursor stands before the byte */
};

void field_set(struct field *field, const char *text);
/* Takes a key (or a pasted character) in; false when it is none of the field's: Enter, Esc, Tab, Up, Down. */
bool field_key(struct field *field, const struct input_event *event);
/* Draws it with the cursor visible, scrolled as needed. */
void field_draw(const struct field *field, int row, int column, int width);

#endif
