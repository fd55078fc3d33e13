/* How a product is divided among threads for oneDNN. */
#include "kernels/cpu/onednn_parts.h"

enum { ROWS = 0, BATCH = 0, HEIGHT = 2 };

static struct view view2(int64_t rows, int64_t columns, int64_t row_step, int64_t column_step)
{
    return (struct view){2, {rows, columns}, {row_step, column_step}};
}

static struct view view3(const struct operand *operand, bool transposed)
{
    const int64_t *size = operand->shape.dimension;
    if (transposed) return (struct view){3, {size[0], size[2], size[1]}, {size[1] * size[2], 1, size[2]}};
    return (struct view){3, {size[0], size[1], size[2]}, {size[1] * size[2], size[2], 1}};
}

/* A feature map [batch, height, width, channels] seen as [batch, channels, height, width]. */
static struct view view_map(const struct operand *operand)
{
    const int64_t *size = operand->shape.dimension;
    return (struct view){
        4, {size[0], size[3], size[1], size[2]}, {size[1] * size[2] * size[3], 1, size[2] * size[3], size[3]}};
}

static struct view view_kernel(const struct operand *operand)
{
    const int64_t *size = operand->shape.dimension;
    return (struct view){
        4, {size[0], size[1], size[2], size[3]}, {size[1] * size[2] * size[3], size[2] * size[3], size[3], 1}};
}

static int64_t last(const struct operand *operand)
{
    return operand->shape.dimension[operand->shape.rank - 1];
}

static int64_t rows(const struct operand *operand)
{
    return shape_elements(&operand->shape) / last(operand);
}

static void set_matmul(struct product *p, const struct operation *o)
{
    const struct operand *first = &o->input[0], *second = &o->input[1], *output = &o->output[0];
    int64_t n = last(output), k = last(first), m = rows(output);
    p->kind = PRODUCT_MATMUL;
    p->view[OUTPUT] = view2(m, n, n, 1);
    switch (o->kind) {
    case OPERATION_LINEAR:
        p->view[FIRST] = view2(m, k, k, 1);
        p->view[SECOND] = view2(k, n, 1, k);
        p->view[BIAS] = view2(1, n, n, 1);
        break;
    case OPERATION_LINEAR_VJP_INPUT:
        p->view[FIRST] = view2(m, k, k, 1);
        p->view[SECOND] = view2(k, n, n, 1);
        break;
    case OPERATION_LINEAR_VJP_WEIGHT:
        p->view[FIRST] = view2(k, rows(first), 1, k);
        p->view[SECOND] = view2(rows(second), n, n, 1);
        break;
    default:
        p->view[FIRST] = view3(first, o->attributes.transpose_a);
        p->view[SECOND] = view3(second, o->attributes.transpose_b);
        p->view[OUTPUT] = view3(output, false);
        p->alpha = (float)o->attributes.alpha;
        break;
    }
}

static void set_convolution(struct product *p, const struct operation *o)
{
    const struct operation_attributes *a = &o->attributes;
    p->stride[0] = p->stride[1] = a->stride;
    p->padding_before[0] = a->padding_top;
    p->padding_before[1] = a->padding_left;
    p->padding_after[0] = a->padding_bottom;
    p->padding_after[1] = a->padding_right;
    p->view[FIRST] = view_map(&o->input[0]);
    if (o->kind == OPERATION_CONVOLUTION_VJP_WEIGHT) {
        p->kind = PRODUCT_CONVOLUTION_VJP_WEIGHT;
        p->view[SECOND] = view_map(&o->input[1]);
        p->view[OUTPUT] = view_kernel(&o->output[0]);
        return;
    }
    p->kind = o->kind == OPERATION_CONVOLUTION ? PRODUCT_CONVOLUTION : PRODUCT_CONVOLUTION_VJP_INPUT;
    p->view[SECOND] = view_kernel(&o->input[1]);
    p->view[OUTPUT] = view_map(&o->output[0]);
    p->view[BIAS] = (struct view){1, {last(&o->output[0])}, {1}};
}

struct product product_of(const struct operation *o)
{
    struct product p = {.alpha = 1.0f, .accumulate = o->attributes.accumulate, .repeats = 1};
    bool weight_gradient = o->kind == OPERATION_LINEAR_VJP_WEIGHT || o->kind == OPERATION_CONVOLUTION_VJP_WEIGHT;
    bool convolves = o->kind == OPERATION_CONVOLUTION || o->kind == OPERATION_CONVOLUTION_VJP_INPUT ||
                     o->kind == OPERATION_CONVOLUTION_VJP_WEIGHT;
    if (convolves)
        set_convolution(&p, o);
    else
        set_matmul(&p, o);
    p.has_bias =
        (o->kind == OPERATION_LINEAR || o->kind == OPERATION_CONVOLUTION) && o->input_count > 2 && o->input[2].present;
    p.free_second = !weight_gradient && o->kind != OPERATION_MATMUL && o->input[1].constant;
    return p;
}

/* ---- Cutting ---- */

static int64_t elements(const struct view *view)
{
    int64_t result = 1;
    for (int i = 0; i < view->rank; i++) result *= view->size[i];
    return result;
}

