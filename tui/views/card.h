/* The card of a preset or run under the cursor: what it is about, what it needs, what it draws. */
#ifndef ALIGNPROP_TUI_VIEWS_CARD_H
#define ALIGNPROP_TUI_VIEWS_CARD_H

#include "tui/state.h"
#include "tui/views/preview.h"

/* Rows that the card of this preset takes at this width without its pictures, its frame counted. */
int card_rows(const cJSON *item, int columns);
/* `item`: one of the catalogue's presets, NULL draws nothing; its pictures are kept in `preview`. */
void card_draw_preset(struct studio *studio, struct preview *preview, struct area area, const cJSON *item);
/* `run`: one of the engine's runs, NULL draws nothing. */
void card_draw_run(struct studio *studio, struct preview *preview, struct area area, const cJSON *run);

#endif
