/* Attention and its vector-Jacobian product in double precision. */
#include "kernels/reference/reference.h"

#include <math.h>
#include <string.h>

/* One head of one batch item: rows of `width` elements. */
struct head {
    int64_t item, index, queries, keys, width, statistic_offset;
    double scale;
    bool causal;
};

static struct head head_of(const struct operation_attributes *attributes, const struct shape *q, const struct shape *k,
                           int64_t item, int64_t index)
{
    return (struct head){
        .item = item,
        .index = index,
        .queries = q->dimension[1],
        .keys = k->dimension[1],
        .width = q->dimension[2] / attributes->heads,
        .statistic_offset = (item * attributes->heads + index) * q->dimension[1],
        .scale = attributes->alpha,
        .causal = attributes->causal,
    };
}

/* The head's rows in one tensor, `step` elements apart; first is NULL where nobody needs the tensor. */
struct rows {
    double *first;
    int64_t step;
};

static struct rows rows_of(const struct head *head, double *tensor, const struct operand *operand)
{
    int64_t step = operand_row_step(operand), count = operand->shape.dimension[1];
    return (struct rows){tensor ? tensor + head->item * count * step + head->index * head->width : NULL, step};
}

static struct rows input_rows(const struct head *head, const struct call *call, int index)
{
    return rows_of(head, (double *)(uintptr_t)call->inputs[index], &call->operation->input[index]);
}

static struct rows output_rows(const struct head *head, const struct call *call, int index)
{
    if (index >= call->operation->output_count || !call->operation->output[index].present) return (struct rows){0};
    return rows_of(head, output(call, index), &call->operation->output[index]);
}

static double *row(struct rows rows, int64_t index)
{
    return rows.first + index * rows.step;
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

static double score(const struct head *head, const double *q, struct rows k, int64_t key)
{
    return head->scale * dot(q, row(k, key), head->width);
}

static double largest_score(const struct head *head, const double *q, struct rows k, int64_t visible)
{
    double largest = -INFINITY;
    for (int64_t j = 0; j < visible; j++) {
        double own = score(head, q, k, j);
        if (own > largest) largest = own;
    }
    return largest;
}

static void attend(const struct head *head, struct rows q, struct rows k, struct rows v, struct rows o, double *lse)
{
    for (int64_t i = 0; i < head->queries; i++) {
        int64_t visible = visible_keys(head, i);
        double largest = largest_score(head, row(q, i), k, visible), sum = 0, *result = row(o, i);
        memset(result, 0, (size_t)head->width * sizeof *result);
        for (int64_t j = 0; j < visible; j++) {
            double share = exp(score(head, row(q, i), k, j) - largest);
            sum += share;
            add_scaled(result, share, row(v, j), head->width);
        }
        for (int64_t at = 0; at < head->width; at++) result[at] /= sum;
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
        attend(&head, input_rows(&head, call, 0), input_rows(&head, call, 1), input_rows(&head, call, 2),
               output_rows(&head, call, 0), lse ? lse + head.statistic_offset : NULL);
    }
    return status_ok();
}

struct operands {
    struct rows cotangent, q, k, v, o;
    const double *lse;
};
struct gradients {
    struct rows q, k, v;
};

/* With p the probabilities and s the scores: dv = p^T do, ds = p (do v^T - <do, o>), dq = scale ds k,
 * dk = scale ds^T q. */
static void attend_vjp(const struct head *head, struct operands from, struct gradients to)
{
    for (int64_t i = 0; i < head->queries; i++) {
        const double *cotangent = row(from.cotangent, i), *q = row(from.q, i);
        double own = dot(cotangent, row(from.o, i), head->width);
        for (int64_t j = 0; j < visible_keys(head, i); j++) {
            double probability = exp(score(head, q, from.k, j) - from.lse[i]);
            double ds = head->scale * probability * (dot(cotangent, row(from.v, j), head->width) - own);
            if (to.q.first) add_scaled(row(to.q, i), ds, row(from.k, j), head->width);
            if (to.k.first) add_scaled(row(to.k, j), ds, q, head->width);
            if (to.v.first) add_scaled(row(to.v, j), probability, cotangent, head->width);
        }
    }
}

static void clear(const struct head *head, struct rows rows, int64_t count)
{
    for (int64_t i = 0; i < count && rows.first; i++) memset(row(rows, i), 0, (size_t)head->width * sizeof(double));
}

status reference_attention_vjp(const struct call *call)
{
    const struct operation_attributes *attributes = &call->operation->attributes;
    const struct shape *q = input_shape(call, 1);
    for (int64_t i = 0; i < q->dimension[0] * attributes->heads; i++) {
        struct head head = head_of(attributes, q, input_shape(call, 2), i / attributes->heads, i % attributes->heads);
        struct operands from = {.cotangent = input_rows(&head, call, 0),
                                .q = input_rows(&head, call, 1),
                                .k = input_rows(&head, call, 2),
                                .v = input_rows(&head, call, 3),
                                .o = input_rows(&head, call, 4),
                                .lse = input(call, 5) + head.statistic_offset};
        struct gradients to = {output_rows(&head, call, 0), output_rows(&head, call, 1), output_rows(&head, call, 2)};
        clear(&head, to.q, head.queries);
        clear(&head, to.k, head.keys);
        clear(&head, to.v, head.keys);
        attend_vjp(&head, from, to);
    }
    return status_ok();
}
