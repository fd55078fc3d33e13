/* Where things live: the XDG base directories (relative values are ignored, as the specification demands) and the
 * program's own data (presets, default model), which is beside the source when run from a build folder and under the
 * prefix when installed. */
#ifndef ALIGNPROP_BASE_PATHS_H
#define ALIGNPROP_BASE_PATHS_H

#include "engine/base/files.h"

/* $XDG_CONFIG_HOME/alignprop, $XDG_DATA_HOME/alignprop, $XDG_STATE_HOME/alignprop with the specification's fallbacks
 * under $HOME. STATUS_FAILED when neither is set. Nothing is created. */
status paths_config(char path[PATH_SIZE]);
status paths_data(char path[PATH_SIZE]);
status paths_state(char path[PATH_SIZE]);

/* The folder for sockets: $XDG_RUNTIME_DIR/alignprop, else a folder of this user under /tmp. Created with mode 0700;
 * STATUS_FAILED if it belongs to another user, is a link or is open to others. */
status paths_runtime(char path[PATH_SIZE]);

/* The folder that holds the program's presets/: $ALIGNPROP_DATA if set and absolute; else the source tree above the
 * running program; else PREFIX/share/alignprop. */
status paths_program_data(char path[PATH_SIZE]);

/* The Hugging Face cache's hub folder ($HF_HUB_CACHE, $HF_HOME/hub, ~/.cache/huggingface/hub); it need not exist. */
status paths_hub_cache(char path[PATH_SIZE]);

#endif
