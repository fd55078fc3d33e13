/* Draws a run's total and its rewards, and two runs' totals in one plot. */
#include "tui/views/curves.h"

#include "engine/base/format.h"
#include "tui/screen/plot.h"
#include "tui/screen/text.h"

#include <math.h>
#include <stdlib.h>

enum curve_kind { CURVE_TOTAL, CURVE_HELD_OUT };

struct curve {
    double *x, *y;
    int count;
};

/* reward -1: the weighted total. The caller frees x (y is part of it). */
static struct curve curve_of(const struct run *run, enum curve_kind kind, int reward)
{
    struct curve curve = {0};
    size_t most = run->history_count > 0 ? (size_t)run->history_count : 1;
    curve.x = malloc(2 * most * sizeof *curve.x);
    if (!curve.x) return curve;
    curve.y = curve.x + most;
    for (int at = 0; at < run->history_count; at++) {
        const struct run_step *step = &run->history[at];
        bool has = kind == CURVE_TOTAL ? step->trained : step->evaluated;
        if (!has) continue;
        const double *raw = kind == CURVE_TOTAL ? step->reward : step->held_out;
        curve.x[curve.count] = step->step;
        curve.y[curve.count++] = reward < 0 ? run_total(run, raw) : raw[reward];
    }
    return curve;
}

static struct plot_range steps_of(const struct run *run)
{
    int last = run->steps > run->step ? run->steps : run->step;
    /* While little is done the axis ends nearer, so that the first steps are not squeezed into the corner. */
    int near = run->step < 8 ? 10 : run->step * 5 / 4;
    return (struct plot_range){0, last < near ? (last > 0 ? last : 10) : near};
}

static double last_of(const struct curve *curve)
{
    return curve->count > 0 ? curve->y[curve->count - 1] : NAN;
}

void curves_draw_total(const struct run *run, struct area area, bool focused)
{
    struct curve total = curve_of(run, CURVE_TOTAL, -1), held_out = curve_of(run, CURVE_HELD_OUT, -1);
    char text[24];
    int at = draw_text(area.row, area.column, 10, focused ? STYLE_TITLE : STYLE_LIVE, "reward") + 2;
    at += draw_format(area.row, area.column + at, 18, STYLE_CURVE_TOTAL, "%s train %s",
                      style_unicode() ? "\u2501" : "-", format_number(text, sizeof text, last_of(&total))) +
          2;
    draw_format(area.row, area.column + at, area.columns - at, STYLE_CURVE_HELD_OUT, "%s held-out %s",
                style_unicode() ? "\u2501" : "-", format_number(text, sizeof text, last_of(&held_out)));
    struct plot_series series[] = {{total.x, total.y, total.count, STYLE_CURVE_TOTAL},
                                   {held_out.x, held_out.y, held_out.count, STYLE_CURVE_HELD_OUT}};
    int marks[RUN_MARKS];
    for (int mark = 0; mark < run->mark_count; mark++) marks[mark] = run->marks[mark].step;
    const struct run_step *best = run_best(run);
    plot_draw((struct area){area.row + 1, area.column, area.rows - 1, area.columns}, series, 2, steps_of(run), marks,
              run->mark_count, best ? best->step : -1);
    free(total.x);
    free(held_out.x);
}

void curves_draw_rewards(const struct run *run, struct area area)
{
    enum { LEAST_WIDTH = 14, LEAST_ROWS = 3 };
    int count = run->reward_count, most_across = (area.columns + 2) / (LEAST_WIDTH + 2);
    if (most_across > 3 && area.columns < 4 * 28) most_across = 3;
    int across = count < most_across ? count : most_across;
    if (across < 1) return;
    int down = (count + across - 1) / across;
    while (down > 1 && area.rows / down < LEAST_ROWS) down--;
    int width = (area.columns - (across - 1) * 2) / across, rows = area.rows / down;
    for (int i = 0; i < count && i < across * down; i++) {
        struct area place = {area.row + i / across * rows, area.column + i % across * (width + 2), rows, width};
        struct curve train = curve_of(run, CURVE_TOTAL, i), held_out = curve_of(run, CURVE_HELD_OUT, i);
        char text[24];
        int value = place.columns >= 26 ? 9 : 0; /* where it is narrow the table of rewards has the value */
        draw_text(place.row, place.column, place.columns - value, style_of_reward(i), run->rewards[i].id);
        if (value > 0)
            draw_right(place.row, place.column + place.columns - 8 - value, value, style_of_reward(i), "%s",
                       format_number(text, sizeof text, last_of(&train)));
        struct plot_series series[] = {{train.x, train.y, train.count, style_of_reward(i)},
                                       {held_out.x, held_out.y, held_out.count, STYLE_CURVE_HELD_OUT}};
        plot_draw((struct area){place.row + 1, place.column, place.rows - 1, place.columns}, series, 2, steps_of(run),
                  NULL, 0, -1);
        free(train.x);
        free(held_out.x);
    }
}

void curves_draw_two(const struct run *left, const struct run *right, struct area area)
{
    struct curve first = curve_of(left, CURVE_HELD_OUT, -1), second = curve_of(right, CURVE_HELD_OUT, -1);
    struct plot_series series[] = {{first.x, first.y, first.count, STYLE_CURVE_TOTAL},
                                   {second.x, second.y, second.count, STYLE_CURVE_HELD_OUT}};
    struct plot_range across = {0, fmax(left->steps, right->steps)};
    plot_draw(area, series, 2, across, NULL, 0, -1);
    free(first.x);
    free(second.x);
}
