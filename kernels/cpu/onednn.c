/* Matrix products and convolutions by oneDNN. */
#include "kernels/cpu/onednn.h"

#include <oneapi/dnnl/dnnl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cpu/onednn_parts.h"
#include "kernels/host_memory.h"
#include "kernels/operation_check.h"

/* oneDNN's loops run on OpenMP's threads, as many as this says, for the calling thread: one, since each of our threads
 * does its own part. The program is not linked to OpenMP itself: where oneDNN is built on another runtime there is no
 * such function. */
extern void omp_set_num_threads(int threads) __attribute__((weak));

/* ---- What differs between oneDNN 2 and 3: memory descriptors became opaque, operation descriptors vanished. ---- */

#if DNNL_VERSION_MAJOR >= 3

typedef dnnl_memory_desc_t layout;
typedef const_dnnl_memory_desc_t layout_argument;

static layout_argument pass(const layout *l)
{
    return *l;
}

static bool layout_strided(layout *l, int rank, const int64_t *size, const int64_t *step)
{
    return dnnl_memory_desc_create_with_strides(l, rank, size, dnnl_f32, step) == dnnl_success;
}

static bool layout_any(layout *l, int rank, const int64_t *size)
{
    return dnnl_memory_desc_create_with_tag(l, rank, size, dnnl_f32, dnnl_format_tag_any) == dnnl_success;
}

static bool layout_copy(layout *l, layout_argument from)
{
    return dnnl_memory_desc_clone(l, from) == dnnl_success;
}

static void layout_discard(layout *l)
{
    if (*l) dnnl_memory_desc_destroy(*l);
    *l = NULL;
}

static uint64_t add_to_key(uint64_t key, const int64_t *values, int count)
{
    for (int i = 0; i < count; i++) key = (key ^ (uint64_t)values[i]) * 1099511628211u;
    return key;
}

/* A number that tells layouts of the same weight apart. */
static uint64_t layout_key(layout_argument l)
{
    int rank = 0, blocks = 0;
    dnnl_dims_t *values;
    const dnnl_query_t queries[] = {dnnl_query_dims, dnnl_query_padded_dims, dnnl_query_strides};
    uint64_t key = 14695981039346656037u;
    dnnl_memory_desc_query(l, dnnl_query_ndims_s32, &rank);
    dnnl_memory_desc_query(l, dnnl_query_inner_nblks_s32, &blocks);
    for (int i = 0; i < 3; i++)
        if (dnnl_memory_desc_query(l, queries[i], &values) == dnnl_success) key = add_to_key(key, *values, rank);
    if (dnnl_memory_desc_query(l, dnnl_query_inner_blks, &values) == dnnl_success)
        key = add_to_key(key, *values, blocks);
    if (dnnl_memory_desc_query(l, dnnl_query_inner_idxs, &values) == dnnl_success)
        key = add_to_key(key, *values, blocks);
    return key;
}

static dnnl_status_t append_sum(dnnl_post_ops_t post_ops)
{
    return dnnl_post_ops_append_sum(post_ops, 1.0f, 0, dnnl_data_type_undef);
}

static dnnl_status_t append_scale(dnnl_post_ops_t post_ops, float alpha)
{
    return dnnl_post_ops_append_eltwise(post_ops, dnnl_eltwise_linear, alpha, 0.0f);
}

#else

typedef dnnl_memory_desc_t layout;
typedef const dnnl_memory_desc_t *layout_argument;

static layout_argument pass(const layout *l)
{
    return l;
}

static bool layout_strided(layout *l, int rank, const int64_t *size, const int64_t *step)
{
    return dnnl_memory_desc_init_by_strides(l, rank, size, dnnl_f32, step) == dnnl_success;
}

static bool layout_any(layout *l, int rank, const int64_t *size)
{
    return dnnl_memory_desc_init_by_tag(l, rank, size, dnnl_f32, dnnl_format_tag_any) == dnnl_success;
}

static bool layout_copy(layout *l, layout_argument from)
{
    *l = *from;
    return true;
}

static void layout_discard(layout *l)
{
    (void)l;
}

