/* The parts of the frame, for frame.c. */
#ifndef ALIGNPROP_TUI_FRAME_PARTS_H
#define ALIGNPROP_TUI_FRAME_PARTS_H

#include "tui/screen/layout.h"
#include "tui/state.h"

/* Names words that do something when they are clicked. */
void frame_add_button(struct studio *studio, struct button button);
void title_draw(struct studio *studio, int columns);
void tabs_draw(struct studio *studio, int columns);
/* What was said last with its remedies, or the filter that is set. */
void message_draw(struct studio *studio, struct frame_layout layout);
void footer_draw(struct studio *studio, struct frame_layout layout);

#endif
