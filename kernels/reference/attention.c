#include "kernels/reference/reference.h"

#include <math.h>
#include <string.h>

/* One head of one batch item: rows of `width` elements, `stride` apart. */
struct head {
    int64_t queries, keys, width, stride, query_offset, key_offset, statistic_offset;
    double scale;
    bool causal;
};

static struct head head_of(const struct operation_attributes *attributes, const struct shape *q, const struct shape *k,
                           int64_t item, int64_t index)
{
    int64_t stride = q->dimension[2], width = stride / attributes->heads;
    return (struct head){
        .queries = q->dimension[1],
        .keys = k->dimension[1],
        .width = width,
        .stride = stride,
        .query_offset = item * q->dimension[1] * stride + index * width,
        .key_offset = item * k->dimension[1] * stride + index * width,
        .statistic_offset = (item * attributes->heads + index) * q->dimension[1],
        .scale = attributes->alpha,
        .causal = attributes->causal,
    };
}

static double dot(const double *a, const double *b, int64_t count)
{
    double sum = 0;
    for (int64_t i = 0; i < count; i++) sum += a[i] * b[i];
    return sum;
}

static void add_scaled(double *to, double factor, const double *from, int64_t count)
{
    for (int64_t i = 0; i < count; i++) to[i] += factor * from[i];
}

/* Keys that a query sees: all, or those up to its own position. */
static int64_t visible_keys(const struct head *head, int64_t query)
{
    return head->causal && query + 1 < head->keys ? query + 1 : head->keys;
}

static double score(const struct head *head, const double *q, const double *k, int64_t key)
{
    return head->scale * dot(q, k + key * head->stride, head->width);
}

static double largest_score(const struct head *head, const double *q, const double *k, int64_t visible)
{
    double largest = -INFINITY;
    for (int64_t j = 0; j < visible; j++) {
        double own = score(head, q, k, j);
        if (own > largest) largest = own;
    }
    return largest;
}

static void attend(const struct head *head, const double *q, const double *k, const double *v, double *o, double *lse)
{
    for (int64_t i = 0; i < head->queries; i++, q += head->stride, o += head->stride) {
        int64_t visible = visible_keys(head, i);
        double largest = largest_score(head, q, k, visible), sum = 0;
        memset(o, 0, (size_t)head->width * sizeof *o);
        for (int64_t j = 0; j < visible; j++) {
            double share = exp(score(head, q, k, j) - largest);
            sum += share;
            add_scaled(o, share, v + j * head->stride, head->width);
        }
        for (int64_t at = 0; at < head->width; at++) o[at] /= sum;
        if (lse) lse[i] = largest + log(sum);
    }
}

status reference_attention(const struct call *call)
{
    const struct operation_attributes *attributes = &call->operation->attributes;
    const struct shape *q = input_shape(call, 0);
    for (int64_t i = 0; i < q->dimension[0] * attributes->heads; i++) {
        struct head head = head_of(attributes, q, input_shape(call, 1), i / attributes->heads, i % attributes->heads);
        double *lse = output(call, 1);
        attend(&head, input(call, 0) + head.query_offset, input(call, 1) + head.key_offset,
               input(call, 2) + head.key_offset, output(call, 0) + head.query_offset,
               lse ? lse + head.statistic_offset : NULL);
    }
    return status_ok();
}

struct gradients {
    double *q, *k, *v; /* any may be NULL */
};

/* With p the probabilities and s the scores: dv = p^T do, ds = p (do v^T - <do, o>), dq = scale ds k,
 * dk = scale ds^T q. */
static void attend_vjp(const struct head *head, const double *cotangent, const double *q, const double *k,
                       const double *v, const double *o, const double *lse, struct gradients gradients)
{
    for (int64_t i = 0; i < head->queries; i++) {
        int64_t row = i * head->stride;
        double own = dot(cotangent + row, o + row, head->width);
        for (int64_t j = 0; j < visible_keys(head, i); j++) {
            int64_t key = j * head->stride;
            double probability = exp(score(head, q + row, k, j) - lse[i]);
            double ds = head->scale * probability * (dot(cotangent + row, v + key, head->width) - own);
            if (gradients.q) add_scaled(gradients.q + row, ds, k + key, head->width);
            if (gradients.k) add_scaled(gradients.k + key, ds, q + row, head->width);
            if (gradients.v) add_scaled(gradients.v + key, probability, cotangent + row, head->width);
        }
    }
}

static double *at(double *array, int64_t offset)
{
    return array ? array + offset : NULL;
}

status reference_attention_vjp(const struct call *call)
{
    const struct operation_attributes *attributes = &call->operation->attributes;
    const struct shape *q = input_shape(call, 1);
    double *result[3];
    for (int i = 0; i < 3; i++) {
        result[i] = i < call->operation->output_count ? output(call, i) : NULL;
        if (result[i]) memset(result[i], 0, (size_t)shape_elements(input_shape(call, i + 1)) * sizeof(double));
    }
    for (int64_t i = 0; i < q->dimension[0] * attributes->heads; i++) {
        struct head head = head_of(attributes, q, input_shape(call, 2), i / attributes->heads, i % attributes->heads);
        attend_vjp(&head, input(call, 0) + head.query_offset, input(call, 1) + head.query_offset,
                   input(call, 2) + head.key_offset, input(call, 3) + head.key_offset,
                   input(call, 4) + head.query_offset, input(call, 5) + head.statistic_offset,
                   (struct gradients){at(result[0], head.query_offset), at(result[1], head.key_offset),
                                      at(result[2], head.key_offset)});
    }
    return status_ok();
}
