/* Lists of the engine's objects (presets, runs, rewards, settings), each told apart by the text of a key. */
#ifndef ALIGNPROP_TUI_VIEWS_OBJECT_LIST_H
#define ALIGNPROP_TUI_VIEWS_OBJECT_LIST_H

#include "tui/state.h"

struct object_list {
    const cJSON *shown[LIST_ROWS];
    const char *key; /* whose text tells objects apart */
    struct list_items items;
};

/* Takes the objects of the array (NULL: none) in whose texts the filter occurs: in one of the `searched` keys, or in
 * all of them joined by spaces. `searched` ends with NULL; it and `key` are kept. */
void object_list_gather(struct object_list *list, const cJSON *array, const char *key, const char *const *searched,
                        const char *filter);
/* The object under the cursor; NULL where there is none. */
const cJSON *object_list_chosen(const struct object_list *objects, struct list *list);

#endif
