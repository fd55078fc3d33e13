/* Draws curves: their range, their dots, their axis. */
#include "tui/screen/plot.h"

#include "engine/base/format.h"
#include "tui/screen/text.h"

#include <curses.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LEAST_LABELLED = 26 }; /* columns from which the bounds of the values stand beside the curve */

struct plot_range plot_range_of(const struct plot_series *series, int count)
{
    struct plot_range range = {INFINITY, -INFINITY};
    for (int at = 0; at < count; at++) {
        for (int point = 0; point < series[at].count; point++) {
            double value = series[at].y[point];
            if (!isfinite(value)) continue;
            range.low = fmin(range.low, value);
            range.high = fmax(range.high, value);
        }
    }
    if (range.low > range.high) return (struct plot_range){0, 1};
    double air = (range.high - range.low) * 0.06;
    if (air <= 0) air = fabs(range.low) * 0.1 + 0.01;
    return (struct plot_range){range.low - air, range.high + air};
}

struct canvas {
    unsigned char *dots; /* one byte a cell: braille dots, or for plain characters the dot rows met */
    int *owner;
    int rows, columns, across, down; /* dots a cell in each direction */
};

static void set_dot(struct canvas *canvas, int x, int y, int series)
{
    if (x < 0 || y < 0 || x >= canvas->columns * canvas->across || y >= canvas->rows * canvas->down) return;
    static const unsigned char braille[4][2] = {{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}};
    int cell = y / canvas->down * canvas->columns + x / canvas->across;
    if (canvas->owner[cell] != series) canvas->dots[cell] = 0;
    canvas->owner[cell] = series;
    canvas->dots[cell] |= canvas->across == 2 ? braille[y % 4][x % 2] : (unsigned char)(1 << (y % canvas->down));
}

static void line(struct canvas *canvas, int x, int y, int to_x, int to_y, int series)
{
    int steps = abs(to_x - x) > abs(to_y - y) ? abs(to_x - x) : abs(to_y - y);
    for (int at = 0; at <= steps; at++) {
        double part = steps == 0 ? 0 : (double)at / steps;
        set_dot(canvas, x + (int)lround(part * (to_x - x)), y + (int)lround(part * (to_y - y)), series);
    }
}

static void trace_series(struct canvas *canvas, const struct plot_series *series, int index, struct plot_range across,
                         struct plot_range up)
{
    double width = across.high - across.low, height = up.high - up.low;
    int last_x = canvas->columns * canvas->across - 1, last_y = canvas->rows * canvas->down - 1;
    bool joined = false;
    int before_x = 0, before_y = 0;
    for (int point = 0; point < series->count; point++) {
        double value = series->y[point];
        if (!isfinite(value)) {
            joined = false;
            continue;
        }
        int x = width > 0 ? (int)lround((series->x[point] - across.low) / width * last_x) : 0;
        double place = height > 0 ? (up.high - value) / height : 0.5;
        int y = (int)lround(fmax(0, fmin(1, place)) * last_y);
        line(canvas, joined ? before_x : x, joined ? before_y : y, x, y, index);
        before_x = x;
        before_y = y;
        joined = true;
    }
}

/* The upper, middle and lower third of a cell as a plain character. */
static wchar_t plain_character(unsigned char dots)
{
    switch (dots & 7) {
    case 1: return L'\'';
    case 2: return L'-';
    case 4: return L'.';
    case 5:
    case 7: return L'|';
    case 3: return L'\'';
    default: return L'.';
    }
}

void plot_render(const struct plot_series *series, int count, struct plot_range across, struct plot_range up, int rows,
                 int columns, bool unicode, wchar_t *cells, int *owner)
{
    size_t size = (size_t)rows * (size_t)columns;
    struct canvas canvas = {calloc(size, 1), owner, rows, columns, unicode ? 2 : 1, unicode ? 4 : 3};
    for (size_t cell = 0; cell < size; cell++) {
        owner[cell] = -1;
        cells[cell] = 0;
    }
    if (!canvas.dots) return;
    for (int i = 0; i < count; i++) trace_series(&canvas, &series[i], i, across, up);
    for (size_t cell = 0; cell < size; cell++)
        if (owner[cell] >= 0)
            cells[cell] = unicode ? (wchar_t)(0x2800 + canvas.dots[cell]) : plain_character(canvas.dots[cell]);
    free(canvas.dots);
}

