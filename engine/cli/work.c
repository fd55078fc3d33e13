/* Finds the preset, its models and a device for a command, and says what is wrong with any of them. */
#include "engine/cli/work.h"

#include "engine/base/json.h"
#include "engine/base/memory.h"
#include "engine/base/range.h"
#include "engine/model/prompt_fit.h"
#include "engine/reward/reward.h"
#include "engine/run/run_weights.h"
#include "engine/tuning/preset_models.h"
#include "engine/tuning/tuner.h"
#include "kernels/cuda/probe.h"
#include "kernels/host_memory.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- presets ---- */

status work_open_library(const struct invocation *invocation, struct work *work)
{
    int count;
    const char **given = option_values(invocation, "model-path", &count);
    status result = model_library_open(given, count, &work->library);
    free(given);
    return result;
}

status work_read_facts(const char *model_path, struct model_facts *facts, struct remarks *remarks)
{
    struct model *model;
    TRY(model_open(model_path, &model));
    *facts = *model_facts(model);
    *remarks = *model_remarks(model);
    facts->schedule.alpha_bar = NULL;
    model_close(model);
    return status_ok();
}

void work_say_remarks(const struct invocation *invocation, const struct remarks *remarks)
{
    for (int i = 0; i < remarks_kept(remarks); i++) say(invocation, "warning: %s", remarks->lines[i]);
}

static status check_rewards(const struct preset *preset)
{
    const struct reward_kind *kind;
    for (int i = 0; i < preset->reward_count; i++)
        TRY(status_context(reward_kind_require(preset->rewards[i].name, &kind), "%s: rewards", preset->origin));
    return status_ok();
}

static void say_warnings(const struct invocation *invocation, struct preset_warnings *warnings)
{
    for (int i = 0; i < warnings->count; i++) say(invocation, "warning: %s", warnings->lines[i]);
    preset_warnings_clear(warnings);
}

static status make_paths_absolute(const struct invocation *invocation, struct work *work)
{
    struct preset_warnings warnings = {0};
    status result = preset_make_model_paths_absolute(&work->preset, &work->library, &warnings);
    say_warnings(invocation, &warnings);
    return result;
}

static status use_model(struct work *work)
{
    TRY(work_read_facts(work->preset.model_path, &work->facts, &work->remarks));
    TRY(preset_fill_size(&work->preset, work->facts.default_size));
    return status_context(model_check_size(&work->facts, work->preset.width, work->preset.height), "%s",
                          work->preset.origin);
}

status work_find_model(const struct invocation *invocation, struct work *work)
{
    TRY(work_open_library(invocation, work));
    TRY(make_paths_absolute(invocation, work));
    TRY(preset_find_diffusion_model(&work->preset, &work->library));
    return use_model(work);
}

status work_resolve(const struct invocation *invocation, struct work *work)
{
    TRY(check_rewards(&work->preset));
    TRY(work_open_library(invocation, work));
    TRY(make_paths_absolute(invocation, work));
    TRY(preset_find_models(&work->preset, &work->library));
    return use_model(work);
}

static status check_preset_prompts(const struct model *model, const struct preset *preset,
                                   char message[PROMPT_FIT_MESSAGE])
{
    const struct prompt_list *lists[] = {&preset->train, &preset->evaluation};
    static const char *const places[] = {"prompts.train", "prompts.eval"};
    for (int i = 0; i < 2; i++) {
        TRY(model_prompts_fit(model, places[i], (const char *const *)lists[i]->texts, lists[i]->count, message));
        if (message[0]) return status_ok();
    }
    const char *negative = preset->negative;
    return model_prompts_fit(model, "prompts.negative", &negative, 1, message);
}

static status check_given_prompts(const struct model *model, const struct preset *preset, const char *const *prompts,
                                  int count, char message[PROMPT_FIT_MESSAGE])
{
    TRY(model_prompts_fit(model, "--prompt", prompts, count, message));
    const char *negative = preset->negative;
    return message[0] ? status_ok() : model_prompts_fit(model, "--negative", &negative, 1, message);
}

status work_warn_of_cut_prompts(const struct invocation *invocation, const struct work *work,
                                const char *const *prompts, int count)
{
    struct model *model;
    char message[PROMPT_FIT_MESSAGE];
    TRY(model_open(work->preset.model_path, &model));
    status result = prompts ? check_given_prompts(model, &work->preset, prompts, count, message)
                            : check_preset_prompts(model, &work->preset, message);
    model_close(model);
    if (result.code == STATUS_OK && message[0]) say(invocation, "warning: %s", message);
    return result;
}

status work_name_preset(const struct work *work, status result)
{
    return result.code == STATUS_BAD_INPUT ? status_context(result, "%s", work->preset.origin) : result;
}

status work_check_tuning(const struct work *work)
{
    return work_name_preset(work, tuner_check(&work->preset));
}

/* ---- loading ---- */

