/* Whole files: a temporary file beside the target, written, synced and renamed over it; folders made and removed. */
#include "engine/base/files.h"

#include "engine/base/memory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

status path_format(char target[PATH_SIZE], const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(target, PATH_SIZE, format, arguments);
    va_end(arguments);
    if (length < 0 || length >= PATH_SIZE) {
        return status_error(STATUS_BAD_INPUT, "path is longer than %d bytes: %.80s...", PATH_SIZE - 1, target);
    }
    return status_ok();
}

status file_write_all(int descriptor, const char *path, const void *data, size_t length)
{
    const char *bytes = data;
    while (length > 0) {
        ssize_t written = write(descriptor, bytes, length);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return status_errno(STATUS_FAILED, errno, "cannot write %s", path);
        bytes += written;
        length -= (size_t)written;
    }
    return status_ok();
}

/* The folder part of `path`: "." when it has none. */
static void folder_of(const char *path, char folder[PATH_SIZE])
{
    snprintf(folder, PATH_SIZE, "%s", path);
    char *slash = strrchr(folder, '/');
    if (!slash) {
        snprintf(folder, PATH_SIZE, ".");
    } else if (slash == folder) {
        folder[1] = '\0';
    } else {
        *slash = '\0';
    }
}

static const char *kind_description(mode_t mode)
{
    if (S_ISDIR(mode)) return "a folder";
    if (S_ISFIFO(mode)) return "a pipe";
    if (S_ISSOCK(mode)) return "a socket";
    if (S_ISBLK(mode) || S_ISCHR(mode)) return "a device";
    return "no regular file";
}

status file_find_target(const char *path, char target[PATH_SIZE], mode_t *mode)
{
    struct stat facts;
    *mode = 0;
    TRY(path_format(target, "%s", path));
    if (lstat(path, &facts) != 0) {
        return errno == ENOENT ? status_ok() : status_errno(STATUS_FAILED, errno, "cannot write %s", path);
    }
    if (S_ISLNK(facts.st_mode)) {
        char resolved[PATH_MAX];
        bool followed = stat(path, &facts) == 0 && realpath(path, resolved);
        if (!followed) return status_errno(STATUS_BAD_INPUT, errno, "%s: is a link that leads to no file", path);
        TRY(path_format(target, "%s", resolved));
    }
    if (!S_ISREG(facts.st_mode)) {
        return status_error(STATUS_BAD_INPUT, "%s: is %s; expected a new name or a regular file to write to", path,
                            kind_description(facts.st_mode));
    }
    /* Another user's rights on what was his are none on what is ours. */
    if (facts.st_uid == geteuid()) *mode = facts.st_mode & 0777;
    return status_ok();
}

/* A new file beside the target that nobody can have put there before: its name cannot be guessed, and a file or link
 * of that name is not opened. */
static status open_temporary(struct file_writer *writer)
{
    enum { ATTEMPTS = 16 };
    char folder[PATH_SIZE];
    folder_of(writer->target, folder);
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        uint64_t number;
        if (getentropy(&number, sizeof number) != 0)
            return status_errno(STATUS_FAILED, errno, "cannot write %s", writer->path);
        TRY(path_format(writer->temporary, "%s/.alignprop-%016llx.tmp", folder, (unsigned long long)number));
        writer->descriptor = open(writer->temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
        if (writer->descriptor >= 0) return status_ok();
        if (errno != EEXIST) break;
    }
    return status_errno(STATUS_FAILED, errno, "cannot write %s", writer->path);
}

status file_writer_open(struct file_writer *writer, const char *path)
{
    mode_t mode;
    writer->descriptor = -1;
    TRY(path_format(writer->path, "%s", path));
    TRY(file_find_target(path, writer->target, &mode));
    TRY(open_temporary(writer));
    /* Where the file system has no such rights, the new file has those of any new file. */
    if (mode && fchmod(writer->descriptor, mode) != 0 && errno != EPERM && errno != ENOTSUP) {
        status result = status_errno(STATUS_FAILED, errno, "cannot write %s", path);
        file_writer_abandon(writer);
        return result;
    }
    return status_ok();
}

status file_writer_write(struct file_writer *writer, const void *data, size_t length)
{
    return file_write_all(writer->descriptor, writer->path, data, length);
}

static status finish_writing(struct file_writer *writer)
{
    if (fsync(writer->descriptor) != 0) return status_errno(STATUS_FAILED, errno, "cannot write %s", writer->path);
    int closed = close(writer->descriptor);
    writer->descriptor = -1;
    if (closed != 0) return status_errno(STATUS_FAILED, errno, "cannot write %s", writer->path);
    if (rename(writer->temporary, writer->target) != 0) {
        return status_errno(STATUS_FAILED, errno, "cannot write %s", writer->path);
    }
    return status_ok();
}

