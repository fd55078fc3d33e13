/* What this machine has, for a person who wonders why something does not work. */
#include "engine/base/format.h"
#include "engine/base/json.h"
#include "engine/base/paths.h"
#include "engine/base/text.h"
#include "engine/base/version.h"
#include "engine/cli/studio_hook.h"
#include "engine/cli/work.h"
#include "engine/preset/library.h"
#include "kernels/cpu/onednn.h"
#include "kernels/cuda/probe.h"
#include "kernels/host_memory.h"

#include <stdio.h>

#include <jpeglib.h>
#include <png.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <utf8proc.h>

static void add_text(cJSON *object, const char *key, const char *value)
{
    cJSON_AddStringToObject(object, key, value ? value : "");
}

static void add_terminal(cJSON *report)
{
    cJSON *terminal = cJSON_AddObjectToObject(report, "terminal");
    struct winsize size = {0};
    bool is_terminal = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0;
    cJSON_AddBoolToObject(terminal, "present", is_terminal);
    cJSON_AddNumberToObject(terminal, "columns", size.ws_col);
    cJSON_AddNumberToObject(terminal, "rows", size.ws_row);
    cJSON_AddNumberToObject(terminal, "pixel_width", size.ws_xpixel);
    cJSON_AddNumberToObject(terminal, "pixel_height", size.ws_ypixel);
    add_text(terminal, "TERM", getenv("TERM"));
    add_text(terminal, "TERM_PROGRAM", getenv("TERM_PROGRAM"));
    add_text(terminal, "COLORTERM", getenv("COLORTERM"));
    cJSON_AddBoolToObject(terminal, "tmux", getenv("TMUX") != NULL);
    cJSON_AddBoolToObject(terminal, "ssh", getenv("SSH_CONNECTION") != NULL);
    cJSON_AddBoolToObject(report, "studio", studio_hook_is_built());
}

static void add_cuda(cJSON *report)
{
    struct cuda_probe probe;
    cuda_probe(&probe);
    cJSON *cuda = cJSON_AddObjectToObject(report, "cuda");
    cJSON_AddBoolToObject(cuda, "built", probe.built);
    add_text(cuda, "architectures", probe.architectures);
    cJSON_AddNumberToObject(cuda, "runtime", probe.runtime_version);
    cJSON_AddNumberToObject(cuda, "driver", probe.driver_version);
    add_text(cuda, "driver_needed", probe.driver_needed);
    cJSON_AddBoolToObject(cuda, "matrix_library", probe.matrix_library);
    add_text(cuda, "missing", probe.missing);
    cJSON *devices = cJSON_AddArrayToObject(cuda, "devices");
    for (int i = 0; i < probe.device_count; i++) {
        const struct cuda_device *device = &probe.device[i];
        char capability[32];
        snprintf(capability, sizeof capability, "%d.%d", device->major, device->minor);
        cJSON *row = cJSON_CreateObject();
        cJSON_AddStringToObject(row, "name", device->name);
        cJSON_AddStringToObject(row, "capability", capability);
        cJSON_AddNumberToObject(row, "multiprocessors", device->multiprocessors);
        cJSON_AddNumberToObject(row, "memory_bytes", (double)device->memory_bytes);
        cJSON_AddBoolToObject(row, "usable", device->usable);
        cJSON_AddItemToArray(devices, row);
    }
}

/* The first "model name" of /proc/cpuinfo. */
static void processor_name(char name[120])
{
    name[0] = '\0';
    FILE *file = fopen("/proc/cpuinfo", "r");
    char line[200];
    while (file && !name[0] && fgets(line, sizeof line, file)) {
        const char *colon = strstr(line, ": ");
        if (strncmp(line, "model name", 10) == 0 && colon)
            snprintf(name, 120, "%.*s", (int)strcspn(colon + 2, "\n"), colon + 2);
    }
    if (file) fclose(file);
}

static void add_processor(cJSON *report)
{
    char name[120];
    processor_name(name);
    cJSON *processor = cJSON_AddObjectToObject(report, "processor");
    cJSON_AddStringToObject(processor, "name", name);
    cJSON_AddNumberToObject(processor, "cores", (double)sysconf(_SC_NPROCESSORS_ONLN));
    size_t free_bytes, total_bytes;
    if (host_memory_free(&free_bytes, &total_bytes).code != STATUS_OK) return;
    cJSON_AddNumberToObject(processor, "memory_bytes", (double)total_bytes);
    cJSON_AddNumberToObject(processor, "memory_free_bytes", (double)free_bytes);
}

