/* metrics.jsonl: one object per optimiser step, and events, one a line.
 *
 * Of repeated steps the later line counts. A "rollback" or "resume" event drops the steps after the one it goes back
 * to. A torn last line is ignored. */
#ifndef ALIGNPROP_RUN_METRICS_H
#define ALIGNPROP_RUN_METRICS_H

#include "engine/base/files.h"
#include "engine/base/json.h"
#include "kernels/status.h"

/* ---- writing ---- */

struct metrics_file {
    char path[PATH_SIZE];
    int descriptor; /* -1 when closed */
};

/* Opens for appending; a torn last line is cut off first. */
status metrics_open(struct metrics_file *file, const char *path);
/* Appends `line` (without newline). After a failure the file is as it was. */
status metrics_append(struct metrics_file *file, const char *line);
status metrics_sync(struct metrics_file *file);
void metrics_close(struct metrics_file *file);

/* ---- reading ---- */

struct metrics_record {
    int step;
    cJSON *value;
};

/* A change of a setting that was ordered while the run went on. */
struct metrics_change {
    int step; /* first that uses it */
    char key[160];
    double value;
};

struct metrics_history {
    struct metrics_record *records; /* by step, superseded ones left out */
    int record_count, record_capacity;
    struct metrics_change *changes; /* in the order of the file, those before a rollback left out */
    int change_count, change_capacity;
    int faulty_changes; /* "set" events without a step, a key or a number: left out */
    int *rollbacks;     /* the step each rollback went back to, in order */
    int rollback_count, rollback_capacity;
    cJSON *evaluation_0; /* the step-0 evaluation event; NULL without one */
};

/* Reads the whole file; lines that are no JSON object are skipped (`*skipped`, may be NULL, counts whole ones). An
 * absent file is an empty history. */
status metrics_read(const char *path, struct metrics_history *history, int *skipped);
void metrics_history_clear(struct metrics_history *history);

#endif
