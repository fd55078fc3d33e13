/* Files that are either whole or absent: writing by temporary file, sync and rename. Reading is in input_file.h.
 *
 * Messages name the path. A path that cannot be read is STATUS_BAD_INPUT; one that cannot be written is STATUS_FAILED.
 */
#ifndef ALIGNPROP_BASE_FILES_H
#define ALIGNPROP_BASE_FILES_H

#include "engine/base/input_file.h"
#include "kernels/status.h"

#include <stddef.h>
#include <sys/types.h>

enum { PATH_SIZE = 4096 };

/* The one rule of where output goes: a new name or a regular file. A link is followed to the regular file that it leads
 * to, and stays. Devices, pipes, sockets, folders and links that lead nowhere are STATUS_BAD_INPUT. `target` is the
 * file to write; where this user has one there, `mode` is its permissions, else 0. */
status file_find_target(const char *path, char target[PATH_SIZE], mode_t *mode);

/* A file being written beside its final place, which is chosen by file_find_target. Nothing is there (or the old file
 * still is) until commit; what replaces a file of this user has its permissions. */
struct file_writer {
    int descriptor;                                                /* -1 when closed */
    char path[PATH_SIZE], target[PATH_SIZE], temporary[PATH_SIZE]; /* as given; where it leads; what is written */
};
status file_writer_open(struct file_writer *writer, const char *path);
status file_writer_write(struct file_writer *writer, const void *data, size_t length);
/* Syncs, renames over the target and syncs the folder. On failure the temporary file is removed. */
status file_writer_commit(struct file_writer *writer);
/* Removes the temporary file. Harmless after commit. */
void file_writer_abandon(struct file_writer *writer);

/* The three steps above for a text or block in memory. */
status file_write_atomic(const char *path, const void *data, size_t length);

/* Writes all of `length` bytes to an open descriptor; `path` is for the message. */
status file_write_all(int descriptor, const char *path, const void *data, size_t length);

/* Makes a folder and its parents with mode 0777 less the umask; an existing folder is a success. */
status directory_make(const char *path);
/* The same for the folder that the file `path` is to lie in. */
status directory_make_for(const char *path);
/* Syncs the folder's entries to the disk. */
status directory_sync(const char *path);
/* Removes a file or a folder with everything in it; symbolic links are removed, not followed. An absent path is a
 * success. */
status directory_remove(const char *path);

struct name_list {
    char **names;
    int count, capacity;
};
void name_list_add(struct name_list *list, const char *name);
/* Names in a folder, without "." and "..", sorted by byte value. */
status directory_list(const char *path, struct name_list *list);
void name_list_clear(struct name_list *list);

/* Something is there that is no folder. That it is a regular file shows when it is opened: a pipe in the place of a
 * file is an error, not a file that is missing. */
bool path_is_file(const char *path);
/* path_is_file of FOLDER/NAME. */
bool path_holds_file(const char *folder, const char *name);
bool path_is_directory(const char *path);
/* printf into a PATH_SIZE buffer; STATUS_BAD_INPUT if it does not fit. `target` may not be among the arguments. */
status path_format(char target[PATH_SIZE], const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Free bytes for this user on the file system of `path`; -1 when unknown. */
long long disk_free_bytes(const char *path);

#endif
