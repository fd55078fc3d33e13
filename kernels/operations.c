/* The table of operations, and what a call computes and moves. */
#include "kernels/operations.h"

static const struct operation_facts table[OPERATION_KIND_COUNT] = {
#define OPERATION(kind, name, minimum, maximum, outputs, in_place, residual, class, cpu)                               \
    [OPERATION_##kind] = {#name, minimum, maximum, outputs, in_place, residual},
#include "kernels/operations.def"
#undef OPERATION
};

size_t element_size(enum element_type type)
{
    switch (type) {
    case ELEMENT_F16:
    case ELEMENT_BF16: return 2;
    case ELEMENT_F64: return 8;
    case ELEMENT_F32:
    case ELEMENT_I32: return 4;
    }
    return 0;
}

int64_t shape_elements(const struct shape *shape)
{
    int64_t elements = 1;
    for (int i = 0; i < shape->rank; i++) elements *= shape->dimension[i];
    return elements;
}

const struct operation_facts *operation_facts(enum operation_kind kind)
{
    return &table[kind];
}

const struct operand *operation_residual(const struct operation *operation)
{
    int index = table[operation->kind].residual_input;
    return index >= 0 && index < operation->input_count && operation->input[index].present ? &operation->input[index]
                                                                                           : NULL;
}

bool operation_takes_columns(enum operation_kind kind, bool output, int index)
{
    switch (kind) {
    case OPERATION_LINEAR: return index == (output ? 0 : table[kind].residual_input);
    case OPERATION_LINEAR_VJP_INPUT:
    case OPERATION_LINEAR_VJP_WEIGHT:
    case OPERATION_BROADCAST: return !output && index == 0;
    case OPERATION_ATTENTION: return !output;
    case OPERATION_ATTENTION_VJP: return output || (index >= 1 && index <= 3);
    default: return false;
    }
}

int64_t operand_row_step(const struct operand *operand)
{
    return operand->row_step ? operand->row_step : operand->shape.dimension[operand->shape.rank - 1];
}

static double last_dimension(const struct operand *operand)
{
    return (double)operand->shape.dimension[operand->shape.rank - 1];
}

static double elements(const struct operand *operand)
{
    return (double)shape_elements(&operand->shape);
}

/* Multiply-adds of one output element of a convolution: in * kernel height * kernel width. */
static double kernel_volume(const struct shape *weight)
{
    return (double)(weight->dimension[1] * weight->dimension[2] * weight->dimension[3]);
}

/* Both products of attention, 2 flops a multiply-add; the vjp recomputes one and needs four more: 2.5 times. */
static double attention_flops(const struct operand *q, const struct operand *k)
{
    return 4.0 * (double)q->shape.dimension[0] * (double)q->shape.dimension[1] * (double)k->shape.dimension[1] *
           last_dimension(q);
}

double operation_flops(const struct operation *operation)
{
    const struct operand *input = operation->input, *output = operation->output;
    switch (operation->kind) {
    case OPERATION_LINEAR: return 2.0 * elements(&output[0]) * last_dimension(&input[0]);
    case OPERATION_LINEAR_VJP_INPUT: return 2.0 * elements(&output[0]) * last_dimension(&input[0]);
    case OPERATION_LINEAR_VJP_WEIGHT: return 2.0 * elements(&input[0]) * last_dimension(&input[1]);
    case OPERATION_CONVOLUTION: return 2.0 * elements(&output[0]) * kernel_volume(&input[1].shape);
    case OPERATION_CONVOLUTION_VJP_INPUT: return 2.0 * elements(&input[0]) * kernel_volume(&input[1].shape);
    case OPERATION_CONVOLUTION_VJP_WEIGHT: return 2.0 * elements(&input[0]) * kernel_volume(&output[0].shape);
    case OPERATION_MATMUL: {
        const struct shape *a = &input[0].shape;
        return 2.0 * elements(&output[0]) * (double)a->dimension[operation->attributes.transpose_a ? 1 : 2];
    }
    case OPERATION_ATTENTION: return attention_flops(&input[0], &input[1]);
    case OPERATION_ATTENTION_VJP: return 2.5 * attention_flops(&input[1], &input[2]);
    default: return 0.0;
    }
}

/* The input of which only some elements are read; -1: all inputs are read whole. */
static int selected_input(enum operation_kind kind)
{
    switch (kind) {
    case OPERATION_SLICE:
    case OPERATION_GATHER: return 0;
    case OPERATION_EMBEDDING: return 1;
    default: return -1;
    }
}

double operation_bytes(const struct operation *operation)
{
    double bytes = 0.0;
    int selected = selected_input(operation->kind);
    for (int i = 0; i < operation->input_count; i++) {
        const struct operand *input = &operation->input[i];
        const struct operand *read = i == selected ? &operation->output[0] : input;
        if (input->present) bytes += elements(read) * (double)element_size(input->type);
    }
    for (int i = 0; i < operation->output_count; i++) {
        const struct operand *output = &operation->output[i];
        if (output->present) bytes += elements(output) * (double)element_size(output->type);
    }
    return bytes;
}
