/* Reads the layers of an aesthetic head and multiplies them into the one affine map that they are. */
#include "engine/model/aesthetic_head.h"
#include "engine/base/text.h"

#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/files.h"
#include "engine/base/memory.h"
#include "engine/model/config.h"
#include "engine/model/safetensors.h"
#include "engine/model/torch_archive.h"
#include "kernels/convert.h"

enum { MAXIMUM_LAYERS = 32, MAXIMUM_LAYER_NUMBER = 1000, NAME_SIZE = 64 };

/* Either kind of file. */
struct tensor_store {
    const char *path;
    struct safetensors *safetensors; /* NULL: the archive */
    struct torch_archive archive;
};

/* A linear layer: its number in the chain of modules, and what its tensors are called. */
struct layer {
    int number;
    char weight[NAME_SIZE], bias[NAME_SIZE];
};

struct chain {
    struct layer layers[MAXIMUM_LAYERS]; /* by number */
    int count;
};

/* ---- tensors ---- */

static size_t tensor_count(const struct tensor_store *store)
{
    return store->safetensors ? safetensors_count(store->safetensors) : (size_t)store->archive.count;
}

static const char *tensor_name(const struct tensor_store *store, size_t index)
{
    return store->safetensors ? safetensors_entry_at(store->safetensors, index)->name
                              : store->archive.tensors[index].name;
}

static const struct torch_tensor *find_in_archive(const struct torch_archive *archive, const char *name)
{
    for (int i = 0; i < archive->count; i++)
        if (strcmp(archive->tensors[i].name, name) == 0) return &archive->tensors[i];
    return NULL;
}

/* Shape of a tensor; false where there is none of that name, or it has not one or two dimensions. */
static bool find_shape(const struct tensor_store *store, const char *name, struct shape *shape)
{
    const struct safetensors_entry *entry = store->safetensors ? safetensors_find(store->safetensors, name) : NULL;
    const struct torch_tensor *tensor = store->safetensors ? NULL : find_in_archive(&store->archive, name);
    int rank = entry ? entry->rank : tensor ? tensor->rank : 0;
    const int64_t *dimension = entry ? entry->dimension : tensor ? tensor->dimension : NULL;
    if (!dimension || rank < 1 || rank > 2) return false;
    *shape = (struct shape){.rank = rank, .dimension = {dimension[0], rank == 2 ? dimension[1] : 0}};
    return true;
}

static void convert_doubles(const unsigned char *bytes, int64_t count, float *values)
{
    for (int64_t i = 0; i < count; i++) {
        double value;
        memcpy(&value, bytes + (size_t)i * sizeof value, sizeof value);
        values[i] = (float)value;
    }
}

static void convert_archived(const struct torch_tensor *tensor, float *values)
{
    switch (tensor->type) {
    case SAFETENSORS_F16: convert_to_float(ELEMENT_F16, values, tensor->bytes, tensor->elements); break;
    case SAFETENSORS_BF16: convert_to_float(ELEMENT_BF16, values, tensor->bytes, tensor->elements); break;
    case SAFETENSORS_F64: convert_doubles(tensor->bytes, tensor->elements, values); break;
    default: convert_to_float(ELEMENT_F32, values, tensor->bytes, tensor->elements); break;
    }
}

/* Values of `name`, which is there, has that shape and must be finite. */
static status load(const struct tensor_store *store, const char *name, const struct shape *shape, float *values)
{
    if (store->safetensors) return safetensors_read(store->safetensors, name, shape, values);
    const struct torch_tensor *tensor = find_in_archive(&store->archive, name);
    convert_archived(tensor, values);
    int64_t wrong = convert_find_not_finite(ELEMENT_F32, values, tensor->elements);
    if (wrong < 0) return status_ok();
    return status_error(STATUS_BAD_INPUT,
                        "%.250s: tensor %s holds an infinity or NaN, at element %lld; expected finite numbers",
                        store->path, name, (long long)wrong);
}

/* ---- the chain of layers ---- */

