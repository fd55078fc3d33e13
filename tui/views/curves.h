/* The curves of a run, as several screens show them. */
#ifndef ALIGNPROP_TUI_VIEWS_CURVES_H
#define ALIGNPROP_TUI_VIEWS_CURVES_H

#include "tui/run/run.h"
#include "tui/screen/area.h"

/* Total over the training batch and over the held-out prompts, with a legend in the first row. */
void curves_draw_total(const struct run *run, struct area area, bool focused);
/* One small plot for each reward, beside each other. */
void curves_draw_rewards(const struct run *run, struct area area);
/* The held-out totals of two runs over each other. */
void curves_draw_two(const struct run *left, const struct run *right, struct area area);

#endif
