/* Where runs are that stand outside the default folder (`--run DIR`): their paths, one a line (new lines
 * in them escaped), in $XDG_STATE_HOME/alignprop/runs, so that they are listed and found by name as the others are. */
#ifndef ALIGNPROP_RUN_RUN_REGISTER_H
#define ALIGNPROP_RUN_RUN_REGISTER_H

#include "engine/base/files.h"

/* Notes the absolute `path` of a run unless it stands directly under the default folder `home` or is noted already. */
status run_register_add(const char *path, const char *home);

/* The noted paths, in the order noted, whether or not there is still a run; none where nothing was noted. The caller
 * clears the list with name_list_clear. */
status run_register_list(struct name_list *paths);

#endif
