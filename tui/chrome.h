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
/* The words of the frame (tab, footer, remedy) under a click; NULL elsewhere. */
const struct button *chrome_button_at(const struct studio *studio, int row, int column);
/* A click while a popup is open: chooses in it, or closes it when it goes elsewhere. */
void chrome_popup_click(struct studio *studio, int row, int column);
void chrome_open_palette(struct studio *studio);

#endif
