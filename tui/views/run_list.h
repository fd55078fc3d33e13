/* The engine's runs as lists show them. */
#ifndef ALIGNPROP_TUI_VIEWS_RUN_LIST_H
#define ALIGNPROP_TUI_VIEWS_RUN_LIST_H

#include "tui/state.h"

/* The runs whose name or state has `filter` in it; fills `shown`, which the items refer to. */
struct list_items run_list_items(const struct studio *studio, const char *filter, const cJSON *shown[LIST_ROWS]);
enum style run_list_state_style(const char *state);

#endif
