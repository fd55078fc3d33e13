/* A slider: a line with a knob, and where wanted a mark of the value in force. */
#ifndef ALIGNPROP_TUI_SCREEN_SLIDER_H
#define ALIGNPROP_TUI_SCREEN_SLIDER_H

#include "tui/screen/style.h"

struct slider {
    double part;           /* where the knob stands, from 0 to 1; held inside */
    double mark;           /* likewise; NaN: no mark */
    enum style line, knob; /* of the line up to the knob, of the knob */
};

void slider_draw(int row, int column, int width, const struct slider *slider);

/* The part that a click on this column of a slider of this width means, from 0 to 1. */
double slider_part_at(int column, int width);

#endif
