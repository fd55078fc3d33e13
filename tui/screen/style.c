/* Sets up ncurses' colour pairs for what each style means on this terminal. */
#include "tui/screen/style.h"

#include <curses.h>

struct look {
    short dark, light;                 /* colour of 256 on a dark and on a light ground; -1: the terminal's own */
    short sixteen_dark, sixteen_light; /* likewise of the first sixteen, whose green, yellow and cyan vanish on white */
    short dark_back, light_back;
    attr_t attributes, plain; /* with and without colours */
};

static const struct look looks[STYLE_COUNT] = {
    [STYLE_TEXT] = {-1, -1, -1, -1, -1, -1, A_NORMAL, A_NORMAL},
    [STYLE_DIM] = {245, 243, 8, 8, -1, -1, A_NORMAL, A_DIM},
    [STYLE_LIVE] = {-1, -1, -1, -1, -1, -1, A_BOLD, A_BOLD},
    [STYLE_ACCENT] = {80, 30, 6, 4, -1, -1, A_NORMAL, A_NORMAL},
    [STYLE_TITLE] = {80, 30, 6, 4, -1, -1, A_BOLD, A_BOLD},
    [STYLE_SELECTED] = {231, 16, 6, -1, 237, 253, A_BOLD, A_REVERSE},
    [STYLE_MATCH] = {80, 30, 6, 4, -1, -1, A_BOLD | A_UNDERLINE, A_BOLD | A_UNDERLINE},
    [STYLE_SELECTED_MATCH] = {80, 30, 6, -1, 237, 253, A_BOLD | A_UNDERLINE, A_REVERSE | A_UNDERLINE},
    [STYLE_FRAME] = {239, 250, 8, 8, -1, -1, A_NORMAL, A_DIM},
    [STYLE_GOOD] = {114, 28, 2, 4, -1, -1, A_NORMAL, A_NORMAL},
    [STYLE_BAD] = {210, 124, 9, 1, -1, -1, A_BOLD, A_BOLD},
    [STYLE_WARNING] = {221, 130, 3, 5, -1, -1, A_NORMAL, A_BOLD},
    [STYLE_KEY] = {80, 30, 6, 4, -1, -1, A_BOLD, A_BOLD},
    [STYLE_FIELD] = {231, 16, -1, -1, 236, 254, A_NORMAL, A_UNDERLINE},
    [STYLE_CURVE_TOTAL] = {80, 30, 6, 4, -1, -1, A_NORMAL, A_NORMAL},
    [STYLE_CURVE_HELD_OUT] = {215, 166, 3, 1, -1, -1, A_NORMAL, A_BOLD},
    [STYLE_CURVE_1] = {111, 25, 12, 4, -1, -1, A_NORMAL, A_NORMAL},
    [STYLE_CURVE_2] = {176, 90, 5, 5, -1, -1, A_NORMAL, A_NORMAL},
    [STYLE_CURVE_3] = {150, 64, 2, 8, -1, -1, A_NORMAL, A_NORMAL},
    [STYLE_CURVE_4] = {222, 136, 3, 1, -1, -1, A_NORMAL, A_NORMAL},
    [STYLE_CURVE_5] = {174, 131, 9, -1, -1, -1, A_NORMAL, A_NORMAL},
    [STYLE_CURVE_6] = {152, 66, 14, 5, -1, -1, A_NORMAL, A_NORMAL},
};

/* ncurses' screen is one for the program, and so are its colours. */
static struct {
    attr_t attributes;
    int pair;
} made[STYLE_COUNT];
static bool unicode = true;

static int pair_of(const struct look *look, bool light)
{
    if (COLORS >= 256) {
        int front = light ? look->light : look->dark, back = light ? look->light_back : look->dark_back;
        return front < 0 && back < 0 ? 0 : alloc_pair(front, back);
    }
    int front = light ? look->sixteen_light : look->sixteen_dark;
    if (front >= 8 && COLORS < 16) front = front == 8 ? -1 : front - 8;
    return front < 0 ? 0 : alloc_pair(front, -1);
}

void style_setup(bool light, bool colors)
{
    for (int style = 0; style < STYLE_COUNT; style++) {
        const struct look *look = &looks[style];
        bool colored = colors && has_colors();
        made[style].attributes = colored ? look->attributes : look->plain;
        made[style].pair = colored ? pair_of(look, light) : 0;
        if (made[style].pair < 0) made[style].pair = 0;
        bool needs_ground = look->dark_back >= 0 && colored && COLORS < 256;
        if (needs_ground)
            made[style].attributes = style == STYLE_FIELD ? A_UNDERLINE : A_REVERSE | (look->attributes & A_UNDERLINE);
        if (style == STYLE_DIM && colored && COLORS < 16) made[style].attributes = A_DIM;
    }
}

void style_use(enum style style)
{
    int pair = made[style].pair;
    wattr_set(stdscr, made[style].attributes, (short)0, &pair);
}

void style_cells(int row, int column, int cells, enum style style)
{
    int pair = made[style].pair;
    mvchgat(row, column, cells, made[style].attributes, (short)0, &pair);
}

enum style style_of_reward(int index)
{
    return (enum style)(STYLE_CURVE_1 + index % 6);
}

bool style_unicode(void)
{
    return unicode;
}

void style_set_unicode(bool value)
{
    unicode = value;
}
