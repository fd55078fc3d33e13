/* Where the packed copies of frozen weights lie: one for every weight and layout, whoever reads it. */
#include "engine/graph/internal.h"

#include <stdlib.h>
#include <string.h>

/* One weight in one kernel layout. */
struct packing {
    char weight[160];
    uint64_t key;
    size_t offset, bytes;
    bool done;
};

struct packing_plan {
    struct packing *entries;
    int count, capacity;
    size_t bytes;
};

status packing_plan_create(struct packing_plan **plan)
{
    *plan = calloc(1, sizeof **plan);
    return *plan ? status_ok() : status_error(STATUS_NO_MEMORY, "no memory for a packing plan");
}

void packing_plan_destroy(struct packing_plan *plan)
{
    if (!plan) return;
    free(plan->entries);
    free(plan);
}

size_t packing_plan_bytes(const struct packing_plan *plan)
{
    return plan->bytes;
}

status packing_plan_place(struct packing_plan *plan, const char *weight, const struct kernel_requirements *requirements,
                          int *entry)
{
    size_t bytes = align_up(requirements->packed_bytes);
    for (int i = 0; i < plan->count; i++) {
        const struct packing *packing = &plan->entries[i];
        if (packing->key == requirements->packing_key && packing->bytes == bytes &&
            strcmp(packing->weight, weight) == 0) {
            *entry = i;
            return status_ok();
        }
    }
    if (plan->count == plan->capacity) {
        int larger = plan->capacity ? 2 * plan->capacity : 64;
        struct packing *moved = realloc(plan->entries, (size_t)larger * sizeof *moved);
        if (!moved) return status_error(STATUS_NO_MEMORY, "no memory for a packing plan");
        plan->entries = moved;
        plan->capacity = larger;
    }
    struct packing *added = &plan->entries[plan->count];
    *added = (struct packing){.key = requirements->packing_key, .offset = plan->bytes, .bytes = bytes};
    strcpy(added->weight, weight); /* tensor names have the same limit */
    plan->bytes += bytes;
    *entry = plan->count++;
    return status_ok();
}

size_t packing_plan_offset(const struct packing_plan *plan, int entry)
{
    return plan->entries[entry].offset;
}

bool packing_plan_done(const struct packing_plan *plan, int entry)
{
    return plan->entries[entry].done;
}

void packing_plan_mark(struct packing_plan *plan, int entry)
{
    plan->entries[entry].done = true;
}
