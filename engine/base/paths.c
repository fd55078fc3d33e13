/* The XDG folders, the program's own data beside a build or an installation, and the Hugging Face cache. */
#include "engine/base/paths.h"

#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The variable's value when it is an absolute path, else NULL. */
static const char *absolute_variable(const char *name)
{
    const char *value = getenv(name);
    return value && value[0] == '/' ? value : NULL;
}

static status home(char path[PATH_SIZE])
{
    const char *value = absolute_variable("HOME");
    if (!value) {
        const struct passwd *entry = getpwuid(getuid());
        value = entry ? entry->pw_dir : NULL;
    }
    if (!value || value[0] != '/') return status_error(STATUS_FAILED, "the home folder is unknown: set HOME");
    return path_format(path, "%s", value);
}

static status base_directory(const char *variable, const char *fallback, char path[PATH_SIZE])
{
    const char *value = absolute_variable(variable);
    if (value) return path_format(path, "%s/alignprop", value);
    char folder[PATH_SIZE];
    TRY(home(folder));
    return path_format(path, "%s/%s/alignprop", folder, fallback);
}

status paths_config(char path[PATH_SIZE])
{
    return base_directory("XDG_CONFIG_HOME", ".config", path);
}

status paths_data(char path[PATH_SIZE])
{
    return base_directory("XDG_DATA_HOME", ".local/share", path);
}

status paths_state(char path[PATH_SIZE])
{
    return base_directory("XDG_STATE_HOME", ".local/state", path);
}

status paths_runtime(char path[PATH_SIZE])
{
    const char *value = absolute_variable("XDG_RUNTIME_DIR");
    if (value && path_is_directory(value)) {
        TRY(path_format(path, "%s/alignprop", value));
    } else {
        TRY(path_format(path, "/tmp/alignprop-%ld", (long)getuid()));
    }
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        return status_errno(STATUS_FAILED, errno, "cannot make folder %s", path);
    }
    struct stat facts;
    if (lstat(path, &facts) != 0) return status_errno(STATUS_FAILED, errno, "%s", path);
    if (!S_ISDIR(facts.st_mode)) return status_error(STATUS_FAILED, "%s: is not a folder", path);
    if (facts.st_uid != getuid()) {
        return status_error(STATUS_FAILED, "%s: belongs to user %ld, not to you: remove it or set XDG_RUNTIME_DIR",
                            path, (long)facts.st_uid);
    }
    if ((facts.st_mode & 077) != 0) {
        return status_error(STATUS_FAILED, "%s: is open to other users (mode %03o): make it 0700", path,
                            (unsigned)facts.st_mode & 0777u);
    }
    return status_ok();
}

static bool is_source_tree(const char *folder)
{
    char file[PATH_SIZE], presets[PATH_SIZE];
    return path_format(file, "%s/meson_options.txt", folder).code == STATUS_OK &&
           path_format(presets, "%s/presets", folder).code == STATUS_OK && path_is_file(file) &&
           path_is_directory(presets);
}

/* Cuts the last component; false at the root. */
static bool cut_last(char *path)
{
    char *slash = strrchr(path, '/');
    if (!slash || slash == path) return false;
    *slash = '\0';
    return true;
}

status paths_program_data(char path[PATH_SIZE])
{
    const char *value = absolute_variable("ALIGNPROP_DATA");
    if (value) return path_format(path, "%s", value);

    char program[PATH_SIZE];
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    if (length < 0) return status_errno(STATUS_FAILED, errno, "cannot find the running program");
    program[length] = '\0';

    char folder[PATH_SIZE];
    TRY(path_format(folder, "%s", program));
    while (cut_last(folder)) {
        if (is_source_tree(folder)) return path_format(path, "%s", folder);
    }
    /* PREFIX/bin/alignprop */
    bool has_prefix = cut_last(program);
    has_prefix = has_prefix && cut_last(program);
    if (has_prefix) {
        TRY(path_format(path, "%s/share/alignprop", program));
        if (path_is_directory(path)) return status_ok();
    }
    return status_error(STATUS_FAILED, "the program's presets were not found beside it: set ALIGNPROP_DATA to the "
                                       "folder that holds presets/");
}

status paths_hub_cache(char path[PATH_SIZE])
{
    const char *value = absolute_variable("HF_HUB_CACHE");
    if (value) return path_format(path, "%s", value);
    value = absolute_variable("HF_HOME");
    if (value) return path_format(path, "%s/hub", value);
    value = absolute_variable("XDG_CACHE_HOME");
    if (value) return path_format(path, "%s/huggingface/hub", value);
    char folder[PATH_SIZE];
    TRY(home(folder));
    return path_format(path, "%s/.cache/huggingface/hub", folder);
}