/* The number in "layers.N.weight" or "layers.N.bias"; -1 for another name. */
static int layer_number(const char *name)
{
    static const char prefix[] = "layers.";
    if (strncmp(name, prefix, sizeof prefix - 1) != 0 || name[sizeof prefix - 1] < '0' || name[sizeof prefix - 1] > '9')
        return -1;
    char *rest;
    long number = strtol(name + sizeof prefix - 1, &rest, 10);
    bool known = strcmp(rest, ".weight") == 0 || strcmp(rest, ".bias") == 0;
    return known && number <= MAXIMUM_LAYER_NUMBER ? (int)number : -1;
}

static int compare_layers(const void *a, const void *b)
{
    return ((const struct layer *)a)->number - ((const struct layer *)b)->number;
}

static status add_layer(const struct tensor_store *store, int number, struct chain *chain)
{
    for (int i = 0; i < chain->count; i++)
        if (chain->layers[i].number == number) return status_ok();
    if (chain->count == MAXIMUM_LAYERS)
        return status_error(STATUS_BAD_INPUT, "%.250s: has more than %d layers", store->path, MAXIMUM_LAYERS);
    struct layer *layer = &chain->layers[chain->count++];
    layer->number = number;
    snprintf(layer->weight, sizeof layer->weight, "layers.%d.weight", number);
    snprintf(layer->bias, sizeof layer->bias, "layers.%d.bias", number);
    return status_ok();
}

/* LAION's first predictors are one torch.nn.Linear, whose tensors have no prefix. */
static bool is_single_layer(const struct tensor_store *store)
{
    struct shape shape;
    return tensor_count(store) == 2 && find_shape(store, "weight", &shape) && find_shape(store, "bias", &shape);
}

static status list_layers(const struct tensor_store *store, struct chain *chain)
{
    chain->count = 0;
    if (is_single_layer(store)) {
        chain->layers[chain->count++] = (struct layer){0, "weight", "bias"};
        return status_ok();
    }
    for (size_t i = 0; i < tensor_count(store); i++) {
        const char *name = tensor_name(store, i);
        int number = layer_number(name);
        if (number < 0)
            return status_error(
                STATUS_BAD_INPUT,
                "%.250s: tensor %.80s; an aesthetic head in LAION's layout has tensors layers.N.weight and "
                "layers.N.bias, or weight and bias, and no others",
                store->path, name);
        TRY(add_layer(store, number, chain));
    }
    if (chain->count == 0) return status_error(STATUS_BAD_INPUT, "%.250s: holds no tensors", store->path);
    qsort(chain->layers, (size_t)chain->count, sizeof chain->layers[0], compare_layers);
    return status_ok();
}

/* ---- what stands between the layers ---- */

/* The numbers of the linear layers in LAION's improved-aesthetic-predictor. Between those of the published predictor
 * stand dropouts, which do nothing here; the variant with a ReLU behind every layer but the last ("reluMSE") counts
 * these too. */
static const int numbers_with_dropout[] = {0, 2, 4, 6, 7}, numbers_with_relu[] = {0, 3, 6, 9, 11};

static bool has_numbers(const struct chain *chain, const int *numbers, int count)
{
    if (chain->count != count) return false;
    for (int i = 0; i < count; i++)
        if (chain->layers[i].number != numbers[i]) return false;
    return true;
}

static bool is_without_gaps(const struct chain *chain)
{
    for (int i = 1; i < chain->count; i++)
        if (chain->layers[i].number != chain->layers[i - 1].number + 1) return false;
    return true;
}

/* What config.json beside the head says: `stated` is false where it says nothing. */
static status read_activation(const char *path, bool *stated)
{
    char folder[PATH_SIZE], file[PATH_SIZE];
    struct config config;
    *stated = false;
    TRY(path_format(folder, "%s", path));
    TRY(path_format(file, "%s/config.json", dirname(folder)));
    if (!path_is_file(file)) return status_ok();
    TRY(config_open(file, &config));
    const cJSON *type = config_find(&config, "model_type");
    bool ours = cJSON_IsString(type) && strcmp(type->valuestring, "aesthetic-predictor") == 0;
    *stated = ours && cJSON_HasObjectItem(config.root, "activation");
    status result = ours ? config_only(&config, "activation", "null") : status_ok();
    config_close(&config);
    return result;
}

