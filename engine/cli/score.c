/* `score`: rewards of picture files, by the rewards' own code. */
#include "engine/reward/score.h"
#include "engine/base/memory.h"

#include "engine/base/json.h"
#include "engine/cli/work.h"
#include "engine/preset/prompts.h"
#include "engine/reward/reward.h"
#include "engine/reward/reward_models.h"
#include "engine/run/picture_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REWARD_LIMIT = 16 };

struct score_job {
    const struct invocation *invocation;
    struct work work;
    char model_path[PATH_SIZE];
    struct reward_models *models;
    struct reward *rewards[REWARD_LIMIT];
    const char *asked[REWARD_LIMIT]; /* as given: "NAME:KEY=VALUE,..." */
    int reward_count;
};

/* ---- "NAME:KEY=VALUE,KEY=VALUE" ---- */

static cJSON *value_of(const char *text)
{
    double number;
    return text_to_double(text, &number) ? cJSON_CreateNumber(number) : cJSON_CreateString(text);
}

static status parse_parameters(char *text, cJSON *params)
{
    char *rest = text;
    for (char *part = strsep(&rest, ","); part; part = strsep(&rest, ",")) {
        char *equals = strchr(part, '=');
        if (!equals || equals == part) {
            return status_error(STATUS_USAGE, "--reward: expected NAME:KEY=VALUE,..., found \"%.80s\"", part);
        }
        *equals = '\0';
        cJSON_AddItemToObject(params, part, value_of(equals + 1));
    }
    return status_ok();
}

static status create_reward(struct score_job *job, const char *given, const char *name, const cJSON *params)
{
    struct reward_request request = {.id = name, .params = params, .models = job->models};
    TRY(reward_create(name, &request, &job->rewards[job->reward_count]));
    job->asked[job->reward_count++] = given;
    return status_ok();
}

static status add_reward(struct score_job *job, const char *given)
{
    if (job->reward_count == REWARD_LIMIT) return status_error(STATUS_USAGE, "--reward: at most %d", REWARD_LIMIT);
    if (!text_is_utf8(given, strlen(given), NULL)) return status_error(STATUS_USAGE, "--reward %s: not UTF-8", given);
    for (int i = 0; i < job->reward_count; i++)
        if (strcmp(job->asked[i], given) == 0)
            return status_error(STATUS_USAGE, "--reward %.200s: is given twice", given);
    char *copy = memory_copy_text(given), *colon = strchr(copy, ':');
    cJSON *params = cJSON_CreateObject();
    status result = status_ok();
    if (colon) {
        *colon = '\0';
        result = parse_parameters(colon + 1, params);
    }
    if (result.code == STATUS_OK) result = create_reward(job, given, copy, params);
    cJSON_Delete(params);
    free(copy);
    return result;
}

static status add_rewards(struct score_job *job)
{
    int count;
    const char **given = option_values(job->invocation, "reward", &count);
    status result = count
                        ? status_ok()
                        : status_error(STATUS_USAGE, "alignprop score: expected --reward NAME, such as --reward jpeg");
    for (int i = 0; i < count && result.code == STATUS_OK; i++) result = add_reward(job, given[i]);
    free(given);
    return result;
}

/* ---- scoring ---- */

static status score_values(struct score_job *job, const struct picture *picture, double *scores)
{
    const char *prompt = option_value(job->invocation, "prompt");
    struct picture_batch batch = {.bytes = picture->pixels,
                                  .layout = PICTURES_NHWC,
                                  .count = 1,
                                  .height = picture->height,
                                  .width = picture->width,
                                  .prompts = prompt ? &prompt : NULL};
    for (int i = 0; i < job->reward_count; i++)
        TRY(reward_score_pictures(job->rewards[i], job->work.backend, &batch, &scores[i], NULL));
    return status_ok();
}

