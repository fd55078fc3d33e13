/* The engine's runs as lists show them. */
#include "tui/views/run_list.h"

#include <string.h>

static uint64_t identity_of_run(const void *shown, int place)
{
    return list_identity(message_text(((const cJSON *const *)shown)[place], "path", ""));
}

struct list_items run_list_items(const struct studio *studio, const char *filter, const cJSON *shown[LIST_ROWS])
{
    struct list_items items = {.filter = filter, .of = shown, .identity = identity_of_run};
    const cJSON *run = NULL;
    cJSON_ArrayForEach(run, studio->runs)
    {
        if (items.all++ < LIST_ROWS &&
            (list_match(message_text(run, "name", ""), filter) || list_match(message_text(run, "state", ""), filter)))
            shown[items.count++] = run;
    }
    return items;
}

enum style run_list_state_style(const char *state)
{
    if (strcmp(state, "running") == 0) return STYLE_GOOD;
    return strcmp(state, "interrupted") == 0 || strcmp(state, "paused") == 0 ? STYLE_WARNING : STYLE_DIM;
}
