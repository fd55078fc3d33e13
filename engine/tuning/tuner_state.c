/* The tuner's settings that move while it runs, and what a resumed run needs. Noise, prompts and truncation are pure
 * functions of seed and step number, so the step number stands for every random stream. */
#include "engine/base/json.h"
#include "engine/preset/keys.h"
#include "engine/tuning/tuner_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char learning_rate_key[] = "optimizer.lr", clip_key[] = "optimizer.clip";

/* The setting's place; NULL for an unknown key. */
static double *setting(struct tuner *tuner, const char *key)
{
    if (strcmp(key, learning_rate_key) == 0) return &tuner->learning_rate;
    if (strcmp(key, clip_key) == 0) return &tuner->clip;
    for (int r = 0; r < tuner->reward_count; r++) {
        char name[96];
        snprintf(name, sizeof name, "rewards.%s.weight", tuner->preset->rewards[r].id);
        if (strcmp(key, name) == 0) return &tuner->weights[r];
    }
    return NULL;
}

status tuner_set(struct tuner *tuner, const char *key, double value)
{
    double *place = setting(tuner, key);
    if (!place)
        return status_error(STATUS_BAD_INPUT,
                            "%s cannot be changed during a run; optimizer.lr, optimizer.clip and "
                            "rewards.ID.weight can",
                            key);
    struct key_range range = preset_live_range(key);
    if (!(value >= range.low && value <= range.high))
        return status_error(STATUS_BAD_INPUT, "%s: %g is not in %g..%g", key, value, range.low, range.high);
    *place = value;
    return status_ok();
}

status tuner_get(struct tuner *tuner, const char *key, double *value)
{
    const double *place = setting(tuner, key);
    if (!place) return status_error(STATUS_BAD_INPUT, "%s is no setting of a run", key);
    *value = *place;
    return status_ok();
}

int tuner_step_number(const struct tuner *tuner)
{
    return tuner->step;
}

int tuner_adapter_tensors(const struct tuner *tuner, struct tuner_tensor *tensors, int capacity)
{
    for (int i = 0; i < tuner->parameter_count && i < capacity; i++) {
        const struct parameter *p = &tuner->parameters[i];
        tensors[i] = (struct tuner_tensor){p->name, p->shape, p->values};
    }
    return tuner->parameter_count;
}

int tuner_optimizer_tensors(const struct tuner *tuner, struct tuner_tensor *tensors, int capacity)
{
    for (int i = 0; i < tuner->parameter_count; i++) {
        const struct parameter *p = &tuner->parameters[i];
        if (2 * i < capacity) tensors[2 * i] = (struct tuner_tensor){p->first_name, p->shape, p->first};
        if (2 * i + 1 < capacity) tensors[2 * i + 1] = (struct tuner_tensor){p->second_name, p->shape, p->second};
    }
    return 2 * tuner->parameter_count;
}

char *tuner_save_scalars(const struct tuner *tuner)
{
    cJSON *object = cJSON_CreateObject();
    cJSON_AddNumberToObject(object, "step", tuner->step);
    cJSON_AddNumberToObject(object, "updates", tuner->updates);
    cJSON_AddNumberToObject(object, "skipped_in_a_row", tuner->skipped_in_a_row);
    cJSON_AddNumberToObject(object, "learning_rate", tuner->learning_rate);
    cJSON_AddNumberToObject(object, "clip", tuner->clip);
    if (!isnan(tuner->drift)) cJSON_AddNumberToObject(object, "drift", tuner->drift);
    cJSON *weights = cJSON_AddObjectToObject(object, "weights");
    for (int r = 0; r < tuner->reward_count; r++)
        cJSON_AddNumberToObject(weights, tuner->preset->rewards[r].id, tuner->weights[r]);
    char *json = json_print(object, false);
    cJSON_Delete(object);
    return json;
}

static status restore_scalars(struct tuner *tuner, const cJSON *value)
{
    struct json_object object, weights;
    TRY(json_root("state.json", value, &object));
    TRY(json_int(&object, "step", 0, INT32_MAX, &tuner->step));
    TRY(json_int(&object, "updates", 0, INT32_MAX, &tuner->updates));
    TRY(json_int(&object, "skipped_in_a_row", 0, INT32_MAX, &tuner->skipped_in_a_row));
    struct key_range rate = preset_live_range(learning_rate_key), clip = preset_live_range(clip_key);
    TRY(json_number(&object, "learning_rate", rate.low, rate.high, &tuner->learning_rate));
    TRY(json_number(&object, "clip", clip.low, clip.high, &tuner->clip));
    if (json_has(&object, "drift")) TRY(json_number(&object, "drift", 0.0, 1e300, &tuner->drift));
    TRY(json_child(&object, "weights", &weights));
    for (int r = 0; r < tuner->reward_count; r++)
        TRY(json_number(&weights, tuner->preset->rewards[r].id, -REWARD_WEIGHT_LIMIT, REWARD_WEIGHT_LIMIT,
                        &tuner->weights[r]));
    return status_ok();
}

static status restore_tensor(const char *name, const struct shape *shape, float *values,
                             const float *(*find)(void *context, const char *name, const struct shape *shape),
                             void *context)
{
    const float *found = find(context, name, shape);
    if (!found) return status_error(STATUS_BAD_INPUT, "checkpoint: tensor %s is missing or has another shape", name);
    memcpy(values, found, (size_t)shape_elements(shape) * sizeof *values);
    return status_ok();
}

status tuner_begin_with(struct tuner *tuner,
                        const float *(*find)(void *context, const char *name, const struct shape *shape), void *context)
{
    for (int i = 0; i < tuner->parameter_count; i++) {
        struct parameter *p = &tuner->parameters[i];
        TRY(restore_tensor(p->name, &p->shape, p->values, find, context));
        TRY(tuner_write_parameter(tuner, i));
    }
    return status_ok();
}

status tuner_restore(struct tuner *tuner, const char *json,
                     const float *(*find)(void *context, const char *name, const struct shape *shape), void *context)
{
    cJSON *value = NULL;
    TRY(json_parse(json, strlen(json), "state.json", &value));
    status result = restore_scalars(tuner, value);
    cJSON_Delete(value);
    TRY(result);
    for (int i = 0; i < tuner->parameter_count; i++) {
        struct parameter *p = &tuner->parameters[i];
        TRY(restore_tensor(p->name, &p->shape, p->values, find, context));
        TRY(restore_tensor(p->first_name, &p->shape, p->first, find, context));
        TRY(restore_tensor(p->second_name, &p->shape, p->second, find, context));
        TRY(tuner_write_parameter(tuner, i));
    }
    return status_ok();
}

double tuner_adapter_norm(const struct tuner *tuner)
{
    return tuner->preset->alpha / tuner->preset->rank * adapter_norm_measure(tuner->norm, tuner->modules);
}
