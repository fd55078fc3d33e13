#include "engine/base/json.h"
#include "engine/cli/work.h"
#include "engine/run/adapter_file.h"
#include "engine/run/checkpoint.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static status parse_format(const struct invocation *invocation, enum adapter_format *format)
{
    const char *given = option_value(invocation, "format");
    *format = ADAPTER_KOHYA;
    if (!given || strcmp(given, "kohya") == 0) return status_ok();
    *format = ADAPTER_PEFT;
    if (strcmp(given, "peft") == 0) return status_ok();
    return status_error(STATUS_USAGE, "--format: expected kohya or peft, found \"%.40s\"", given);
}

/* The adapter of the step, or the newest. */
static status adapter_path(const struct run_folder *folder, int step, char path[PATH_SIZE])
{
    if (step < 0) {
        TRY(path_format(path, "%s/lora.safetensors", folder->path));
        if (path_is_file(path)) return status_ok();
        return status_error(STATUS_BAD_INPUT, "%s: has no adapter yet", folder->path);
    }
    char checkpoint[PATH_SIZE];
    TRY(checkpoint_path(folder, step, checkpoint));
    TRY(path_format(path, "%s/lora.safetensors", checkpoint));
    if (path_is_file(path)) return status_ok();
    return status_error(STATUS_BAD_INPUT, "%s: has no checkpoint of step %d; see %s/checkpoints", folder->path, step,
                        folder->path);
}

static status check_names(const struct adapter_set *set, const char *path)
{
    for (int i = 0; i < set->count; i++) {
        if (!set->modules[i].module[0]) {
            return status_error(STATUS_BAD_INPUT, "%s: does not tell the modules' names, which peft needs", path);
        }
    }
    return status_ok();
}

struct export_job {
    enum adapter_format format;
    double scale;
    char source[PATH_SIZE], target[PATH_SIZE];
    int step;
};

static status report(const struct invocation *invocation, const struct export_job *job, const struct adapter_set *set)
{
    int matching, total;
    TRY(adapter_file_verify(job->target, set, job->scale, &matching, &total));
    if (invocation->json) {
        cJSON *object = cJSON_CreateObject();
        cJSON_AddStringToObject(object, "path", job->target);
        cJSON_AddStringToObject(object, "format", job->format == ADAPTER_PEFT ? "peft" : "kohya");
        cJSON_AddNumberToObject(object, "scale", job->scale);
        cJSON_AddNumberToObject(object, "matching", matching);
        cJSON_AddNumberToObject(object, "total", total);
        print_json(object);
        cJSON_Delete(object);
    } else {
        printf("%s: read back, %d of %d tensors match\n", job->target, matching, total);
    }
    if (matching == total) return status_ok();
    return status_error(STATUS_FAILED, "%s: %d of %d tensors do not match what was written", job->target,
                        total - matching, total);
}

static status export_set(const struct invocation *invocation, const struct export_job *job, const struct preset *preset,
                         const char *run_id, const struct adapter_set *set)
{
    if (job->format == ADAPTER_PEFT) TRY(check_names(set, job->source));
    double now = (double)time(NULL);
    struct adapter_facts facts = {.run_id = run_id, .step = job->step, .started = now, .finished = now};
    TRY(adapter_file_write(job->target, set, job->format, job->scale, preset, &facts));
    return report(invocation, job, set);
}

static status target_path(const struct invocation *invocation, const struct preset *preset, struct export_job *job)
{
    const char *given = option_value(invocation, "output");
    if (given) return path_format(job->target, "%s", given);
    return path_format(job->target, "%s%s.safetensors", preset->name, job->format == ADAPTER_PEFT ? "-peft" : "");
}

static status export_run(const struct invocation *invocation, const struct run_folder *folder, struct export_job *job)
{
    struct preset preset;
    struct adapter_set set;
    TRY(adapter_path(folder, job->step, job->source));
    TRY(run_folder_preset(folder, &preset));
    status result = target_path(invocation, &preset, job);
    if (result.code == STATUS_OK) result = adapter_file_read(job->source, &set);
    if (result.code == STATUS_OK) {
        result = export_set(invocation, job, &preset, folder->id, &set);
        adapter_set_clear(&set);
    }
    preset_clear(&preset);
    return result;
}

status command_export(const struct invocation *invocation)
{
    char run[PATH_SIZE];
    struct export_job job;
    struct run_folder folder;
    TRY(parse_format(invocation, &job.format));
    TRY(option_number(invocation, "scale", -100, 100, 1, &job.scale));
    TRY(split_run_step(invocation->arguments[0], run, &job.step));
    TRY(run_folder_open(run, &folder));
    return export_run(invocation, &folder, &job);
}
