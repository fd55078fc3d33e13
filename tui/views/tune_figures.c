/* How the pictures drift from the base model, and the held-out prompts one by one. */
#include "engine/base/format.h"
#include "tui/screen/text.h"
#include "tui/views/tune_internal.h"

#include <math.h>
#include <stdio.h>

/* Shares in percent with one decimal, others as all numbers. */
static const char *figure_words(char *text, size_t size, double value, bool share)
{
    if (!share || isnan(value)) return format_number(text, size, value);
    snprintf(text, size, "%.1f", value * 100);
    return text;
}

/* What the phases of the newest step took of its time. */
static void draw_phases(const struct run *run, struct area area)
{
    static const char *const names[] = {"sample", "decode", "reward", "back"};
    const struct run_step *newest = run_newest(run);
    double sum = 0;
    if (!newest) return;
    for (int i = 0; i < 4; i++)
        if (!isnan(newest->figure[FIGURE_SAMPLING + i])) sum += newest->figure[FIGURE_SAMPLING + i];
    if (!(sum > 0)) return;
    int at = draw_text(area.row, area.column, 6, STYLE_DIM, "time") + 2;
    for (int i = 0; i < 4; i++) {
        double seconds = newest->figure[FIGURE_SAMPLING + i];
        if (isnan(seconds)) continue;
        at += draw_text(area.row, area.column + at, area.columns - at, STYLE_DIM, names[i]) + 1;
        at += draw_format(area.row, area.column + at, area.columns - at, STYLE_TEXT, "%.0f%%", 100 * seconds / sum) + 2;
    }
}

/* Two blocks of three figures, each now and at step 0, and in a fifth row what the phases of a step took. */
void tune_draw_drift(const struct run *run, struct area area)
{
    static const struct {
        const char *name;
        enum run_figure figure;
        bool share;
    } cells[] = {{"adapter", FIGURE_ADAPTER_NORM, false}, {"from base", FIGURE_DRIFT, false},
                 {"diversity", FIGURE_DIVERSITY, false},  {"dark %", FIGURE_DARK, true},
                 {"edges %", FIGURE_EDGES, true},         {"colour %", FIGURE_SATURATION, true}};
    if (area_empty(area)) return;
    int name = area.columns >= 48 ? 11 : 9, figure = area.columns >= 60 ? 8 : 6;
    int second = area.columns >= 48 ? name + 2 * figure + 2 : 22;
    draw_text(area.row, area.column, 9, STYLE_LIVE, "drift");
    for (int i = 0; i < 6; i++) {
        int row = area.row + 1 + i % 3, column = area.column + (i < 3 ? 0 : second);
        int width = i < 3 ? name : name - 1;
        char text[24];
        if (i % 3 == 0) draw_right(area.row, column + width, figure, STYLE_DIM, "now");
        if (i % 3 == 0) draw_right(area.row, column + width + figure, figure, STYLE_DIM, "start");
        draw_text(row, column, width, STYLE_DIM, cells[i].name);
        draw_right(row, column + width, figure, STYLE_TEXT, "%s",
                   figure_words(text, sizeof text, run_newest_figure(run, cells[i].figure), cells[i].share));
        draw_right(row, column + width + figure, figure, STYLE_DIM, "%s",
                   figure_words(text, sizeof text, run_first_figure(run, cells[i].figure), cells[i].share));
    }
    if (area.rows >= 5) draw_phases(run, (struct area){area.row + 4, area.column, 1, area.columns});
}

/* Held-out prompts with their reward and the change since the base model. */
void tune_draw_held_out_table(const struct studio *studio, struct area area)
{
    const struct run_picture *any = run_picture(studio->run, PICTURE_BASE, 0);
    if (area.rows < 3 || !any || isnan(any->reward)) return;
    char text[24], change[24];
    draw_text(area.row, area.column, 20, STYLE_LIVE, "held-out prompts");
    draw_right(area.row, area.column + area.columns - 20, 10, STYLE_DIM, "reward");
    draw_right(area.row, area.column + area.columns - 9, 9, STYLE_DIM, "change");
    int row = 1;
    for (int i = 0; i < RUN_PICTURES && row < area.rows; i++) {
        const struct run_picture *base = run_picture(studio->run, PICTURE_BASE, i);
        const struct run_picture *tuned = run_picture(studio->run, PICTURE_EVALUATION, i);
        double gain = base && tuned ? tuned->reward - base->reward : NAN;
        if (!tuned) tuned = base;
        if (!tuned || isnan(tuned->reward)) continue;
        draw_text(area.row + row, area.column, area.columns - 22, STYLE_TEXT, tuned->prompt);
        draw_right(area.row + row, area.column + area.columns - 20, 10, STYLE_TEXT, "%s",
                   format_number(text, sizeof text, tuned->reward));
        if (!isnan(gain))
            draw_right(area.row + row, area.column + area.columns - 9, 9,
                       gain > 0   ? STYLE_GOOD
                       : gain < 0 ? STYLE_BAD
                                  : STYLE_DIM,
                       "%s%s", gain > 0 ? "+" : "", format_number(change, sizeof change, gain));
        row++;
    }
}
