/* `start`: a run as a process of its own, for a screen. */
#include "engine/server/request_services.h"

#include "engine/protocol/message.h"
#include "engine/run/checkpoint.h"
#include "engine/server/device_queue.h"
#include "engine/server/launch.h"
#include "engine/tuning/preset_models.h"

#include <string.h>

enum start_when { START_QUEUED, START_NOW, START_ASK };

static status read_when(const cJSON *request, enum start_when *when)
{
    static const char *const names[] = {"queue", "now", "ask"};
    const char *given = json_get_text(request, "when", "queue");
    for (int i = 0; i < 3; i++) {
        if (strcmp(given, names[i]) != 0) continue;
        *when = (enum start_when)i;
        return status_ok();
    }
    return status_error(STATUS_USAGE, "'when' is '%.40s'; it must be queue, now or ask", given);
}

static status refuse_when_busy(const char *device, cJSON *answer)
{
    struct device_holder holder = {0};
    if (!device_is_busy(device, &holder)) return status_ok();
    cJSON_AddBoolToObject(answer, "busy", true);
    char description[HOLDER_DESCRIPTION_SIZE];
    return status_error(STATUS_FAILED, "%s is busy with %s", device, device_holder_describe(&holder, description));
}

/* "from": {"run": ..., "step": ...} in a request; the path stays empty without it. */
static status read_origin(const cJSON *request, char path[PATH_SIZE])
{
    path[0] = '\0';
    const cJSON *from = cJSON_GetObjectItemCaseSensitive(request, "from");
    if (!cJSON_IsObject(from)) return status_ok();
    struct run_folder other;
    TRY(run_folder_open(json_get_text(from, "run", ""), &other));
    return checkpoint_find_adapter(&other, (int)json_get_integer_in(from, "step", 0, 1 << 30, -1), path);
}

/* So that the run's own preset means the same models wherever it is opened. The run itself says which it does not find.
 */
static status find_models(struct preset *preset)
{
    struct model_library library;
    TRY(model_library_open(NULL, 0, &library));
    bool there = preset_find_diffusion_model(preset, &library).code == STATUS_OK;
    status result = there ? preset_find_models(preset, &library) : status_ok();
    preset->model_folders = NULL;
    model_library_close(&library);
    return result;
}

static status start_new(const cJSON *request, const struct launch_options *given, struct run_folder *folder,
                        struct launched *launched)
{
    struct preset preset = {0};
    struct launch_options with_origin = *given, *options = &with_origin;
    char origin[PATH_SIZE];
    TRY(read_origin(request, origin));
    if (origin[0]) with_origin.origin = origin;
    const char *path = json_get_text(request, "run", NULL);
    /* Here `run` says where the new run goes, not whose preset is meant. */
    status result = cJSON_GetObjectItemCaseSensitive(request, "preset")
                        ? request_preset(request, &preset, NULL)
                        : status_error(STATUS_USAGE, "a 'preset' or a run to 'resume' is needed");
    if (result.code == STATUS_OK) result = find_models(&preset);
    if (result.code == STATUS_OK) result = launch_new_run(path, &preset, options, folder, launched);
    preset_clear(&preset);
    return result;
}

static status start_again(const char *run, const struct launch_options *options, struct run_folder *folder,
                          struct launched *launched)
{
    TRY(run_folder_open(run, folder));
    return launch_run(folder, options, launched);
}

status answer_start(const struct service_facts *facts, const cJSON *request, cJSON *answer)
{
    enum start_when when = START_QUEUED;
    TRY(read_when(request, &when));
    const char *device = json_get_text(request, "device", facts->device);
    if (when == START_ASK) TRY(refuse_when_busy(device, answer));
    struct launch_options options = {.program = facts->program,
                                     .device = json_get_text(request, "device", NULL),
                                     .threads = (int)json_get_integer_in(request, "threads", 1, 4096, 0),
                                     .steps = (int)json_get_integer_in(request, "steps", 1, 1 << 30, 0),
                                     .share = when == START_NOW};
    const char *resume = json_get_text(request, "resume", NULL);
    struct run_folder folder;
    struct launched launched;
    if (resume)
        TRY(start_again(resume, &options, &folder, &launched));
    else
        TRY(start_new(request, &options, &folder, &launched));
    cJSON_AddStringToObject(answer, "run", folder.path);
    cJSON_AddStringToObject(answer, "socket", launched.socket);
    cJSON_AddNumberToObject(answer, "pid", (double)launched.pid);
    return status_ok();
}
