/* What settings cost: memory, time of a step, size of the adapter. In one row, or from four rows on in a column. */
#ifndef ALIGNPROP_TUI_VIEWS_COST_H
#define ALIGNPROP_TUI_VIEWS_COST_H

#include "tui/state.h"

/* Of the draft, as it was planned last; says so where the plan is still in work or has failed. */
void cost_draw(const struct studio *studio, struct area area);
/* Of a run: what was planned and what it takes. */
void cost_draw_run(const struct run *run, struct area area);

#endif
