/* Lists of an engine that come in several answers: gathered until the last one has come. */
#ifndef ALIGNPROP_TUI_PAGES_H
#define ALIGNPROP_TUI_PAGES_H

#include <cjson/cJSON.h>

struct pages {
    cJSON *gathered; /* owned; an array, or a catalogue, whose presets are the list. NULL: nothing */
    int request;     /* the number of the page asked for last; answers to others are out of date */
};

/* Takes a page in: `part` (copied) of the answer `message`, which says by `from` whether a new list begins. Returns
 * where the next page begins, 0 when the list is whole. */
int pages_take(struct pages *pages, const cJSON *part, const cJSON *message);
void pages_free(struct pages *pages);

#endif
