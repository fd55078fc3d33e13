/* Concatenation, slices and transposition in double precision. */
#include "kernels/reference/reference.h"

#include <string.h>

static int64_t product(const struct shape *shape, int from, int to)
{
    int64_t result = 1;
    for (int i = from; i < to; i++) result *= shape->dimension[i];
    return result;
}

/* Copies `count` blocks of `length` elements between arrays whose blocks are `from_step` and `to_step` apart. */
static void copy_blocks(double *to, int64_t to_step, const double *from, int64_t from_step, int64_t count,
                        int64_t length)
{
    for (int64_t i = 0; i < count; i++) memcpy(to + i * to_step, from + i * from_step, (size_t)length * sizeof *to);
}

status reference_concatenate(const struct call *call)
{
    int axis = call->operation->attributes.axis;
    const struct shape *shape = output_shape(call, 0);
    int64_t outer = product(shape, 0, axis), inner = product(shape, axis + 1, shape->rank);
    int64_t a = input_shape(call, 0)->dimension[axis] * inner, b = input_shape(call, 1)->dimension[axis] * inner;
    copy_blocks(output(call, 0), a + b, input(call, 0), a, outer, a);
    copy_blocks(output(call, 0) + a, a + b, input(call, 1), b, outer, b);
    return status_ok();
}

status reference_slice(const struct call *call)
{
    const struct operation_attributes *attributes = &call->operation->attributes;
    const struct shape *shape = input_shape(call, 0);
    int64_t inner = product(shape, attributes->axis + 1, shape->rank), outer = product(shape, 0, attributes->axis);
    int64_t length = attributes->length * inner;
    copy_blocks(output(call, 0), length, input(call, 0) + attributes->start * inner,
                shape->dimension[attributes->axis] * inner, outer, length);
    return status_ok();
}

status reference_place(const struct call *call)
{
    const struct operation_attributes *attributes = &call->operation->attributes;
    const struct shape *shape = output_shape(call, 0);
    int64_t inner = product(shape, attributes->axis + 1, shape->rank), outer = product(shape, 0, attributes->axis);
    int64_t length = attributes->length * inner;
    memset(output(call, 0), 0, (size_t)shape_elements(shape) * sizeof(double));
    copy_blocks(output(call, 0) + attributes->start * inner, shape->dimension[attributes->axis] * inner, input(call, 0),
                length, outer, length);
    return status_ok();
}

status reference_transpose(const struct call *call)
{
    const struct shape *shape = input_shape(call, 0);
    int64_t batch = shape->dimension[0], rows = shape->dimension[1], columns = shape->dimension[2];
    int64_t inner = product(shape, 3, shape->rank);
    for (int64_t item = 0; item < batch; item++)
        for (int64_t row = 0; row < rows; row++)
            for (int64_t column = 0; column < columns; column++)
                memcpy(output(call, 0) + ((item * columns + column) * rows + row) * inner,
                       input(call, 0) + ((item * rows + row) * columns + column) * inner,
                       (size_t)inner * sizeof(double));
    return status_ok();
}
