#include "tui/screen/field.h"
#include "tui/screen/text.h"

#include <curses.h>
#include <stdio.h>
#include <string.h>

void field_set(struct field *field, const char *text)
{
    snprintf(field->text, sizeof field->text, "%s", text);
    field->length = field->cursor = strlen(field->text);
}

static size_t before(const struct field *field, size_t at)
{
    if (at == 0) return 0;
    at--;
    while (at > 0 && ((unsigned char)field->text[at] & 0xc0) == 0x80) at--;
    return at;
}

static size_t after(const struct field *field, size_t at)
{
    if (at >= field->length) return field->length;
    at++;
    while (at < field->length && ((unsigned char)field->text[at] & 0xc0) == 0x80) at++;
    return at;
}

static void insert(struct field *field, uint32_t code)
{
    char bytes[4];
    size_t length = (size_t)text_encode(code, bytes);
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

static size_t word_start(const struct field *field)
{
    size_t at = field->cursor;
    while (at > 0 && field->text[at - 1] == ' ') at--;
    while (at > 0 && field->text[at - 1] != ' ') at--;
    return at;
}

bool field_key(struct field *field, const struct input_event *event)
{
    if (event->modifiers & MODIFIER_ALT) return true;
    switch (event->key) {
    case KEY_CODE_LEFT: field->cursor = before(field, field->cursor); return true;
    case KEY_CODE_RIGHT: field->cursor = after(field, field->cursor); return true;
    case KEY_CODE_HOME:
    case 1: field->cursor = 0; return true;
    case KEY_CODE_END:
    case 5: field->cursor = field->length; return true;
    case KEY_CODE_BACKSPACE: cut(field, before(field, field->cursor), field->cursor); return true;
    case KEY_CODE_DELETE: cut(field, field->cursor, after(field, field->cursor)); return true;
    case 11: cut(field, field->cursor, field->length); return true;
    case 21: cut(field, 0, field->cursor); return true;
    case 23: cut(field, word_start(field), field->cursor); return true;
    default: break;
    }
    if (event->key >= 32 && event->key < 0x110000 && event->key != 127) {
        insert(field, event->key);
        return true;
    }
    return false;
}

void field_draw(const struct field *field, int row, int column, int width)
{
    draw_fill((struct area){row, column, 1, width}, STYLE_FIELD);
    char head[FIELD_CAPACITY];
    memcpy(head, field->text, field->cursor);
    head[field->cursor] = 0;
    int before_cursor = text_width(head), skip = 0;
    const char *start = field->text;
    while (before_cursor - skip >= width) {
        uint32_t code = 0;
        int length = text_decode(start, &code);
        if (length == 0) break;
        char one[5] = {0};
        memcpy(one, start, (size_t)length);
        skip += text_width(one);
        start += length;
    }
    draw_text(row, column, width, STYLE_FIELD, start);
    move(row, column + before_cursor - skip);
    curs_set(1);
}
