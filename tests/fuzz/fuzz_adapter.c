/* An adapter file: names, strength, values. */
#include "engine/model/adapter_set.h"
#include "tests/fuzz/target.h"

#include <math.h>
#include <stdlib.h>

static void check_factor(const struct shape *shape, const float *values)
{
    for (int64_t i = 0; i < shape_elements(shape); i++)
        if (!isfinite(values[i])) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct adapter_set set;
    if (adapter_parse(data, size, "fuzzed", &set).code != STATUS_OK) return 0;
    for (int i = 0; i < set.count; i++) {
        const struct adapter_factors *factors = &set.modules[i];
        if (factors->down_shape.dimension[0] != factors->up_shape.dimension[1] || !isfinite(factors->alpha)) abort();
        check_factor(&factors->down_shape, factors->down);
        check_factor(&factors->up_shape, factors->up);
    }
    adapter_set_clear(&set);
    return 0;
}
