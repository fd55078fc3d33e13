/* In place of tui/pictures/symbols.c, for golden screens: a picture's cells as one mark in the mean colour of what they
 * cover. Which characters draw a picture best is chafa's business and differs with its versions (test_symbols.c). */
#include "tui/pictures/symbols.h"

/* Of the palette's cube of six levels a channel. */
static int nearest_color(const unsigned char *pixel)
{
    int level[3];
    for (int channel = 0; channel < 3; channel++) level[channel] = (pixel[channel] * 5 + 127) / 255;
    return 16 + 36 * level[0] + 6 * level[1] + level[2];
}

bool symbols_render(const struct image *image, int rows, int columns, int cell_width, int cell_height,
                    enum symbol_palette palette, bool unicode, struct symbol_cell *cells)
{
    struct image means = {0};
    (void)cell_width;
    (void)cell_height;
    if (!image_scale(image, columns, rows, &means)) return false;
    for (int i = 0; i < rows * columns; i++)
        cells[i] = (struct symbol_cell){
            .character = unicode ? L'\u2592' : L'#',
            .foreground = palette == SYMBOLS_MONOCHROME ? -1 : nearest_color(means.pixels + 3 * i),
            .background = -1,
        };
    image_free(&means);
    return true;
}

/* No screen of the studio prints a picture. */
bool symbols_print(const struct image *image, int rows, int columns, int cell_width, int cell_height,
                   enum symbol_palette palette, bool unicode, struct bytes *text)
{
    (void)image;
    (void)rows;
    (void)columns;
    (void)cell_width;
    (void)cell_height;
    (void)palette;
    (void)unicode;
    (void)text;
    return false;
}
