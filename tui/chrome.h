/* What surrounds every screen: title, tabs, message, footer, popups. */
#ifndef ALIGNPROP_TUI_CHROME_H
#define ALIGNPROP_TUI_CHROME_H

#include "tui/state.h"

/* Draws the whole screen in its present state into ncurses' standard screen and asks for its pictures. */
void chrome_draw(struct studio *studio);
/* Keys of an open popup or filter; true when it has taken the event. */
bool chrome_popup_key(struct studio *studio, const struct input_event *event);
/* The area of the open popup on a screen of this size; empty when none is open. */
struct area chrome_popup_area(const struct studio *studio, int rows, int columns);
/* The command of the footer or tab under a click; COMMAND_NONE elsewhere. */
enum command_id chrome_click(const struct studio *studio, int row, int column);
void chrome_open_palette(struct studio *studio);

#endif