static uint64_t add_to_key(uint64_t key, const int64_t *values, int count)
{
    for (int i = 0; i < count; i++) key = (key ^ (uint64_t)values[i]) * 1099511628211u;
    return key;
}

/* A number that tells layouts of the same weight apart. */
static uint64_t layout_key(layout_argument l)
{
    const dnnl_blocking_desc_t *blocking = &l->format_desc.blocking;
    uint64_t key = 14695981039346656037u;
    key = add_to_key(key, l->dims, l->ndims);
    key = add_to_key(key, l->padded_dims, l->ndims);
    key = add_to_key(key, blocking->strides, l->ndims);
    key = add_to_key(key, blocking->inner_blks, blocking->inner_nblks);
    return add_to_key(key, blocking->inner_idxs, blocking->inner_nblks);
}

static dnnl_status_t append_sum(dnnl_post_ops_t post_ops)
{
    return dnnl_post_ops_append_sum(post_ops, 1.0f);
}

static dnnl_status_t append_scale(dnnl_post_ops_t post_ops, float alpha)
{
    return dnnl_post_ops_append_eltwise(post_ops, 1.0f, dnnl_eltwise_linear, alpha, 0.0f);
}

#endif

struct onednn {
    dnnl_engine_t engine;
    dnnl_stream_t *streams; /* one a thread */
    struct parallel *parallel;
};

/* One thread's part of a product. */
struct part {
    struct product shape;
    dnnl_primitive_t primitive;
    dnnl_memory_t memory[OPERANDS], scratchpad;
    void *handle[OPERANDS], *scratchpad_handle; /* what the memory objects hold now */
    dnnl_exec_arg_t arguments[OPERANDS + 1];
    int argument_count;
    size_t scratchpad_offset, scratchpad_bytes;
};

struct onednn_product {
    struct onednn *onednn;
    int part_count;
    struct part *parts;
    /* Between the plain and oneDNN's own layout: of a weight before, or of a weight's gradient after. */
    dnnl_primitive_t reorder;
    dnnl_memory_t reorder_from, reorder_to;
    bool packs, unpacks;
    size_t own_bytes; /* of the operand in oneDNN's own layout */
};

/* ---- Primitive descriptors: how oneDNN will do it. ---- */

static const int argument_of[][OPERANDS] = {
    [PRODUCT_MATMUL] = {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_BIAS, DNNL_ARG_DST},
    [PRODUCT_CONVOLUTION] = {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_BIAS, DNNL_ARG_DST},
    [PRODUCT_CONVOLUTION_VJP_INPUT] = {DNNL_ARG_DIFF_DST, DNNL_ARG_WEIGHTS, 0, DNNL_ARG_DIFF_SRC},
    [PRODUCT_CONVOLUTION_VJP_WEIGHT] = {DNNL_ARG_DIFF_DST, DNNL_ARG_SRC, 0, DNNL_ARG_DIFF_WEIGHTS},
};

/* Post-operations are done by the primitive itself, but for a weight's gradient, whose reorder adds. */
static dnnl_status_t create_attributes(const struct product *r, bool sum, dnnl_primitive_attr_t *attributes)
{
    dnnl_post_ops_t post_ops = NULL;
    *attributes = NULL;
    dnnl_status_t state = dnnl_primitive_attr_create(attributes);
    if (state == dnnl_success) state = dnnl_primitive_attr_set_scratchpad_mode(*attributes, dnnl_scratchpad_mode_user);
    if (state == dnnl_success) state = dnnl_post_ops_create(&post_ops);
    if (state == dnnl_success && r->alpha != 1.0f) state = append_scale(post_ops, r->alpha);
    if (state == dnnl_success && sum) state = append_sum(post_ops);
    if (state == dnnl_success) state = dnnl_primitive_attr_set_post_ops(*attributes, post_ops);
    if (post_ops) dnnl_post_ops_destroy(post_ops);
    return state;
}

#if DNNL_VERSION_MAJOR >= 3

