/* `models check`: what a file or folder is, and everything that is wrong with it. */
#ifndef ALIGNPROP_MODEL_CHECK_H
#define ALIGNPROP_MODEL_CHECK_H

#include "engine/model/model_kind.h"
#include "engine/model/remarks.h"
#include "kernels/status.h"

#include <stdint.h>

enum { MODEL_REPORT_PROBLEMS = 50 };

struct model_report {
    bool recognised;
    enum model_kind kind;      /* when recognised */
    char kind_description[60]; /* "text-to-image model", "adapter", "U-Net"; "unknown" */
    char summary[300];         /* what it is, one line */
    struct remarks remarks;    /* what it goes on from, such as tensors that nothing uses */
    int64_t tensors;           /* that the program uses */
    int64_t parameters;        /* numbers in them */
    int problem_count;         /* all of them; 0: nothing is wrong */
    char (*problems)[500]; /* the first MODEL_REPORT_PROBLEMS, each naming file, key or tensor, expected and found */
};

/* Reads every config and every weight (seconds for a large model): missing or unreadable files, wrong values, tensors
 * that are missing, of a wrong shape or type, or hold infinities or NaN. An adapter
 * is looked through likewise; that a part of a model or a file of another format cannot be used is a problem of it.
 * Fails only for want of memory. */
status model_check(const char *path, struct model_report *report);
void model_report_clear(struct model_report *report);

#endif
