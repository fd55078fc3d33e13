/* The kinds of popups, a row each; popup.c holds the table. */
#ifndef ALIGNPROP_TUI_FRAME_POPUP_KINDS_H
#define ALIGNPROP_TUI_FRAME_POPUP_KINDS_H

#include "tui/frame/popup.h"

struct popup {
    int width; /* columns at most */
    /* Rows that it would like to have at this width, where the screen has `rows`. */
    int (*height)(const struct studio *studio, int rows, int width);
    void (*draw)(struct studio *studio, struct area area);
    void (*key)(struct studio *studio, const struct input_event *event);
    void (*click)(struct studio *studio, struct area area, int row); /* NULL: nothing in it takes clicks */
    void (*leave)(struct studio *studio);                            /* a click went elsewhere; NULL: it closes */
};

extern const struct popup popup_help, popup_palette, popup_question, popup_prompt;

#endif
