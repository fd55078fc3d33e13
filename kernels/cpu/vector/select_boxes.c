/* Greedy non-maximum suppression. */
#include <math.h>

#include "kernels/cpu/vector/kinds.h"

enum box_state { BOX_WAITING, BOX_KEPT, BOX_SUPPRESSED };

/* Overlap of two intervals given by centre and length. */
static float overlap(float centre_a, float length_a, float centre_b, float length_b)
{
    float low = fmaxf(centre_a - length_a / 2, centre_b - length_b / 2);
    float high = fminf(centre_a + length_a / 2, centre_b + length_b / 2);
    return fmaxf(high - low, 0);
}

static float intersection_over_union(const float *a, const float *b)
{
    float intersection = overlap(a[0], a[2], b[0], b[2]) * overlap(a[1], a[3], b[1], b[3]);
    float area = a[2] * a[3] + b[2] * b[3] - intersection;
    return area > 0 ? intersection / area : 0;
}

/* The box of that state with the highest logit, the first of equals; -1: none. */
static int64_t best(const float *logits, const unsigned char *state, int64_t count, enum box_state wanted)
{
    int64_t found = -1;
    for (int64_t i = 0; i < count; i++)
        if (state[i] == wanted && (found < 0 || logits[i] > logits[found])) found = i;
    return found;
}

static void select_item(const float *logits, const float *boxes, int64_t count, int64_t wanted, float limit,
                        unsigned char *state, int32_t *ids)
{
    int64_t kept = 0, next;
    memset(state, BOX_WAITING, (size_t)count);
    while (kept < wanted && (next = best(logits, state, count, BOX_WAITING)) >= 0) {
        ids[kept++] = (int32_t)next;
        state[next] = BOX_KEPT;
        for (int64_t i = 0; i < count; i++)
            if (state[i] == BOX_WAITING && intersection_over_union(boxes + 4 * next, boxes + 4 * i) > limit)
                state[i] = BOX_SUPPRESSED;
    }
    while (kept < wanted && (next = best(logits, state, count, BOX_SUPPRESSED)) >= 0) {
        ids[kept++] = (int32_t)next;
        state[next] = BOX_KEPT;
    }
}

static status prepare_select_boxes(struct kernel *kernel, struct kernel_requirements *requirements)
{
    requirements->scratch_bytes = (size_t)kernel->operation.input[0].shape.dimension[1];
    return status_ok();
}

static status run_select_boxes(const struct call *call)
{
    const float *logits = call->inputs[0], *boxes = call->inputs[1];
    int32_t *ids = call->outputs[0];
    int64_t batch = input_shape(call, 0)->dimension[0], count = input_shape(call, 0)->dimension[1];
    int64_t wanted = output_shape(call, 0)->dimension[1];
    for (int64_t item = 0; item < batch; item++)
        select_item(logits + item * count, boxes + item * count * 4, count, wanted, (float)attributes_of(call)->alpha,
                    call->scratch, ids + item * wanted);
    return status_ok();
}

const struct cpu_kind NAME(cpu_select_boxes) = {.prepare = prepare_select_boxes, .run = run_select_boxes};
