/* `sample`: pictures from a preset, a model or a run, with adapters, into files or onto the terminal. */
#include "engine/base/json.h"
#include "engine/base/memory.h"
#include "engine/base/range.h"
#include "engine/cli/studio_hook.h"
#include "engine/cli/work.h"
#include "engine/preset/prompts.h"
#include "engine/run/checkpoint.h"
#include "engine/run/picture_file.h"
#include "engine/run/run_output.h"
#include "engine/server/picture_maker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { ADAPTER_LIMIT = 16, PICTURE_LIMIT = 1024 };

struct sample_job {
    const struct invocation *invocation;
    struct work work;
    const char **prompts;
    uint64_t *seeds;
    int count;
    char adapter_paths[ADAPTER_LIMIT][PATH_SIZE];
    struct picture_adapter adapters[ADAPTER_LIMIT];
    int adapter_count;
    char folder[PATH_SIZE], file[PATH_SIZE]; /* one of them is used */
    char (*written)[PATH_SIZE];
    int written_count;
    status failure; /* of writing a picture */
};

/* ---- what to sample ---- */

/* "PATH" or "PATH:SCALE" of a file or folder. Where one has the whole text as its name, a colon in it is the name's. */
static status parse_adapter(const char *text, char path[PATH_SIZE], double *scale)
{
    *scale = 1;
    bool whole = path_is_file(text) || path_is_directory(text);
    const char *colon = whole ? NULL : strrchr(text, ':');
    bool scaled = colon && text_to_double(colon + 1, scale);
    if (colon && !scaled) {
        return status_error(STATUS_USAGE, "--lora %.200s: expected FILE or FILE:SCALE with a number", text);
    }
    int length = scaled ? (int)(colon - text) : (int)strlen(text);
    while (length > 1 && text[length - 1] == '/') length--; /* of a folder: pictures name its last part */
    return path_format(path, "%.*s", length, text);
}

static status add_adapter(struct sample_job *job, const char *path, double scale)
{
    if (job->adapter_count == ADAPTER_LIMIT) {
        return status_error(STATUS_USAGE, "--lora: at most %d adapters", ADAPTER_LIMIT);
    }
    int index = job->adapter_count++;
    if (path != job->adapter_paths[index]) TRY(path_format(job->adapter_paths[index], "%s", path));
    job->adapters[index] = (struct picture_adapter){.path = job->adapter_paths[index], .scale = scale};
    return status_ok();
}

static status add_adapters(struct sample_job *job)
{
    int count;
    const char **given = option_values(job->invocation, "lora", &count);
    status result = status_ok();
    for (int i = 0; i < count && result.code == STATUS_OK; i++) {
        char path[PATH_SIZE];
        double scale;
        result = parse_adapter(given[i], path, &scale);
        if (result.code == STATUS_OK) result = add_adapter(job, path, scale);
    }
    free(given);
    return result;
}

static status load_run(struct sample_job *job, const char *argument)
{
    char path[PATH_SIZE];
    int step;
    struct run_folder folder;
    TRY(open_run_step(argument, &folder, &step));
    TRY(run_folder_preset(&folder, &job->work.preset, NULL));
    job->work.has_preset = true;
    TRY(checkpoint_find_adapter(&folder, step, path));
    TRY(add_adapter(job, path, 1));
    TRY(work_find_model(job->invocation, &job->work));
    work_warn_of_other_weights(job->invocation, &folder, &job->work);
    return status_ok();
}

static status load_model(struct sample_job *job, const char *model)
{
    cJSON *tree = cJSON_CreateObject();
    cJSON *prompts = cJSON_AddObjectToObject(tree, "prompts");
    const char *const nothing[] = {""};
    cJSON_AddNumberToObject(tree, "schema", 1);
    cJSON_AddStringToObject(tree, "name", "sample");
    cJSON_AddStringToObject(tree, "model", model);
    cJSON_AddItemToObject(prompts, "train", cJSON_CreateStringArray(nothing, 1));
    cJSON_AddItemToObject(prompts, "eval", cJSON_CreateStringArray(nothing, 1));
    status result = preset_from_json(tree, "--model", NULL, NULL, 0, &job->work.preset, NULL);
    cJSON_Delete(tree);
    TRY(result);
    job->work.has_preset = true;
    return work_find_model(job->invocation, &job->work);
}

static status load_source(struct sample_job *job)
{
    const struct invocation *invocation = job->invocation;
    const char *preset = option_value(invocation, "preset"), *model = option_value(invocation, "model");
    const char *run = option_value(invocation, "run");
    if ((preset != NULL) + (model != NULL) + (run != NULL) > 1) {
        return status_error(STATUS_USAGE, "alignprop sample: expected one of --preset, --model and --run");
    }
    if (run) return load_run(job, run);
    if (preset) return work_load_preset_to_sample(invocation, preset, &job->work);
    return load_model(job, model ? model : "emoji");
}

/* ---- how to sample ---- */

