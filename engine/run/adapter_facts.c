/* What one of our adapter files says of its making, so that an export can say it again. */
#include "engine/run/adapter_file.h"

#include <stdio.h>
#include <string.h>

#include "engine/base/text.h"
#include "engine/model/safetensors.h"

/* The metadata's text under `key`, without `ending`; "" where there is none. */
static void read_text(const struct safetensors *file, const char *key, const char *ending, char *text, size_t size)
{
    const char *value = safetensors_metadata(file, key);
    size_t length = value ? strlen(value) : 0, end = strlen(ending);
    if (length >= end && end > 0 && strcmp(value + length - end, ending) == 0) length -= end;
    snprintf(text, size, "%.*s", (int)(length < size ? length : 0), value ? value : "");
}

static double read_seconds(const struct safetensors *file, const char *key)
{
    const char *value = safetensors_metadata(file, key);
    double seconds;
    return value && text_to_double(value, &seconds) && seconds > 0 && seconds < 1e15 ? seconds : 0;
}

static int read_step(const struct safetensors *file)
{
    const char *value = safetensors_metadata(file, "ss_steps");
    int64_t step;
    return value && text_to_int64(value, &step) && step >= 0 && step <= INT32_MAX ? (int)step : -1;
}

status adapter_file_facts(const char *path, struct told_facts *told)
{
    struct safetensors *file;
    TRY(safetensors_open(path, &file));
    *told = (struct told_facts){.facts = {.step = read_step(file),
                                          .started = read_seconds(file, "ss_training_started_at"),
                                          .finished = read_seconds(file, "ss_training_finished_at")}};
    read_text(file, "modelspec.architecture", "/lora", told->architecture, sizeof told->architecture);
    read_text(file, "modelspec.prediction_type", "", told->prediction, sizeof told->prediction);
    read_text(file, "ss_session_id", "", told->run_id, sizeof told->run_id);
    safetensors_close(file);
    if (told->architecture[0]) told->facts.architecture = told->architecture;
    if (told->prediction[0]) told->facts.prediction = told->prediction;
    if (told->run_id[0]) told->facts.run_id = told->run_id;
    return status_ok();
}
