#include "kernels/cuda/array.h"

enum { THREADS = 256, TERMS_PER_PART = 4096, MAXIMUM_PARTS = 256 };

DEVICE int64_t offset_of(const int64_t size[MAXIMUM_RANK], const int64_t stride[MAXIMUM_RANK], int64_t index)
{
    int64_t offset = 0;
    for (int i = MAXIMUM_RANK - 1; i >= 0; i--) {
        offset += index % size[i] * stride[i];
        index /= size[i];
    }
    return offset;
}

DEVICE int64_t part_start(const struct reduction &reduction, int part)
{
    return reduction.terms * part / reduction.parts;
}

/* One thread sums one part of one output; block_y is the part. */
KERNEL(THREADS) reduce_by_thread_kernel(struct reduction reduction, struct array x, float *partial)
{
    int64_t output = global_thread();
    if (output >= reduction.outputs) return;
    int64_t base = offset_of(reduction.kept_size, reduction.kept_stride, output);
    int64_t end = part_start(reduction, block_y() + 1);
    float sum = 0.0f;
    for (int64_t term = part_start(reduction, block_y()); term < end; term++)
        sum += load(x, base + offset_of(reduction.summed_size, reduction.summed_stride, term));
    partial[block_y() * reduction.outputs + output] = sum;
}

/* One block sums one part of one output: strided sums by thread, then by warp, then of the warps in order. */
KERNEL(THREADS) reduce_by_block_kernel(struct reduction reduction, struct array x, float *partial)
{
    shared_array<float> by_warp = shared_memory<float>(0);
    int64_t output = block_x();
    int64_t base = offset_of(reduction.kept_size, reduction.kept_stride, output);
    int64_t end = part_start(reduction, block_y() + 1);
    float sum = 0.0f;
    for (int64_t term = part_start(reduction, block_y()) + thread_index(); term < end; term += THREADS)
        sum += load(x, base + offset_of(reduction.summed_size, reduction.summed_stride, term));
    sum = warp_sum(sum);
    if (lane_index() == 0) by_warp[warp_index()] = sum;
    synchronize_block();
    if (thread_index() == 0) {
        float total = 0.0f;
        for (int warp = 0; warp < THREADS / WARP_THREADS; warp++) total += by_warp[warp];
        partial[block_y() * reduction.outputs + output] = total;
    }
}

KERNEL(THREADS) reduce_parts_kernel(struct reduction reduction, const float *partial, struct array y)
{
    int64_t output = global_thread();
    if (output >= reduction.outputs) return;
    float sum = 0.0f;
    for (int part = 0; part < reduction.parts; part++) sum += partial[part * reduction.outputs + output];
    sum *= reduction.alpha;
    if (reduction.accumulate) sum += load(y, output);
    store(y, output, sum);
}

/* Parts so small that a large sum fills the device, and no more than the last pass reads quickly. */
static int parts_for(int64_t terms)
{
    int64_t parts = (terms + TERMS_PER_PART - 1) / TERMS_PER_PART;
    return parts < MAXIMUM_PARTS ? (int)parts : (int)MAXIMUM_PARTS;
}

extern "C" struct reduction plan_reduction(const struct shape *x, const struct shape *y, float alpha, bool accumulate)
{
    struct reduction plan = {};
    plan.outputs = plan.terms = 1;
    plan.alpha = alpha;
    plan.accumulate = accumulate;
    int64_t stride = 1;
    for (int i = MAXIMUM_RANK - 1; i >= 0; i--) {
        int dimension = i - (MAXIMUM_RANK - x->rank);
        int64_t size = dimension < 0 ? 1 : x->dimension[dimension];
        bool summed = dimension >= 0 && y->dimension[dimension] == 1;
        plan.kept_size[i] = summed ? 1 : size;
        plan.summed_size[i] = summed ? size : 1;
        plan.kept_stride[i] = plan.summed_stride[i] = stride;
        plan.outputs *= plan.kept_size[i];
        plan.terms *= plan.summed_size[i];
        stride *= size;
    }
    plan.by_thread = plan.kept_size[MAXIMUM_RANK - 1] >= WARP_THREADS || plan.terms < WARP_THREADS;
    plan.parts = parts_for(plan.by_thread ? plan.terms * 32 : plan.terms);
    if (plan.parts > plan.terms) plan.parts = (int)plan.terms;
    return plan;
}

extern "C" void launch_reduce(cudaStream_t stream, struct reduction reduction, struct array x, struct array y,
                              float *partial)
{
    if (reduction.by_thread)
        launch(reduce_by_thread_kernel, dim3(blocks_for(reduction.outputs, THREADS), reduction.parts), THREADS, 0,
               stream, reduction, x, partial);
    else
        launch(reduce_by_block_kernel, dim3((unsigned)reduction.outputs, reduction.parts), THREADS,
               THREADS / WARP_THREADS * sizeof(float), stream, reduction, x, partial);
    launch(reduce_parts_kernel, dim3(blocks_for(reduction.outputs, THREADS)), THREADS, 0, stream, reduction, partial,
           y);
}
