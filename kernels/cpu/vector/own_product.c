/* Products and convolutions without oneDNN. */
#include "kernels/cpu/vector/own_product.h"

#include "kernels/cpu/vector/kinds.h"
#include "kernels/cpu/vector/matrix.h"

enum { ROW_BLOCK = 8 * TILE_ROWS };

/* c[m, n] = alpha a[m, k] b[k, n] + bias[n], added to c when `accumulate`; c's rows are contiguous. */
struct product {
    int64_t m, n, k;
    const float *a;
    int64_t a_row, a_column;
    const float *b;
    int64_t b_row, b_column;
    const float *bias;
    float alpha;
    bool accumulate;
    float *c;
    float *packed; /* b in panels */
    float *block;  /* [threads, ROW_BLOCK, PANEL] */
};

static int64_t panels_of(int64_t n)
{
    return (n + PANEL - 1) / PANEL;
}

static void pack_part(void *context, int64_t begin, int64_t end, int thread)
{
    const struct product *p = context;
    (void)thread;
    matrix_pack(p->b, p->b_row, p->b_column, p->k, p->n, begin, end, p->packed);
}

static void store_block(const struct product *p, const float *block, int64_t row, int64_t rows, int64_t column)
{
    int64_t count = p->n - column < PANEL ? p->n - column : PANEL;
    for (int64_t i = 0; i < rows; i++) {
        float *c = p->c + (row + i) * p->n + column;
        for (int64_t j = 0; j < count; j++) {
            float value = p->alpha * block[i * PANEL + j] + (p->bias ? p->bias[column + j] : 0.0f);
            c[j] = p->accumulate ? c[j] + value : value;
        }
    }
}

/* Items are blocks of ROW_BLOCK x PANEL of c, panel after panel. */
static void multiply_part(void *context, int64_t begin, int64_t end, int thread)
{
    const struct product *p = context;
    int64_t row_blocks = (p->m + ROW_BLOCK - 1) / ROW_BLOCK;
    float *block = p->block + (int64_t)thread * ROW_BLOCK * PANEL;
    for (int64_t item = begin; item < end; item++) {
        int64_t panel = item / row_blocks, row = item % row_blocks * ROW_BLOCK;
        int64_t rows = p->m - row < ROW_BLOCK ? p->m - row : ROW_BLOCK;
        matrix_multiply(&(struct matrix_product){rows, PANEL, p->k, p->a + row * p->a_row, p->a_row, p->a_column,
                                                 p->packed + panel * p->k * PANEL, PANEL, block, PANEL, false});
        store_block(p, block, row, rows, panel * PANEL);
    }
}

static void multiply(const struct call *call, const struct product *p)
{
    int64_t panels = panels_of(p->n), row_blocks = (p->m + ROW_BLOCK - 1) / ROW_BLOCK;
    parallel_for(call->kernel->parallel, panels, PARALLEL_GRAIN / (p->k * PANEL) + 1, pack_part, (void *)p);
    parallel_for(call->kernel->parallel, panels * row_blocks, 65536 / (p->k * PANEL * ROW_BLOCK) + 1, multiply_part,
                 (void *)p);
}

/* A convolution's patches: row = output position, column = (input channel, kernel row, kernel column). */
struct patches {
    const struct operation_attributes *attributes;
    const int64_t *x, *weight, *y; /* dimensions */
};

static struct patches patches_of(const struct operation *o)
{
    const struct operand *x = &o->input[0], *weight = &o->input[1], *y = &o->output[0];
    if (o->kind == OPERATION_CONVOLUTION_VJP_INPUT) {
        x = &o->output[0];
        y = &o->input[0];
    } else if (o->kind == OPERATION_CONVOLUTION_VJP_WEIGHT) {
        x = &o->input[1];
        weight = &o->output[0];
        y = &o->input[0];
    }
    return (struct patches){&o->attributes, x->shape.dimension, weight->shape.dimension, y->shape.dimension};
}

static int64_t patch_size(const struct patches *p)
{
    return p->weight[1] * p->weight[2] * p->weight[3];
}

/* Gathers the patches of one batch item, or (scatter) adds them back to where they came from. */
static void visit_patches(const struct patches *p, const float *x, float *dx, float *patches)
{
    int64_t taps = p->weight[2] * p->weight[3], channels = p->x[3];
    for (int64_t position = 0; position < p->y[1] * p->y[2]; position++)
        for (int64_t tap = 0; tap < taps; tap++) {
            int64_t row = position / p->y[2] * p->attributes->stride - p->attributes->padding_top + tap / p->weight[3];
            int64_t column =
                position % p->y[2] * p->attributes->stride - p->attributes->padding_left + tap % p->weight[3];
            bool inside = row >= 0 && row < p->x[1] && column >= 0 && column < p->x[2];
            float *patch = patches + position * patch_size(p) + tap;
            int64_t pixel = (row * p->x[2] + column) * channels;
            for (int64_t c = 0; c < channels && (inside || !dx); c++) {
                if (dx)
                    dx[pixel + c] += patch[c * taps];
                else
                    patch[c * taps] = inside ? x[pixel + c] : 0.0f;
            }
        }
}

struct sizes {
    int64_t m, n, k, patches; /* of one product; elements of the patches */
};

