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

/* The file that a prompt list's path means: as it is when absolute, else beside the preset (`folder`, may be NULL), in
 * the own prompts/ folder, in the program's presets/prompts/, or in the current folder. STATUS_BAD_INPUT when it is in
 * none of them. */
status preset_find_prompts(const char *path, const char *folder, char found[PATH_SIZE]);

#endif
