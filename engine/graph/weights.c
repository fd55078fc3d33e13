/* Weights from a source into device memory, chunk by chunk, each number converted and checked to be finite. */
#include "engine/graph/weights.h"

#include "engine/base/memory.h"
#include "engine/base/range.h"
#include "kernels/convert.h"
#include "kernels/parallel.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct weight {
    char *name;
    enum element_type type;
    struct shape shape;
    void *memory;
    bool is_part; /* behind another one, in that one's memory */
};

struct weight_set {
    struct backend *backend;
    struct weight_source source;
    struct weight *weights;
    int count, capacity;
    size_t bytes;
};

/* ---- elements ---- */

static size_t element_at(int64_t index, enum element_type type)
{
    return (size_t)index * element_size(type);
}

struct values {
    enum element_type type;
    const char *bytes;
};

static status read_values(const void *context, int64_t first, int64_t count, void *elements)
{
    const struct values *values = context;
    memcpy(elements, values->bytes + element_at(first, values->type), element_at(count, values->type));
    return status_ok();
}

status weight_sink_give(struct weight_sink sink, enum element_type type, const void *values)
{
    const struct values given = {type, values};
    const struct weight_elements elements = {type, read_values, &given};
    return sink.take(sink.context, &elements);
}

/* Why element `index` of the tensor is not finite in `type`: it never was, or became too large. */
static status not_finite(const char *name, const struct weight_elements *elements, enum element_type type,
                         int64_t index)
{
    double stored[1]; /* room for any type */
    float value;
    TRY(elements->read(elements->context, index, 1, stored));
    convert_to_float(elements->type, &value, stored, 1);
    if (!isfinite(value))
        return status_error(STATUS_BAD_INPUT,
                            "tensor %s holds an infinity or NaN, at element %lld; expected finite numbers", name,
                            (long long)index);
    return status_error(STATUS_BAD_INPUT,
                        "tensor %s holds %g, at element %lld; %s, which this precision computes with, ends at %g", name,
                        (double)value, (long long)index, type == ELEMENT_F16 ? "fp16" : "bf16",
                        type == ELEMENT_F16 ? 65504.0 : 3.3895e38);
}

/* What is read at a time where the types differ: little enough to stay in the processor's cache until it is
 * converted. */
enum { PIECE_BYTES = 128 << 10 };

/* Elements from `first` on as target[count] of `type`; every one must be finite. piece[PIECE_BYTES]. */
static status read_elements(const char *name, const struct weight_elements *elements, int64_t first, int64_t count,
                            enum element_type type, char *piece, void *target)
{
    int64_t at_once = (int64_t)(PIECE_BYTES / element_size(elements->type));
    if (elements->type == type) {
        TRY(elements->read(elements->context, first, count, target));
    } else {
        for (int64_t at = 0; at < count; at += at_once) {
            int64_t length = count - at < at_once ? count - at : at_once;
            TRY(elements->read(elements->context, first + at, length, piece));
            convert_elements(type, (char *)target + element_at(at, type), elements->type, piece, length);
        }
    }
    int64_t wrong = convert_find_not_finite(type, target, count);
    return wrong < 0 ? status_ok() : not_finite(name, elements, type, first + wrong);
}

struct floats {
    const char *name;
    float *values;
    int64_t count;
};

static status take_floats(void *context, const struct weight_elements *elements)
{
    const struct floats *floats = context;
    char *piece = malloc(PIECE_BYTES);
    if (!piece) return status_error(STATUS_NO_MEMORY, "no memory to read weight %s", floats->name);
    status result = read_elements(floats->name, elements, 0, floats->count, ELEMENT_F32, piece, floats->values);
    free(piece);
    return result;
}

status weight_source_read(struct weight_source source, const char *name, const struct shape *shape, float *values)
{
    struct floats floats = {name, values, shape_elements(shape)};
    return source.read(source.context, name, shape, (struct weight_sink){take_floats, &floats});
}

static status take_nothing(void *context, const struct weight_elements *elements)
{
    (void)context, (void)elements;
    return status_ok();
}

