/* Text fields. */
#include "tui/screen/field.h"

#include "engine/base/text.h"
#include "tui/screen/text.h"

#include <curses.h>
#include <stdio.h>
#include <string.h>

#define CONTROL(letter) (0x1f & (letter))

void field_set(struct field *field, const char *text)
{
    snprintf(field->text, sizeof field->text, "%s", text);
    field->length = field->cursor = strlen(field->text);
}

/* The bytes of the character at `at` and the cells it is drawn in. */
static size_t character_at(const struct field *field, size_t at, int *cells)
{
    uint32_t code = 0;
    size_t bytes = (size_t)text_decode(field->text + at, &code);
    *cells = text_width_of(field->text + at, bytes);
    return bytes;
}

/* Where the next character begins; what has no cell of its own belongs to the one before it. */
static size_t after(const struct field *field, size_t at)
{
    int cells = 0;
    if (at < field->length) at += character_at(field, at, &cells);
    while (at < field->length) {
        size_t bytes = character_at(field, at, &cells);
        if (cells > 0) break;
        at += bytes;
    }
    return at;
}

static size_t before(const struct field *field, size_t at)
{
    size_t found = 0;
    for (size_t next = 0; next < at; next = after(field, next)) found = next;
    return found;
}

static void insert(struct field *field, uint32_t code)
{
    char bytes[4];
    size_t length = text_write_code_point(code, bytes);
    if (field->length + length >= FIELD_CAPACITY) return;
    memmove(field->text + field->cursor + length, field->text + field->cursor, field->length - field->cursor + 1);
    memcpy(field->text + field->cursor, bytes, length);
    field->length += length;
    field->cursor += length;
}

static void cut(struct field *field, size_t from, size_t to)
{
    memmove(field->text + from, field->text + to, field->length - to + 1);
    field->length -= to - from;
    field->cursor = from;
}

static size_t word_before(const struct field *field)
{
    size_t at = field->cursor;
    while (at > 0 && field->text[at - 1] == ' ') at--;
    while (at > 0 && field->text[at - 1] != ' ') at--;
    return at;
}

static size_t word_after(const struct field *field)
{
    size_t at = field->cursor;
    while (field->text[at] != '\0' && field->text[at] != ' ') at++;
    while (field->text[at] == ' ') at++;
    return at;
}

static bool move_cursor(struct field *field, const struct input_event *event)
{
    bool by_word = event->modifiers & MODIFIER_CONTROL;
    switch (event->key) {
    case KEY_CODE_LEFT: field->cursor = by_word ? word_before(field) : before(field, field->cursor); return true;
    case KEY_CODE_RIGHT: field->cursor = by_word ? word_after(field) : after(field, field->cursor); return true;
    case KEY_CODE_HOME:
    case CONTROL('A'): field->cursor = 0; return true;
    case KEY_CODE_END:
    case CONTROL('E'): field->cursor = field->length; return true;
    default: return false;
    }
}

static bool cut_text(struct field *field, const struct input_event *event)
{
    switch (event->key) {
    case KEY_CODE_BACKSPACE: cut(field, before(field, field->cursor), field->cursor); return true;
    case KEY_CODE_DELETE: cut(field, field->cursor, after(field, field->cursor)); return true;
    case CONTROL('K'): cut(field, field->cursor, field->length); return true;
    case CONTROL('U'): cut(field, 0, field->cursor); return true;
    case CONTROL('W'): cut(field, word_before(field), field->cursor); return true;
    default: return false;
    }
}

bool field_key(struct field *field, const struct input_event *event)
{
    if (event->modifiers & MODIFIER_ALT) return true;
    if (move_cursor(field, event) || cut_text(field, event)) return true;
    bool character = event->key >= ' ' && event->key < KEY_CODE_UP;
    if (character) insert(field, event->key);
    return character;
}

/* The first byte shown, so that the character under the cursor stands inside `width` cells, of which the last is the
 * ellipsis' where the text goes on. */
static size_t first_shown(const struct field *field, int width)
{
    size_t next = after(field, field->cursor), first = 0;
    int under = field->cursor < field->length ? text_width_of(field->text + field->cursor, next - field->cursor) : 1;
    int room = width - under - (next < field->length ? 1 : 0);
    int head = text_width_of(field->text, field->cursor);
    while (head > room && first < field->cursor) {
        next = after(field, first);
        head -= text_width_of(field->text + first, next - first);
        first = next;
    }
    return first;
}

void field_draw(const struct field *field, int row, int column, int width)
{
    size_t first = first_shown(field, width);
    draw_fill((struct area){row, column, 1, width}, STYLE_FIELD);
    draw_text(row, column, width, STYLE_FIELD, field->text + first);
    move(row, column + text_width_of(field->text + first, field->cursor - first));
    curs_set(1);
}
