/* The progress of a run on stderr: one line that renews itself on a terminal, else one line a step. */
#ifndef ALIGNPROP_CLI_PROGRESS_H
#define ALIGNPROP_CLI_PROGRESS_H

#include "engine/run/session.h"

struct progress {
    bool quiet, json, terminal;
    struct session_state last; /* copied numbers; pointers in it are not used */
    bool known;
    double total;       /* mean weighted reward of the last step; NaN before */
    double first_total; /* of the first step seen */
    int measured_step;  /* the step that `total` is of */
    int shown_step;     /* the last step that had its line, without a terminal */
    double last_shown;
    int shown_length;
    char said[sizeof((status *)0)->message]; /* the last words of the log that were shown */
};

void progress_begin(struct progress *progress, bool quiet, bool json);
/* Hooks that show progress and, with json, print metrics lines on stdout. `progress` is borrowed. */
struct session_hooks progress_hooks(struct progress *progress);
/* Whether these words were the last that the run's log showed, so that they need not be said again. */
bool progress_has_said(const struct progress *progress, const char *message);
/* Leaves the line. */
void progress_end(struct progress *progress);

#endif