static double multiply_adds(const struct product *p)
{
    const struct view *weight = &p->view[p->kind == PRODUCT_CONVOLUTION_VJP_WEIGHT ? OUTPUT : SECOND];
    const struct view *y = &p->view[p->kind == PRODUCT_CONVOLUTION ? OUTPUT : FIRST];
    if (p->kind == PRODUCT_MATMUL)
        return (double)elements(&p->view[OUTPUT]) * (double)p->view[FIRST].size[p->view[FIRST].rank - 1];
    return (double)elements(y) * (double)(weight->size[1] * weight->size[2] * weight->size[3]);
}

/* The dimension of the output (and of the first operand) that is cut: whole batch items of maps where there are
 * enough, else their rows. */
static int cut_dimension(const struct product *p, int parts)
{
    int64_t batch = p->view[OUTPUT].size[BATCH];
    if (p->view[OUTPUT].rank == 2) return ROWS;
    bool by_items = batch % parts == 0 || batch >= 4 * parts;
    if (p->kind == PRODUCT_MATMUL) return by_items ? BATCH : BATCH + 1;
    return by_items ? BATCH : HEIGHT;
}

/* Rows of maps can be cut where windows overlap or touch and none lies in the padding alone. */
static bool has_plain_windows(const struct product *p)
{
    int64_t kernel = p->view[SECOND].size[2];
    return p->stride[0] <= kernel && p->padding_before[0] < kernel && p->padding_after[0] < kernel;
}

int product_parts(const struct product *whole, int threads)
{
    const double worth_a_thread = 500e3; /* multiply-adds: a few microseconds */
    enum { FEWEST_ROWS = 8 };            /* of a matrix: fewer read the other matrix as often as they compute */
    double work = multiply_adds(whole) / worth_a_thread;
    int parts = work < threads ? (int)work : threads;
    if (parts <= 1 || whole->kind == PRODUCT_CONVOLUTION_VJP_WEIGHT) return 1;
    int dimension = cut_dimension(whole, parts);
    int64_t length = whole->view[OUTPUT].size[dimension];
    if (whole->kind != PRODUCT_MATMUL && dimension == HEIGHT && !has_plain_windows(whole)) return 1;
    if (whole->kind == PRODUCT_MATMUL && whole->view[OUTPUT].rank == 2) length /= FEWEST_ROWS;
    if (length < parts) parts = (int)length;
    return parts < 1 ? 1 : parts;
}

static void cut(struct product *p, int operand, int dimension, int64_t begin, int64_t end)
{
    p->offset[operand] += begin * p->view[operand].step[dimension];
    p->view[operand].size[dimension] = end - begin;
}

static int64_t at_least(int64_t value, int64_t bound)
{
    return value > bound ? value : bound;
}

static int64_t at_most(int64_t value, int64_t bound)
{
    return value < bound ? value : bound;
}

/* Rows begin..end-1 of one item's map, as a whole map of its own: oneDNN's fast loops take dense maps alone, and judge
 * that by the step between items even where there is one. */
static void cut_item_rows(struct product *p, int operand, int64_t begin, int64_t end)
{
    struct view *view = &p->view[operand];
    p->repeat_step[operand] = view->step[BATCH];
    cut(p, operand, BATCH, 0, 1);
    cut(p, operand, HEIGHT, begin, end);
    view->step[BATCH] = view->size[HEIGHT] * view->step[HEIGHT];
}

/* Rows begin..end-1 of the output map of every batch item, one item at a time. The rows of the other map that they
 * need become the whole map; what the kernel reaches beyond its edges becomes padding. */
static void cut_rows(struct product *p, int64_t begin, int64_t end)
{
    int64_t stride = p->stride[0], padding = p->padding_before[0], kernel = p->view[SECOND].size[2];
    int64_t other = p->view[FIRST].size[HEIGHT], first, last, reach_first, reach_last;
    if (p->kind == PRODUCT_CONVOLUTION) { /* x rows of y rows begin..end-1 */
        reach_first = begin * stride - padding;
        reach_last = (end - 1) * stride - padding + kernel;
        first = at_least(reach_first, 0);
        last = at_most(reach_last, other);
        p->padding_before[0] = first - reach_first;
        p->padding_after[0] = reach_last - last;
    } else { /* y rows that reach x rows begin..end-1 */
        first = at_least(begin + padding - kernel + stride, 0) / stride;
        last = at_most((end - 1 + padding) / stride + 1, other);
        p->padding_before[0] = begin - (first * stride - padding);
        p->padding_after[0] = at_least((last - 1) * stride - padding + kernel - end, 0);
    }
    p->repeats = p->view[FIRST].size[BATCH];
    cut_item_rows(p, FIRST, first, last);
    cut_item_rows(p, OUTPUT, begin, end);
}

struct product product_part(const struct product *whole, int part, int parts)
{
    struct product p = *whole;
    if (parts == 1) return p;
    int dimension = cut_dimension(whole, parts);
    int64_t length = whole->view[OUTPUT].size[dimension];
    int64_t begin = length * part / parts, end = length * (part + 1) / parts;
    if (p.kind != PRODUCT_MATMUL && dimension == HEIGHT) {
        cut_rows(&p, begin, end);
        return p;
    }
    cut(&p, FIRST, dimension, begin, end);
    cut(&p, OUTPUT, dimension, begin, end);
    if (p.kind == PRODUCT_MATMUL && p.view[OUTPUT].rank == 3 && dimension == BATCH) cut(&p, SECOND, BATCH, begin, end);
    return p;
}