/* Layers can be folded into one where nothing stands between them. */
static status check_linear(const struct tensor_store *store, const struct chain *chain)
{
    bool stated;
    TRY(read_activation(store->path, &stated));
    if (stated || is_without_gaps(chain) || has_numbers(chain, numbers_with_dropout, 5)) return status_ok();
    if (has_numbers(chain, numbers_with_relu, 5))
        return status_error(
            STATUS_BAD_INPUT,
            "%.250s: its layers 0, 3, 6, 9 and 11 are those of LAION's predictor with ReLU between them, "
            "which is not supported; use the linear one (layers 0, 2, 4, 6 and 7, linearMSE)",
            store->path);
    return status_error(
        STATUS_BAD_INPUT,
        "%.250s: what stands between its layers %d and %d cannot be told from the file; expected "
        "layers 0, 2, 4, 6 and 7 as in LAION's linear predictor, or none left out (a config.json beside it "
        "with \"model_type\": \"aesthetic-predictor\" and \"activation\": null says that there is nothing)",
        store->path, chain->layers[0].number, chain->layers[1].number);
}

/* ---- folding ---- */

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

static status fold_layer(const struct tensor_store *store, const struct layer *layer, struct aesthetic_head *head)
{
    struct shape weight_shape = {0}, bias_shape = {0};
    if (!find_shape(store, layer->weight, &weight_shape) || weight_shape.rank != 2)
        return status_error(STATUS_BAD_INPUT, "%.250s: %s must be there with two dimensions, outputs and inputs",
                            store->path, layer->weight);
    if (weight_shape.dimension[0] != head->width)
        return status_error(STATUS_BAD_INPUT, "%.250s: %s has %lld outputs, but the next layer takes %lld", store->path,
                            layer->weight, (long long)weight_shape.dimension[0], (long long)head->width);
    if (!find_shape(store, layer->bias, &bias_shape) || bias_shape.rank != 1 || bias_shape.dimension[0] != head->width)
        return status_error(STATUS_BAD_INPUT, "%.250s: %s must be there with shape [%lld]", store->path, layer->bias,
                            (long long)head->width);
    int64_t outputs = weight_shape.dimension[0], inputs = weight_shape.dimension[1];
    float *weight = calloc((size_t)(outputs * inputs), sizeof *weight);
    float *bias = calloc((size_t)outputs, sizeof *bias);
    double *folded = calloc((size_t)inputs, sizeof *folded);
    bool allocated = weight != NULL && bias != NULL && folded != NULL;
    status result = allocated ? load(store, layer->weight, &weight_shape, weight)
                              : status_error(STATUS_NO_MEMORY, "no memory to read %.250s", store->path);
    if (allocated && result.code == STATUS_OK) result = load(store, layer->bias, &bias_shape, bias);
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
    struct chain chain;
    TRY(list_layers(store, &chain));
    TRY(check_linear(store, &chain));
    *head = (struct aesthetic_head){.weight = memory_take(1, sizeof(double)), .width = 1};
    head->weight[0] = 1.0;
    for (int i = chain.count - 1; i >= 0; i--) TRY(fold_layer(store, &chain.layers[i], head));
    return status_ok();
}

static status open_store(const char *path, struct tensor_store *store)
{
    *store = (struct tensor_store){.path = path};
    return text_ends_with(path, ".safetensors") ? safetensors_open(path, &store->safetensors)
                                                : torch_archive_open(path, &store->archive);
}

static void close_store(struct tensor_store *store)
{
    safetensors_close(store->safetensors);
    torch_archive_close(&store->archive);
}

bool aesthetic_head_recognised(const char *path)
{
    struct tensor_store store;
    struct chain chain;
    if (open_store(path, &store).code != STATUS_OK) return false;
    bool known = list_layers(&store, &chain).code == STATUS_OK;
    close_store(&store);
    return known;
}

static status open_file(const char *path, struct aesthetic_head *head)
{
    struct tensor_store store;
    TRY(open_store(path, &store));
    status result = fold(&store, head);
    if (result.code != STATUS_OK) aesthetic_head_clear(head);
    close_store(&store);
    return result;
}

static status find_in_folder(const char *folder, char path[PATH_SIZE])
{
    struct name_list list;
    TRY(directory_list(folder, &list));
    const char *found = NULL;
    int count = 0;
    for (int i = 0; i < list.count; i++)
        if (text_ends_with(list.names[i], ".safetensors") || text_ends_with(list.names[i], ".pth")) {
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
