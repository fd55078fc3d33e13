/* Keeps ncurses from moving what stands on the screen.
 *
 * Where a terminal can scroll and shift, ncurses does so when a frame resembles the one before: a picture of pixels
 * would be moved with the text, or cut. It offers no switch for all of it, so it is given the terminal's description
 * without these abilities. */
#ifndef ALIGNPROP_TUI_TERMINAL_STILL_H
#define ALIGNPROP_TUI_TERMINAL_STILL_H

#include <stddef.h>

/* Reads the compiled description of the terminal `type` and puts one without scrolling and shifting into the
 * environment (TERMINFO), for the next newterm. Returns what TERMINFO held before (to be given to still_restore), or
 * NULL. Where the description cannot be read nothing is changed. */
char *still_prepare(const char *type);
/* Puts the environment back; frees `before`. */
void still_restore(char *before);

/* Takes scrolling and shifting out of a compiled description of `length` bytes; returns the capabilities taken, -1 when
 * the bytes are no compiled description. */
int still_strip(unsigned char *description, size_t length);

#endif
