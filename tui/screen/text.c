/* Decodes, measures and draws text cell by cell: wide characters, marks, what must not be drawn. */
#include "tui/screen/text.h"

#include <curses.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

enum { REPLACEMENT = 0xfffd };

int text_decode(const char *text, uint32_t *code)
{
    const unsigned char *bytes = (const unsigned char *)text;
    if (bytes[0] == '\0') return 0;
    if (bytes[0] < 0x80) {
        *code = bytes[0];
        return 1;
    }
    int more = bytes[0] >= 0xf0 && bytes[0] <= 0xf4  ? 3
               : bytes[0] >= 0xe0 && bytes[0] < 0xf0 ? 2
               : bytes[0] >= 0xc2 && bytes[0] < 0xe0 ? 1
                                                     : 0;
    *code = REPLACEMENT;
    if (more == 0) return 1;
    uint32_t value = bytes[0] & (0x3fu >> more);
    for (int i = 1; i <= more; i++) {
        if ((bytes[i] & 0xc0) != 0x80) return i;
        value = value << 6 | (bytes[i] & 0x3fu);
    }
    static const uint32_t least[4] = {0, 0x80, 0x800, 0x10000};
    if (value >= least[more] && value < 0x110000 && (value < 0xd800 || value > 0xdfff)) *code = value;
    return more + 1;
}

bool text_number(const char *text, double *value)
{
    char *end = NULL;
    *value = strtod(text, &end);
    return end != text && end[strspn(end, " \t")] == '\0' && isfinite(*value);
}

/* What would move the cursor, turn the writing direction or join characters beyond their cells is not drawn. */
static bool is_dropped(uint32_t code)
{
    return code == 0xad || (code >= 0x200b && code <= 0x200f) || (code >= 0x202a && code <= 0x202e) ||
           (code >= 0x2060 && code <= 0x206f) || (code >= 0xfe00 && code <= 0xfe0f) || code == 0xfeff ||
           (code >= 0xe0000 && code <= 0xe0fff) || (code >= 0x1f3fb && code <= 0x1f3ff);
}

static uint32_t plain_form(uint32_t code)
{
    static const struct {
        uint32_t code;
        char plain;
    } forms[] = {{0x2026, '.'}, {0x2500, '-'}, {0x2501, '='}, {0x2502, '|'}, {0x256d, '+'}, {0x256e, '+'},
                 {0x256f, '+'}, {0x2570, '+'}, {0x25b8, '>'}, {0x25b2, '^'}, {0x25bc, 'v'}, {0x25cf, 'o'},
                 {0x00b7, '-'}, {0x2192, '>'}, {0x2190, '<'}, {0x2191, '^'}, {0x2193, 'v'}, {0x2588, '#'},
                 {0x25c6, '*'}, {0x2713, '+'}, {0x00d7, 'x'}, {0x2578, '='}, {0x2508, '.'}, {0x2591, '.'},
                 {0x0394, 'd'}, {0x201c, '"'}, {0x201d, '"'}, {0x2237, ':'}};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        if (forms[i].code == code) return (uint32_t)forms[i].plain;
    return code < 0x7f ? code : '?';
}

/* The character as it is drawn and its cells: 0 for a combining one, -1 for one that is left out. */
static int drawn_width(uint32_t *code)
{
    if (is_dropped(*code)) return -1;
    if (*code == '\t' || *code == '\n') *code = ' ';
    if (*code < 32 || (*code >= 127 && *code < 160)) *code = style_unicode() ? REPLACEMENT : '?';
    if (!style_unicode()) {
        *code = plain_form(*code);
        return 1;
    }
    int width = wcwidth((wchar_t)*code);
    if (width >= 0) return width;
    *code = REPLACEMENT;
    return 1;
}

int text_width_of(const char *text, size_t length)
{
    int width = 0, taken = 0;
    uint32_t code = 0;
    for (const char *at = text; at < text + length && (taken = text_decode(at, &code)) > 0; at += taken) {
        int cells = drawn_width(&code);
        if (cells > 0) width += cells;
    }
    return width;
}

int text_width(const char *text)
{
    return text_width_of(text, strlen(text));
}

static void put_cell(int row, int column, const wchar_t *characters)
{
    attr_t attributes = 0;
    short pair = 0;
    int wide_pair = 0;
    wattr_get(stdscr, &attributes, &pair, &wide_pair);
    cchar_t cell;
    if (setcchar(&cell, characters, attributes, 0, &wide_pair) == OK) mvadd_wch(row, column, &cell);
}

int draw_text(int row, int column, int width, enum style style, const char *text)
{
    if (row < 0 || row >= LINES || column < 0 || width <= 0) return 0;
    if (column + width > COLS) width = COLS - column;
    if (width <= 0) return 0;
    style_use(style);
    bool cut = text_width(text) > width;
    int limit = cut ? width - 1 : width, used = 0, length = 0;
    wchar_t cluster[5] = {0};
    int cluster_length = 0, cluster_column = column;
    uint32_t code = 0;
    while ((length = text_decode(text, &code)) > 0) {
        text += length;
        int cells = drawn_width(&code);
        if (cells < 0) continue;
        if (cells == 0) {
            if (cluster_length > 0 && cluster_length < 4) {
                cluster[cluster_length++] = (wchar_t)code;
                cluster[cluster_length] = L'\0';
                put_cell(row, cluster_column, cluster);
            }
            continue;
        }
        if (used + cells > limit) break;
        cluster[0] = (wchar_t)code;
        cluster[1] = L'\0';
        cluster_length = 1;
        cluster_column = column + used;
        put_cell(row, cluster_column, cluster);
        used += cells;
    }
    if (cut) {
        put_cell(row, column + used, style_unicode() ? L"\u2026" : L".");
        used++;
    }
    return used;
}

