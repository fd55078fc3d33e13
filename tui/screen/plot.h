/* Curves in braille dots, or in plain characters where the locale has none. */
#ifndef ALIGNPROP_TUI_SCREEN_PLOT_H
#define ALIGNPROP_TUI_SCREEN_PLOT_H

#include "tui/screen/area.h"
#include "tui/screen/style.h"

#include <wchar.h>

struct plot_series {
    const double *x, *y; /* count points, ascending x; NaN in y breaks the line */
    int count;
    enum style style;
};

struct plot_range {
    double low, high;
};

/* The range of y over all series, with a little air; [0, 1] when there is nothing. */
struct plot_range plot_range_of(const struct plot_series *series, int count);

/* Fills `cells` (rows * columns characters, 0 where empty) and `owner` (index of the series of each cell, -1 where
 * empty) with the curves; later series win a shared cell. x runs from `across.low` at the left to `across.high`. */
void plot_render(const struct plot_series *series, int count, struct plot_range across, struct plot_range up, int rows,
                 int columns, bool unicode, wchar_t *cells, int *owner);

/* Draws curves into the area with y's bounds at the right edge of the first and last row and x's below. */
void plot_draw(struct area area, const struct plot_series *series, int count, struct plot_range across,
               const int *mark_steps, int mark_count, int best_step);

#endif
