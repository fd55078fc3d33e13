/* Whether an operation's shapes and attributes fit together, kind by kind. */
#include "kernels/operation_check.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A check returns NULL, or what does not fit. */
typedef const char *(*check_function)(const struct operation *operation);

static int64_t dimension(const struct operand *operand, int index)
{
    return operand->shape.dimension[index];
}

static int64_t last(const struct operand *operand)
{
    return operand->shape.dimension[operand->shape.rank - 1];
}

static int64_t elements(const struct operand *operand)
{
    return shape_elements(&operand->shape);
}

static int64_t rows(const struct operand *operand)
{
    return elements(operand) / last(operand);
}

static bool same_shape(const struct operand *a, const struct operand *b)
{
    if (a->shape.rank != b->shape.rank) return false;
    for (int i = 0; i < a->shape.rank; i++)
        if (dimension(a, i) != dimension(b, i)) return false;
    return true;
}

static bool has_rank(const struct operand *operand, int rank)
{
    return operand->shape.rank == rank;
}

static bool is_vector(const struct operand *operand, int64_t length)
{
    return elements(operand) == length;
}

static bool broadcasts(const struct operand *small, const struct operand *large)
{
    if (small->shape.rank != large->shape.rank) return false;
    for (int i = 0; i < small->shape.rank; i++)
        if (dimension(small, i) != 1 && dimension(small, i) != dimension(large, i)) return false;
    return true;
}

/* x[rows, K], W[N, K], y[rows, N]: the three operands of the linear family. */
static const char *linear_shapes(const struct operand *x, const struct operand *weight, const struct operand *y)
{
    if (!has_rank(weight, 2)) return "the weight must have rank 2";
    if (last(x) != dimension(weight, 1)) return "the input's last dimension is not the weight's second";
    if (last(y) != dimension(weight, 0)) return "the output's last dimension is not the weight's first";
    if (rows(x) != rows(y)) return "input and output differ in rows";
    return NULL;
}

static const char *check_linear(const struct operation *o)
{
    const struct operand *bias = &o->input[2];
    if (o->input_count > 2 && bias->present && !is_vector(bias, last(&o->output[0])))
        return "the bias is not as long as the output's last dimension";
    return linear_shapes(&o->input[0], &o->input[1], &o->output[0]);
}

static const char *check_linear_vjp_input(const struct operation *o)
{
    return linear_shapes(&o->output[0], &o->input[1], &o->input[0]);
}

static const char *check_linear_vjp_weight(const struct operation *o)
{
    return linear_shapes(&o->input[1], &o->output[0], &o->input[0]);
}

static int64_t convolved(int64_t length, int64_t kernel, int64_t padding, int64_t stride)
{
    int64_t room = length + padding - kernel;
    return room < 0 ? 0 : room / stride + 1;
}

static const char *convolution_shapes(const struct operation_attributes *a, const struct operand *x,
                                      const struct operand *weight, const struct operand *y)
{
    if (!has_rank(x, 4) || !has_rank(weight, 4) || !has_rank(y, 4)) return "all operands must have rank 4";
    if (a->stride < 1) return "the stride must be at least 1";
    if (a->padding_top < 0 || a->padding_left < 0 || a->padding_bottom < 0 || a->padding_right < 0)
        return "the padding must not be negative";
    if (dimension(x, 3) != dimension(weight, 1)) return "the input's channels are not the weight's second dimension";
    if (dimension(y, 3) != dimension(weight, 0)) return "the output's channels are not the weight's first dimension";
    if (dimension(x, 0) != dimension(y, 0)) return "input and output differ in batch";
    int64_t scale = a->doubled ? 2 : 1;
    if (dimension(y, 1) !=
            convolved(scale * dimension(x, 1), dimension(weight, 2), a->padding_top + a->padding_bottom, a->stride) ||
        dimension(y, 2) !=
            convolved(scale * dimension(x, 2), dimension(weight, 3), a->padding_left + a->padding_right, a->stride))
        return "the output's size is not what stride and padding give";
    return NULL;
}

static const char *check_convolution(const struct operation *o)
{
    const struct operand *bias = &o->input[2];
    if (o->input_count > 2 && bias->present && !is_vector(bias, last(&o->output[0])))
        return "the bias is not as long as the output's channels";
    return convolution_shapes(&o->attributes, &o->input[0], &o->input[1], &o->output[0]);
}

static const char *check_convolution_vjp_input(const struct operation *o)
{
    return convolution_shapes(&o->attributes, &o->output[0], &o->input[1], &o->input[0]);
}