static status load(const struct invocation *invocation, const char *name, const char *const *extra, int extra_count,
                   struct work *work)
{
    int count;
    const char **settings = option_values(invocation, "set", &count);
    settings = memory_resize(settings, (size_t)(count + extra_count), sizeof *settings);
    for (int i = 0; i < extra_count; i++) settings[count++] = extra[i];
    struct preset_warnings warnings = {0};
    status result = preset_load(name, settings, count, &work->preset, &warnings);
    say_warnings(invocation, &warnings);
    free(settings);
    work->has_preset = result.code == STATUS_OK;
    return result;
}

status work_load_preset(const struct invocation *invocation, const char *name, const char *const *extra,
                        int extra_count, struct work *work)
{
    TRY(load(invocation, name, extra, extra_count, work));
    return work_resolve(invocation, work);
}

status work_load_preset_to_sample(const struct invocation *invocation, const char *name, struct work *work)
{
    TRY(load(invocation, name, NULL, 0, work));
    return work_find_model(invocation, work);
}

/* ---- devices ---- */

static int core_count(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

static status open_cpu(struct work *work)
{
    snprintf(work->device, sizeof work->device, "cpu");
    if (work->threads == 0) work->threads = core_count();
    host_memory_share_reserves();
    return backend_cpu_create(work->threads, &work->backend);
}

static enum cuda_precision cuda_precision_of(const struct preset *preset)
{
    switch (preset->precision) {
    case PRECISION_F16: return CUDA_PRECISION_F16;
    case PRECISION_F32: return CUDA_PRECISION_F32;
    case PRECISION_AUTO:
    case PRECISION_BF16:
    case PRECISION_COUNT: break;
    }
    return CUDA_PRECISION_BF16;
}

static status open_cuda(const struct invocation *invocation, struct work *work, int ordinal)
{
    snprintf(work->device, sizeof work->device, "cuda:%d", ordinal);
    TRY(backend_cuda_create(ordinal, cuda_precision_of(&work->preset), &work->backend));
    if (work->backend->interface->remark) say(invocation, "warning: %s", work->backend->interface->remark);
    return status_ok();
}

const char *work_default_device(void)
{
    struct cuda_probe probe;
    cuda_probe(&probe);
    return probe.device_count > 0 && probe.device[0].usable ? "cuda:0" : "cpu";
}

static bool parse_ordinal(const char *device, int *ordinal)
{
    int64_t number = 0;
    bool bare = strcmp(device, "cuda") == 0;
    bool numbered =
        strncmp(device, "cuda:", 5) == 0 && text_to_int64(device + 5, &number) && number >= 0 && number < 1024;
    *ordinal = (int)number;
    return bare || numbered;
}

status work_open_device(const struct invocation *invocation, const char *device, int threads, struct work *work)
{
    const char *wanted = option_value(invocation, "device");
    work_say_remarks(invocation, &work->remarks);
    if (!wanted) wanted = device;
    TRY(option_int(invocation, "threads", 0, 1024, threads, &work->threads));
    int ordinal;
    if (strcmp(wanted, "auto") == 0) wanted = work_default_device();
    if (strcmp(wanted, "cpu") == 0) return open_cpu(work);
    if (parse_ordinal(wanted, &ordinal))
        return status_context(open_cuda(invocation, work, ordinal), "device %s", wanted);
    return status_error(STATUS_USAGE, "--device: expected auto, cpu, cuda or cuda:N, found \"%.40s\"", wanted);
}

void work_close(struct work *work)
{
    if (work->backend) work->backend->interface->destroy(work->backend);
    if (work->has_preset) preset_clear(&work->preset);
    model_library_close(&work->library);
    *work = (struct work){0};
}

/* ---- runs ---- */

void work_warn_of_other_weights(const struct invocation *invocation, const struct run_folder *folder,
                                const struct work *work)
{
    struct model_uses models;
    struct run_weights_report report = {0};
    status result = preset_list_models(&work->preset, false, &models);
    if (result.code == STATUS_OK) result = run_weights_compare(folder, &models, &report);
    if (result.code != STATUS_OK) {
        say(invocation, "warning: %s", result.message);
    } else if (report.other > 0) {
        say(invocation, "warning: the weights of %s are not those that the run %s began with", report.path, folder->id);
    }
    model_uses_clear(&models);
}

status open_run_step(const char *argument, struct run_folder *folder, int *step)
{
    *step = -1;
    status whole = run_folder_open(argument, folder);
    const char *at = strrchr(argument, '@');
    if (whole.code == STATUS_OK || !at) return whole;
    int64_t number;
    if (!text_to_int64(at + 1, &number))
        return status_error(STATUS_USAGE, "%.200s: expected RUN or RUN@STEP with a whole number", argument);
    if (number < 0 || number > 999999999) return status_error(STATUS_USAGE, "%.200s: there is no such step", argument);
    char run[PATH_SIZE];
    TRY(path_format(run, "%.*s", (int)(at - argument), argument));
    *step = (int)number;
    return run_folder_open(run, folder);
}
