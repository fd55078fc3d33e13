/* What a piece of text means, and how it looks: on dark and light backgrounds, with 256, 16 or no colours. */
#ifndef ALIGNPROP_TUI_SCREEN_STYLE_H
#define ALIGNPROP_TUI_SCREEN_STYLE_H

#include <stdbool.h>

enum style {
    STYLE_TEXT,     /* the terminal's own foreground */
    STYLE_DIM,      /* what is secondary */
    STYLE_LIVE,     /* what is happening now, what matters */
    STYLE_ACCENT,   /* the one colour of the studio */
    STYLE_TITLE,    /* accent, bold */
    STYLE_SELECTED, /* the row under the cursor */
    STYLE_MATCH,    /* what a filter has matched, and in the row under the cursor: */
    STYLE_SELECTED_MATCH,
    STYLE_FRAME, /* lines */
    STYLE_GOOD,
    STYLE_BAD,
    STYLE_WARNING,
    STYLE_KEY,   /* a key in the footer */
    STYLE_FIELD, /* a text being edited */
    STYLE_CURVE_TOTAL,
    STYLE_CURVE_HELD_OUT,
    STYLE_CURVE_1, /* rewards, in turn */
    STYLE_CURVE_2,
    STYLE_CURVE_3,
    STYLE_CURVE_4,
    STYLE_CURVE_5,
    STYLE_CURVE_6,
    STYLE_COUNT
};

/* Makes the styles for the screen that ncurses has open. Call again when the background becomes known. */
void style_setup(bool light, bool colors);
/* The styles follow the text written next on ncurses' standard screen. */
void style_use(enum style style);
/* Gives cells that are written already another style. */
void style_cells(int row, int column, int cells, enum style style);
enum style style_of_reward(int index);
/* True when the locale can write box drawing and braille. */
bool style_unicode(void);
void style_set_unicode(bool unicode);

#endif