static const char *check_convolution_vjp_weight(const struct operation *o)
{
    return convolution_shapes(&o->attributes, &o->input[1], &o->output[0], &o->input[0]);
}

static const char *check_matmul(const struct operation *o)
{
    const struct operand *a = &o->input[0], *b = &o->input[1], *y = &o->output[0];
    bool ta = o->attributes.transpose_a, tb = o->attributes.transpose_b;
    if (!has_rank(a, 3) || !has_rank(b, 3) || !has_rank(y, 3)) return "all operands must have rank 3";
    if (dimension(a, 0) != dimension(b, 0) || dimension(a, 0) != dimension(y, 0)) return "the batches differ";
    if (dimension(a, ta ? 1 : 2) != dimension(b, tb ? 2 : 1)) return "the summed dimensions differ";
    if (dimension(a, ta ? 2 : 1) != dimension(y, 1) || dimension(b, tb ? 1 : 2) != dimension(y, 2))
        return "the output's shape is not that of the product";
    return NULL;
}

static const char *group_norm_shapes(const struct operation *o, const struct operand *x, const struct operand *gamma,
                                     const struct operand *beta, const struct operand *mean, const struct operand *rstd)
{
    int groups = o->attributes.groups;
    if (x->shape.rank < 2) return "the input must have a batch dimension and channels";
    if (groups < 1 || last(x) % groups != 0) return "the groups do not divide the channels";
    if (!is_vector(gamma, last(x)) || !is_vector(beta, last(x))) return "gamma and beta must have one value a channel";
    if (mean->present && !is_vector(mean, dimension(x, 0) * groups)) return "the mean must have shape [batch, groups]";
    if (rstd->present && !is_vector(rstd, dimension(x, 0) * groups)) return "rstd must have shape [batch, groups]";
    if (!same_shape(x, &o->output[0])) return "input and output differ in shape";
    return NULL;
}

static const char *check_group_norm(const struct operation *o)
{
    return group_norm_shapes(o, &o->input[0], &o->input[1], &o->input[2], &o->output[1], &o->output[2]);
}

static const char *check_group_norm_vjp(const struct operation *o)
{
    if (!same_shape(&o->input[0], &o->input[1])) return "cotangent and input differ in shape";
    return group_norm_shapes(o, &o->input[1], &o->input[2], &o->input[3], &o->input[4], &o->input[5]);
}

static const char *layer_norm_shapes(const struct operation *o, const struct operand *x, const struct operand *gamma,
                                     const struct operand *mean, const struct operand *rstd)
{
    if (!is_vector(gamma, last(x))) return "gamma is not as long as the last dimension";
    if (mean->present && !is_vector(mean, rows(x))) return "the mean must have one value a row";
    if (rstd->present && !is_vector(rstd, rows(x))) return "rstd must have one value a row";
    if (!same_shape(x, &o->output[0])) return "input and output differ in shape";
    return NULL;
}

static const char *check_layer_norm(const struct operation *o)
{
    if (!is_vector(&o->input[2], last(&o->input[0]))) return "beta is not as long as the last dimension";
    return layer_norm_shapes(o, &o->input[0], &o->input[1], &o->output[1], &o->output[2]);
}

static const char *check_layer_norm_vjp(const struct operation *o)
{
    if (!same_shape(&o->input[0], &o->input[1])) return "cotangent and input differ in shape";
    return layer_norm_shapes(o, &o->input[1], &o->input[2], &o->input[3], &o->input[4]);
}

static const char *attention_shapes(const struct operation *o, const struct operand *q, const struct operand *k,
                                    const struct operand *v, const struct operand *result, const struct operand *lse)
{
    int heads = o->attributes.heads;
    if (!has_rank(q, 3) || !has_rank(k, 3)) return "queries and keys must have rank 3";
    if (heads < 1 || last(q) % heads != 0) return "the heads do not divide the channels";
    if (!(o->attributes.alpha > 0)) return "the scale of the scores must be positive";
    if (dimension(q, 0) != dimension(k, 0)) return "queries and keys differ in batch";
    if (last(q) != last(k)) return "queries and keys differ in channels";
    if (!same_shape(k, v)) return "keys and values differ in shape";
    if (operand_row_step(k) != operand_row_step(v)) return "keys and values differ in the step of their rows";
    if (!same_shape(q, result)) return "queries and output differ in shape";
    if (lse->present && !is_vector(lse, dimension(q, 0) * heads * dimension(q, 1)))
        return "lse must have shape [batch, heads, queries]";
    return NULL;
}

static const char *check_attention(const struct operation *o)
{
    return attention_shapes(o, &o->input[0], &o->input[1], &o->input[2], &o->output[0], &o->output[1]);
}

