/* Operations that only move data. */
#include "kernels/cpu/vector/kinds.h"

static int64_t product(const struct shape *shape, int from, int to)
{
    int64_t result = 1;
    for (int i = from; i < to; i++) result *= shape->dimension[i];
    return result;
}

/* Blocks of `length` elements, `from_step` and `to_step` apart. */
struct blocks {
    const float *from;
    float *to;
    int64_t from_step, to_step, length;
};

static void copy_part(void *context, int64_t begin, int64_t end, int thread)
{
    const struct blocks *b = context;
    (void)thread;
    for (int64_t i = begin; i < end; i++)
        memcpy(b->to + i * b->to_step, b->from + i * b->from_step, (size_t)b->length * sizeof(float));
}

static void copy_blocks(const struct call *call, int64_t count, struct blocks blocks)
{
    parallel_for(call->kernel->parallel, count, row_grain(blocks.length), copy_part, &blocks);
}

static status run_concatenate(const struct call *call)
{
    int axis = attributes_of(call)->axis;
    const struct shape *shape = output_shape(call, 0);
    int64_t outer = product(shape, 0, axis), inner = product(shape, axis + 1, shape->rank);
    int64_t a = input_shape(call, 0)->dimension[axis] * inner, b = input_shape(call, 1)->dimension[axis] * inner;
    float *y = call->outputs[0];
    copy_blocks(call, outer, (struct blocks){call->inputs[0], y, a, a + b, a});
    copy_blocks(call, outer, (struct blocks){call->inputs[1], y + a, b, a + b, b});
    return status_ok();
}

static status run_slice(const struct call *call)
{
    const struct operation_attributes *attributes = attributes_of(call);
    const struct shape *shape = input_shape(call, 0);
    int64_t outer = product(shape, 0, attributes->axis), inner = product(shape, attributes->axis + 1, shape->rank);
    int64_t whole = shape->dimension[attributes->axis] * inner, part = attributes->length * inner;
    const float *from = (const float *)call->inputs[0] + attributes->start * inner;
    copy_blocks(call, outer, (struct blocks){from, call->outputs[0], whole, part, part});
    return status_ok();
}

struct placement {
    const float *from;
    float *to;
    int64_t whole, before, part; /* elements of a block, before the part in it, of the part */
};

static void place_part(void *context, int64_t begin, int64_t end, int thread)
{
    const struct placement *p = context;
    (void)thread;
    for (int64_t i = begin; i < end; i++) {
        float *to = p->to + i * p->whole;
        memset(to, 0, (size_t)p->before * sizeof *to);
        memcpy(to + p->before, p->from + i * p->part, (size_t)p->part * sizeof *to);
        memset(to + p->before + p->part, 0, (size_t)(p->whole - p->before - p->part) * sizeof *to);
    }
}

static status run_place(const struct call *call)
{
    const struct operation_attributes *attributes = attributes_of(call);
    const struct shape *shape = output_shape(call, 0);
    int64_t outer = product(shape, 0, attributes->axis), inner = product(shape, attributes->axis + 1, shape->rank);
    struct placement placement = {
        .from = call->inputs[0],
        .to = call->outputs[0],
        .whole = shape->dimension[attributes->axis] * inner,
        .before = attributes->start * inner,
        .part = attributes->length * inner,
    };
    parallel_for(call->kernel->parallel, outer, row_grain(placement.whole), place_part, &placement);
    return status_ok();
}

/* Rows of the output [batch, columns, rows, inner]: each gathers one column of the input. */
static void transpose_part(void *context, int64_t begin, int64_t end, int thread)
{
    const struct call *call = context;
    const struct shape *shape = input_shape(call, 0);
    int64_t rows = shape->dimension[1], columns = shape->dimension[2], inner = product(shape, 3, shape->rank);
    (void)thread;
    for (int64_t i = begin; i < end; i++) {
        const float *from = (const float *)call->inputs[0] + (i / columns * rows * columns + i % columns) * inner;
        float *to = (float *)call->outputs[0] + i * rows * inner;
        if (inner == 1)
            for (int64_t row = 0; row < rows; row++) to[row] = from[row * columns];
        else
            for (int64_t row = 0; row < rows; row++)
                memcpy(to + row * inner, from + row * columns * inner, (size_t)inner * sizeof *to);
    }
}

static status run_transpose(const struct call *call)
{
    const struct shape *shape = output_shape(call, 0);
    int64_t items = shape->dimension[0] * shape->dimension[1];
    parallel_for(call->kernel->parallel, items, row_grain(shape_elements(shape) / items), transpose_part, (void *)call);
    return status_ok();
}

const struct cpu_kind NAME(cpu_concatenate) = {.run = run_concatenate};
const struct cpu_kind NAME(cpu_slice) = {.run = run_slice};
const struct cpu_kind NAME(cpu_place) = {.run = run_place};
const struct cpu_kind NAME(cpu_transpose) = {.run = run_transpose};