/* A step of 1, 2 or 5 times a power of ten that gives at most seven ticks. */
static double tick_step(double width)
{
    double step = 1;
    for (int round = 0; width / step > 6; round++) step *= round % 3 == 1 ? 2.5 : 2;
    return step;
}

static int axis_column(struct area area, struct plot_range across, double value)
{
    double width = across.high - across.low;
    return area.column + (width > 0 ? (int)lround((value - across.low) / width * (area.columns - 1)) : 0);
}

static void draw_axis(struct area area, struct plot_range across, const int *mark_steps, int mark_count, int best_step)
{
    int row = area.row + area.rows - 1, free_from = area.column;
    double width = across.high - across.low, step = tick_step(width);
    int best = best_step >= 0 ? axis_column(area, across, best_step) : -1;
    draw_line(row, area.column, area.columns, STYLE_FRAME);
    for (long tick = (long)ceil(across.low / step); (double)tick * step <= across.high; tick++) {
        double value = (double)tick * step;
        char text[16];
        snprintf(text, sizeof text, "%.0f", value);
        int cells = (int)strlen(text), column = axis_column(area, across, value) - cells / 2;
        if (column < area.column) column = area.column;
        if (column + cells > area.column + area.columns) column = area.column + area.columns - cells;
        bool under_mark = best >= column && best < column + cells;
        if (column < free_from || under_mark) continue;
        draw_text(row, column, cells, STYLE_DIM, text);
        free_from = column + cells + 1;
    }
    for (int mark = 0; mark < mark_count; mark++) {
        if (mark_steps[mark] < across.low || mark_steps[mark] > across.high || width <= 0) continue;
        draw_text(row, axis_column(area, across, mark_steps[mark]), 1, STYLE_WARNING, style_unicode() ? "\u25b4" : "^");
    }
    if (best_step >= 0 && width > 0) draw_text(row, best, 1, STYLE_GOOD, style_unicode() ? "\u25c6" : "*");
}

/* A bound of the values; where they lie so close together that fixed decimals would not tell them apart, by powers. */
static void draw_bound(int row, int column, int width, double value, struct plot_range up)
{
    char text[24];
    if (up.high - up.low < 0.002)
        draw_right(row, column, width, STYLE_DIM, "%.1e", value);
    else
        draw_right(row, column, width, STYLE_DIM, "%s", format_number(text, sizeof text, value));
}

void plot_draw(struct area area, const struct plot_series *series, int count, struct plot_range across,
               const int *mark_steps, int mark_count, int best_step)
{
    int label = area.columns >= LEAST_LABELLED ? 8 : 0;
    int rows = area.rows - 1, columns = area.columns - label;
    if (rows < 1 || columns < 4) return;
    struct plot_range up = plot_range_of(series, count);
    size_t size = (size_t)rows * (size_t)columns;
    wchar_t *cells = malloc(size * sizeof *cells);
    int *owner = malloc(size * sizeof *owner);
    if (cells && owner) {
        plot_render(series, count, across, up, rows, columns, style_unicode(), cells, owner);
        for (size_t cell = 0; cell < size; cell++) {
            if (cells[cell] == 0) continue;
            wchar_t text[2] = {cells[cell], 0};
            style_use(series[owner[cell]].style);
            mvaddwstr(area.row + (int)cell / columns, area.column + (int)cell % columns, text);
        }
    }
    free(cells);
    free(owner);
    bool any = false;
    for (int i = 0; i < count; i++) any = any || series[i].count > 0;
    if (any && label > 0) {
        draw_bound(area.row, area.column + columns, label, up.high, up);
        if (rows > 1) draw_bound(area.row + rows - 1, area.column + columns, label, up.low, up);
    }
    draw_axis((struct area){area.row, area.column, area.rows, columns}, across, mark_steps, mark_count, best_step);
}