static const char *check_attention_vjp(const struct operation *o)
{
    if (!same_shape(&o->input[0], &o->input[4])) return "cotangent and output differ in shape";
    for (int i = 0; i < 3; i++)
        if (o->output[i].present && !same_shape(&o->output[i], &o->input[i + 1]))
            return "a gradient differs in shape from its input";
    if (o->output[1].present && o->output[2].present &&
        operand_row_step(&o->output[1]) != operand_row_step(&o->output[2]))
        return "the gradients of keys and values differ in the step of their rows";
    return attention_shapes(o, &o->input[1], &o->input[2], &o->input[3], &o->input[4], &o->input[5]);
}

static const char *check_unary(const struct operation *o)
{
    if (o->attributes.unary < 0 || o->attributes.unary >= UNARY_KIND_COUNT) return "unknown kind of function";
    if (elements(&o->input[0]) != elements(&o->output[0])) return "input and output differ in elements";
    return NULL;
}

static const char *check_unary_vjp(const struct operation *o)
{
    if (elements(&o->input[0]) != elements(&o->input[1])) return "cotangent and input differ in elements";
    return check_unary(o);
}

static const char *check_geglu(const struct operation *o)
{
    const struct operand *x = &o->input[0], *y = &o->output[0];
    return last(x) == 2 * last(y) && rows(x) == rows(y) ? NULL : "the input must be twice as wide as the output";
}

static const char *check_geglu_vjp(const struct operation *o)
{
    const struct operand *dy = &o->input[0], *x = &o->input[1];
    if (!same_shape(x, &o->output[0])) return "input and gradient differ in shape";
    return last(x) == 2 * last(dy) && rows(x) == rows(dy) ? NULL : "the input must be twice as wide as the cotangent";
}

static const char *check_binary(const struct operation *o)
{
    if (o->attributes.binary < 0 || o->attributes.binary >= BINARY_KIND_COUNT) return "unknown kind of function";
    if (!broadcasts(&o->input[1], &o->input[0])) return "the second operand does not broadcast to the first";
    return same_shape(&o->input[0], &o->output[0]) ? NULL : "the output must have the first operand's shape";
}

static const char *check_reduce(const struct operation *o)
{
    return broadcasts(&o->output[0], &o->input[0]) ? NULL : "the output's dimensions must be the input's or 1";
}

static const char *check_broadcast(const struct operation *o)
{
    return broadcasts(&o->input[0], &o->output[0]) ? NULL : "the input's dimensions must be the output's or 1";
}

static bool same_but_along(const struct operand *a, const struct operand *b, int axis)
{
    if (a->shape.rank != b->shape.rank || axis < 0 || axis >= a->shape.rank) return false;
    for (int i = 0; i < a->shape.rank; i++)
        if (i != axis && dimension(a, i) != dimension(b, i)) return false;
    return true;
}

static const char *check_concatenate(const struct operation *o)
{
    const struct operand *a = &o->input[0], *b = &o->input[1], *y = &o->output[0];
    int axis = o->attributes.axis;
    if (!same_but_along(a, b, axis) || !same_but_along(a, y, axis)) return "operands differ off the axis";
    return dimension(a, axis) + dimension(b, axis) == dimension(y, axis) ? NULL : "the lengths do not add up";
}

static const char *slice_shapes(const struct operation_attributes *a, const struct operand *whole,
                                const struct operand *part)
{
    if (!same_but_along(whole, part, a->axis)) return "operands differ off the axis";
    if (a->length < 1 || dimension(part, a->axis) != a->length) return "the part is not as long as said";
    if (a->start < 0 || a->start > dimension(whole, a->axis) - a->length) return "the part is not inside the whole";
    return NULL;
}

static const char *check_slice(const struct operation *o)
{
    return slice_shapes(&o->attributes, &o->input[0], &o->output[0]);
}

static const char *check_place(const struct operation *o)
{
    return slice_shapes(&o->attributes, &o->output[0], &o->input[0]);
}

static const char *upsample_shapes(const struct operand *small, const struct operand *large)
{
    if (!has_rank(small, 4) || !has_rank(large, 4)) return "operands must have rank 4";
    bool fits = dimension(small, 0) == dimension(large, 0) && 2 * dimension(small, 1) == dimension(large, 1) &&
                2 * dimension(small, 2) == dimension(large, 2) && dimension(small, 3) == dimension(large, 3);
    return fits ? NULL : "height and width must double, the rest agree";
}

static const char *check_upsample(const struct operation *o)
{
    return upsample_shapes(&o->input[0], &o->output[0]);
}

