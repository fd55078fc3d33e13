/* Where presets are found: the user's own folder first, then those that travel with the program. */
#ifndef ALIGNPROP_PRESET_LIBRARY_H
#define ALIGNPROP_PRESET_LIBRARY_H

#include "engine/base/files.h"
#include "engine/preset/preset.h"

/* The user's own presets: $XDG_CONFIG_HOME/alignprop/presets. */
status preset_folder_own(char path[PATH_SIZE]);
/* The presets that travel with the program. */
status preset_folder_program(char path[PATH_SIZE]);

/* The file that a name or path means. STATUS_BAD_INPUT names the nearest preset. */
status preset_find(const char *name_or_path, char path[PATH_SIZE]);

struct preset_entry {
    char name[128];
    char path[PATH_SIZE];
    bool own; /* in the user's folder */
};
struct preset_entries {
    struct preset_entry *entries; /* sorted by name; an own preset hides the program's of the same name */
    int count;
};
status preset_list(struct preset_entries *list);
void preset_entries_clear(struct preset_entries *list);

/* The prompt list of that name for all presets: in the own prompts/ folder, else in the program's presets/prompts/.
 * False where there is none. */
bool preset_find_shared_prompts(const char *name, char found[PATH_SIZE]);

#endif