static struct sizes sizes_of(const struct operation *o)
{
    const struct shape *first = &o->input[0].shape, *output = &o->output[0].shape;
    int64_t n = last_dimension(output), k = last_dimension(first);
    struct patches p = patches_of(o);
    switch (o->kind) {
    case OPERATION_LINEAR:
    case OPERATION_LINEAR_VJP_INPUT: return (struct sizes){row_count(output), n, k, 0};
    case OPERATION_LINEAR_VJP_WEIGHT: return (struct sizes){k, n, row_count(first), 0};
    case OPERATION_MATMUL:
        return (struct sizes){output->dimension[1], n, first->dimension[o->attributes.transpose_a ? 1 : 2], 0};
    default: break;
    }
    int64_t positions = p.y[1] * p.y[2], size = patch_size(&p);
    if (o->kind == OPERATION_CONVOLUTION) return (struct sizes){positions, p.y[3], size, positions * size};
    if (o->kind == OPERATION_CONVOLUTION_VJP_INPUT) return (struct sizes){positions, size, p.y[3], positions * size};
    return (struct sizes){p.y[3], size, positions, positions * size};
}

static int64_t packed_floats(const struct sizes *s)
{
    return panels_of(s->n) * PANEL * s->k;
}

status NAME(own_product_prepare)(struct kernel *kernel, struct kernel_requirements *requirements)
{
    struct sizes s = sizes_of(&kernel->operation);
    int64_t blocks = (int64_t)parallel_threads(kernel->parallel) * ROW_BLOCK * PANEL;
    requirements->scratch_bytes = (size_t)(packed_floats(&s) + blocks + s.patches) * sizeof(float);
    return status_ok();
}

static void run_linear(const struct call *call, struct product p)
{
    const struct operation *o = &call->kernel->operation;
    switch (o->kind) {
    case OPERATION_LINEAR:
        p.a_row = p.k, p.a_column = 1;
        p.b_row = 1, p.b_column = p.k;
        p.bias = call->inputs[2];
        break;
    case OPERATION_LINEAR_VJP_INPUT:
        p.a_row = p.k, p.a_column = 1;
        p.b_row = p.n, p.b_column = 1;
        break;
    default:
        p.a_row = 1, p.a_column = p.m;
        p.b_row = p.n, p.b_column = 1;
        p.accumulate = o->attributes.accumulate;
        break;
    }
    multiply(call, &p);
}

static void run_matmul(const struct call *call, struct product p)
{
    const struct operation_attributes *attributes = attributes_of(call);
    int64_t batch = output_shape(call, 0)->dimension[0];
    p.a_row = attributes->transpose_a ? 1 : p.k, p.a_column = attributes->transpose_a ? p.m : 1;
    p.b_row = attributes->transpose_b ? 1 : p.n, p.b_column = attributes->transpose_b ? p.k : 1;
    p.alpha = (float)attributes->alpha;
    for (int64_t item = 0; item < batch; item++) {
        multiply(call, &p);
        p.a += p.m * p.k;
        p.b += p.k * p.n;
        p.c += p.m * p.n;
    }
}

static void run_convolution(const struct call *call, struct product p, float *patches)
{
    const struct operation *o = &call->kernel->operation;
    struct patches shape = patches_of(o);
    int64_t x_item = shape.x[1] * shape.x[2] * shape.x[3], y_item = shape.y[1] * shape.y[2] * shape.y[3];
    for (int64_t item = 0; item < shape.x[0]; item++) {
        if (o->kind == OPERATION_CONVOLUTION) {
            visit_patches(&shape, (const float *)call->inputs[0] + item * x_item, NULL, patches);
            p.a = patches, p.a_row = p.k, p.a_column = 1;
            p.b_row = 1, p.b_column = p.k;
            p.bias = call->inputs[2];
            p.c = (float *)call->outputs[0] + item * y_item;
            multiply(call, &p);
        } else if (o->kind == OPERATION_CONVOLUTION_VJP_INPUT) {
            float *dx = (float *)call->outputs[0] + item * x_item;
            p.a = (const float *)call->inputs[0] + item * y_item, p.a_row = p.k, p.a_column = 1;
            p.b_row = p.n, p.b_column = 1;
            p.c = patches;
            multiply(call, &p);
            memset(dx, 0, (size_t)x_item * sizeof *dx);
            visit_patches(&shape, NULL, dx, patches);
        } else {
            visit_patches(&shape, (const float *)call->inputs[1] + item * x_item, NULL, patches);
            p.a = (const float *)call->inputs[0] + item * y_item, p.a_row = 1, p.a_column = p.m;
            p.b = patches, p.b_row = p.n, p.b_column = 1;
            p.accumulate = o->attributes.accumulate || item > 0;
            multiply(call, &p);
        }
    }
}

status NAME(own_product_run)(const struct call *call)
{
    const struct operation *o = &call->kernel->operation;
    struct sizes s = sizes_of(o);
    float *scratch = call->scratch;
    struct product p = {
        .m = s.m,
        .n = s.n,
        .k = s.k,
        .a = call->inputs[0],
        .b = call->inputs[1],
        .alpha = 1.0f,
        .c = call->outputs[0],
        .packed = scratch,
        .block = scratch + packed_floats(&s),
    };
    float *patches = p.block + (int64_t)parallel_threads(call->kernel->parallel) * ROW_BLOCK * PANEL;
    if (o->kind == OPERATION_MATMUL)
        run_matmul(call, p);
    else if (s.patches == 0)
        run_linear(call, p);
    else
        run_convolution(call, p, patches);
    return status_ok();
}
