/* `show`, `attach` and the program without a command: the front end's part. */
#include "engine/base/json_members.h"
#include "engine/cli/command.h"
#include "engine/cli/studio_hook.h"
#include "engine/run/run_folder.h"
#include "engine/server/run_rows.h"

#include <stdio.h>
#include <unistd.h>

#ifdef ALIGNPROP_STUDIO
#include "engine/run/picture_file.h"
#include "tui/studio.h"

bool studio_hook_is_built(void)
{
    return true;
}

static status read_picture(const char *path, unsigned char **pixels, int *width, int *height)
{
    struct picture picture;
    TRY(picture_read(path, &picture));
    *pixels = picture.pixels;
    *width = picture.width;
    *height = picture.height;
    return status_ok();
}

status studio_hook_show(const char *format, int width, int count, const char *const *paths)
{
    struct show_options options = {.format = format, .width = width, .read = read_picture};
    return studio_show(&options, count, paths);
}

status studio_hook_open(const char *program, const char *run, const char *pictures, bool mouse)
{
    struct studio_options options = {.program = program, .run = run, .pictures = pictures, .no_mouse = !mouse};
    return studio_run(&options);
}
#else
static status not_built(const char *what)
{
    return status_error(STATUS_FAILED,
                        "%s: this program was built without the studio (it needs ncursesw, chafa and "
                        "libsixel)",
                        what);
}

bool studio_hook_is_built(void)
{
    return false;
}

status studio_hook_show(const char *format, int width, int count, const char *const *paths)
{
    (void)format;
    (void)width;
    (void)paths;
    return count > 0 ? not_built("show") : status_ok();
}

status studio_hook_open(const char *program, const char *run, const char *pictures, bool mouse)
{
    (void)program;
    (void)pictures;
    (void)mouse;
    return not_built(run ? run : "the studio");
}
#endif

status command_show(const struct invocation *invocation)
{
    int width;
    TRY(option_int(invocation, "width", 1, 1000, 0, &width));
    return studio_hook_show(option_value(invocation, "format"), width, invocation->argument_count,
                            invocation->arguments);
}

/* The run under way that wrote last; an empty path when there is none. */
static status find_live_run(char path[PATH_SIZE])
{
    cJSON *rows;
    TRY(list_runs(&rows));
    path[0] = '\0';
    status result = status_ok();
    const cJSON *row;
    cJSON_ArrayForEach(row, rows)
    {
        if (!json_get_text(row, "socket", NULL)) continue;
        result = path_format(path, "%s", json_get_text(row, "path", ""));
        break;
    }
    cJSON_Delete(rows);
    return result;
}

static status open_studio(const struct invocation *invocation, const char *run)
{
    return studio_hook_open(invocation->program, run, option_value(invocation, "pictures"),
                            !option_given(invocation, "no-mouse"));
}

status command_attach(const struct invocation *invocation)
{
    if (invocation->argument_count == 0) {
        char path[PATH_SIZE];
        TRY(find_live_run(path));
        return open_studio(invocation, path[0] ? path : NULL);
    }
    struct run_folder folder;
    TRY(run_folder_open(invocation->arguments[0], &folder));
    if (!run_folder_is_alive(&folder)) {
        return status_error(STATUS_FAILED, "%s: no engine is running it; continue it with `alignprop resume`",
                            folder.path);
    }
    return open_studio(invocation, folder.path);
}

/* Without a terminal there is nothing to open a studio on. */
status command_studio(const struct invocation *invocation)
{
    bool terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
    if (terminal && studio_hook_is_built()) return open_studio(invocation, NULL);
    print_overview();
    return status_ok();
}