static status parse_size(const struct invocation *invocation, const struct model_facts *facts, struct preset *preset)
{
    const char *given = option_value(invocation, "size");
    if (!given) return status_ok();
    char width_text[16];
    const char *x = strchr(given, 'x');
    int64_t width, height;
    if (!x || x - given >= (long)sizeof width_text) {
        return status_error(STATUS_USAGE, "--size: expected WxH, such as 128x128, found \"%.40s\"", given);
    }
    snprintf(width_text, sizeof width_text, "%.*s", (int)(x - given), given);
    bool good = text_to_int64(width_text, &width) && text_to_int64(x + 1, &height) && width >= 8 && height >= 8 &&
                width <= 4096 && height <= 4096 && model_check_size(facts, (int)width, (int)height).code == STATUS_OK;
    if (!good) {
        return status_error(STATUS_USAGE, "--size: expected WxH, multiples of %d from 8 to 4096, found \"%.40s\"",
                            facts->latent_factor, given);
    }
    preset->width = (int)width;
    preset->height = (int)height;
    return status_ok();
}

static status no_such_sampler(const char *given)
{
    struct text list = {0};
    sampler_list(&list, ", ", " or ");
    status result =
        status_error(STATUS_USAGE, "--sampler: expected %s, found \"%.40s\"", list.data ? list.data : "", given);
    text_clear(&list);
    return result;
}

static status parse_sampler(const struct invocation *invocation, struct preset *preset)
{
    const char *given = option_value(invocation, "sampler");
    if (!given) return status_ok();
    const struct sampler *sampler = sampler_find(given);
    if (!sampler) return no_such_sampler(given);
    preset->sampler = sampler->name;
    if (!sampler->takes_eta) preset->eta = 0;
    return status_ok();
}

static status apply_options(struct sample_job *job)
{
    const struct invocation *invocation = job->invocation;
    struct preset *preset = &job->work.preset;
    TRY(option_int(invocation, "steps", 1, 1000, preset->sampler_steps, &preset->sampler_steps));
    TRY(option_number(invocation, "guidance", 0, 100, preset->guidance, &preset->guidance));
    TRY(option_seed(invocation, "seed", preset->seed, &preset->seed));
    TRY(parse_sampler(invocation, preset));
    TRY(parse_size(invocation, &job->work.facts, preset));
    const char *negative = option_value(invocation, "negative");
    if (!negative) return status_ok();
    TRY(prompt_check(negative, strlen(negative), "--negative"));
    free(preset->negative);
    preset->negative = memory_copy_text(negative);
    return status_ok();
}

/* Picture i has prompt i modulo the prompts and seed + i. */
static status list_pictures(struct sample_job *job)
{
    const struct invocation *invocation = job->invocation;
    int given_count;
    const char **given = option_values(invocation, "prompt", &given_count);
    const struct prompt_list *held_out = &job->work.preset.evaluation;
    int prompts = given_count > 0 ? given_count : min_int(held_out->count, 4);
    status result = option_int(invocation, "count", 1, PICTURE_LIMIT, prompts, &job->count);
    for (int i = 0; result.code == STATUS_OK && i < given_count; i++)
        result = prompt_check(given[i], strlen(given[i]), "--prompt");
    job->prompts = memory_take((size_t)job->count + 1, sizeof *job->prompts);
    job->seeds = memory_take((size_t)job->count + 1, sizeof *job->seeds);
    job->written = memory_take((size_t)job->count + 1, sizeof *job->written);
    for (int i = 0; result.code == STATUS_OK && i < job->count; i++) {
        job->prompts[i] = given_count > 0 ? given[i % prompts] : held_out->texts[i % prompts];
        job->seeds[i] = job->work.preset.seed + (uint64_t)i;
    }
    free(given);
    return result;
}

/* The ending of a file's name, of those that stand for pictures; NULL for other names. */
static const char *picture_ending(const char *path)
{
    static const char *const endings[] = {".png", ".jpg",  ".jpeg", ".webp", ".gif", ".bmp",
                                          ".tif", ".tiff", ".avif", ".jxl",  ".ppm"};
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path, *dot = strrchr(name, '.');
    if (!dot || dot == name) return NULL;
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (strcasecmp(dot, endings[i]) == 0) return endings[i];
    return NULL;
}

static status choose_file(struct sample_job *job, const char *given, const char *ending)
{
    if (strcmp(ending, ".png") != 0)
        return status_error(STATUS_USAGE,
                            "-o %.200s: pictures are written as PNG, which keeps the recipe and every pixel; expected "
                            "FILE.png or a folder",
                            given);
    if (job->count > 1)
        return status_error(STATUS_USAGE, "-o %.200s: there are %d pictures; expected a folder", given, job->count);
    TRY(path_format(job->file, "%s", given));
    TRY(run_output_check(job->file));
    return directory_make_for(job->file);
}

