/* The engine's runs as lists show them. */
#include "tui/views/run_list.h"

#include <string.h>

void run_list_gather(const struct studio *studio, const char *filter, struct object_list *runs)
{
    static const char *const searched[] = {"name", "state", NULL};
    object_list_gather(runs, studio->runs, "path", searched, filter);
}

enum style run_list_state_style(const char *state)
{
    if (strcmp(state, "running") == 0) return STYLE_GOOD;
    return strcmp(state, "interrupted") == 0 || strcmp(state, "paused") == 0 ? STYLE_WARNING : STYLE_DIM;
}