static const char *check_upsample_vjp(const struct operation *o)
{
    return upsample_shapes(&o->output[0], &o->input[0]);
}

static const char *check_resize(const struct operation *o)
{
    const struct operand *x = &o->input[0], *y = &o->output[0];
    if (!has_rank(x, 4) || !has_rank(y, 4)) return "operands must have rank 4";
    if (o->attributes.filter < RESIZE_NEAREST || o->attributes.filter > RESIZE_BICUBIC) return "unknown filter";
    bool fits = dimension(x, 0) == dimension(y, 0) && dimension(x, 3) == dimension(y, 3);
    return fits ? NULL : "input and output differ in batch or channels";
}

static const char *check_resize_vjp(const struct operation *o)
{
    return check_resize(o);
}

static bool is_index(const struct operand *operand)
{
    return operand->type == ELEMENT_I32;
}

static const char *check_embedding(const struct operation *o)
{
    const struct operand *ids = &o->input[0], *table = &o->input[1], *y = &o->output[0];
    if (!is_index(ids)) return "ids must be int32";
    if (!has_rank(table, 2) || last(y) != last(table)) return "the output is not as wide as the table";
    return rows(y) == elements(ids) ? NULL : "the output must have one row an id";
}

static const char *gather_shapes(const struct operand *whole, const struct operand *ids, const struct operand *part)
{
    if (!is_index(ids)) return "ids must be int32";
    if (!has_rank(whole, 3) || !has_rank(part, 3) || !has_rank(ids, 2)) return "ranks must be 3, and 2 for the ids";
    bool fits = dimension(whole, 0) == dimension(part, 0) && dimension(whole, 2) == dimension(part, 2) &&
                dimension(ids, 0) == dimension(part, 0) && dimension(ids, 1) == dimension(part, 1);
    return fits ? NULL : "batch, rows or channels differ";
}

static const char *check_gather(const struct operation *o)
{
    return gather_shapes(&o->input[0], &o->input[1], &o->output[0]);
}

static const char *check_gather_vjp(const struct operation *o)
{
    return gather_shapes(&o->output[0], &o->input[1], &o->input[0]);
}

static const char *check_normalize(const struct operation *o)
{
    return same_shape(&o->input[0], &o->output[0]) ? NULL : "input and output differ in shape";
}

static const char *check_normalize_vjp(const struct operation *o)
{
    if (!same_shape(&o->input[0], &o->input[1])) return "cotangent and input differ in shape";
    return check_normalize(o);
}

static const char *check_transpose(const struct operation *o)
{
    const struct operand *x = &o->input[0], *y = &o->output[0];
    if (x->shape.rank < 3 || x->shape.rank != y->shape.rank) return "operands must have the same rank, 3 or 4";
    bool fits = dimension(x, 0) == dimension(y, 0) && dimension(x, 1) == dimension(y, 2) &&
                dimension(x, 2) == dimension(y, 1) && (x->shape.rank == 3 || dimension(x, 3) == dimension(y, 3));
    return fits ? NULL : "dimensions 1 and 2 must be exchanged";
}

static const char *check_select_boxes(const struct operation *o)
{
    const struct operand *logits = &o->input[0], *boxes = &o->input[1], *ids = &o->output[0];
    if (!is_index(ids)) return "ids must be int32";
    if (!has_rank(logits, 2) || !has_rank(boxes, 3) || !has_rank(ids, 2)) return "ranks must be 2, 3 and 2";
    if (dimension(boxes, 0) != dimension(logits, 0) || dimension(boxes, 1) != dimension(logits, 1) || last(boxes) != 4)
        return "boxes must have shape [batch, boxes, 4]";
    bool fits = dimension(ids, 0) == dimension(logits, 0) && dimension(ids, 1) <= dimension(logits, 1);
    return fits ? NULL : "more boxes are to be selected than there are";
}

static const check_function table[OPERATION_KIND_COUNT] = {
#define OPERATION(kind, name, ...) [OPERATION_##kind] = check_##name,
#include "kernels/operations.def"
#undef OPERATION
};

static void append(char *text, size_t bytes, const char *format, ...) __attribute__((format(printf, 3, 4)));

static void append(char *text, size_t bytes, const char *format, ...)
{
    size_t used = strlen(text);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text + used, bytes - used, format, arguments);
    va_end(arguments);
}

