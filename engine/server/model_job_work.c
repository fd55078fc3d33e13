/* Does the jobs that need a model: plans with remedies, pictures with adapters. */
#include "engine/server/model_job_work.h"

#include "engine/base/clock.h"
#include "engine/base/text.h"
#include "engine/model/library.h"
#include "engine/protocol/message.h"
#include "engine/run/run_folder.h"
#include "engine/server/plan_cache.h"
#include "engine/server/plan_message.h"
#include "engine/server/request_services.h"
#include "engine/server/speed.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_PICTURES = 64, MOST_ADAPTERS = 16 };

/* ---- pictures of a run ---------------------------------------------------------------------------------------------
 */

static void add_text_seed(cJSON *header, unsigned long long seed)
{
    char text[24];
    snprintf(text, sizeof text, "%llu", seed);
    cJSON_AddStringToObject(header, "seed", text);
}

static void add_denoising(cJSON *header, int done, int total)
{
    cJSON *denoising = cJSON_AddObjectToObject(header, "denoising");
    cJSON_AddNumberToObject(denoising, "done", done);
    cJSON_AddNumberToObject(denoising, "total", total);
}

struct server_picture picture_message(const struct tuner_picture *picture, const struct preset *preset)
{
    bool denoising = picture->kind == PICTURE_DENOISING;
    cJSON *header = cJSON_CreateObject();
    cJSON_AddStringToObject(header, "kind", picture_kind_name(picture->kind));
    cJSON_AddNumberToObject(header, "step", picture->step);
    cJSON_AddNumberToObject(header, "index", picture->index);
    cJSON_AddNumberToObject(header, "width", picture->width);
    cJSON_AddNumberToObject(header, "height", picture->height);
    cJSON_AddNumberToObject(header, "full_width", preset->width ? preset->width : picture->width);
    cJSON_AddNumberToObject(header, "full_height", preset->height ? preset->height : picture->height);
    cJSON_AddStringToObject(header, "prompt", picture->prompt ? picture->prompt : "");
    json_add_number(header, "reward", picture->total);
    if (picture->rewards) {
        cJSON *rewards = cJSON_AddObjectToObject(header, "rewards");
        for (int i = 0; i < preset->reward_count; i++)
            json_add_number(rewards, preset->rewards[i].id, picture->rewards[i]);
    } else {
        cJSON_AddNullToObject(header, "rewards");
    }
    add_text_seed(header, picture->seed);
    if (denoising) add_denoising(header, picture->denoising_step, picture->denoising_steps);
    return (struct server_picture){.header = header,
                                   .pixels = picture->pixels,
                                   .width = picture->width,
                                   .height = picture->height,
                                   .denoising = denoising};
}

/* ---- the preset of a job -------------------------------------------------------------------------------------------
 */

/* The preset of a job with what it needs to be computed: model, its size, folders of reward models. */
struct job_preset {
    struct preset preset;
    struct model_library library;
};

static void job_preset_clear(struct job_preset *job)
{
    preset_clear(&job->preset);
    model_library_close(&job->library);
}

static status read_job_preset(const struct work_means *means, const cJSON *request, struct preset *preset)
{
    bool names_one = cJSON_GetObjectItemCaseSensitive(request, "preset") != NULL ||
                     cJSON_GetObjectItemCaseSensitive(request, "run") != NULL;
    if (names_one || !means->preset) return request_preset(request, preset, NULL);
    cJSON *own = cJSON_CreateObject();
    cJSON_AddItemToObject(own, "preset", cJSON_Duplicate(means->preset->resolved, true));
    const cJSON *set = cJSON_GetObjectItemCaseSensitive(request, "set");
    if (set) cJSON_AddItemToObject(own, "set", cJSON_Duplicate(set, true));
    status read = request_preset(own, preset, NULL);
    cJSON_Delete(own);
    return read;
}

static status take_model_size(struct preset *preset)
{
    if (preset->width && preset->height) return status_ok();
    struct model *model;
    TRY(model_open(preset->model_path, &model));
    struct picture_size size = model_facts(model)->default_size;
    model_close(model);
    return preset_fill_size(preset, size);
}