/* Once the rewards have given their memory back. */
static status measure_side_figures(const struct score_job *job, const struct picture *picture, cJSON *extra)
{
    size_t count = (size_t)picture->width * (size_t)picture->height * 3;
    float *samples = malloc(count * sizeof *samples);
    if (!samples) return status_error(STATUS_NO_MEMORY, "no memory for its samples");
    for (size_t i = 0; i < count; i++) samples[i] = (float)picture->pixels[i] / 255.0f;
    for (int i = 0; i < job->reward_count; i++) {
        const char *name;
        double value;
        if (reward_side_figure(job->rewards[i], samples, picture->height, picture->width, &name, &value))
            cJSON_AddNumberToObject(extra, name, value);
    }
    free(samples);
    return status_ok();
}

/* Its name, or all that was asked where there are several of that name. */
static const char *label_of(const struct score_job *job, int index)
{
    const struct reward_kind *kind = reward_kind_of(job->rewards[index]);
    for (int i = 0; i < job->reward_count; i++)
        if (i != index && reward_kind_of(job->rewards[i]) == kind) return job->asked[index];
    return kind->name;
}

static void print_scores(const struct score_job *job, const char *path, const double *scores, cJSON *extra)
{
    if (job->invocation->json) {
        cJSON *row = cJSON_CreateObject();
        cJSON_AddStringToObject(row, "path", path);
        cJSON *rewards = cJSON_AddObjectToObject(row, "reward");
        for (int i = 0; i < job->reward_count; i++) cJSON_AddNumberToObject(rewards, label_of(job, i), scores[i]);
        cJSON_AddItemToObject(row, "extra", cJSON_Duplicate(extra, true));
        print_json(row);
        cJSON_Delete(row);
        return;
    }
    print_cell(path);
    for (int i = 0; i < job->reward_count; i++) {
        putchar('\t');
        print_cell(label_of(job, i));
        printf(" %.6g", scores[i]);
    }
    const cJSON *member;
    cJSON_ArrayForEach(member, extra) printf("\t%s %.6g", member->string, member->valuedouble);
    putchar('\n');
}

static status score_picture(struct score_job *job, const char *path)
{
    struct picture picture;
    double scores[REWARD_LIMIT];
    TRY(picture_read(path, &picture));
    cJSON *extra = cJSON_CreateObject();
    status result = score_values(job, &picture, scores);
    if (result.code == STATUS_OK) result = measure_side_figures(job, &picture, extra);
    if (result.code == STATUS_OK) print_scores(job, path, scores, extra);
    cJSON_Delete(extra);
    picture_clear(&picture);
    return status_context(result, "%s", path);
}

/* One bad picture of a thousand is told of and does not keep the others from their scores. The first failure's kind is
 * the command's. */
static status score_all(struct score_job *job)
{
    int count = job->invocation->argument_count, failures = 0;
    status first = status_ok();
    for (int i = 0; i < count; i++) {
        status result = score_picture(job, job->invocation->arguments[i]);
        if (result.code == STATUS_OK) continue;
        if (failures++ == 0) first = result;
        if (count > 1) tell("alignprop: %s", result.message);
    }
    if (failures == 0 || count == 1) return first;
    return status_error(first.code, "%d of %d pictures have no score", failures, count);
}

static status score(struct score_job *job)
{
    const char *model = option_value(job->invocation, "model"), *prompt = option_value(job->invocation, "prompt");
    if (prompt) TRY(prompt_check(prompt, strlen(prompt), "--prompt"));
    TRY(work_open_library(job->invocation, &job->work));
    status found =
        model_library_find(&job->work.library, model ? model : "emoji", MODEL_KIND_DIFFUSION, job->model_path);
    if (model) TRY(found);
    job->models = reward_models_create(found.code == STATUS_OK ? job->model_path : NULL,
                                       (const char *const *)job->work.library.folders);
    TRY(add_rewards(job));
    work_say_remarks(job->invocation, reward_models_remarks(job->models));
    TRY(work_open_device(job->invocation, "auto", 0, &job->work));
    return score_all(job);
}

status command_score(const struct invocation *invocation)
{
    struct score_job job = {.invocation = invocation};
    status result = score(&job);
    for (int i = 0; i < job.reward_count; i++) reward_destroy(job.rewards[i]);
    reward_models_release(job.models);
    work_close(&job.work);
    return result;
}