static void add_libraries(cJSON *report)
{
    char jpeg[40], unicode[60], onednn[32];
    snprintf(jpeg, sizeof jpeg, "API %d", JPEG_LIB_VERSION);
    snprintf(unicode, sizeof unicode, "%s, Unicode %s", utf8proc_version(), utf8proc_unicode_version());
    onednn_version(onednn);
    cJSON *libraries = cJSON_AddObjectToObject(report, "libraries");
    cJSON_AddStringToObject(libraries, "cJSON", cJSON_Version());
    cJSON_AddStringToObject(libraries, "libpng", png_get_libpng_ver(NULL));
    cJSON_AddStringToObject(libraries, "libjpeg", jpeg);
    cJSON_AddStringToObject(libraries, "utf8proc", unicode);
    cJSON_AddStringToObject(libraries, "oneDNN", onednn[0] ? onednn : "not built in: the CPU engine is much slower");
}

static void add_folder(cJSON *folders, const char *key, status (*find)(char path[PATH_SIZE]))
{
    char path[PATH_SIZE];
    status result = find(path);
    cJSON *row = cJSON_AddObjectToObject(folders, key);
    if (result.code != STATUS_OK) {
        cJSON_AddStringToObject(row, "error", result.message);
        return;
    }
    cJSON_AddStringToObject(row, "path", path);
    cJSON_AddBoolToObject(row, "present", path_is_directory(path));
    char *slash;
    while (!path_is_directory(path) && (slash = strrchr(path, '/')) && slash != path) *slash = '\0';
    cJSON_AddBoolToObject(row, "writable", access(path, W_OK) == 0);
    cJSON_AddNumberToObject(row, "free_bytes", (double)disk_free_bytes(path));
}

static void add_folders(cJSON *report)
{
    cJSON *folders = cJSON_AddObjectToObject(report, "folders");
    add_folder(folders, "presets", preset_folder_own);
    add_folder(folders, "data", paths_data);
    add_folder(folders, "state", paths_state);
    add_folder(folders, "program", paths_program_data);
}

static status add_models(const struct invocation *invocation, cJSON *report)
{
    struct work work = {0};
    status result = work_open_library(invocation, &work);
    cJSON *models = cJSON_AddArrayToObject(report, "models");
    for (int i = 0; i < work.library.count; i++) {
        cJSON_AddItemToArray(models, cJSON_CreateString(work.library.entries[i].name));
    }
    work_close(&work);
    return result;
}

static void print_leaf(const cJSON *value, const char *path)
{
    char bytes[FORMAT_SIZE];
    char *text = json_print(value, false);
    const char *message = text;
    if (cJSON_IsString(value)) message = value->valuestring[0] ? value->valuestring : "-";
    if (cJSON_IsBool(value)) message = cJSON_IsTrue(value) ? "yes" : "no";
    if (cJSON_IsNumber(value) && text_ends_with(path, "_bytes"))
        message = format_bytes(bytes, sizeof bytes, value->valuedouble);
    print_line("%-28s %s", path, message);
    free(text);
}

/* Every leaf on a line of its own, by its dotted key. */
static void print_leaves(const cJSON *value, const char *path)
{
    if (!cJSON_IsObject(value) && !cJSON_IsArray(value)) {
        print_leaf(value, path);
        return;
    }
    int index = 0;
    const cJSON *member;
    cJSON_ArrayForEach(member, value)
    {
        char inner[256];
        if (member->string) {
            snprintf(inner, sizeof inner, "%s%s%s", path, *path ? "." : "", member->string);
        } else {
            snprintf(inner, sizeof inner, "%s[%d]", path, index++);
        }
        print_leaves(member, inner);
    }
}

status command_doctor(const struct invocation *invocation)
{
    cJSON *report = cJSON_CreateObject();
    cJSON_AddStringToObject(report, "version", ALIGNPROP_VERSION);
    add_terminal(report);
    add_processor(report);
    add_cuda(report);
    add_libraries(report);
    add_folders(report);
    status result = add_models(invocation, report);
    if (invocation->json) {
        print_json(report);
    } else {
        print_leaves(report, "");
    }
    cJSON_Delete(report);
    return result;
}
