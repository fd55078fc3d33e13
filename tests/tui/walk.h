/* A random walk through the studio that depends on its seed alone: keys, popups, typing, paste, mouse and resizes. */
#ifndef ALIGNPROP_TESTS_TUI_WALK_H
#define ALIGNPROP_TESTS_TUI_WALK_H

#include "pseudo_terminal.h"

/* One step of the walk. It never leaves the studio, stops the run or suspends on purpose. */
void walk_step(struct session *session, unsigned *seed);
/* Gives the terminal another size, as a window does. */
void walk_resize(struct session *session, int rows, int columns);

#endif
