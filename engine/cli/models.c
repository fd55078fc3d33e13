#include "engine/base/json.h"
#include "engine/cli/work.h"

#include <stdio.h>
#include <string.h>

static cJSON *describe_entry(const struct model_entry *entry)
{
    cJSON *row = cJSON_CreateObject();
    cJSON_AddStringToObject(row, "name", entry->name);
    cJSON_AddStringToObject(row, "path", entry->path);
    cJSON_AddStringToObject(row, "place", model_place_name(entry->place));
    cJSON_AddStringToObject(row, "kind", entry->diffusion ? "diffusion" : "reward");
    return row;
}

static status list_models(const struct invocation *invocation)
{
    struct work work = {0};
    status result = work_open_library(invocation, &work);
    cJSON *rows = cJSON_CreateArray();
    for (int i = 0; result.code == STATUS_OK && i < work.library.count; i++) {
        const struct model_entry *entry = &work.library.entries[i];
        cJSON_AddItemToArray(rows, describe_entry(entry));
        if (invocation->json) continue;
        printf("%s\t%s\t%s\t%s\n", entry->name, entry->diffusion ? "diffusion" : "reward",
               model_place_name(entry->place), entry->path);
    }
    if (result.code == STATUS_OK && invocation->json) print_json(rows);
    cJSON_Delete(rows);
    work_close(&work);
    return result;
}

static void print_facts(const struct invocation *invocation, const char *path, const struct model_facts *facts)
{
    const char *prediction = facts->schedule.prediction == PREDICTION_V ? "v" : "epsilon";
    if (!invocation->json) {
        printf("%s\n  architecture    %s\n  pictures        %d x %d\n  latent          %d channels, 1/%d of the side\n"
               "  text            %d tokens, %d wide\n  prediction      %s, %d timesteps\n  all weights are there\n",
               path, facts->architecture, facts->default_size, facts->default_size, facts->latent_channels,
               facts->latent_factor, facts->context_length, facts->context_width, prediction,
               facts->schedule.train_timesteps);
        return;
    }
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "path", path);
    cJSON_AddStringToObject(object, "name", facts->name);
    cJSON_AddStringToObject(object, "architecture", facts->architecture);
    cJSON_AddNumberToObject(object, "size", facts->default_size);
    cJSON_AddNumberToObject(object, "latent_channels", facts->latent_channels);
    cJSON_AddNumberToObject(object, "latent_factor", facts->latent_factor);
    cJSON_AddNumberToObject(object, "context_length", facts->context_length);
    cJSON_AddNumberToObject(object, "context_width", facts->context_width);
    cJSON_AddStringToObject(object, "prediction", prediction);
    cJSON_AddNumberToObject(object, "train_timesteps", facts->schedule.train_timesteps);
    print_json(object);
    cJSON_Delete(object);
}

/* Building the graphs asks for every tensor of the model with its shape. */
static status check_model(const struct invocation *invocation, const char *name_or_path)
{
    struct work work = {0};
    char path[PATH_SIZE];
    struct model_facts facts;
    status result = work_open_library(invocation, &work);
    if (result.code == STATUS_OK) result = model_library_find(&work.library, name_or_path, path);
    if (result.code == STATUS_OK) result = work_read_facts(path, &facts);
    if (result.code == STATUS_OK) print_facts(invocation, path, &facts);
    work_close(&work);
    return result;
}

status command_models(const struct invocation *invocation)
{
    if (invocation->argument_count == 0) return list_models(invocation);
    if (strcmp(invocation->arguments[0], "list") == 0 && invocation->argument_count == 1)
        return list_models(invocation);
    if (strcmp(invocation->arguments[0], "check") == 0 && invocation->argument_count == 2) {
        return check_model(invocation, invocation->arguments[1]);
    }
    return status_error(STATUS_USAGE, "alignprop models: expected nothing, or `check PATH`");
}