static dnnl_status_t describe(struct onednn *onednn, const struct product *r, const layout *l,
                              dnnl_primitive_attr_t attributes, dnnl_primitive_desc_t *descriptor)
{
    const dnnl_dims_t dense = {0};
    layout_argument bias = r->has_bias ? l[BIAS] : NULL;
    if (r->kind == PRODUCT_MATMUL)
        return dnnl_matmul_primitive_desc_create(descriptor, onednn->engine, l[FIRST], l[SECOND], bias, l[OUTPUT],
                                                 attributes);
    if (r->kind == PRODUCT_CONVOLUTION)
        return dnnl_convolution_forward_primitive_desc_create(
            descriptor, onednn->engine, dnnl_forward_inference, dnnl_convolution_direct, l[FIRST], l[SECOND], bias,
            l[OUTPUT], r->stride, dense, r->padding_before, r->padding_after, attributes);
    const layout *x = r->kind == PRODUCT_CONVOLUTION_VJP_INPUT ? &l[OUTPUT] : &l[SECOND];
    const layout *weight = r->kind == PRODUCT_CONVOLUTION_VJP_INPUT ? &l[SECOND] : &l[OUTPUT];
    dnnl_primitive_desc_t forward;
    dnnl_status_t state = dnnl_convolution_forward_primitive_desc_create(
        &forward, onednn->engine, dnnl_forward_training, dnnl_convolution_direct, *x, *weight, NULL, l[FIRST],
        r->stride, dense, r->padding_before, r->padding_after, NULL);
    if (state != dnnl_success) return state;
    state = r->kind == PRODUCT_CONVOLUTION_VJP_INPUT
                ? dnnl_convolution_backward_data_primitive_desc_create(
                      descriptor, onednn->engine, dnnl_convolution_direct, *x, *weight, l[FIRST], r->stride, dense,
                      r->padding_before, r->padding_after, forward, attributes)
                : dnnl_convolution_backward_weights_primitive_desc_create(
                      descriptor, onednn->engine, dnnl_convolution_direct, *x, *weight, NULL, l[FIRST], r->stride,
                      dense, r->padding_before, r->padding_after, forward, attributes);
    dnnl_primitive_desc_destroy(forward);
    return state;
}

#else

static dnnl_status_t describe_backward(struct onednn *onednn, const struct product *r, const layout *l,
                                       dnnl_primitive_attr_t attributes, dnnl_primitive_desc_t *descriptor)
{
    const layout *x = r->kind == PRODUCT_CONVOLUTION_VJP_INPUT ? &l[OUTPUT] : &l[SECOND];
    const layout *weight = r->kind == PRODUCT_CONVOLUTION_VJP_INPUT ? &l[SECOND] : &l[OUTPUT];
    dnnl_convolution_desc_t forward_operation, operation;
    dnnl_primitive_desc_t forward;
    dnnl_status_t state =
        dnnl_convolution_forward_desc_init(&forward_operation, dnnl_forward_training, dnnl_convolution_direct, x,
                                           weight, NULL, &l[FIRST], r->stride, r->padding_before, r->padding_after);
    if (state == dnnl_success)
        state =
            r->kind == PRODUCT_CONVOLUTION_VJP_INPUT
                ? dnnl_convolution_backward_data_desc_init(&operation, dnnl_convolution_direct, x, weight, &l[FIRST],
                                                           r->stride, r->padding_before, r->padding_after)
                : dnnl_convolution_backward_weights_desc_init(&operation, dnnl_convolution_direct, x, weight, NULL,
                                                              &l[FIRST], r->stride, r->padding_before,
                                                              r->padding_after);
    if (state == dnnl_success)
        state = dnnl_primitive_desc_create(&forward, &forward_operation, NULL, onednn->engine, NULL);
    if (state != dnnl_success) return state;
    state = dnnl_primitive_desc_create(descriptor, &operation, attributes, onednn->engine, forward);
    dnnl_primitive_desc_destroy(forward);
    return state;
}

