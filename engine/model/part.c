/* A network's tensors found by diffusers' names in files that may call them otherwise, with types and shapes
 * checked. */
#include "engine/model/part.h"

#include "engine/base/range.h"

#include <stdio.h>
#include <string.h>

bool naming_of_folder_unet(const void *layout, const char *name, int attempt, char file_name[TENSOR_NAME_LIMIT])
{
    (void)layout;
    if (attempt > 0) return false;
    snprintf(file_name, TENSOR_NAME_LIMIT, "%s", name);
    return true;
}

/* The attention's modules as diffusers named them until version 0.13. */
static const struct {
    const char *now, *then;
} attention_names[] = {
    {".to_q.", ".query."}, {".to_k.", ".key."}, {".to_v.", ".value."}, {".to_out.0.", ".proj_attn."}};

bool naming_of_folder_decoder(const void *layout, const char *name, int attempt, char file_name[TENSOR_NAME_LIMIT])
{
    if (attempt == 0) return naming_of_folder_unet(layout, name, 0, file_name);
    if (attempt > 1) return false;
    for (size_t i = 0; i < sizeof attention_names / sizeof attention_names[0]; i++) {
        const char *place = strstr(name, attention_names[i].now);
        if (!place) continue;
        snprintf(file_name, TENSOR_NAME_LIMIT, "%.*s%s%s", (int)(place - name), name, attention_names[i].then,
                 place + strlen(attention_names[i].now));
        return true;
    }
    return false;
}

bool naming_of_folder_text(const void *layout, const char *name, int attempt, char file_name[TENSOR_NAME_LIMIT])
{
    static const char prefix[] = "text_model.";
    if (attempt == 0) return naming_of_folder_unet(layout, name, 0, file_name);
    if (attempt > 1 || strncmp(name, prefix, sizeof prefix - 1) != 0) return false;
    snprintf(file_name, TENSOR_NAME_LIMIT, "%s", name + sizeof prefix - 1);
    return true;
}

/* Equal dimensions, leaving aside ones at the end beyond the second: [N, K] is [N, K, 1, 1]. */
static bool same_shape(const struct safetensors_entry *entry, const struct shape *shape)
{
    int rank = max_int(entry->rank, shape->rank);
    for (int i = 0; i < rank; i++) {
        int64_t found = i < entry->rank ? entry->dimension[i] : 1;
        int64_t expected = i < shape->rank ? shape->dimension[i] : 1;
        if (found != expected) return false;
    }
    return entry->rank == shape->rank || (entry->rank >= 2 && shape->rank >= 2);
}

status part_weights_find(const struct part_weights *part, const char *name, const struct shape *shape,
                         const struct safetensors_entry **entry)
{
    char file_name[TENSOR_NAME_LIMIT], expected[200], found[200];
    *entry = NULL;
    for (int attempt = 0; !*entry && part->naming(part->layout, name, attempt, file_name); attempt++)
        *entry = tensor_files_find(part->files, file_name);
    safetensors_shape_text(shape->rank, shape->dimension, expected, sizeof expected);
    if (!*entry) {
        if (!part->naming(part->layout, name, 0, file_name)) snprintf(file_name, sizeof file_name, "%s", name);
        return status_error(STATUS_BAD_INPUT, "%s: has no tensor %s; expected one of shape %s",
                            tensor_files_path(part->files), file_name, expected);
    }
    if (same_shape(*entry, shape)) return status_ok();
    return status_error(STATUS_BAD_INPUT, "%s: tensor %s has shape %s; expected %s", tensor_files_path(part->files),
                        (*entry)->name,
                        safetensors_shape_text((*entry)->rank, (*entry)->dimension, found, sizeof found), expected);
}

static status read_weight(void *context, const char *name, const struct shape *shape, struct weight_sink sink)
{
    const struct part_weights *part = context;
    const struct safetensors_entry *entry;
    TRY(part_weights_find(part, name, shape, &entry));
    status result = safetensors_give(entry, sink);
    if (strcmp(entry->name, name) != 0) result = status_context(result, "%s", entry->name);
    return status_context(result, "%s", safetensors_path(entry->file));
}

struct weight_source part_weights_source(struct part_weights *part)
{
    return (struct weight_source){.read = read_weight, .context = part};
}

/* The entry's type is one that weights can have. */
static status check_type(const struct part_weights *part, const struct safetensors_entry *entry)
{
    switch (entry->type) {
    case SAFETENSORS_F32:
    case SAFETENSORS_F16:
    case SAFETENSORS_BF16:
    case SAFETENSORS_F64: return status_ok();
    default:
        return status_error(STATUS_BAD_INPUT, "%s: tensor %s is of type %s; expected F32, F16, BF16 or F64",
                            tensor_files_path(part->files), entry->name, safetensors_type_name(entry->type));
    }
}

void part_weights_mark(const struct part_weights *part, const struct graph *graph, bool *used)
{
    for (tensor_id id = 0; id < graph_tensor_count(graph); id++) {
        const struct tensor *tensor = graph_tensor(graph, id);
        const struct safetensors_entry *entry;
        if (tensor->role != TENSOR_CONSTANT || tensor->storage != id) continue;
        if (part_weights_find(part, tensor->name, &tensor->shape, &entry).code == STATUS_OK)
            used[tensor_files_index(part->files, entry->name)] = true;
    }
}

int part_weights_check(const struct part_weights *part, const struct graph *graph, part_problem report, void *context)
{
    int problems = 0;
    for (tensor_id id = 0; id < graph_tensor_count(graph); id++) {
        const struct tensor *tensor = graph_tensor(graph, id);
        if (tensor->role != TENSOR_CONSTANT || tensor->storage != id) continue;
        const struct safetensors_entry *entry;
        status result = part_weights_find(part, tensor->name, &tensor->shape, &entry);
        if (result.code == STATUS_OK) result = check_type(part, entry);
        if (result.code == STATUS_OK) continue;
        report(context, &result);
        problems++;
    }
    return problems;
}