int draw_format(int row, int column, int width, enum style style, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return draw_text(row, column, width, style, text);
}

void draw_right(int row, int column, int width, enum style style, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    int cells = text_width(text);
    int skip = cells < width ? width - cells : 0;
    draw_text(row, column + skip, width - skip, style, text);
}

void draw_center(int row, int column, int width, enum style style, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    int cells = text_width(text);
    int skip = cells < width ? (width - cells) / 2 : 0;
    draw_text(row, column + skip, width - skip, style, text);
}

/* The bytes of the first line of `text` at this width; `next` is where the following line starts. */
static size_t line_length(const char *text, int width, const char **next)
{
    const char *at = text, *space = NULL;
    int used = 0, length = 0;
    uint32_t code = 0;
    while ((length = text_decode(at, &code)) > 0) {
        if (code == '\n') {
            *next = at + 1;
            return (size_t)(at - text);
        }
        if (code == ' ') space = at;
        int cells = drawn_width(&code);
        if (cells > 0) used += cells;
        if (used > width) {
            const char *end = space && space > text ? space : at > text ? at : at + length;
            *next = end;
            while (**next == ' ') (*next)++;
            return (size_t)(end - text);
        }
        at += length;
    }
    *next = at;
    return (size_t)(at - text);
}

int draw_wrapped(struct area area, enum style style, const char *text)
{
    int row = 0;
    while (*text != '\0' && row < area.rows && area.columns > 0) {
        const char *next = NULL;
        char line[1024];
        size_t length = line_length(text, area.columns, &next);
        snprintf(line, sizeof line, "%.*s", (int)length, text);
        draw_text(area.row + row, area.column, area.columns, style, line);
        text = next;
        row++;
    }
    return row;
}

void draw_notice(struct area area, const char *text, const char *hint)
{
    int row = area.row + area.rows / 3;
    draw_center(row, area.column, area.columns, STYLE_TEXT, "%s", text);
    draw_center(row + 2, area.column, area.columns, STYLE_DIM, "%s", hint);
}

int wrapped_rows(int width, const char *text)
{
    int rows = 0;
    while (*text != '\0' && width > 0) {
        const char *next = NULL;
        line_length(text, width, &next);
        text = next;
        rows++;
    }
    return rows;
}

static void repeat(int row, int column, int count, const wchar_t *character)
{
    for (int i = 0; i < count && column + i < COLS; i++) put_cell(row, column + i, character);
}

void draw_line(int row, int column, int width, enum style style)
{
    if (row < 0 || row >= LINES) return;
    style_use(style);
    repeat(row, column, width, style_unicode() ? L"\u2500" : L"-");
}

void draw_column_line(int row, int column, int rows, enum style style)
{
    style_use(style);
    for (int i = 0; i < rows; i++) put_cell(row + i, column, style_unicode() ? L"\u2502" : L"|");
}

void draw_fill(struct area area, enum style style)
{
    style_use(style);
    for (int row = 0; row < area.rows; row++) repeat(area.row + row, area.column, area.columns, L" ");
}

void draw_frame(struct area area, const char *title)
{
    if (area.rows < 2 || area.columns < 2) return;
    draw_fill(area, STYLE_TEXT);
    bool unicode = style_unicode();
    int bottom = area.row + area.rows - 1, right = area.column + area.columns - 1;
    draw_line(area.row, area.column, area.columns, STYLE_FRAME);
    draw_line(bottom, area.column, area.columns, STYLE_FRAME);
    draw_column_line(area.row, area.column, area.rows, STYLE_FRAME);
    draw_column_line(area.row, right, area.rows, STYLE_FRAME);
    put_cell(area.row, area.column, unicode ? L"\u256d" : L"+");
    put_cell(area.row, right, unicode ? L"\u256e" : L"+");
    put_cell(bottom, area.column, unicode ? L"\u2570" : L"+");
    put_cell(bottom, right, unicode ? L"\u256f" : L"+");
    if (title) draw_format(area.row, area.column + 2, area.columns - 4, STYLE_TITLE, " %s ", title);
}

void draw_bar(int row, int column, int width, double part, enum style style)
{
    if (width <= 0 || row < 0 || row >= LINES) return;
    if (!(part > 0)) part = 0;
    if (part > 1) part = 1;
    int halves = (int)lround(part * width * 2);
    bool unicode = style_unicode();
    style_use(style);
    repeat(row, column, halves / 2, unicode ? L"\u2501" : L"=");
    if (halves % 2) put_cell(row, column + halves / 2, unicode ? L"\u2578" : L"-");
    int used = (halves + 1) / 2;
    style_use(STYLE_FRAME);
    repeat(row, column + used, width - used, unicode ? L"\u2500" : L".");
}
