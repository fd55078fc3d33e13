#include "engine/model/aesthetic_head.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/files.h"
#include "engine/model/safetensors.h"
#include "engine/model/torch_archive.h"

enum { MAXIMUM_LAYERS = 32, MAXIMUM_LAYER_NUMBER = 1000 };

/* Either kind of file. */
struct tensor_store {
    const char *path;
    struct safetensors *safetensors; /* NULL: the archive */
    struct torch_archive archive;
};

static bool ends_with(const char *text, const char *ending)
{
    size_t length = strlen(text), size = strlen(ending);
    return length >= size && strcmp(text + length - size, ending) == 0;
}

/* Shape of a tensor; false where there is none of that name. */
static bool find_shape(const struct tensor_store *store, const char *name, struct shape *shape)
{
    if (store->safetensors != NULL) {
        const struct safetensors_entry *entry = safetensors_find(store->safetensors, name);
        if (entry == NULL || entry->rank < 1 || entry->rank > 2) return false;
        *shape = (struct shape){.rank = entry->rank, .dimension = {entry->dimension[0], entry->dimension[1]}};
        return true;
    }
    for (int i = 0; i < store->archive.count; i++) {
        const struct torch_tensor *tensor = &store->archive.tensors[i];
        if (strcmp(tensor->name, name) != 0) continue;
        *shape = (struct shape){.rank = tensor->rank, .dimension = {tensor->dimension[0], tensor->dimension[1]}};
        return true;
    }
    return false;
}

static status read_values(const struct tensor_store *store, const char *name, const struct shape *shape, float *values)
{
    if (store->safetensors != NULL) return safetensors_read(store->safetensors, name, shape, values);
    for (int i = 0; i < store->archive.count; i++)
        if (strcmp(store->archive.tensors[i].name, name) == 0)
            memcpy(values, store->archive.tensors[i].bytes, (size_t)shape_elements(shape) * sizeof *values);
    return status_ok();
}

/* Values of `name`, which must be finite. */
static status load(const struct tensor_store *store, const char *name, const struct shape *shape, float *values)
{
    TRY(read_values(store, name, shape, values));
    for (int64_t i = 0; i < shape_elements(shape); i++)
        if (!isfinite(values[i]))
            return status_error(STATUS_BAD_INPUT, "%.250s: %s holds a number that is not finite", store->path, name);
    return status_ok();
}

/* Puts a layer y = W x + b of `inputs` columns below what the head is so far:
 * weight . y + bias = (W^T weight) . x + weight . b + bias. Takes over `folded`, which holds `inputs` zeros. */
static void put_below(struct aesthetic_head *head, const float *weight, const float *bias, int64_t inputs,
                      double *folded)
{
    for (int64_t o = 0; o < head->width; o++) {
        head->bias += head->weight[o] * bias[o];
        for (int64_t i = 0; i < inputs; i++) folded[i] += head->weight[o] * weight[o * inputs + i];
    }
    free(head->weight);
    head->weight = folded;
    head->width = inputs;
}

static status fold_layer(const struct tensor_store *store, int number, struct aesthetic_head *head)
{
    char weight_name[64], bias_name[64];
    snprintf(weight_name, sizeof weight_name, "layers.%d.weight", number);
    snprintf(bias_name, sizeof bias_name, "layers.%d.bias", number);
    struct shape weight_shape = {0}, bias_shape = {0};
    find_shape(store, weight_name, &weight_shape);
    if (weight_shape.rank != 2 || weight_shape.dimension[0] != head->width)
        return status_error(STATUS_BAD_INPUT, "%.250s: %s has %lld outputs, but the next layer takes %lld", store->path,
                            weight_name, (long long)weight_shape.dimension[0], (long long)head->width);
    if (!find_shape(store, bias_name, &bias_shape) || bias_shape.rank != 1 || bias_shape.dimension[0] != head->width)
        return status_error(STATUS_BAD_INPUT, "%.250s: %s must be there with shape [%lld]", store->path, bias_name,
                            (long long)head->width);
    int64_t outputs = weight_shape.dimension[0], inputs = weight_shape.dimension[1];
    float *weight = calloc((size_t)(outputs * inputs), sizeof *weight);
    float *bias = calloc((size_t)outputs, sizeof *bias);
    double *folded = calloc((size_t)inputs, sizeof *folded);
    bool allocated = weight != NULL && bias != NULL && folded != NULL;
    status result = allocated ? load(store, weight_name, &weight_shape, weight)
                              : status_error(STATUS_NO_MEMORY, "no memory to read %.250s", store->path);
    if (allocated && result.code == STATUS_OK) result = load(store, bias_name, &bias_shape, bias);
    if (allocated && result.code == STATUS_OK) {
        put_below(head, weight, bias, inputs, folded);
        folded = NULL;
    }
    free(folded);
    free(weight);
    free(bias);
    return result;
}

static status fold(const struct tensor_store *store, struct aesthetic_head *head)
{
    int numbers[MAXIMUM_LAYERS], count = 0;
    for (int number = 0; number < MAXIMUM_LAYER_NUMBER && count < MAXIMUM_LAYERS; number++) {
        char name[64];
        struct shape shape;
        snprintf(name, sizeof name, "layers.%d.weight", number);
        if (find_shape(store, name, &shape)) numbers[count++] = number;
    }
    if (count == 0)
        return status_error(STATUS_BAD_INPUT,
                            "%.250s: no tensor layers.N.weight; an aesthetic head in LAION's layout is expected",
                            store->path);
    *head = (struct aesthetic_head){.weight = malloc(sizeof(double)), .width = 1};
    if (head->weight == NULL) return status_error(STATUS_NO_MEMORY, "no memory to read %.250s", store->path);
    head->weight[0] = 1.0;
    for (int i = count - 1; i >= 0; i--) TRY(fold_layer(store, numbers[i], head));
    return status_ok();
}

static status open_file(const char *path, struct aesthetic_head *head)
{
    struct tensor_store store = {.path = path};
    TRY(ends_with(path, ".safetensors") ? safetensors_open(path, &store.safetensors)
                                        : torch_archive_open(path, &store.archive));
    status result = fold(&store, head);
    if (result.code != STATUS_OK) aesthetic_head_clear(head);
    safetensors_close(store.safetensors);
    torch_archive_close(&store.archive);
    return result;
}

static status find_in_folder(const char *folder, char path[PATH_SIZE])
{
    struct name_list list;
    TRY(directory_list(folder, &list));
    const char *found = NULL;
    int count = 0;
    for (int i = 0; i < list.count; i++)
        if (ends_with(list.names[i], ".safetensors") || ends_with(list.names[i], ".pth")) {
            found = list.names[i];
            count++;
        }
    status result = count == 1 ? path_format(path, "%s/%s", folder, found)
                               : status_error(STATUS_BAD_INPUT,
                                              "%.250s: the folder must hold one .safetensors or .pth file with the "
                                              "aesthetic head, but holds %d",
                                              folder, count);
    name_list_clear(&list);
    return result;
}

status aesthetic_head_find(const char *path, char file[PATH_SIZE])
{
    return path_is_directory(path) ? find_in_folder(path, file) : path_format(file, "%s", path);
}

status aesthetic_head_open(const char *path, struct aesthetic_head *head)
{
    char file[PATH_SIZE];
    *head = (struct aesthetic_head){0};
    TRY(aesthetic_head_find(path, file));
    return open_file(file, head);
}

void aesthetic_head_clear(struct aesthetic_head *head)
{
    free(head->weight);
    *head = (struct aesthetic_head){0};
}
