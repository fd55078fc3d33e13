/* Sliders. */
#include "tui/screen/slider.h"

#include "tui/screen/text.h"

#include <math.h>

static int cell_of(double part, int width)
{
    return (int)lround(fmin(1, fmax(0, part)) * (width - 1));
}

void slider_draw(int row, int column, int width, const struct slider *slider)
{
    int at = cell_of(slider->part, width);
    draw_line(row, column, width, STYLE_FRAME);
    for (int cell = 0; cell < at; cell++) draw_text(row, column + cell, 1, slider->line, "\u2501");
    if (!isnan(slider->mark) && cell_of(slider->mark, width) != at)
        draw_text(row, column + cell_of(slider->mark, width), 1, STYLE_DIM, "\u25cb");
    draw_text(row, column + at, 1, slider->knob, "\u25cf");
}

double slider_part_at(int column, int width)
{
    return width > 1 ? fmin(1, fmax(0, (double)column / (width - 1))) : 0;
}