static dnnl_status_t describe(struct onednn *onednn, const struct product *r, const layout *l,
                              dnnl_primitive_attr_t attributes, dnnl_primitive_desc_t *descriptor)
{
    layout_argument bias = r->has_bias ? &l[BIAS] : NULL;
    dnnl_matmul_desc_t matmul;
    dnnl_convolution_desc_t convolution;
    dnnl_status_t state;
    switch (r->kind) {
    case PRODUCT_MATMUL:
        state = dnnl_matmul_desc_init(&matmul, &l[FIRST], &l[SECOND], bias, &l[OUTPUT]);
        if (state != dnnl_success) return state;
        return dnnl_primitive_desc_create(descriptor, &matmul, attributes, onednn->engine, NULL);
    case PRODUCT_CONVOLUTION:
        state = dnnl_convolution_forward_desc_init(&convolution, dnnl_forward_inference, dnnl_convolution_direct,
                                                   &l[FIRST], &l[SECOND], bias, &l[OUTPUT], r->stride,
                                                   r->padding_before, r->padding_after);
        if (state != dnnl_success) return state;
        return dnnl_primitive_desc_create(descriptor, &convolution, attributes, onednn->engine, NULL);
    default: return describe_backward(onednn, r, l, attributes, descriptor);
    }
}

#endif

/* oneDNN's plain loops: right for everything, a hundredth as fast. */
static bool is_reference(const_dnnl_primitive_desc_t descriptor)
{
    const char *name = NULL;
    dnnl_status_t state = dnnl_primitive_desc_query(descriptor, dnnl_query_impl_info_str, 0, &name);
    return state == dnnl_success && strncmp(name, "ref", 3) == 0;
}

/* ---- Preparing. ---- */

/* Whether oneDNN is asked to choose the layout of an operand. */
static bool is_free(const struct product *r, int operand)
{
    return (operand == SECOND && r->free_second) || (operand == OUTPUT && r->kind == PRODUCT_CONVOLUTION_VJP_WEIGHT);
}

static bool create_layouts(const struct product *r, layout *plain, layout *wanted)
{
    for (int i = 0; i < OPERANDS; i++) {
        const struct view *v = &r->view[i];
        if (i == BIAS && !r->has_bias) continue;
        if (!layout_strided(&plain[i], v->rank, v->size, v->step)) return false;
        if (is_free(r, i) ? !layout_any(&wanted[i], v->rank, v->size)
                          : !layout_strided(&wanted[i], v->rank, v->size, v->step))
            return false;
    }
    return true;
}

static dnnl_status_t create_reorder(struct onednn_product *p, const struct product *r, layout_argument from,
                                    layout_argument to)
{
    dnnl_primitive_desc_t descriptor;
    dnnl_primitive_attr_t attributes;
    dnnl_engine_t engine = p->onednn->engine;
    dnnl_status_t state = create_attributes(r, p->unpacks && r->accumulate, &attributes);
    if (state == dnnl_success)
        state = dnnl_reorder_primitive_desc_create(&descriptor, from, engine, to, engine, attributes);
    if (attributes) dnnl_primitive_attr_destroy(attributes);
    if (state != dnnl_success) return state;
    state = dnnl_primitive_create(&p->reorder, descriptor);
    dnnl_primitive_desc_destroy(descriptor);
    if (state == dnnl_success) state = dnnl_memory_create(&p->reorder_from, from, engine, DNNL_MEMORY_NONE);
    if (state == dnnl_success) state = dnnl_memory_create(&p->reorder_to, to, engine, DNNL_MEMORY_NONE);
    return state;
}

/* The first part's choice of a free operand's layout: all parts take it, and it is packed or unpacked by a reorder. */
static dnnl_status_t choose_layout(struct onednn_product *p, const struct product *r, const layout *plain, int operand,
                                   dnnl_primitive_desc_t descriptor, layout *chosen,
                                   struct kernel_requirements *requirements)
{
    layout_argument used = dnnl_primitive_desc_query_md(
        descriptor, operand == OUTPUT ? dnnl_query_diff_weights_md : dnnl_query_weights_md, 0);
    bool same = dnnl_memory_desc_equal(used, pass(&plain[operand])) != 0;
    layout_discard(&chosen[operand]);
    if (!layout_copy(&chosen[operand], used)) return dnnl_out_of_memory;
    p->packs = operand == SECOND && !same;
    p->unpacks = operand == OUTPUT;
    p->own_bytes = dnnl_memory_desc_get_size(used);
    if (p->packs) {
        requirements->packed_bytes = p->own_bytes;
        /* The forward and the backward product of a square matrix may want one layout of it and of its transpose, so
         * what the layout is made from belongs to the key. */
        requirements->packing_key = layout_key(used) * 31 + layout_key(pass(&plain[operand]));
        return create_reorder(p, r, pass(&plain[operand]), used);
    }
    return p->unpacks ? create_reorder(p, r, used, pass(&plain[operand])) : dnnl_success;
}

