/* Whether a written adapter reads back as it was meant. */
#include "engine/run/adapter_file.h"

#include <string.h>

static bool same_values(const float *expected, const float *found, const struct shape *shape, double factor)
{
    int64_t count = shape_elements(shape);
    for (int64_t i = 0; i < count; i++) {
        float value = factor == 1 ? expected[i] : (float)(expected[i] * factor);
        uint32_t bits[2]; /* a zero's sign counts too */
        memcpy(&bits[0], &value, sizeof bits[0]);
        memcpy(&bits[1], &found[i], sizeof bits[1]);
        if (bits[0] != bits[1]) return false;
    }
    return true;
}

static bool same_shape(const struct shape *left, const struct shape *right)
{
    bool same = left->rank == right->rank;
    for (int i = 0; same && i < left->rank; i++) same = left->dimension[i] == right->dimension[i];
    return same;
}

static double up_factor(const struct adapter_factors *expected, const struct adapter_factors *found, double scale)
{
    return found->folded ? scale * expected->alpha / (double)expected->down_shape.dimension[0] : scale;
}

status adapter_file_verify(const char *path, const struct adapter_set *set, double scale, int *matching, int *total)
{
    struct adapter_set written;
    TRY(adapter_file_read(path, &written));
    *matching = 0;
    *total = 2 * set->count;
    for (int i = 0; i < set->count; i++) {
        const struct adapter_factors *expected = &set->modules[i];
        const struct adapter_factors *found = adapter_set_module(&written, expected->kohya);
        if (!found) continue;
        if (same_shape(&expected->down_shape, &found->down_shape) &&
            same_values(expected->down, found->down, &found->down_shape, 1)) {
            (*matching)++;
        }
        if (same_shape(&expected->up_shape, &found->up_shape) &&
            same_values(expected->up, found->up, &found->up_shape, up_factor(expected, found, scale))) {
            (*matching)++;
        }
    }
    adapter_set_clear(&written);
    return status_ok();
}