/* The caller clears it, also after a failure. */
static status prepare_job(const struct work_means *means, const cJSON *request, struct job_preset *job)
{
    TRY(read_job_preset(means, request, &job->preset));
    TRY(model_library_open(NULL, 0, &job->library));
    TRY(model_library_find(&job->library, job->preset.model, MODEL_KIND_DIFFUSION, job->preset.model_path));
    job->preset.model_folders = (const char *const *)job->library.folders;
    return take_model_size(&job->preset);
}

/* ---- plan ----------------------------------------------------------------------------------------------------------
 */

static cJSON *describe_plan(const struct memory_plan *plan, size_t limit, const char *device)
{
    cJSON *answer = cJSON_CreateObject();
    size_t available = limit && limit < plan->free_bytes ? limit : plan->free_bytes;
    cJSON_AddNumberToObject(answer, "limit_bytes", (double)available);
    cJSON_AddBoolToObject(answer, "fits", plan->total_bytes <= available);
    plan_message_add(answer, plan);
    json_add_number(answer, "seconds_per_step", speed_predict(device, plan->flops_per_step));
    return answer;
}

/* The plan of a preset; *fits says whether it fits. */
static status plan_preset(const struct work_means *means, const struct preset *preset, struct memory_plan *plan)
{
    struct tuner *tuner = NULL;
    struct tuner_callbacks silent = {0};
    TRY(tuner_create(preset, means->backend, silent, &tuner));
    *plan = *tuner_plan(tuner);
    tuner_destroy(tuner);
    return status_ok();
}

static bool plan_fits(const struct memory_plan *plan, const struct preset *preset)
{
    size_t limit = preset->memory_limit;
    return plan->total_bytes <= (limit && limit < plan->free_bytes ? limit : plan->free_bytes);
}

bool plan_ahead(const struct work_means *means, const char *preset_path)
{
    struct job_preset wanted = {.library = {0}};
    struct memory_plan plan;
    struct planned before;
    cJSON *request = cJSON_CreateObject();
    cJSON_AddStringToObject(request, "preset", preset_path);
    bool made = prepare_job(means, request, &wanted).code == STATUS_OK &&
                !plan_cache_find(&wanted.preset, means->device, &before) &&
                plan_preset(means, &wanted.preset, &plan).code == STATUS_OK;
    if (made) plan_cache_note(&wanted.preset, means->device, &plan);
    cJSON_Delete(request);
    job_preset_clear(&wanted);
    return made;
}

/* Offers `smaller` under that label when its plan fits; `set` (consumed) is what makes it. */
static bool try_remedy(const struct work_means *means, const struct preset *smaller, const char *label, cJSON *set,
                       cJSON *remedies)
{
    struct memory_plan plan;
    bool fits = plan_preset(means, smaller, &plan).code == STATUS_OK && plan_fits(&plan, smaller);
    if (fits) {
        cJSON *remedy = cJSON_CreateObject();
        cJSON_AddStringToObject(remedy, "label", label);
        cJSON_AddItemToObject(remedy, "set", set);
        cJSON_AddNumberToObject(remedy, "total_bytes", (double)plan.total_bytes);
        cJSON_AddItemToArray(remedies, remedy);
    } else {
        cJSON_Delete(set);
    }
    return fits;
}

/* Other settings that fit, each tried by planning it: the largest smaller batch, half the picture's sides, no limit of
 * one's own. */
static void add_remedies(const struct work_means *means, const struct preset *preset, cJSON *answer)
{
    enum { LEAST_SIDE = 64 };
    cJSON *remedies = cJSON_AddArrayToObject(answer, "remedies");
    struct preset smaller = *preset; /* shares what it points to */
    char label[48];
    bool found = false;
    for (smaller.batch = preset->batch / 2; smaller.batch >= 1 && !found; smaller.batch /= 2) {
        cJSON *set = cJSON_CreateObject();
        cJSON_AddNumberToObject(set, "batch", smaller.batch);
        snprintf(label, sizeof label, "batch %d", smaller.batch);
        found = try_remedy(means, &smaller, label, set, remedies);
    }
    smaller = *preset;
    smaller.width = preset->width / 2;
    smaller.height = preset->height / 2;
    if (smaller.width >= LEAST_SIDE && smaller.height >= LEAST_SIDE) {
        cJSON *set = cJSON_CreateObject();
        cJSON_AddNumberToObject(set, "sampler.width", smaller.width);
        cJSON_AddNumberToObject(set, "sampler.height", smaller.height);
        snprintf(label, sizeof label, "pictures of %dx%d", smaller.width, smaller.height);
        try_remedy(means, &smaller, label, set, remedies);
    }
    smaller = *preset;
    smaller.memory_limit = 0;
    if (preset->memory_limit > 0) {
        cJSON *set = cJSON_CreateObject();
        cJSON_AddNullToObject(set, "memory.limit");
        try_remedy(means, &smaller, "no memory limit", set, remedies);
    }
}

