/* Where the packed copies of frozen weights lie: one for every weight and layout, whoever reads it. */
#include "engine/base/memory.h"
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

struct packing_plan *packing_plan_create(void)
{
    return memory_take(1, sizeof(struct packing_plan));
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

int packing_plan_place(struct packing_plan *plan, const char *weight, const struct kernel_requirements *requirements)
{
    size_t bytes = align_up(requirements->packed_bytes);
    for (int i = 0; i < plan->count; i++) {
        const struct packing *packing = &plan->entries[i];
        if (packing->key == requirements->packing_key && packing->bytes == bytes &&
            strcmp(packing->weight, weight) == 0)
            return i;
    }
    plan->entries = memory_grow(plan->entries, plan->count, &plan->capacity, sizeof *plan->entries);
    struct packing *added = &plan->entries[plan->count];
    *added = (struct packing){.key = requirements->packing_key, .offset = plan->bytes, .bytes = bytes};
    strcpy(added->weight, weight); /* tensor names have the same limit */
    plan->bytes += bytes;
    return plan->count++;
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
