/* Embedding and gathering of rows in double precision. */
#include "kernels/reference/reference.h"

#include <inttypes.h>
#include <string.h>

static status check_id(const struct call *call, int32_t id, int64_t rows)
{
    if (id >= 0 && id < rows) return status_ok();
    return status_error(STATUS_FAILED, "%s: id %" PRId32 " is not in 0..%" PRId64,
                        operation_facts(call->operation->kind)->name, id, rows - 1);
}

status reference_embedding(const struct call *call)
{
    const int32_t *ids = index_input(call, 0);
    int64_t width = last_dimension(input_shape(call, 1)), rows = row_count(input_shape(call, 1));
    for (int64_t i = 0; i < shape_elements(input_shape(call, 0)); i++) {
        TRY(check_id(call, ids[i], rows));
        memcpy(output(call, 0) + i * width, input(call, 1) + ids[i] * width, (size_t)width * sizeof(double));
    }
    return status_ok();
}

status reference_gather(const struct call *call)
{
    const int32_t *ids = index_input(call, 1);
    int64_t rows = input_shape(call, 0)->dimension[1], width = last_dimension(input_shape(call, 0));
    int64_t taken = input_shape(call, 1)->dimension[1];
    for (int64_t i = 0; i < shape_elements(input_shape(call, 1)); i++) {
        TRY(check_id(call, ids[i], rows));
        memcpy(output(call, 0) + i * width, input(call, 0) + (i / taken * rows + ids[i]) * width,
               (size_t)width * sizeof(double));
    }
    return status_ok();
}

status reference_gather_vjp(const struct call *call)
{
    const int32_t *ids = index_input(call, 1);
    int64_t rows = output_shape(call, 0)->dimension[1], width = last_dimension(output_shape(call, 0));
    int64_t taken = input_shape(call, 1)->dimension[1];
    memset(output(call, 0), 0, (size_t)shape_elements(output_shape(call, 0)) * sizeof(double));
    for (int64_t i = 0; i < shape_elements(input_shape(call, 1)); i++) {
        TRY(check_id(call, ids[i], rows));
        double *to = output(call, 0) + (i / taken * rows + ids[i]) * width;
        for (int64_t c = 0; c < width; c++) to[c] += input(call, 0)[i * width + c];
    }
    return status_ok();
}
