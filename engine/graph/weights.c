#include "engine/graph/weights.h"

#include "kernels/convert.h"

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

static status load(struct weight_set *set, const char *name, const struct shape *shape, enum element_type type,
                   void *memory)
{
    size_t count = (size_t)shape_elements(shape), bytes = count * element_size(type);
    float *values = malloc(count * sizeof *values);
    void *converted = type == ELEMENT_F32 ? values : malloc(bytes);
    status result = values && converted ? set->source.read(set->source.context, name, shape, values)
                                        : status_error(STATUS_NO_MEMORY, "no memory to read weight %s", name);
    if (result.code == STATUS_OK) {
        if (type != ELEMENT_F32) convert_from_float(type, converted, values, (int64_t)count);
        result = set->backend->interface->upload(set->backend, memory, converted, bytes);
    }
    if (converted != (void *)values) free(converted);
    free(values);
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
