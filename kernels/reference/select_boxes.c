#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/reference/reference.h"

enum box_state { BOX_WAITING, BOX_KEPT, BOX_SUPPRESSED };

/* Overlap of two intervals given by centre and length. */
static double overlap(double centre_a, double length_a, double centre_b, double length_b)
{
    double low = fmax(centre_a - length_a / 2, centre_b - length_b / 2);
    double high = fmin(centre_a + length_a / 2, centre_b + length_b / 2);
    return fmax(high - low, 0);
}

static double intersection_over_union(const double *a, const double *b)
{
    double intersection = overlap(a[0], a[2], b[0], b[2]) * overlap(a[1], a[3], b[1], b[3]);
    double area = a[2] * a[3] + b[2] * b[3] - intersection;
    return area > 0 ? intersection / area : 0;
}

/* The box of that state with the highest logit, the first of equals; -1: none. */
static int64_t best(const double *logits, const unsigned char *state, int64_t count, enum box_state wanted)
{
    int64_t found = -1;
    for (int64_t i = 0; i < count; i++)
        if (state[i] == wanted && (found < 0 || logits[i] > logits[found])) found = i;
    return found;
}

static void select_item(const double *logits, const double *boxes, int64_t count, int64_t wanted, double limit,
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

status reference_select_boxes(const struct call *call)
{
    int64_t batch = input_shape(call, 0)->dimension[0], count = input_shape(call, 0)->dimension[1];
    int64_t wanted = output_shape(call, 0)->dimension[1];
    unsigned char *state = malloc((size_t)count);
    if (!state) return status_error(STATUS_NO_MEMORY, "no memory for %zu boxes", (size_t)count);
    for (int64_t item = 0; item < batch; item++)
        select_item(input(call, 0) + item * count, input(call, 1) + item * count * 4, count, wanted,
                    call->operation->attributes.alpha, state, (int32_t *)call->outputs[0] + item * wanted);
    free(state);
    return status_ok();
}