static status choose_output(struct sample_job *job)
{
    const char *given = option_value(job->invocation, "output");
    const char *ending = given && !path_is_directory(given) ? picture_ending(given) : NULL;
    if (ending) return choose_file(job, given, ending);
    char some_picture[PATH_SIZE];
    TRY(path_format(job->folder, "%s", given ? given : "."));
    TRY(directory_make(job->folder));
    TRY(path_format(some_picture, "%s/0.png", job->folder));
    return run_output_check(some_picture);
}

/* ---- writing ---- */

static void append_parameters(const struct sample_job *job, const struct sampled_picture *picture, struct text *text)
{
    const struct preset *preset = &job->work.preset;
    const char *path = job->adapter_count ? job->adapters[0].path : NULL;
    const char *slash = path ? strrchr(path, '/') : NULL;
    struct recipe recipe = {.prompt = picture->prompt,
                            .negative = preset->negative,
                            .steps = preset->sampler_steps,
                            .width = picture->width,
                            .height = picture->height,
                            .sampler = preset->sampler,
                            .guidance = preset->guidance,
                            .seed = picture->seed,
                            .model = job->work.facts.name,
                            .adapter = slash ? slash + 1 : path,
                            .adapter_scale = path ? job->adapters[0].scale : 0};
    recipe_append(text, &recipe);
}

static status write_picture(struct sample_job *job, const struct sampled_picture *picture)
{
    char *path = job->written[job->written_count];
    if (job->file[0]) {
        TRY(path_format(path, "%s", job->file));
    } else {
        TRY(path_format(path, "%s/%02d-%llu.png", job->folder, picture->index, (unsigned long long)picture->seed));
    }
    struct text parameters = {0};
    append_parameters(job, picture, &parameters);
    status result = picture_write_png(path, picture->rgb, picture->width, picture->height, parameters.data);
    text_clear(&parameters);
    if (result.code == STATUS_OK) job->written_count++;
    return result;
}

static void on_picture(void *context, const struct sampled_picture *picture)
{
    struct sample_job *job = context;
    if (picture->step < picture->steps || job->failure.code != STATUS_OK) return;
    job->failure = write_picture(job, picture);
}

static bool on_abandon(void *context)
{
    const struct sample_job *job = context;
    return job->failure.code != STATUS_OK;
}

static status report(const struct sample_job *job)
{
    if (job->invocation->json) {
        cJSON *rows = cJSON_CreateArray();
        for (int i = 0; i < job->written_count; i++) {
            char seed[32];
            snprintf(seed, sizeof seed, "%llu", (unsigned long long)job->seeds[i]);
            cJSON *row = cJSON_CreateObject();
            cJSON_AddStringToObject(row, "path", job->written[i]);
            cJSON_AddStringToObject(row, "prompt", job->prompts[i]);
            cJSON_AddStringToObject(row, "seed", seed);
            cJSON_AddItemToArray(rows, row);
        }
        print_json(rows);
        cJSON_Delete(rows);
        return status_ok();
    }
    for (int i = 0; i < job->written_count; i++) {
        if (isatty(STDOUT_FILENO)) TRY(studio_hook_show(NULL, 0, 1, (const char *const[]){job->written[i]}));
        print_line("%s", job->written[i]);
    }
    return status_ok();
}

static void on_warning(void *context, const char *message)
{
    const struct sample_job *job = context;
    say(job->invocation, "warning: %s", message);
}

static status make_pictures(struct sample_job *job)
{
    struct picture_maker *maker = picture_maker_create(job->work.backend);
    struct picture_order order = {.preset = &job->work.preset,
                                  .prompts = job->prompts,
                                  .seeds = job->seeds,
                                  .count = job->count,
                                  .adapters = job->adapters,
                                  .adapter_count = job->adapter_count,
                                  .context = job,
                                  .picture = on_picture,
                                  .abandon = on_abandon,
                                  .warn = on_warning};
    status result = picture_maker_make(maker, &order);
    picture_maker_destroy(maker);
    return job->failure.code != STATUS_OK ? job->failure : result;
}

static status sample(struct sample_job *job)
{
    TRY(load_source(job));
    TRY(add_adapters(job));
    TRY(apply_options(job));
    TRY(list_pictures(job));
    TRY(choose_output(job));
    TRY(work_warn_of_cut_prompts(job->invocation, &job->work, job->prompts, job->count));
    TRY(work_open_device(job->invocation, "auto", 0, &job->work));
    const struct preset *preset = &job->work.preset;
    say(job->invocation, "making %d picture%s of %dx%d in %d steps on %s", job->count, job->count > 1 ? "s" : "",
        preset->width, preset->height, preset->sampler_steps, job->work.device);
    TRY(make_pictures(job));
    return report(job);
}

status command_sample(const struct invocation *invocation)
{
    struct sample_job job = {.invocation = invocation};
    status result = sample(&job);
    free(job.prompts);
    free(job.seeds);
    free(job.written);
    work_close(&job.work);
    return result;
}
