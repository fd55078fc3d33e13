/* The vector-Jacobian product of attention. With p the probabilities (recomputed from the scores and lse) and `do` the
 * cotangent: dv = p^T do, ds = p (do v^T - <do, o>), dq = scale ds k, dk = scale ds^T q. */
#include "kernels/cpu/vector/attention.h"
#include "kernels/cpu/vector/kinds.h"
#include "kernels/cpu/vector/vector_math.h"

enum { INPUT_COTANGENT, INPUT_Q, INPUT_K, INPUT_V, INPUT_O, INPUT_LSE };
enum { OUTPUT_DQ, OUTPUT_DK, OUTPUT_DV };

/* What a thread works with: sums of one head's gradients, and one block of queries. */
struct workspace {
    float *dk, *dv;                 /* [keys, padded width] */
    float *q_panel, *do_panel, *dq; /* [width, PANEL] */
    float *q_rows, *do_rows;        /* [PANEL, padded width] */
    float *p, *ds;                  /* [KEY_BLOCK, PANEL] */
    float *own, *lse;               /* [PANEL] */
};

struct work {
    const struct call *call;
    struct attention_sizes sizes;
    int64_t splits; /* parts of the queries of a head, where there are fewer heads than threads */
    int64_t thread_floats;
};

static int64_t workspace_floats(const struct attention_sizes *s)
{
    return 2 * s->keys * s->padded_width + (3 * s->width + 2 * s->padded_width + 2 * KEY_BLOCK + 2) * PANEL;
}

static struct workspace workspace_of(const struct work *work, int64_t thread)
{
    const struct attention_sizes *s = &work->sizes;
    float *at = (float *)work->call->scratch + thread * work->thread_floats;
    struct workspace w;
    w.dk = at, at += s->keys * s->padded_width;
    w.dv = at, at += s->keys * s->padded_width;
    w.q_panel = at, at += s->width * PANEL;
    w.do_panel = at, at += s->width * PANEL;
    w.dq = at, at += s->width * PANEL;
    w.q_rows = at, at += s->padded_width * PANEL;
    w.do_rows = at, at += s->padded_width * PANEL;
    w.p = at, at += KEY_BLOCK * PANEL;
    w.ds = at, at += KEY_BLOCK * PANEL;
    w.own = at, at += PANEL;
    w.lse = at;
    return w;
}

static const float *input_at(const struct work *work, int index, int64_t offset)
{
    return (const float *)work->call->inputs[index] + offset;
}

/* own[PANEL] = the dot products of the columns of two panels [width, PANEL], summed as attention_scores sums: where all
 * values are the same, or there is one, <do, v> - <do, o> is 0 in every bit. */
static void dot_columns(int64_t width, const float *left, const float *right, float *own)
{
    for (int64_t i = 0; i < PANEL; i += LANES) {
        vector sum = {0};
        for (int64_t c = 0; c < width; c++)
            sum = multiply_add(vector_load(left + c * PANEL + i), vector_load(right + c * PANEL + i), sum);
        vector_store(own + i, sum);
    }
}

static void load_queries(const struct work *work, struct workspace *w, int64_t head, int64_t query, int64_t count)
{
    const struct attention_sizes *s = &work->sizes;
    int64_t offset = attention_offset(s, head, s->queries) + query * s->stride;
    const float *q = input_at(work, INPUT_Q, offset), *cotangent = input_at(work, INPUT_COTANGENT, offset);
    const float *o = input_at(work, INPUT_O, offset), *lse = input_at(work, INPUT_LSE, head * s->queries + query);
    matrix_pack(q, 1, s->stride, s->width, count, 0, 1, w->q_panel);
    matrix_pack(cotangent, 1, s->stride, s->width, count, 0, 1, w->do_panel);
    matrix_pad_rows(q, s->stride, count, s->width, s->padded_width, w->q_rows);
    matrix_pad_rows(cotangent, s->stride, count, s->width, s->padded_width, w->do_rows);
    float *o_panel = w->dq; /* until the sums begin */
    matrix_pack(o, 1, s->stride, s->width, count, 0, 1, o_panel);
    for (int64_t i = 0; i < PANEL; i++) w->lse[i] = i < count ? lse[i] : 0.0f;
    dot_columns(s->width, w->do_panel, o_panel, w->own);
    memset(w->dq, 0, (size_t)(s->width * PANEL) * sizeof(float));
}

/* w->p and w->ds hold scores and v do^T; they become probabilities and ds. Keys after a query get 0. */
static void soften_vjp(const struct attention_sizes *s, struct workspace *w, int64_t query, int64_t key, int64_t rows,
                       int64_t lanes)
{
    const float scale = s->scale, *lse = w->lse, *own = w->own;
    for (int64_t j = 0; j < rows; j++) {
        float *p = w->p + j * PANEL, *ds = w->ds + j * PANEL;
#pragma omp simd
        for (int64_t i = 0; i < lanes; i++) {
            float probability = vector_exp_nonpositive(p[i] * scale - lse[i]);
            p[i] = probability;
            ds[i] = probability * (ds[i] - own[i]) * scale;
        }
        for (int64_t i = 0; s->causal && i < key + j - query && i < PANEL; i++) p[i] = ds[i] = 0.0f;
    }
}

