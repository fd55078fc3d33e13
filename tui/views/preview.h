/* Pictures of a card: what a preset's last run made of a picture, or what its model draws as yet. */
#ifndef ALIGNPROP_TUI_VIEWS_PREVIEW_H
#define ALIGNPROP_TUI_VIEWS_PREVIEW_H

#include "tui/state.h"

enum { PREVIEW_LEAST_ROWS = 9 };

/* A picture read from a file. */
struct preview_picture {
    char path[4300];
    struct image image;
};

/* Those of a card: untuned and tuned, of two prompts. All zero: none yet. */
struct preview {
    struct preview_picture pictures[4];
};

void preview_free(struct preview *preview);

/* Of a row of the catalogue's presets (`run` false) or of the runs, from the area's left edge. Returns the columns
 * used; 0 where there is no picture or no room. */
int preview_draw(struct studio *studio, struct preview *preview, struct area area, const cJSON *item, bool run);

/* Reads the picture unless it is the one that is there; false where it cannot be read. */
bool preview_load(struct preview_picture *picture, const char *path);

#endif