static status do_plan(const struct work_means *means, const struct model_job *job, cJSON *answer)
{
    struct job_preset wanted = {.library = {0}};
    struct memory_plan plan;
    status result = prepare_job(means, job->request.message, &wanted);
    if (result.code == STATUS_OK) result = plan_preset(means, &wanted.preset, &plan);
    if (result.code == STATUS_OK) {
        plan_cache_note(&wanted.preset, means->device, &plan);
        cJSON *described = describe_plan(&plan, wanted.preset.memory_limit, means->device);
        cJSON_AddItemToObject(answer, "plan", described);
        if (!plan_fits(&plan, &wanted.preset)) add_remedies(means, &wanted.preset, described);
    }
    job_preset_clear(&wanted);
    return result;
}

/* ---- sample --------------------------------------------------------------------------------------------------------
 */

struct order_texts {
    const char *prompts[MOST_PICTURES];
    uint64_t seeds[MOST_PICTURES];
    int count;
    struct picture_adapter adapters[MOST_ADAPTERS];
    int adapter_count;
    struct adapter_set current; /* of the tuner */
};

static status read_prompts(const cJSON *request, const struct preset *preset, struct order_texts *texts)
{
    const cJSON *prompts = cJSON_GetObjectItemCaseSensitive(request, "prompts");
    const cJSON *seeds = cJSON_GetObjectItemCaseSensitive(request, "seeds");
    const cJSON *prompt;
    cJSON_ArrayForEach(prompt, prompts)
    {
        if (!cJSON_IsString(prompt)) return status_error(STATUS_USAGE, "'prompts' must be an array of texts");
        if (texts->count == MOST_PICTURES)
            return status_error(STATUS_USAGE, "at most %d pictures can be asked for at once", (int)MOST_PICTURES);
        texts->prompts[texts->count++] = prompt->valuestring;
    }
    if (texts->count == 0) return status_error(STATUS_USAGE, "'prompts' must be an array of at least one text");
    uint64_t seed = preset->seed;
    for (int i = 0; i < texts->count; i++) {
        const cJSON *given = cJSON_GetArrayItem(seeds, i);
        if (given && (!cJSON_IsString(given) || !text_to_uint64(given->valuestring, &seed)))
            return status_error(STATUS_USAGE, "'seeds' must be an array of texts of digits, such as \"42\"");
        texts->seeds[i] = seed;
    }
    return status_ok();
}

static status read_adapter(const struct work_means *means, const cJSON *item, struct order_texts *texts)
{
    if (texts->adapter_count == MOST_ADAPTERS)
        return status_error(STATUS_USAGE, "at most %d adapters can be mixed", (int)MOST_ADAPTERS);
    struct picture_adapter *adapter = &texts->adapters[texts->adapter_count];
    *adapter = (struct picture_adapter){.path = json_get_text(item, "path", NULL),
                                        .scale = json_get_number(item, "scale", 1.0)};
    if (json_get_flag(item, "current", false)) {
        if (!means->tuner) return status_error(STATUS_USAGE, "this engine tunes no adapter");
        if (!texts->current.modules) TRY(adapter_set_of_tuner(means->tuner, means->preset->alpha, &texts->current));
        adapter->path = NULL;
        adapter->set = &texts->current;
    } else if (!adapter->path) {
        return status_error(STATUS_USAGE, "an adapter needs a 'path' or 'current'");
    }
    texts->adapter_count++;
    return status_ok();
}