/* sums[rows, padded width] += block[rows, count of PANEL] right[count, padded width]. */
static void add_rows(const struct attention_sizes *s, const float *block, int64_t rows, int64_t count,
                     const float *right, float *sums)
{
    int64_t width = s->padded_width;
    matrix_multiply(&(struct matrix_product){rows, width, count, block, PANEL, 1, right, width, sums, width, true});
}

static void query_block_vjp(const struct work *work, struct workspace *w, int64_t head, int64_t query, int64_t count)
{
    const struct attention_sizes *s = &work->sizes;
    int64_t key_offset = attention_offset(s, head, s->keys), lanes = whole_vectors(count);
    int64_t keys = attention_visible(s, query + count - 1);
    float *dq = work->call->outputs[OUTPUT_DQ];
    load_queries(work, w, head, query, count);
    for (int64_t key = 0; key < keys; key += KEY_BLOCK) {
        int64_t rows = keys - key < KEY_BLOCK ? keys - key : KEY_BLOCK;
        const float *k = input_at(work, INPUT_K, key_offset + key * s->stride);
        const float *v = input_at(work, INPUT_V, key_offset + key * s->stride);
        attention_scores(s, k, rows, lanes, w->q_panel, w->p);
        attention_scores(s, v, rows, lanes, w->do_panel, w->ds);
        soften_vjp(s, w, query, key, rows, lanes);
        add_rows(s, w->p, rows, count, w->do_rows, w->dv + key * s->padded_width);
        add_rows(s, w->ds, rows, count, w->q_rows, w->dk + key * s->padded_width);
        attention_mix(s, k, rows, lanes, w->ds, w->dq);
    }
    if (dq)
        matrix_transpose(w->dq, PANEL, s->width, count, dq + attention_offset(s, head, s->queries) + query * s->stride,
                         s->stride);
}

static void store_head(const struct work *work, struct workspace *w, int64_t head)
{
    const struct attention_sizes *s = &work->sizes;
    int64_t offset = attention_offset(s, head, s->keys);
    float *dk = work->call->outputs[OUTPUT_DK], *dv = work->call->outputs[OUTPUT_DV];
    if (dk) matrix_unpad_rows(w->dk, s->padded_width, s->keys, s->width, s->stride, dk + offset);
    if (dv) matrix_unpad_rows(w->dv, s->padded_width, s->keys, s->width, s->stride, dv + offset);
}

/* Items are heads, or parts of the queries of heads. */
static void attention_vjp_part(void *context, int64_t begin, int64_t end, int thread)
{
    const struct work *work = context;
    const struct attention_sizes *s = &work->sizes;
    struct workspace w = workspace_of(work, thread);
    for (int64_t item = begin; item < end; item++) {
        int64_t head = item / work->splits, split = item % work->splits;
        int64_t last = s->queries * (split + 1) / work->splits;
        memset(w.dk, 0, (size_t)(s->keys * s->padded_width) * sizeof(float));
        memset(w.dv, 0, (size_t)(s->keys * s->padded_width) * sizeof(float));
        for (int64_t query = s->queries * split / work->splits; query < last; query += PANEL)
            query_block_vjp(work, &w, head, query, last - query < PANEL ? last - query : PANEL);
        if (work->splits == 1) store_head(work, &w, head);
    }
}

/* Each part of a head's queries left its sums in its thread's workspace; here they are joined. */
static void join_splits(void *context, int64_t begin, int64_t end, int thread)
{
    const struct work *work = context;
    (void)thread;
    for (int64_t head = begin; head < end; head++) {
        struct workspace sum = workspace_of(work, head * work->splits);
        for (int64_t split = 1; split < work->splits; split++) {
            struct workspace other = workspace_of(work, head * work->splits + split);
            for (int64_t i = 0; i < work->sizes.keys * work->sizes.padded_width; i++) {
                sum.dk[i] += other.dk[i];
                sum.dv[i] += other.dv[i];
            }
        }
        store_head(work, &sum, head);
    }
}

static status prepare_attention_vjp(struct kernel *kernel, struct kernel_requirements *requirements)
{
    struct attention_sizes s = attention_sizes_of(&kernel->operation, INPUT_Q);
    requirements->scratch_bytes =
        (size_t)parallel_threads(kernel->parallel) * (size_t)workspace_floats(&s) * sizeof(float);
    return status_ok();
}

static status run_attention_vjp(const struct call *call)
{
    struct work work = {.call = call, .sizes = attention_sizes_of(&call->kernel->operation, INPUT_Q), .splits = 1};
    work.thread_floats = workspace_floats(&work.sizes);
    int64_t threads = parallel_threads(call->kernel->parallel);
    if (work.sizes.heads < threads) work.splits = threads / work.sizes.heads;
    if (work.splits > work.sizes.queries) work.splits = work.sizes.queries;
    parallel_for(call->kernel->parallel, work.sizes.heads * work.splits, 1, attention_vjp_part, &work);
    if (work.splits > 1) parallel_for(call->kernel->parallel, work.sizes.heads, 1, join_splits, &work);
    return status_ok();
}

const struct cpu_kind NAME(cpu_attention_vjp) = {.prepare = prepare_attention_vjp, .run = run_attention_vjp};