status file_writer_commit(struct file_writer *writer)
{
    status result = finish_writing(writer);
    if (result.code != STATUS_OK) {
        file_writer_abandon(writer);
        unlink(writer->temporary);
        return result;
    }
    char folder[PATH_SIZE];
    folder_of(writer->target, folder);
    return directory_sync(folder);
}

void file_writer_abandon(struct file_writer *writer)
{
    if (writer->descriptor < 0) return;
    close(writer->descriptor);
    writer->descriptor = -1;
    unlink(writer->temporary);
}

status file_write_atomic(const char *path, const void *data, size_t length)
{
    struct file_writer writer;
    TRY(file_writer_open(&writer, path));
    status result = file_writer_write(&writer, data, length);
    if (result.code == STATUS_OK) return file_writer_commit(&writer);
    file_writer_abandon(&writer);
    return result;
}

static status make_one(const char *path)
{
    if (mkdir(path, 0777) == 0) return status_ok();
    int error_number = errno;
    if (path_is_directory(path)) return status_ok();
    return status_errno(STATUS_FAILED, error_number, "cannot make folder %s", path);
}

status directory_make_for(const char *path)
{
    char folder[PATH_SIZE];
    folder_of(path, folder);
    return directory_make(folder);
}

status directory_make(const char *path)
{
    char partial[PATH_SIZE];
    TRY(path_format(partial, "%s", path));
    for (char *p = partial + 1; *p; p++) {
        if (*p != '/') continue;
        *p = '\0';
        TRY(make_one(partial));
        *p = '/';
    }
    return make_one(partial);
}

status directory_sync(const char *path)
{
    int descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) return status_errno(STATUS_FAILED, errno, "cannot open folder %s", path);
    /* File systems that cannot sync a folder say EINVAL; their renames need no sync. */
    int error_number = fsync(descriptor) != 0 ? errno : 0;
    close(descriptor);
    if (error_number != 0 && error_number != EINVAL) {
        return status_errno(STATUS_FAILED, error_number, "cannot sync folder %s", path);
    }
    return status_ok();
}

static int compare_names(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

void name_list_add(struct name_list *list, const char *name)
{
    list->names = memory_grow(list->names, list->count, &list->capacity, sizeof *list->names);
    list->names[list->count++] = memory_copy_text(name);
}

status directory_list(const char *path, struct name_list *list)
{
    *list = (struct name_list){0};
    DIR *folder = opendir(path);
    if (!folder) return status_errno(STATUS_BAD_INPUT, errno, "%s", path);
    struct dirent *entry;
    while ((entry = readdir(folder)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) name_list_add(list, entry->d_name);
    closedir(folder);
    if (list->count > 1) qsort(list->names, (size_t)list->count, sizeof *list->names, compare_names);
    return status_ok();
}

void name_list_clear(struct name_list *list)
{
    for (int i = 0; i < list->count; i++) free(list->names[i]);
    free(list->names);
    *list = (struct name_list){0};
}

static status remove_contents(const char *path)
{
    struct name_list list;
    TRY(directory_list(path, &list));
    status result = status_ok();
    for (int i = 0; i < list.count && result.code == STATUS_OK; i++) {
        char inner[PATH_SIZE];
        result = path_format(inner, "%s/%s", path, list.names[i]);
        if (result.code == STATUS_OK) result = directory_remove(inner);
    }
    name_list_clear(&list);
    return result;
}

status directory_remove(const char *path)
{
    struct stat facts;
    if (lstat(path, &facts) != 0) {
        return errno == ENOENT ? status_ok() : status_errno(STATUS_FAILED, errno, "cannot remove %s", path);
    }
    if (!S_ISDIR(facts.st_mode)) {
        return unlink(path) == 0 ? status_ok() : status_errno(STATUS_FAILED, errno, "cannot remove %s", path);
    }
    TRY(remove_contents(path));
    return rmdir(path) == 0 ? status_ok() : status_errno(STATUS_FAILED, errno, "cannot remove %s", path);
}

bool path_is_file(const char *path)
{
    struct stat facts;
    return stat(path, &facts) == 0 && !S_ISDIR(facts.st_mode);
}

bool path_holds_file(const char *folder, const char *name)
{
    char path[PATH_SIZE];
    return path_format(path, "%s/%s", folder, name).code == STATUS_OK && path_is_file(path);
}

bool path_is_directory(const char *path)
{
    struct stat facts;
    return stat(path, &facts) == 0 && S_ISDIR(facts.st_mode);
}

long long disk_free_bytes(const char *path)
{
    struct statvfs facts;
    if (statvfs(path, &facts) != 0) return -1;
    return (long long)facts.f_bavail * (long long)facts.f_frsize;
}
