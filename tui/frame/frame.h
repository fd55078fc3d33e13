/* What surrounds every screen: title, tabs, message, footer, popups. */
#ifndef ALIGNPROP_TUI_FRAME_FRAME_H
#define ALIGNPROP_TUI_FRAME_FRAME_H

#include "tui/state.h"

/* Draws the whole screen in its present state into ncurses' standard screen and asks for its pictures. */
void frame_draw(struct studio *studio);
/* The text of the frame (tab, footer, remedy) under a click; NULL elsewhere. */
const struct button *frame_button_at(const struct studio *studio, int row, int column);
/* Keys of an open popup or filter; true when it has taken the event. */
bool frame_key(struct studio *studio, const struct input_event *event);

#endif
