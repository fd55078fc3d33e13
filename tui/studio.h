/* The front end: the studio on ncurses, and pictures inline for commands. */
#ifndef ALIGNPROP_TUI_STUDIO_H
#define ALIGNPROP_TUI_STUDIO_H

#include "kernels/status.h"

#include <stdbool.h>

struct studio_options {
    const char *program;  /* path of this binary, started as `PROGRAM engine --fd N` for catalogue and plans */
    const char *run;      /* folder of a run to attach to; NULL: none */
    const char *socket;   /* socket of a live engine to attach to; NULL: as run's engine.json says */
    const char *engine;   /* socket to use in place of a started engine process; NULL: start one */
    const char *pictures; /* auto, kitty, sixel, iterm2, symbols or none; NULL: auto */
    bool no_mouse;
    bool fixed_link; /* pictures keep their full level, however slow the link is found to be */
};

/* Runs the studio until the person leaves. A run that is on goes on unless it was asked to stop. */
status studio_run(const struct studio_options *options);

struct show_options {
    const char *format; /* as studio_options.pictures; NULL: auto */
    int width;          /* cells; 0: as large as fits */
    /* Reads a picture file: RGB rows, which the caller frees. NULL: PNG files as the studio reads its own. */
    status (*read)(const char *path, unsigned char **pixels, int *width, int *height);
};

/* Prints pictures inline at the cursor. Where standard output is no terminal, symbols are printed for `auto` format; a
 * terminal that takes text only (TERM=dumb) gets a line of it and is asked nothing. Within tmux what is for the
 * terminal is wrapped for it. Stops at the first file that cannot be read. */
status studio_show(const struct show_options *options, int count, const char *const *paths);

#endif
