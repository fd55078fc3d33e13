/* Popups: help, palette, questions, prompts. At most one is open, over everything else. */
#ifndef ALIGNPROP_TUI_FRAME_POPUP_H
#define ALIGNPROP_TUI_FRAME_POPUP_H

#include "tui/state.h"

/* Where the open popup lies on a screen of this size; empty when none is open. */
struct area popup_area(const struct studio *studio, int rows, int columns);
void popup_draw(struct studio *studio, struct area area);
void popup_key(struct studio *studio, const struct input_event *event);
/* A click while a popup is open: chooses in it, or closes it when it goes elsewhere. */
void popup_click(struct studio *studio, int row, int column);
void popup_close(struct studio *studio);
/* The list in the open popup; NULL when there is none. */
struct list *popup_list(struct studio *studio);

void popup_open_help(struct studio *studio);
void popup_open_palette(struct studio *studio);

#endif