static void append_operands(char *text, size_t bytes, const struct operand *operand, int count)
{
    for (int i = 0; i < count; i++) {
        append(text, bytes, "%s", i ? ", " : "");
        if (!operand[i].present) append(text, bytes, "-");
        for (int d = 0; operand[i].present && d < operand[i].shape.rank; d++)
            append(text, bytes, "%s%" PRId64 "%s", d ? "," : "[", dimension(&operand[i], d),
                   d + 1 < operand[i].shape.rank ? "" : "]");
    }
}

void operation_describe(const struct operation *operation, char *text, size_t bytes)
{
    snprintf(text, bytes, "%s(", operation_facts(operation->kind)->name);
    append_operands(text, bytes, operation->input, operation->input_count);
    append(text, bytes, ") -> ");
    append_operands(text, bytes, operation->output, operation->output_count);
}

status operation_error(const struct operation *operation, const char *reason)
{
    char text[300];
    operation_describe(operation, text, sizeof text);
    return status_error(STATUS_FAILED, "%s: %s", text, reason);
}

static bool valid_operand(const struct operand *operand)
{
    if (operand->shape.rank < 1 || operand->shape.rank > MAXIMUM_RANK) return false;
    for (int i = 0; i < operand->shape.rank; i++)
        if (dimension(operand, i) < 1) return false;
    return true;
}

static const char *check_residual(const struct operation *o)
{
    const struct operand *residual = operation_residual(o);
    if (!residual) return NULL;
    if (!same_shape(residual, &o->output[0])) return "residual and output differ in shape";
    if (operand_row_step(residual) != operand_row_step(&o->output[0]))
        return "residual and output differ in the step of their rows";
    return o->attributes.alpha == 0 ? "what is beside the residual has the factor 0" : NULL;
}

static const char *check_row_step(const struct operation *o, bool output, int index)
{
    const struct operand *operand = output ? &o->output[index] : &o->input[index];
    if (!operand->present || operand->row_step == 0) return NULL;
    if (operand->row_step < last(operand)) return "rows overlap";
    return operation_takes_columns(o->kind, output, index) ? NULL : "the rows of an operand must adjoin";
}

static const char *check_row_steps(const struct operation *o)
{
    const char *reason = NULL;
    for (int i = 0; i < o->input_count && !reason; i++) reason = check_row_step(o, false, i);
    for (int i = 0; i < o->output_count && !reason; i++) reason = check_row_step(o, true, i);
    return reason;
}

static const char *check_operands(const struct operation *o)
{
    const struct operation_facts *facts = operation_facts(o->kind);
    if (o->input_count < facts->minimum_inputs || o->input_count > facts->maximum_inputs)
        return "wrong number of inputs";
    if (o->output_count < 1 || o->output_count > facts->outputs) return "wrong number of outputs";
    for (int i = 0; i < o->input_count; i++) {
        if (!o->input[i].present && i < facts->minimum_inputs) return "an input is missing";
        if (o->input[i].present && !valid_operand(&o->input[i])) return "an input has no elements or a wrong rank";
    }
    bool any_output = false;
    for (int i = 0; i < o->output_count; i++) {
        if (o->output[i].present && !valid_operand(&o->output[i])) return "an output has no elements or a wrong rank";
        any_output = any_output || o->output[i].present;
    }
    if (!any_output || (!o->output[0].present && o->kind != OPERATION_ATTENTION_VJP)) return "an output is missing";
    return NULL;
}

status operation_check(const struct operation *operation)
{
    if (operation->kind < 0 || operation->kind >= OPERATION_KIND_COUNT)
        return status_error(STATUS_FAILED, "unknown kind of operation %d", (int)operation->kind);
    const char *reason = check_operands(operation);
    if (!reason) reason = table[operation->kind](operation);
    if (!reason) reason = check_residual(operation);
    if (!reason) reason = check_row_steps(operation);
    return reason ? operation_error(operation, reason) : status_ok();
}

bool operation_rows_adjoin(const struct operation *operation)
{
    for (int i = 0; i < operation->input_count; i++)
        if (operation->input[i].present && operand_row_step(&operation->input[i]) != last(&operation->input[i]))
            return false;
    for (int i = 0; i < operation->output_count; i++)
        if (operation->output[i].present && operand_row_step(&operation->output[i]) != last(&operation->output[i]))
            return false;
    return true;
}

static bool numbers_are(const struct operand *operand, int count, enum element_type type)
{
    for (int i = 0; i < count; i++)
        if (operand[i].present && operand[i].type != type && operand[i].type != ELEMENT_I32) return false;
    return true;
}

bool operation_numbers_are(const struct operation *operation, enum element_type type)
{
    return numbers_are(operation->input, operation->input_count, type) &&
           numbers_are(operation->output, operation->output_count, type);
}
