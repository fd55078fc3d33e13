/* Greedy non-maximum suppression from its definition (Girshick et al. 2014, R-CNN, section 2.2): a box goes when its
 * intersection over union with a box that stays and scored higher exceeds the limit. Boxes are sorted first and
 * compared by their corners, so that the other backends are held against something else than their own formulas. */
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "kernels/reference/reference.h"

struct corners {
    double left, top, right, bottom;
};

static struct corners corners_of(const double box[4])
{
    return (struct corners){box[0] - box[2] / 2, box[1] - box[3] / 2, box[0] + box[2] / 2, box[1] + box[3] / 2};
}

/* 0 where the corners are in the wrong order: the boxes have nothing in common. */
static double area(struct corners box)
{
    return box.right > box.left && box.bottom > box.top ? (box.right - box.left) * (box.bottom - box.top) : 0;
}

static bool overlap_exceeds(const double *a, const double *b, double limit)
{
    struct corners first = corners_of(a), second = corners_of(b);
    struct corners common = {fmax(first.left, second.left), fmax(first.top, second.top),
                             fmin(first.right, second.right), fmin(first.bottom, second.bottom)};
    double together = area(first) + area(second) - area(common);
    return together > 0 && area(common) / together > limit;
}

/* The boxes from the highest logit down; equals in their own order. */
static void sort_by_logit(const double *logits, int64_t count, int32_t *order)
{
    for (int64_t i = 0; i < count; i++) {
        int64_t place = i;
        for (; place > 0 && logits[order[place - 1]] < logits[i]; place--) order[place] = order[place - 1];
        order[place] = (int32_t)i;
    }
}

/* ids: of all `count` boxes those that stay, then the others, each from the highest logit down. */
static void suppress(const double *logits, const double *boxes, int64_t count, double limit, int32_t *order,
                     int32_t *ids)
{
    int64_t kept = 0, suppressed = 0;
    sort_by_logit(logits, count, order);
    for (int64_t i = 0; i < count; i++) {
        bool stays = true;
        for (int64_t k = 0; k < kept && stays; k++)
            stays = !overlap_exceeds(boxes + 4 * ids[k], boxes + 4 * order[i], limit);
        if (stays)
            ids[kept++] = order[i];
        else
            order[suppressed++] = order[i]; /* whose place has been read */
    }
    for (int64_t i = 0; i < suppressed; i++) ids[kept + i] = order[i];
}

status reference_select_boxes(const struct call *call)
{
    int64_t batch = input_shape(call, 0)->dimension[0], count = input_shape(call, 0)->dimension[1];
    int64_t wanted = output_shape(call, 0)->dimension[1];
    int32_t *order = malloc(2 * (size_t)count * sizeof *order);
    if (!order) return status_error(STATUS_NO_MEMORY, "no memory for %zu boxes", (size_t)count);
    int32_t *ids = order + count, *chosen = call->outputs[0];
    for (int64_t item = 0; item < batch; item++) {
        suppress(input(call, 0) + item * count, input(call, 1) + item * count * 4, count,
                 call->operation->attributes.alpha, order, ids);
        for (int64_t i = 0; i < wanted; i++) chosen[item * wanted + i] = ids[i];
    }
    free(order);
    return status_ok();
}