status weight_source_check(struct weight_source source, const struct graph *graph)
{
    for (tensor_id id = 0; id < graph_tensor_count(graph); id++) {
        const struct tensor *tensor = graph_tensor(graph, id);
        if (!tensor_is_weight(tensor)) continue;
        TRY(source.read(source.context, tensor->name, &tensor->shape, (struct weight_sink){take_nothing, NULL}));
    }
    return status_ok();
}

/* ---- the set ---- */

struct weight_set *weight_set_create(struct backend *backend, struct weight_source source)
{
    struct weight_set *set = memory_take(1, sizeof *set);
    set->backend = backend;
    set->source = source;
    return set;
}

void weight_set_destroy(struct weight_set *set)
{
    if (!set) return;
    for (int i = 0; i < set->count; i++) {
        free(set->weights[i].name);
        if (!set->weights[i].is_part) set->backend->interface->release(set->backend, set->weights[i].memory);
    }
    free(set->weights);
    free(set);
}

/* What goes to the device at a time: as much as a backend copies without waiting, and little enough to stay in the
 * processor's cache from the conversion to the copy. Each of a few threads reads and converts one such chunk, then all
 * are copied: one thread alone would convert a large model's weights for seconds. */
enum { CHUNK_BYTES = 512 << 10, MOST_THREADS = 4 };

/* One weight on its way to the device. */
struct loading {
    struct backend *backend;
    const char *name;
    enum element_type type;
    int64_t count, at_once; /* elements in all and in a chunk */
    char *memory;           /* the device's */
    const struct weight_elements *elements;
    struct parallel *threads;
    int64_t first;                /* of the chunks that are read together */
    char *chunks, *pieces;        /* one a thread */
    status results[MOST_THREADS]; /* of the chunks that are read together */
};

static int64_t chunks_of(const struct loading *loading)
{
    return (loading->count + loading->at_once - 1) / loading->at_once;
}

/* Elements of chunk `index`; fewer in the last one. */
static int64_t chunk_length(const struct loading *loading, int64_t index)
{
    int64_t left = loading->count - index * loading->at_once;
    return min_int64(left, loading->at_once);
}

static void read_chunks(void *context, int64_t begin, int64_t end, int thread)
{
    struct loading *loading = context;
    for (int64_t i = begin; i < end; i++) {
        int64_t index = loading->first + i;
        loading->results[i] = read_elements(
            loading->name, loading->elements, index * loading->at_once, chunk_length(loading, index), loading->type,
            loading->pieces + (size_t)thread * PIECE_BYTES, loading->chunks + i * CHUNK_BYTES);
    }
}

static status upload_chunks(const struct loading *loading, int64_t count)
{
    size_t size = element_size(loading->type);
    for (int64_t i = 0; i < count; i++) {
        int64_t index = loading->first + i;
        TRY(loading->results[i]);
        TRY(loading->backend->interface->upload(loading->backend, loading->memory + index * CHUNK_BYTES,
                                                loading->chunks + i * CHUNK_BYTES,
                                                (size_t)chunk_length(loading, index) * size));
    }
    return status_ok();
}

static status take_to_device(void *context, const struct weight_elements *elements)
{
    struct loading *loading = context;
    int64_t chunks = chunks_of(loading), at_once = parallel_threads(loading->threads);
    loading->elements = elements;
    for (loading->first = 0; loading->first < chunks; loading->first += at_once) {
        int64_t left = chunks - loading->first, together = min_int64(left, at_once);
        parallel_for(loading->threads, together, 1, read_chunks, loading);
        TRY(upload_chunks(loading, together));
    }
    return status_ok();
}

static status load(struct weight_set *set, const char *name, const struct shape *shape, enum element_type type,
                   void *memory)
{
    struct loading loading = {.backend = set->backend,
                              .name = name,
                              .type = type,
                              .count = shape_elements(shape),
                              .at_once = (int64_t)(CHUNK_BYTES / element_size(type)),
                              .memory = memory};
    int64_t chunks = chunks_of(&loading);
    /* Most tensors are one chunk: nobody need be asked for the processors. */
    int threads = chunks > 1 ? parallel_useful(chunks < MOST_THREADS ? (int)chunks : MOST_THREADS) : 1;
    TRY(parallel_create(threads, &loading.threads));
    loading.chunks = malloc((size_t)threads * (CHUNK_BYTES + PIECE_BYTES));
    loading.pieces = loading.chunks + (size_t)threads * CHUNK_BYTES;
    status result = loading.chunks ? set->source.read(set->source.context, name, shape,
                                                      (struct weight_sink){take_to_device, &loading})
                                   : status_error(STATUS_NO_MEMORY, "no memory to read weight %s", name);
    free(loading.chunks);
    parallel_destroy(loading.threads);
    return result;
}

