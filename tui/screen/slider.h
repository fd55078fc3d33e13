/* A slider: a line with a knob, and where wanted a mark of the value in force. */
#ifndef ALIGNPROP_TUI_SCREEN_SLIDER_H
#define ALIGNPROP_TUI_SCREEN_SLIDER_H

#include "tui/screen/style.h"

/* The values at the ends. Logarithmic: equal steps multiply; both ends are above 0. */
struct slider_scale {
    double low, high;
    bool logarithmic;
};

struct slider {
    struct slider_scale scale;
    double value;          /* where the knob stands; held inside the scale */
    double mark;           /* likewise; NaN: no mark */
    enum style line, knob; /* of the line up to the knob, of the knob */
};

void slider_draw(int row, int column, int width, const struct slider *slider);

/* The value that a click on this column of a slider of this width means; columns outside mean the ends. */
double slider_value_at(const struct slider_scale *scale, int column, int width);

#endif
