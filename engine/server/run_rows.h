/* Runs as lists show them, from their folders alone. */
#ifndef ALIGNPROP_SERVER_RUN_ROWS_H
#define ALIGNPROP_SERVER_RUN_ROWS_H

#include "engine/run/run_folder.h"

#include <cjson/cJSON.h>

/* One row of README.md's `runs`; NULL when the folder is no readable run. */
cJSON *describe_run(const struct run_folder *folder);

/* Every run under the home of runs, and those elsewhere that run_register.h knows, newest first, as an array. */
status list_runs(cJSON **rows);

#endif
