/* Text on ncurses' standard screen, cut to its place. Whatever the text holds, no control byte reaches the terminal and
 * nothing is written beyond the width. */
#ifndef ALIGNPROP_TUI_SCREEN_TEXT_H
#define ALIGNPROP_TUI_SCREEN_TEXT_H

#include "tui/screen/area.h"
#include "tui/screen/style.h"

#include <stddef.h>
#include <stdint.h>

/* Decodes one UTF-8 character of `text` into `code` (U+FFFD for a broken one); returns the bytes taken, 0 at the end.
 */
int text_decode(const char *text, uint32_t *code);
int text_encode(uint32_t code, char bytes[4]);
/* Reads a finite number with nothing but blanks around it; false for anything else. */
bool text_number(const char *text, double *value);
/* Cells that the text takes as drawn. */
int text_width(const char *text);
/* Of its first `length` bytes. */
int text_width_of(const char *text, size_t length);
/* Draws at most `width` cells, with an ellipsis when cut; returns the cells used. */
int draw_text(int row, int column, int width, enum style style, const char *text);
int draw_format(int row, int column, int width, enum style style, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
/* Ends at column + width. */
void draw_right(int row, int column, int width, enum style style, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
void draw_center(int row, int column, int width, enum style style, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
/* Draws `text` wrapped at spaces into the area; returns the rows used. */
int draw_wrapped(struct area area, enum style style, const char *text);
/* Two centred lines in an otherwise empty area: what is missing, and which key brings it. */
void draw_notice(struct area area, const char *text, const char *hint);
/* The rows that draw_wrapped needs at this width. */
int wrapped_rows(int width, const char *text);
void draw_line(int row, int column, int width, enum style style);
void draw_column_line(int row, int column, int rows, enum style style);
void draw_fill(struct area area, enum style style);
/* A frame with a title in its upper edge (may be NULL); the inside is cleared. */
void draw_frame(struct area area, const char *title);
/* A bar of `width` cells, `part` of it (0..1) filled. */
void draw_bar(int row, int column, int width, double part, enum style style);

#endif