static dnnl_status_t add_argument(struct part *part, dnnl_engine_t engine, int operand, int argument, layout_argument l)
{
    dnnl_status_t state = dnnl_memory_create(&part->memory[operand], l, engine, DNNL_MEMORY_NONE);
    if (state == dnnl_success)
        part->arguments[part->argument_count++] = (dnnl_exec_arg_t){argument, part->memory[operand]};
    return state;
}

static dnnl_status_t build_part(struct part *part, dnnl_engine_t engine, const layout *layouts,
                                dnnl_primitive_desc_t descriptor)
{
    const struct product *r = &part->shape;
    dnnl_status_t state = dnnl_primitive_create(&part->primitive, descriptor);
    for (int i = 0; i < OPERANDS && state == dnnl_success; i++)
        if (i != BIAS || r->has_bias) state = add_argument(part, engine, i, argument_of[r->kind][i], pass(&layouts[i]));
    if (state != dnnl_success) return state;
    layout_argument scratchpad = dnnl_primitive_desc_query_md(descriptor, dnnl_query_scratchpad_md, 0);
    part->scratchpad_bytes = dnnl_memory_desc_get_size(scratchpad);
    if (!part->scratchpad_bytes) return dnnl_success;
    state = dnnl_memory_create(&part->scratchpad, scratchpad, engine, DNNL_MEMORY_NONE);
    if (state == dnnl_success)
        part->arguments[part->argument_count++] = (dnnl_exec_arg_t){DNNL_ARG_SCRATCHPAD, part->scratchpad};
    return state;
}

/* `chosen` is the layout of the free operand: set by part 0, taken by the others. */
static dnnl_status_t prepare_part(struct onednn_product *p, int index, layout *chosen,
                                  struct kernel_requirements *requirements)
{
    struct part *part = &p->parts[index];
    const struct product *r = &part->shape;
    layout plain[OPERANDS], wanted[OPERANDS];
    memset(plain, 0, sizeof plain);
    memset(wanted, 0, sizeof wanted);
    dnnl_primitive_attr_t attributes = NULL;
    dnnl_primitive_desc_t descriptor = NULL;
    dnnl_status_t state = create_layouts(r, plain, wanted) ? dnnl_success : dnnl_invalid_arguments;
    for (int i = 0; i < OPERANDS && index > 0 && state == dnnl_success; i++)
        if (is_free(r, i)) {
            layout_discard(&wanted[i]);
            if (!layout_copy(&wanted[i], pass(chosen))) state = dnnl_out_of_memory;
        }
    if (state == dnnl_success)
        state = create_attributes(r, r->accumulate && r->kind != PRODUCT_CONVOLUTION_VJP_WEIGHT, &attributes);
    if (state == dnnl_success) state = describe(p->onednn, r, wanted, attributes, &descriptor);
    if (state == dnnl_success && is_reference(descriptor)) state = dnnl_unimplemented;
    for (int i = 0; i < OPERANDS && index == 0 && state == dnnl_success; i++)
        if (is_free(r, i)) {
            state = choose_layout(p, r, plain, i, descriptor, wanted, requirements);
            if (state == dnnl_success && !layout_copy(chosen, pass(&wanted[i]))) state = dnnl_out_of_memory;
        }
    if (state == dnnl_success) state = build_part(part, p->onednn->engine, wanted, descriptor);
    if (descriptor) dnnl_primitive_desc_destroy(descriptor);
    if (attributes) dnnl_primitive_attr_destroy(attributes);
    for (int i = 0; i < OPERANDS; i++) {
        layout_discard(&plain[i]);
        layout_discard(&wanted[i]);
    }
    return state;
}

static size_t aligned(size_t bytes)
{
    return (bytes + 255) / 256 * 256;
}

