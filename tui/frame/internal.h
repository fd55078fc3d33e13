/* The parts of the frame and the kinds of popups, for the files of this folder. */
#ifndef ALIGNPROP_TUI_FRAME_INTERNAL_H
#define ALIGNPROP_TUI_FRAME_INTERNAL_H

#include "tui/frame/popup.h"
#include "tui/screen/layout.h"
#include "tui/state.h"

/* Names text that does something when it is clicked. */
void frame_add_button(struct studio *studio, struct button button);
void title_draw(struct studio *studio, int columns);
void tabs_draw(struct studio *studio, int columns);
/* What was said last with its remedies, or the filter that is set. */
void message_draw(struct studio *studio, struct frame_layout layout);
void footer_draw(struct studio *studio, struct frame_layout layout);

/* The kinds of popups, a row each; popup.c holds the table. */
struct popup {
    int width; /* columns at most */
    /* Rows that it would like to have at this width, where the screen has `rows`. */
    int (*height)(const struct studio *studio, int rows, int width);
    void (*draw)(struct studio *studio, struct area area);
    void (*key)(struct studio *studio, const struct input_event *event);
    struct list *(*list)(struct studio *studio);                     /* which the mouse wheel moves; NULL: none */
    void (*click)(struct studio *studio, struct area area, int row); /* NULL: nothing in it takes clicks */
    void (*leave)(struct studio *studio);                            /* a click went elsewhere; NULL: it closes */
};

/* How many of a popup's items are in sight, in its lower edge. */
void popup_draw_count(struct area area, const struct list *list, const struct list_items *items);
/* The movement that a key asks for in a popup's list; COMMAND_NONE for others. */
enum command_id popup_movement(const struct input_event *event);

extern const struct popup popup_help, popup_palette, popup_question, popup_prompt;

#endif
