/* The settings that a tuner works under, and what a resumed run needs. Noise, prompts and truncation are pure
 * functions of seed and step number, so the step number stands for every random stream. */
#include "engine/base/json.h"
#include "engine/tuning/tuner_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void tuner_use_settings(struct tuner *tuner, const struct live_settings *settings)
{
    tuner->settings = *settings;
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
        if (2 * i < capacity) tensors[2 * i] = (struct tuner_tensor){p->m_name, p->shape, p->m};
        if (2 * i + 1 < capacity) tensors[2 * i + 1] = (struct tuner_tensor){p->v_name, p->shape, p->v};
    }
    return 2 * tuner->parameter_count;
}

/* Settings are noted as they were; a run that goes on takes them from its own state and says so with
 * tuner_use_settings. */
char *tuner_save_scalars(const struct tuner *tuner)
{
    cJSON *object = cJSON_CreateObject();
    cJSON_AddNumberToObject(object, "step", tuner->step);
    cJSON_AddNumberToObject(object, "updates", tuner->updates);
    cJSON_AddNumberToObject(object, "skipped_in_a_row", tuner->skipped_in_a_row);
    cJSON_AddNumberToObject(object, "learning_rate", tuner->settings.learning_rate);
    cJSON_AddNumberToObject(object, "clip", tuner->settings.clip);
    if (!isnan(tuner->drift)) cJSON_AddNumberToObject(object, "drift", tuner->drift);
    cJSON *weights = cJSON_AddObjectToObject(object, "weights");
    for (int r = 0; r < tuner->reward_count; r++)
        cJSON_AddNumberToObject(weights, tuner->preset->rewards[r].id, tuner->settings.weights[r]);
    char *json = json_print(object, false);
    cJSON_Delete(object);
    return json;
}

static status restore_scalars(struct tuner *tuner, const cJSON *value)
{
    struct json_object object;
    TRY(json_root("state.json", value, &object));
    TRY(json_int(&object, "step", 0, INT32_MAX, &tuner->step));
    TRY(json_int(&object, "updates", 0, INT32_MAX, &tuner->updates));
    TRY(json_int(&object, "skipped_in_a_row", 0, INT32_MAX, &tuner->skipped_in_a_row));
    if (json_has(&object, "drift")) TRY(json_number(&object, "drift", 0.0, 1e300, &tuner->drift));
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
        TRY(restore_tensor(p->m_name, &p->shape, p->m, find, context));
        TRY(restore_tensor(p->v_name, &p->shape, p->v, find, context));
        TRY(tuner_write_parameter(tuner, i));
    }
    return status_ok();
}

double tuner_adapter_norm(const struct tuner *tuner)
{
    return tuner->preset->alpha / tuner->preset->rank * adapter_norm_measure(tuner->norm, tuner->modules);
}
