/* Sliders. */
#include "tui/screen/slider.h"

#include "tui/screen/text.h"

#include <math.h>

static int cell_of(const struct slider_scale *scale, double value, int width)
{
    double low = scale->low, high = scale->high;
    if (!(high > low)) return 0;
    if (scale->logarithmic) {
        low = log(low);
        high = log(high);
        value = log(fmax(scale->low, value));
    }
    double part = (value - low) / (high - low);
    return (int)lround(fmin(1, fmax(0, part)) * (width - 1));
}

void slider_draw(int row, int column, int width, const struct slider *slider)
{
    int at = cell_of(&slider->scale, slider->value, width);
    draw_line(row, column, width, STYLE_FRAME);
    for (int i = 0; i < at; i++) draw_text(row, column + i, 1, slider->line, "\u2501");
    int mark = isnan(slider->mark) ? at : cell_of(&slider->scale, slider->mark, width);
    if (mark != at) draw_text(row, column + mark, 1, STYLE_DIM, "\u25cb");
    draw_text(row, column + at, 1, slider->knob, "\u25cf");
}

double slider_value_at(const struct slider_scale *scale, int column, int width)
{
    double part = width > 1 ? fmin(1, fmax(0, (double)column / (width - 1))) : 0;
    if (scale->logarithmic) return scale->low * pow(scale->high / scale->low, part);
    return scale->low + (scale->high - scale->low) * part;
}
