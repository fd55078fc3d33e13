/* Greedy non-maximum suppression, one block an image. */
#include "kernels/cuda/array.h"

enum { THREADS = 256 };
enum box_state { BOX_WAITING, BOX_KEPT, BOX_SUPPRESSED };

/* Overlap of two intervals given by centre and length. */
static __device__ __forceinline__ float overlap(float centre_a, float length_a, float centre_b, float length_b)
{
    float low = fmaxf(centre_a - length_a / 2, centre_b - length_b / 2);
    float high = fminf(centre_a + length_a / 2, centre_b + length_b / 2);
    return fmaxf(high - low, 0.0f);
}

static __device__ __forceinline__ float intersection_over_union(const struct array &boxes, int64_t a, int64_t b)
{
    float box_a[4], box_b[4];
    for (int i = 0; i < 4; i++) {
        box_a[i] = load(boxes, 4 * a + i);
        box_b[i] = load(boxes, 4 * b + i);
    }
    float intersection =
        overlap(box_a[0], box_a[2], box_b[0], box_b[2]) * overlap(box_a[1], box_a[3], box_b[1], box_b[3]);
    float area = box_a[2] * box_a[3] + box_b[2] * box_b[3] - intersection;
    return area > 0 ? intersection / area : 0.0f;
}

/* The highest logit found by each thread and its box; -1: none. */
struct candidates {
    shared_array<int> state; /* of every box */
    shared_array<float> logit;
    shared_array<int> box;
};

static __device__ __forceinline__ bool precedes(float logit, int box, float other_logit, int other_box)
{
    if (box < 0 || other_box < 0) return other_box < 0 && box >= 0;
    return logit > other_logit || (logit == other_logit && box < other_box);
}

/* The box of state `wanted` with the highest logit, the first of equals; -1: none. Called by the whole block. */
static __device__ __forceinline__ int best_box(const struct candidates &candidates, const struct array &logits,
                                               int64_t base, int count, int wanted)
{
    float logit = 0.0f;
    int box = -1;
    for (int i = threadIdx.x; i < count; i += THREADS) {
        if (candidates.state[i] != wanted) continue;
        float other = load(logits, base + i);
        if (precedes(other, i, logit, box)) {
            logit = other;
            box = i;
        }
    }
    candidates.logit[threadIdx.x] = logit;
    candidates.box[threadIdx.x] = box;
    for (int half = THREADS / 2; half > 0; half /= 2) {
        __syncthreads();
        if ((int)threadIdx.x >= half) continue;
        float other = candidates.logit[(int)threadIdx.x + half];
        int other_box = candidates.box[(int)threadIdx.x + half];
        if (precedes(other, other_box, logit, box)) {
            logit = other;
            box = other_box;
            candidates.logit[threadIdx.x] = logit;
            candidates.box[threadIdx.x] = box;
        }
    }
    __syncthreads();
    int best = candidates.box[0];
    __syncthreads();
    return best;
}

static __global__ void __launch_bounds__(THREADS)
    select_boxes_kernel(struct array logits, struct array boxes, int32_t *ids, int count, int wanted, float limit)
{
    await_earlier_kernels();
    struct candidates candidates = {shared_memory<int>(0), shared_memory<float>(count * (int)sizeof(int)),
                                    shared_memory<int>((count + THREADS) * (int)sizeof(int))};
    int64_t base = (int)blockIdx.x * (int64_t)count;
    for (int i = threadIdx.x; i < count; i += THREADS) candidates.state[i] = BOX_WAITING;
    __syncthreads();
    int kept = 0, state = BOX_WAITING;
    while (kept < wanted) {
        int best = best_box(candidates, logits, base, count, state);
        if (best < 0 && state == BOX_SUPPRESSED) break;
        if (best < 0) {
            state = BOX_SUPPRESSED;
            continue;
        }
        if (threadIdx.x == 0) ids[(int)blockIdx.x * (int64_t)wanted + kept] = best;
        for (int i = threadIdx.x; i < count; i += THREADS) {
            if (i == best)
                candidates.state[i] = BOX_KEPT;
            else if (state == BOX_WAITING && candidates.state[i] == BOX_WAITING &&
                     intersection_over_union(boxes, base + best, base + i) > limit)
                candidates.state[i] = BOX_SUPPRESSED;
        }
        kept++;
        __syncthreads();
    }
}

extern "C" void launch_select_boxes(struct queue queue, struct array logits, struct array boxes, int32_t *ids,
                                    int64_t batch, int count, int wanted, float limit)
{
    size_t shared_bytes = (size_t)(count + 2 * THREADS) * sizeof(int);
    launch(select_boxes_kernel, dim3((unsigned)batch), THREADS, shared_bytes, queue, logits, boxes, ids, count, wanted,
           limit);
}
