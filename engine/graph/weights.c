#include "engine/graph/weights.h"

#include "kernels/convert.h"
#include "kernels/parallel.h"

#include <stdlib.h>
#include <string.h>

struct weight {
    char *name;
    enum element_type type;
    struct shape shape;
    void *memory;
};

struct weight_set {
    struct backend *backend;
    struct weight_source source;
    struct weight *weights;
    int count, capacity;
    size_t bytes;
};

struct floats {
    float *values;
    int64_t count;
};

static status take_floats(void *context, enum element_type type, const void *elements)
{
    const struct floats *floats = context;
    convert_to_float(type, floats->values, elements, floats->count);
    return status_ok();
}

status weight_source_read(struct weight_source source, const char *name, const struct shape *shape, float *values)
{
    struct floats floats = {values, shape_elements(shape)};
    return source.read(source.context, name, shape, (struct weight_sink){take_floats, &floats});
}

static status take_nothing(void *context, enum element_type type, const void *elements)
{
    (void)context, (void)type, (void)elements;
    return status_ok();
}

status weight_source_check(struct weight_source source, const struct graph *graph)
{
    for (tensor_id id = 0; id < graph_tensor_count(graph); id++) {
        const struct tensor *tensor = graph_tensor(graph, id);
        if (tensor->role != TENSOR_CONSTANT || tensor->storage != id) continue;
        TRY(source.read(source.context, tensor->name, &tensor->shape, (struct weight_sink){take_nothing, NULL}));
    }
    return status_ok();
}

status weight_set_create(struct backend *backend, struct weight_source source, struct weight_set **set)
{
    struct weight_set *created = calloc(1, sizeof *created);
    if (!created) return status_error(STATUS_NO_MEMORY, "no memory for a set of weights");
    created->backend = backend;
    created->source = source;
    *set = created;
    return status_ok();
}

void weight_set_destroy(struct weight_set *set)
{
    if (!set) return;
    for (int i = 0; i < set->count; i++) {
        free(set->weights[i].name);
        set->backend->interface->release(set->backend, set->weights[i].memory);
    }
    free(set->weights);
    free(set);
}

/* What goes to the device at a time: as much as a backend copies without waiting, and little enough to stay in the
 * processor's cache from the conversion to the copy. Each of a few threads converts one such chunk, then all are
 * copied: one thread alone would convert a large model's weights for seconds. */
enum { CHUNK_BYTES = 512 << 10, MOST_THREADS = 4 };

/* One weight on its way to the device. */
struct loading {
    struct backend *backend;
    enum element_type type, from_type;
    int64_t count, at_once; /* elements in all and in a chunk */
    char *memory;           /* the device's */
    const char *elements;
    struct parallel *threads;
    int64_t first; /* of the chunks that are converted together */
    char *chunks;  /* one a thread */
};

static int64_t chunks_of(const struct loading *loading)
{
    return (loading->count + loading->at_once - 1) / loading->at_once;
}

/* Elements of chunk `index`; fewer in the last one. */
static int64_t chunk_length(const struct loading *loading, int64_t index)
{
    int64_t left = loading->count - index * loading->at_once;
    return left < loading->at_once ? left : loading->at_once;
}

static void convert_chunks(void *context, int64_t begin, int64_t end, int thread)
{
    const struct loading *loading = context;
    (void)thread;
    for (int64_t i = begin; i < end; i++) {
        int64_t index = loading->first + i;
        const char *from = loading->elements + (size_t)(index * loading->at_once) * element_size(loading->from_type);
        convert_elements(loading->type, loading->chunks + i * CHUNK_BYTES, loading->from_type, from,
                         chunk_length(loading, index));
    }
}

static status upload_chunks(const struct loading *loading, int64_t count)
{
    size_t size = element_size(loading->type);
    for (int64_t i = 0; i < count; i++) {
        int64_t index = loading->first + i;
        TRY(loading->backend->interface->upload(loading->backend, loading->memory + index * CHUNK_BYTES,
                                                loading->chunks + i * CHUNK_BYTES,
                                                (size_t)chunk_length(loading, index) * size));
    }
    return status_ok();
}

static status take_to_device(void *context, enum element_type type, const void *elements)
{
    struct loading *loading = context;
    int64_t chunks = chunks_of(loading), at_once = parallel_threads(loading->threads);
    loading->from_type = type;
    loading->elements = elements;
    for (loading->first = 0; loading->first < chunks; loading->first += at_once) {
        int64_t left = chunks - loading->first, together = left < at_once ? left : at_once;
        parallel_for(loading->threads, together, 1, convert_chunks, loading);
        TRY(upload_chunks(loading, together));
    }
    return status_ok();
}

static status load(struct weight_set *set, const char *name, const struct shape *shape, enum element_type type,
                   void *memory)
{
    struct loading loading = {.backend = set->backend,
                              .type = type,
                              .count = shape_elements(shape),
                              .at_once = (int64_t)(CHUNK_BYTES / element_size(type)),
                              .memory = memory};
    int64_t chunks = chunks_of(&loading);
    /* Most tensors are one chunk: nobody need be asked for the processors. */
    int threads = chunks > 1 ? parallel_useful(chunks < MOST_THREADS ? (int)chunks : MOST_THREADS) : 1;
    TRY(parallel_create(threads, &loading.threads));
    loading.chunks = malloc((size_t)threads * CHUNK_BYTES);
    status result = loading.chunks ? set->source.read(set->source.context, name, shape,
                                                      (struct weight_sink){take_to_device, &loading})
                                   : status_error(STATUS_NO_MEMORY, "no memory to read weight %s", name);
    free(loading.chunks);
    parallel_destroy(loading.threads);
    return result;
}

static status add(struct weight_set *set, const char *name, const struct shape *shape, enum element_type type,
                  void **memory)
{
    if (set->count == set->capacity) {
        int larger = set->capacity ? 2 * set->capacity : 128;
        struct weight *moved = realloc(set->weights, (size_t)larger * sizeof *moved);
        if (!moved) return status_error(STATUS_NO_MEMORY, "no memory for %d weights", larger);
        set->weights = moved;
        set->capacity = larger;
    }
    size_t bytes = (size_t)shape_elements(shape) * element_size(type);
    struct weight added = {.name = strdup(name), .type = type, .shape = *shape, .memory = NULL};
    if (!added.name) return status_error(STATUS_NO_MEMORY, "no memory for weight %s", name);
    status result = set->backend->interface->allocate(set->backend, bytes, &added.memory);
    if (result.code == STATUS_OK) {
        result = load(set, name, shape, type, added.memory);
        if (result.code != STATUS_OK) set->backend->interface->release(set->backend, added.memory);
    }
    if (result.code != STATUS_OK) {
        free(added.name);
        return result;
    }
    set->weights[set->count++] = added;
    set->bytes += bytes;
    *memory = added.memory;
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
    if (!held) return add(set, name, shape, type, memory);
    *memory = held->memory;
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