/* Scratch: an operand in oneDNN's own layout, then the parts' scratchpads. */
static void place_scratch(struct onednn_product *p, struct kernel_requirements *requirements)
{
    size_t offset = p->unpacks ? aligned(p->own_bytes) : 0;
    for (int i = 0; i < p->part_count; i++) {
        p->parts[i].scratchpad_offset = offset;
        offset += aligned(p->parts[i].scratchpad_bytes);
    }
    requirements->scratch_bytes = offset;
}

static void use_one_thread(void)
{
    if (omp_set_num_threads) omp_set_num_threads(1);
}

static dnnl_status_t prepare(struct onednn_product *p, const struct product *whole,
                             struct kernel_requirements *requirements)
{
    layout chosen;
    memset(&chosen, 0, sizeof chosen);
    dnnl_status_t state = dnnl_success;
    use_one_thread();
    for (int i = 0; i < p->part_count && state == dnnl_success; i++) {
        p->parts[i].shape = product_part(whole, i, p->part_count);
        state = prepare_part(p, i, &chosen, requirements);
    }
    layout_discard(&chosen);
    place_scratch(p, requirements);
    return state;
}

static const char *reason_of(dnnl_status_t state)
{
    switch (state) {
    case dnnl_out_of_memory: return "oneDNN is out of memory";
    case dnnl_invalid_arguments: return "oneDNN rejects the arguments";
    case dnnl_unimplemented: return "oneDNN does not implement it";
    default: return "oneDNN failed";
    }
}

status onednn_prepare(struct onednn *onednn, const struct operation *operation, struct onednn_product **result,
                      struct kernel_requirements *requirements)
{
    struct product whole = product_of(operation);
    struct onednn_product *product = calloc(1, sizeof *product);
    int parts = product_parts(&whole, parallel_threads(onednn->parallel));
    struct part *array = calloc((size_t)parts, sizeof *array);
    *result = NULL;
    status room =
        !product || !array ? status_error(STATUS_NO_MEMORY, "no memory for a kernel") : host_memory_check_room();
    if (room.code != STATUS_OK) {
        free(product);
        free(array);
        return room;
    }
    *product = (struct onednn_product){.onednn = onednn, .part_count = parts, .parts = array};
    dnnl_status_t state = prepare(product, &whole, requirements);
    if (state == dnnl_success) {
        *result = product;
        return status_ok();
    }
    onednn_discard(product);
    *requirements = (struct kernel_requirements){0};
    return state == dnnl_unimplemented ? status_ok() : operation_error(operation, reason_of(state));
}

static void discard_part(struct part *part)
{
    for (int i = 0; i < OPERANDS; i++)
        if (part->memory[i]) dnnl_memory_destroy(part->memory[i]);
    if (part->scratchpad) dnnl_memory_destroy(part->scratchpad);
    if (part->primitive) dnnl_primitive_destroy(part->primitive);
}

void onednn_discard(struct onednn_product *product)
{
    if (!product) return;
    for (int i = 0; i < product->part_count; i++) discard_part(&product->parts[i]);
    if (product->reorder_from) dnnl_memory_destroy(product->reorder_from);
    if (product->reorder_to) dnnl_memory_destroy(product->reorder_to);
    if (product->reorder) dnnl_primitive_destroy(product->reorder);
    free(product->parts);
    free(product);
}

/* ---- Running. ---- */

static status report(dnnl_status_t state)
{
    return state == dnnl_success ? status_ok() : status_error(STATUS_FAILED, "%s", reason_of(state));
}

/* oneDNN may clear a layout's padding when it is handed new memory: only changes are handed over. */
static dnnl_status_t point(dnnl_memory_t memory, void **current, const void *wanted)
{
    if (*current == wanted) return dnnl_success;
    *current = (void *)wanted;
    return dnnl_memory_set_data_handle(memory, *current);
}

static dnnl_status_t reorder(struct onednn_product *p, const void *from, void *to)
{
    dnnl_exec_arg_t arguments[] = {{DNNL_ARG_FROM, p->reorder_from}, {DNNL_ARG_TO, p->reorder_to}};
    dnnl_status_t state = dnnl_memory_set_data_handle(p->reorder_from, (void *)from);
    use_one_thread();
    if (state == dnnl_success) state = dnnl_memory_set_data_handle(p->reorder_to, to);
    if (state == dnnl_success) state = dnnl_primitive_execute(p->reorder, p->onednn->streams[0], 2, arguments);
    return state == dnnl_success ? dnnl_stream_wait(p->onednn->streams[0]) : state;
}

