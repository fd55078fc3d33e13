/* Pictures as character cells, for terminals without pixels. */
#ifndef ALIGNPROP_TUI_PICTURES_SYMBOLS_H
#define ALIGNPROP_TUI_PICTURES_SYMBOLS_H

#include "tui/pictures/bytes.h"
#include "tui/pictures/image.h"

#include <wchar.h>

struct symbol_cell {
    wchar_t character;
    int foreground, background; /* palette numbers; -1: the terminal's own */
};

enum symbol_palette { SYMBOLS_MONOCHROME, SYMBOLS_16, SYMBOLS_256, SYMBOLS_DIRECT };

/* Fills rows * columns cells. False when memory is short. */
bool symbols_render(const struct image *image, int rows, int columns, int cell_width, int cell_height,
                    enum symbol_palette palette, bool unicode, struct symbol_cell *cells);
/* The same as a text with its own escape sequences, for output outside the studio. */
bool symbols_print(const struct image *image, int rows, int columns, int cell_width, int cell_height,
                   enum symbol_palette palette, bool unicode, struct bytes *text);

#endif
