/* What chafa makes of a picture, as far as all its versions agree: colours of the palette asked for, characters of the
 * kind asked for, and in every cell colours that the picture has there. */
#include "tui/pictures/symbols.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum {
    ROWS = 9,
    COLUMNS = 24,
    CELL_WIDTH = 8,
    CELL_HEIGHT = 16,
    WIDTH = COLUMNS * CELL_WIDTH,
    HEIGHT = ROWS * CELL_HEIGHT
};

/* A red disc, left of the middle and high, on a ground that goes from blue at the left to green at the right. */
static void paint(struct image *image)
{
    unsigned char *pixels = malloc((size_t)WIDTH * HEIGHT * 3);
    assert_non_null(pixels);
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++) {
            unsigned char *pixel = pixels + 3 * (y * WIDTH + x);
            int across = x - WIDTH / 3, down = y - HEIGHT / 3, share = 255 * x / WIDTH;
            pixel[0] = across * across + down * down < 30 * 30 ? 230 : 20;
            pixel[1] = (unsigned char)share;
            pixel[2] = (unsigned char)(255 - share);
        }
    assert_true(image_set(image, WIDTH, HEIGHT, pixels));
    free(pixels);
}

/* Of the 256 colours of XTerm, those that no user changes: a cube of six levels and a row of greys. */
static void color_of(int number, int color[3])
{
    static const int levels[] = {0, 95, 135, 175, 215, 255};
    assert_in_range(number, 16, 255);
    for (int channel = 0; channel < 3; channel++) color[channel] = 8 + 10 * (number - 232);
    if (number >= 232) return;
    color[0] = levels[(number - 16) / 36];
    color[1] = levels[(number - 16) / 6 % 6];
    color[2] = levels[(number - 16) % 6];
}

static bool is_block(wchar_t character)
{
    return character == L' ' || (character >= 0x2580 && character <= 0x259f) ||
           (character >= 0x1fb00 && character <= 0x1fbff);
}

static bool is_braille(wchar_t character)
{
    return character == L' ' || (character >= 0x2800 && character <= 0x28ff);
}

static void render(enum symbol_palette palette, bool unicode, struct symbol_cell *cells)
{
    struct image image = {0};
    paint(&image);
    assert_true(symbols_render(&image, ROWS, COLUMNS, CELL_WIDTH, CELL_HEIGHT, palette, unicode, cells));
    image_free(&image);
}

/* The smallest and largest value of a channel that the picture has in a cell. */
static void range_in_cell(const struct image *image, int row, int column, int channel, int *least, int *most)
{
    *least = 255, *most = 0;
    for (int y = row * CELL_HEIGHT; y < (row + 1) * CELL_HEIGHT; y++)
        for (int x = column * CELL_WIDTH; x < (column + 1) * CELL_WIDTH; x++) {
            int value = image->pixels[3 * (y * WIDTH + x) + channel];
            if (value < *least) *least = value;
            if (value > *most) *most = value;
        }
}

static void cells_have_the_colors_of_the_picture(void **state)
{
    (void)state;
    enum { ROUNDING = 60 }; /* half the largest step of the palette, and what chafa gives away for another channel */
    struct symbol_cell cells[ROWS * COLUMNS];
    struct image image = {0};
    paint(&image);
    render(SYMBOLS_256, true, cells);
    for (int i = 0; i < ROWS * COLUMNS; i++) {
        int foreground[3], background[3];
        assert_true(is_block(cells[i].character));
        color_of(cells[i].foreground, foreground);
        color_of(cells[i].background, background);
        for (int channel = 0; channel < 3; channel++) {
            int least, most;
            range_in_cell(&image, i / COLUMNS, i % COLUMNS, channel, &least, &most);
            assert_in_range(background[channel] + ROUNDING, least, most + 2 * ROUNDING);
            if (cells[i].character == L' ') continue;
            assert_in_range(foreground[channel] + ROUNDING, least, most + 2 * ROUNDING);
        }
    }
    image_free(&image);
}

static void few_colors_are_the_first_sixteen(void **state) /* or the terminal's own */
{
    (void)state;
    struct symbol_cell cells[ROWS * COLUMNS];
    render(SYMBOLS_16, true, cells);
    for (int i = 0; i < ROWS * COLUMNS; i++) {
        assert_true(is_block(cells[i].character));
        assert_in_range(cells[i].background + 1, 0, 16);
        assert_in_range(cells[i].foreground + 1, 0, 16);
    }
}

/* The disc is brighter than its ground: braille dots where it is, few where it is not. */
static void without_colors_there_are_dots(void **state)
{
    (void)state;
    struct symbol_cell cells[ROWS * COLUMNS];
    render(SYMBOLS_MONOCHROME, true, cells);
    int characters = 0;
    for (int i = 0; i < ROWS * COLUMNS; i++) {
        assert_true(is_braille(cells[i].character));
        assert_int_equal(cells[i].foreground, -1);
        assert_int_equal(cells[i].background, -1);
        characters += cells[i].character != L' ' && cells[i].character != 0x2800;
    }
    assert_in_range(characters, 1, ROWS * COLUMNS - 1);
}

static void without_unicode_there_is_ascii(void **state)
{
    (void)state;
    struct symbol_cell cells[ROWS * COLUMNS];
    render(SYMBOLS_256, false, cells);
    for (int i = 0; i < ROWS * COLUMNS; i++) assert_in_range(cells[i].character, 32, 126);
}

static void a_printed_picture_has_its_rows(void **state)
{
    (void)state;
    struct image image = {0};
    struct bytes text = {0};
    paint(&image);
    assert_true(symbols_print(&image, ROWS, COLUMNS, CELL_WIDTH, CELL_HEIGHT, SYMBOLS_DIRECT, true, &text));
    int lines = 1, escapes = 0;
    for (size_t at = 0; at + 1 < text.length; at++) {
        lines += text.data[at] == '\n';
        escapes += text.data[at] == '\033';
    }
    assert_int_equal(lines, ROWS);
    assert_true(escapes >= ROWS);
    bytes_free(&text);
    image_free(&image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cells_have_the_colors_of_the_picture), cmocka_unit_test(few_colors_are_the_first_sixteen),
        cmocka_unit_test(without_colors_there_are_dots),        cmocka_unit_test(without_unicode_there_is_ascii),
        cmocka_unit_test(a_printed_picture_has_its_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