static status read_order(const struct work_means *means, const cJSON *request, const struct preset *preset,
                         struct order_texts *texts)
{
    TRY(read_prompts(request, preset, texts));
    const cJSON *item;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(request, "adapters"))
    {
        TRY(read_adapter(means, item, texts));
    }
    return status_ok();
}

struct sample_context {
    const struct work_means *means;
    const struct model_job *job;
    int width, height;
    cJSON *answer;
};

/* What is said of the adapters goes into the answer. */
static void note_warning(void *context, const char *message)
{
    const struct sample_context *sample = context;
    cJSON *warnings = cJSON_GetObjectItemCaseSensitive(sample->answer, "warnings");
    if (!warnings) warnings = cJSON_AddArrayToObject(sample->answer, "warnings");
    cJSON_AddItemToArray(warnings, cJSON_CreateString(message));
}

static void send_sample(void *context, const struct sampled_picture *picture)
{
    const struct sample_context *sample = context;
    bool preview = picture->step < picture->steps;
    cJSON *header = cJSON_CreateObject();
    cJSON_AddStringToObject(header, "kind", picture_kind_name(preview ? PICTURE_DENOISING : PICTURE_SAMPLE));
    cJSON_AddNumberToObject(header, "re", (double)sample->job->request.id);
    cJSON_AddNumberToObject(header, "index", picture->index);
    cJSON_AddNumberToObject(header, "width", picture->width);
    cJSON_AddNumberToObject(header, "height", picture->height);
    cJSON_AddNumberToObject(header, "full_width", sample->width ? sample->width : picture->width);
    cJSON_AddNumberToObject(header, "full_height", sample->height ? sample->height : picture->height);
    cJSON_AddStringToObject(header, "prompt", picture->prompt);
    cJSON_AddNullToObject(header, "reward");
    add_text_seed(header, picture->seed);
    if (preview) add_denoising(header, picture->step, picture->steps);
    server_send_picture(sample->means->server, sample->job->request.client,
                        (struct server_picture){.header = header,
                                                .pixels = picture->rgb,
                                                .width = picture->width,
                                                .height = picture->height,
                                                .denoising = preview});
}

static bool sample_unwanted(void *context)
{
    const struct sample_context *sample = context;
    return model_jobs_unwanted(sample->job);
}

static status make_sample(const struct work_means *means, const struct model_job *job, const struct preset *preset,
                          struct order_texts *texts, cJSON *answer)
{
    const cJSON *request = job->request.message;
    TRY(read_order(means, request, preset, texts));
    struct sample_context context = {
        .means = means, .job = job, .width = preset->width, .height = preset->height, .answer = answer};
    struct picture_order order = {.preset = preset,
                                  .prompts = texts->prompts,
                                  .seeds = texts->seeds,
                                  .count = texts->count,
                                  .adapters = texts->adapters,
                                  .adapter_count = texts->adapter_count,
                                  .previews = json_get_flag(request, "previews", false),
                                  .context = &context,
                                  .picture = send_sample,
                                  .abandon = sample_unwanted,
                                  .warn = note_warning};
    return picture_maker_make(means->maker, &order);
}

static status do_sample(const struct work_means *means, const struct model_job *job, cJSON *answer)
{
    double begun = clock_steady();
    struct job_preset wanted = {.library = {0}};
    struct order_texts texts = {.count = 0};
    status result = prepare_job(means, job->request.message, &wanted);
    if (result.code == STATUS_OK) result = make_sample(means, job, &wanted.preset, &texts, answer);
    adapter_set_release(&texts.current);
    job_preset_clear(&wanted);
    json_add_number(answer, "seconds", clock_steady() - begun);
    return result;
}

void work_on(const struct work_means *means, struct model_job *job)
{
    cJSON *answer = cJSON_CreateObject();
    bool sample = strcmp(job->request.type, "sample") == 0;
    status result = sample ? do_sample(means, job, answer) : do_plan(means, job, answer);
    if (result.code == STATUS_INTERRUPTED) {
        cJSON_Delete(answer);
        model_jobs_answer_superseded(means->server, &job->request);
    } else {
        model_jobs_answer(means->server, &job->request, result, answer);
    }
}