/* Reads the weight to `memory`, which is the set's from then on. */
static status add_at(struct weight_set *set, const char *name, const struct shape *shape, enum element_type type,
                     void *memory, bool is_part)
{
    set->weights = memory_grow(set->weights, set->count, &set->capacity, sizeof *set->weights);
    TRY(load(set, name, shape, type, memory));
    set->weights[set->count++] = (struct weight){memory_copy_text(name), type, *shape, memory, is_part};
    set->bytes += (size_t)shape_elements(shape) * element_size(type);
    return status_ok();
}

/* Takes away the last weights of the set, but for their memory. */
static void forget_after(struct weight_set *set, int count)
{
    while (set->count > count) {
        const struct weight *weight = &set->weights[--set->count];
        set->bytes -= (size_t)shape_elements(&weight->shape) * element_size(weight->type);
        free(weight->name);
    }
}

static status add_joined(struct weight_set *set, const char *const *names, int count, const struct shape *shape,
                         enum element_type type, void **memory)
{
    size_t bytes = (size_t)shape_elements(shape) * element_size(type);
    int held = set->count;
    TRY(set->backend->interface->allocate(set->backend, (size_t)count * bytes, memory));
    for (int i = 0; i < count; i++) {
        status result = add_at(set, names[i], shape, type, (char *)*memory + (size_t)i * bytes, i > 0);
        if (result.code == STATUS_OK) continue;
        forget_after(set, held);
        set->backend->interface->release(set->backend, *memory);
        *memory = NULL;
        return result;
    }
    return status_ok();
}

static const struct weight *find(const struct weight_set *set, const char *name, const struct shape *shape,
                                 enum element_type type)
{
    for (int i = 0; i < set->count; i++) {
        const struct weight *weight = &set->weights[i];
        if (weight->type == type && strcmp(weight->name, name) == 0 &&
            shape_elements(&weight->shape) == shape_elements(shape))
            return weight;
    }
    return NULL;
}

status weight_set_get(struct weight_set *set, const char *name, const struct shape *shape, enum element_type type,
                      void **memory)
{
    const struct weight *held = find(set, name, shape, type);
    if (!held) return add_joined(set, &name, 1, shape, type, memory);
    *memory = held->memory;
    return status_ok();
}

status weight_set_get_joined(struct weight_set *set, const char *const *names, int count, const struct shape *shape,
                             enum element_type type, void **memory)
{
    size_t bytes = (size_t)shape_elements(shape) * element_size(type);
    const struct weight *first = find(set, names[0], shape, type);
    for (int i = 0; i < count; i++) {
        const struct weight *held = find(set, names[i], shape, type);
        bool fits = first ? held && held->memory == (char *)first->memory + (size_t)i * bytes : !held;
        if (!fits)
            return status_error(STATUS_FAILED, "weight %s was asked for before what it is joined with", names[i]);
    }
    if (!first) return add_joined(set, names, count, shape, type, memory);
    *memory = first->memory;
    return status_ok();
}

status weight_set_renew(struct weight_set *set, const char *name)
{
    for (int i = 0; i < set->count; i++) {
        const struct weight *weight = &set->weights[i];
        if (strcmp(weight->name, name) == 0) TRY(load(set, name, &weight->shape, weight->type, weight->memory));
    }
    return status_ok();
}

status weight_set_read(struct weight_set *set, const char *name, const struct shape *shape, enum element_type type,
                       void *memory)
{
    const struct weight *held = find(set, name, shape, type);
    if (!held) return load(set, name, shape, type, memory);
    return set->backend->interface->copy(set->backend, memory, held->memory,
                                         (size_t)shape_elements(shape) * element_size(type));
}

size_t weight_set_bytes(const struct weight_set *set)
{
    return set->bytes;
}