status onednn_pack(struct onednn_product *product, const void *weight, void *packed, void *scratch)
{
    (void)scratch;
    return report(reorder(product, weight, packed));
}

struct run {
    struct onednn_product *product;
    const float *operand[OPERANDS];
    char *scratch;
    dnnl_status_t *states; /* one a part */
};

static dnnl_status_t run_part(const struct run *run, struct part *part, dnnl_stream_t stream)
{
    dnnl_status_t state = dnnl_success;
    if (part->scratchpad)
        state = point(part->scratchpad, &part->scratchpad_handle, run->scratch + part->scratchpad_offset);
    for (int64_t repeat = 0; repeat < part->shape.repeats && state == dnnl_success; repeat++) {
        for (int i = 0; i < OPERANDS && state == dnnl_success; i++)
            if (part->memory[i])
                state = point(part->memory[i], &part->handle[i],
                              run->operand[i] + part->shape.offset[i] + repeat * part->shape.repeat_step[i]);
        if (state == dnnl_success)
            state = dnnl_primitive_execute(part->primitive, stream, part->argument_count, part->arguments);
    }
    return state;
}

static void run_parts(void *context, int64_t begin, int64_t end, int thread)
{
    struct run *run = context;
    use_one_thread();
    for (int64_t i = begin; i < end; i++)
        run->states[i] = run_part(run, &run->product->parts[i], run->product->onednn->streams[thread]);
}

status onednn_run(struct onednn_product *product, const void *first, const void *second, const void *bias, void *output,
                  const void *packed, void *scratch)
{
    enum { MOST_PARTS = 1024 };
    dnnl_status_t states[MOST_PARTS];
    struct run run = {
        product, {first, product->packs ? packed : second, bias, product->unpacks ? scratch : output}, scratch, states};
    parallel_for(product->onednn->parallel, product->part_count, 1, run_parts, &run);
    for (int i = 0; i < product->part_count; i++)
        if (states[i] != dnnl_success) return report(states[i]);
    return report(product->unpacks ? reorder(product, scratch, output) : dnnl_success);
}

static dnnl_status_t start(struct onednn *onednn, int threads)
{
    dnnl_status_t state = dnnl_engine_create(&onednn->engine, dnnl_cpu, 0);
    for (int i = 0; i < threads && state == dnnl_success; i++)
        state = dnnl_stream_create(&onednn->streams[i], onednn->engine, dnnl_stream_default_flags);
    return state;
}

void onednn_version(char text[32])
{
    const dnnl_version_t *version = dnnl_version();
    snprintf(text, 32, "%d.%d.%d", version->major, version->minor, version->patch);
}

status onednn_create(struct parallel *parallel, struct onednn **result)
{
    int threads = parallel_threads(parallel);
    struct onednn *onednn = calloc(1, sizeof *onednn);
    dnnl_stream_t *streams = calloc((size_t)threads, sizeof(dnnl_stream_t));
    *result = NULL;
    if (!onednn || !streams) {
        free(onednn);
        free(streams);
        return status_error(STATUS_NO_MEMORY, "no memory for oneDNN");
    }
    *onednn = (struct onednn){.streams = streams, .parallel = parallel};
    use_one_thread();
    dnnl_status_t state = start(onednn, threads);
    if (state == dnnl_success) {
        *result = onednn;
        return status_ok();
    }
    onednn_destroy(onednn);
    return status_error(STATUS_FAILED, "cannot start oneDNN: %s", reason_of(state));
}

void onednn_destroy(struct onednn *onednn)
{
    if (!onednn) return;
    for (int i = 0; i < parallel_threads(onednn->parallel); i++)
        if (onednn->streams[i]) dnnl_stream_destroy(onednn->streams[i]);
    if (onednn->engine) dnnl_engine_destroy(onednn->engine);
    free(onednn->streams);
    free(onednn);
}
