/* An adapter of a run as a file of its own. */
#ifndef ALIGNPROP_RUN_EXPORT_H
#define ALIGNPROP_RUN_EXPORT_H

#include "engine/run/adapter_file.h"
#include "engine/run/run_folder.h"

struct export_order {
    const struct run_folder *folder;
    int step; /* of the checkpoint; negative: the newest adapter */
    enum adapter_format format;
    double scale;       /* every ΔW is written times this */
    const char *target; /* file to write; NULL: the preset's name, in the working directory */
};

struct export_report {
    char path[PATH_SIZE];
    int matching, total; /* tensors that read back as they were, of how many */
};

/* Writes the file (and the folder that it is to lie in), reads it back and compares. A target that is neither new nor a
 * regular file, or a run's own, is STATUS_BAD_INPUT. Fails where a tensor differs; the report is filled in then too. */
status export_adapter(const struct export_order *order, struct export_report *report);

#endif
