/* Draws a picture in character cells by chafa, in as many colours as the terminal has. */
#include "tui/pictures/symbols.h"

#include <chafa.h>

static ChafaCanvasMode mode_of(enum symbol_palette palette)
{
    switch (palette) {
    case SYMBOLS_DIRECT: return CHAFA_CANVAS_MODE_TRUECOLOR;
    case SYMBOLS_256: return CHAFA_CANVAS_MODE_INDEXED_240;
    case SYMBOLS_16: return CHAFA_CANVAS_MODE_INDEXED_16;
    default: return CHAFA_CANVAS_MODE_FGBG;
    }
}

static ChafaCanvas *draw(const struct image *image, int rows, int columns, int cell_width, int cell_height,
                         enum symbol_palette palette, bool unicode)
{
    ChafaSymbolMap *symbols = chafa_symbol_map_new();
    if (!unicode) {
        chafa_symbol_map_add_by_tags(symbols, CHAFA_SYMBOL_TAG_ASCII);
    } else if (palette == SYMBOLS_MONOCHROME) {
        chafa_symbol_map_add_by_tags(symbols, CHAFA_SYMBOL_TAG_BRAILLE | CHAFA_SYMBOL_TAG_SPACE);
    } else {
        chafa_symbol_map_add_by_tags(symbols, CHAFA_SYMBOL_TAG_BLOCK | CHAFA_SYMBOL_TAG_SPACE);
        chafa_symbol_map_remove_by_tags(symbols, CHAFA_SYMBOL_TAG_WIDE);
    }
    ChafaCanvasConfig *config = chafa_canvas_config_new();
    chafa_canvas_config_set_geometry(config, columns, rows);
    chafa_canvas_config_set_cell_geometry(config, cell_width, cell_height);
    chafa_canvas_config_set_canvas_mode(config, mode_of(palette));
    chafa_canvas_config_set_symbol_map(config, symbols);
    chafa_canvas_config_set_pixel_mode(config, CHAFA_PIXEL_MODE_SYMBOLS);
    chafa_canvas_config_set_work_factor(config, 0.5f);
    ChafaCanvas *canvas = chafa_canvas_new(config);
    /* Four bytes a pixel: rows whose length is no multiple of four are distorted by chafa before 1.12.5. */
    size_t count = (size_t)image->width * (size_t)image->height;
    guint8 *pixels = g_try_malloc(count * 4);
    if (pixels) {
        for (size_t i = 0; i < count; i++) {
            for (int channel = 0; channel < 3; channel++)
                pixels[4 * i + (size_t)channel] = image->pixels[3 * i + (size_t)channel];
            pixels[4 * i + 3] = 255;
        }
        chafa_canvas_draw_all_pixels(canvas, CHAFA_PIXEL_RGBA8_UNASSOCIATED, pixels, image->width, image->height,
                                     image->width * 4);
        g_free(pixels);
    }
    chafa_canvas_config_unref(config);
    chafa_symbol_map_unref(symbols);
    return canvas;
}

bool symbols_render(const struct image *image, int rows, int columns, int cell_width, int cell_height,
                    enum symbol_palette palette, bool unicode, struct symbol_cell *cells)
{
    ChafaCanvas *canvas = draw(image, rows, columns, cell_width, cell_height, palette, unicode);
    if (!canvas) return false;
    for (int row = 0; row < rows; row++) {
        for (int column = 0; column < columns; column++) {
            struct symbol_cell *cell = &cells[row * columns + column];
            gunichar character = chafa_canvas_get_char_at(canvas, column, row);
            cell->character = character == 0 ? L' ' : (wchar_t)character;
            chafa_canvas_get_raw_colors_at(canvas, column, row, &cell->foreground, &cell->background);
            if (palette == SYMBOLS_MONOCHROME) cell->foreground = cell->background = -1;
        }
    }
    chafa_canvas_unref(canvas);
    return true;
}

bool symbols_print(const struct image *image, int rows, int columns, int cell_width, int cell_height,
                   enum symbol_palette palette, bool unicode, struct bytes *text)
{
    ChafaCanvas *canvas = draw(image, rows, columns, cell_width, cell_height, palette, unicode);
    if (!canvas) return false;
    ChafaTermInfo *terminal = chafa_term_db_get_fallback_info(chafa_term_db_get_default());
    GString *printed = chafa_canvas_print(canvas, terminal);
    if (printed) {
        bytes_add(text, printed->str, printed->len);
        g_string_free(printed, TRUE);
    }
    chafa_term_info_unref(terminal);
    chafa_canvas_unref(canvas);
    return printed && !text->failed;
}
