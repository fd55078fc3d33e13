/* Appends and reads the list of runs outside the default folder. */
#include "engine/run/run_register.h"

#include "engine/base/paths.h"
#include "engine/base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { REGISTER_LIMIT = 4 << 20 };

static status register_path(char path[PATH_SIZE])
{
    char state[PATH_SIZE];
    TRY(paths_state(state));
    TRY(directory_make(state));
    return path_format(path, "%s/runs", state);
}

static bool holds(const struct name_list *list, const char *name)
{
    for (int i = 0; i < list->count; i++)
        if (strcmp(list->names[i], name) == 0) return true;
    return false;
}

/* A path with a new line in it is written on one line that begins with a backslash: "\n" stands for the new line there,
 * "\\" for a backslash. */
static void append_line(struct text *line, const char *path)
{
    bool escaped = strchr(path, '\n') != NULL;
    if (escaped) text_append_bytes(line, "\\", 1);
    for (const char *p = path; *p; p++) {
        const char *form = !escaped ? NULL : *p == '\n' ? "\\n" : *p == '\\' ? "\\\\" : NULL;
        text_append_bytes(line, form ? form : p, form ? 2 : 1);
    }
    text_append_bytes(line, "\n", 1);
}

/* The path that a line stands for, in place. */
static char *read_line(char *line)
{
    if (line[0] != '\\') return line;
    char *path = line + 1, *target = path;
    for (const char *p = path; *p; p++) {
        if (*p == '\\' && p[1]) {
            p++;
            *target++ = *p == 'n' ? '\n' : *p;
        } else {
            *target++ = *p;
        }
    }
    *target = '\0';
    return path;
}

/* A last line without its end is still being written and is left out. */
static void add_lines(struct name_list *list, char *text)
{
    for (char *end; (end = strchr(text, '\n')) != NULL; text = end + 1) {
        *end = '\0';
        const char *path = read_line(text);
        if (path[0] == '/' && !holds(list, path)) name_list_add(list, path);
    }
}

status run_register_list(struct name_list *paths)
{
    *paths = (struct name_list){0};
    char path[PATH_SIZE], *text;
    size_t length;
    TRY(register_path(path));
    if (!path_is_file(path)) return status_ok();
    TRY(file_read(path, REGISTER_LIMIT, &text, &length));
    add_lines(paths, text);
    free(text);
    return status_ok();
}

static bool is_directly_under(const char *path, const char *home)
{
    size_t length = strlen(home);
    return strncmp(path, home, length) == 0 && path[length] == '/' && strchr(path + length + 1, '/') == NULL;
}

/* One write of a line that is added at the end: engines that begin at the same time do not get in each other's way. */
static status append_to(const char *file, const struct text *line)
{
    int descriptor = open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (descriptor < 0) return status_errno(STATUS_FAILED, errno, "%s", file);
    status result = file_write_all(descriptor, file, line->data, line->length);
    close(descriptor);
    return result;
}

status run_register_add(const char *path, const char *home)
{
    if (is_directly_under(path, home)) return status_ok();
    struct name_list known;
    TRY(run_register_list(&known));
    bool noted = holds(&known, path);
    name_list_clear(&known);
    if (noted) return status_ok();
    char file[PATH_SIZE];
    struct text line = {0};
    TRY(register_path(file));
    append_line(&line, path);
    status result = append_to(file, &line);
    text_clear(&line);
    return result;
}
