/* Embedding and gathering of rows. */
#include <inttypes.h>

#include "kernels/cpu/vector/kinds.h"

static status check_ids(const struct call *call, const int32_t *ids, int64_t count, int64_t rows)
{
    for (int64_t i = 0; i < count; i++)
        if (ids[i] < 0 || ids[i] >= rows)
            return status_error(STATUS_FAILED, "%s: id %" PRId32 " is not in 0..%" PRId64,
                                operation_facts(call->kernel->operation.kind)->name, ids[i], rows - 1);
    return status_ok();
}

static status run_embedding(const struct call *call)
{
    const int32_t *ids = call->inputs[0];
    const float *table = call->inputs[1];
    int64_t count = shape_elements(input_shape(call, 0)), width = last_dimension(input_shape(call, 1));
    TRY(check_ids(call, ids, count, row_count(input_shape(call, 1))));
    for (int64_t i = 0; i < count; i++)
        memcpy((float *)call->outputs[0] + i * width, table + ids[i] * width, (size_t)width * sizeof *table);
    return status_ok();
}

static status run_gather(const struct call *call)
{
    const int32_t *ids = call->inputs[1];
    const float *x = call->inputs[0];
    int64_t rows = input_shape(call, 0)->dimension[1], width = last_dimension(input_shape(call, 0));
    int64_t count = shape_elements(input_shape(call, 1)), taken = input_shape(call, 1)->dimension[1];
    TRY(check_ids(call, ids, count, rows));
    for (int64_t i = 0; i < count; i++)
        memcpy((float *)call->outputs[0] + i * width, x + (i / taken * rows + ids[i]) * width,
               (size_t)width * sizeof *x);
    return status_ok();
}

static status run_gather_vjp(const struct call *call)
{
    const int32_t *ids = call->inputs[1];
    const float *dy = call->inputs[0];
    float *dx = call->outputs[0];
    int64_t rows = output_shape(call, 0)->dimension[1], width = last_dimension(output_shape(call, 0));
    int64_t count = shape_elements(input_shape(call, 1)), taken = input_shape(call, 1)->dimension[1];
    TRY(check_ids(call, ids, count, rows));
    memset(dx, 0, (size_t)shape_elements(output_shape(call, 0)) * sizeof *dx);
    for (int64_t i = 0; i < count; i++) {
        float *to = dx + (i / taken * rows + ids[i]) * width;
        for (int64_t c = 0; c < width; c++) to[c] += dy[i * width + c];
    }
    return status_ok();
}

const struct cpu_kind NAME(cpu_embedding) = {.run = run_embedding};
const struct cpu_kind NAME(cpu_gather) = {.run = run_gather};
const struct cpu_kind NAME(cpu_gather_vjp) = {.run = run_gather_vjp};
