/* The engine's runs as lists show them. */
#ifndef ALIGNPROP_TUI_VIEWS_RUN_LIST_H
#define ALIGNPROP_TUI_VIEWS_RUN_LIST_H

#include "tui/views/object_list.h"

/* The runs whose name or state has `filter` in it. */
void run_list_gather(const struct studio *studio, const char *filter, struct object_list *runs);
enum style run_list_state_style(const char *state);

#endif
