/* Opening and reading files: regular ones only. */
#include "engine/base/input_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *kind_of_file(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFDIR: return "folder";
    case S_IFIFO: return "pipe";
    case S_IFSOCK: return "socket";
    case S_IFCHR:
    case S_IFBLK: return "device";
    default: return "special file";
    }
}

static status not_regular(const char *path, mode_t mode)
{
    return status_error(STATUS_BAD_INPUT, "%.300s: is a %s; expected a regular file", path, kind_of_file(mode));
}

static status examine(struct input_file *file)
{
    struct stat facts;
    if (fstat(file->descriptor, &facts) != 0) return status_errno(STATUS_BAD_INPUT, errno, "%.300s", file->path);
    if (!S_ISREG(facts.st_mode)) return not_regular(file->path, facts.st_mode);
    file->size = (uint64_t)facts.st_size;
    return status_ok();
}

status input_file_open(const char *path, struct input_file *file)
{
    *file = (struct input_file){.path = path};
    /* Without O_NONBLOCK, opening a pipe would wait for its writer before it can be refused. */
    file->descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (file->descriptor < 0) {
        int error_number = errno;
        struct stat facts;
        /* A socket cannot be opened at all, and the system's words for that do not say so. */
        if (error_number == ENXIO && stat(path, &facts) == 0 && !S_ISREG(facts.st_mode))
            return not_regular(path, facts.st_mode);
        return status_errno(STATUS_BAD_INPUT, error_number, "%.300s", path);
    }
    status result = examine(file);
    if (result.code != STATUS_OK) input_file_close(file);
    return result;
}

void input_file_close(struct input_file *file)
{
    if (file->descriptor >= 0) close(file->descriptor);
    file->descriptor = -1;
}

/* Reads until `count` bytes are there or the file ends; `*filled` is how many came. */
static status read_up_to(const struct input_file *file, uint64_t offset, char *bytes, size_t count, size_t *filled)
{
    *filled = 0;
    while (*filled < count) {
        ssize_t got = pread(file->descriptor, bytes + *filled, count - *filled, (off_t)(offset + *filled));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return status_errno(STATUS_BAD_INPUT, errno, "%.300s: cannot be read", file->path);
        if (got == 0) break;
        *filled += (size_t)got;
    }
    return status_ok();
}

status input_file_read_at(const struct input_file *file, uint64_t offset, void *bytes, size_t count)
{
    size_t filled;
    TRY(read_up_to(file, offset, bytes, count, &filled));
    if (filled == count) return status_ok();
    return status_error(
        STATUS_BAD_INPUT,
        "%.300s: ends at byte %llu, but had %llu bytes when it was opened; it was cut while it was read", file->path,
        (unsigned long long)(offset + filled), (unsigned long long)file->size);
}

status input_stream_open(const char *path, FILE **stream)
{
    struct input_file file;
    TRY(input_file_open(path, &file));
    *stream = fdopen(file.descriptor, "r");
    if (*stream) return status_ok();
    int error_number = errno;
    input_file_close(&file);
    return status_errno(STATUS_FAILED, error_number, "%.300s: cannot be opened", path);
}

static status read_whole(const struct input_file *file, size_t limit, char **data, size_t *length)
{
    if (file->size > limit)
        return status_error(STATUS_BAD_INPUT, "%.300s: has %llu bytes, more than the %zu allowed here", file->path,
                            (unsigned long long)file->size, limit);
    char *buffer = malloc((size_t)file->size + 1);
    if (!buffer)
        return status_error(STATUS_NO_MEMORY, "%.300s: no memory for its %llu bytes", file->path,
                            (unsigned long long)file->size);
    status result = read_up_to(file, 0, buffer, (size_t)file->size, length);
    if (result.code != STATUS_OK) {
        free(buffer);
        return result;
    }
    buffer[*length] = '\0';
    *data = buffer;
    return status_ok();
}

status file_read(const char *path, size_t limit, char **data, size_t *length)
{
    struct input_file file;
    TRY(input_file_open(path, &file));
    status result = read_whole(&file, limit, data, length);
    input_file_close(&file);
    return result;
}
