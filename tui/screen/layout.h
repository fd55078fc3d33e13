/* Where everything of the tune screen stands: a pure function of the screen's size and of how much there is to show. */
#ifndef ALIGNPROP_TUI_SCREEN_LAYOUT_H
#define ALIGNPROP_TUI_SCREEN_LAYOUT_H

#include "tui/screen/area.h"

enum { LAYOUT_PICTURES = 4, LEAST_ROWS = 24, LEAST_COLUMNS = 80 };

/* What every screen has. */
struct frame_layout {
    bool too_small;
    struct area title, body, message, footer;
};

struct frame_layout layout_frame(int rows, int columns);

struct tune_layout {
    int picture_count;                     /* 1 or 4 (base above tuned of two prompts) */
    struct area pictures[LAYOUT_PICTURES]; /* cells for the picture itself */
    struct area captions[LAYOUT_PICTURES]; /* one row below each */
    struct area progress;                  /* one row: what the engine does now */
    struct area curves;                    /* total and held-out */
    struct area small_curves;              /* one for each reward; empty where there is no room */
    struct area rewards;                   /* header and one row each */
    struct area drift;                     /* header and rows */
    struct area table;                     /* prompts with their change; empty where there is no room */
};

/* `across`: how many columns are as wide as a row is high, so that a square picture fills its place; about 2. */
struct tune_layout layout_tune(struct area body, int reward_count, bool side_by_side, double across);

#endif
