/* Attention with an online softmax, a block of queries at a time. */
#include "kernels/cpu/vector/attention.h"

#include <math.h>

#include "kernels/cpu/vector/kinds.h"
#include "kernels/cpu/vector/vector_math.h"

/* What a thread works with: one block of queries. */
struct workspace {
    float *q;                       /* [width, PANEL] */
    float *results;                 /* [width, PANEL] */
    float *scores;                  /* [KEY_BLOCK, PANEL] */
    float *largest, *sum, *rescale; /* [PANEL] */
};

struct work {
    const struct call *call;
    struct attention_sizes sizes;
    int64_t query_blocks;
};

static int64_t workspace_floats(const struct attention_sizes *s)
{
    return (2 * s->width + KEY_BLOCK + 3) * PANEL;
}

static struct workspace workspace_of(const struct work *work, int thread)
{
    float *base = (float *)work->call->scratch + thread * workspace_floats(&work->sizes);
    int64_t block = work->sizes.width * PANEL;
    struct workspace w = {.q = base, .results = base + block, .scores = base + 2 * block};
    w.largest = w.scores + KEY_BLOCK * PANEL;
    w.sum = w.largest + PANEL;
    w.rescale = w.sum + PANEL;
    return w;
}

/* Hides the keys after a query: key `key + j` from all queries before it. */
static void hide_future(struct workspace *w, int64_t query, int64_t key, int64_t rows)
{
    for (int64_t j = 0; j < rows; j++)
        for (int64_t i = 0; i < key + j - query && i < PANEL; i++) w->scores[j * PANEL + i] = -INFINITY;
}

/* Scores to probabilities relative to the largest score so far; the sums so far and w->rescale follow. Scaled scores
 * are stored before they are compared and subtracted: the largest one's probability is e^0 in every bit, which a
 * product contracted with the subtraction would miss. */
static void softmax_update(const struct attention_sizes *s, struct workspace *w, int64_t rows)
{
    const float scale = s->scale;
    float *largest = w->largest, *sum = w->sum, *rescale = w->rescale;
    for (int64_t i = 0; i < PANEL; i++) rescale[i] = largest[i];
    for (int64_t j = 0; j < rows; j++) {
        float *scores = w->scores + j * PANEL;
#pragma omp simd
        for (int64_t i = 0; i < PANEL; i++) {
            scores[i] *= scale;
            largest[i] = scores[i] > largest[i] ? scores[i] : largest[i];
        }
    }
#pragma omp simd
    for (int64_t i = 0; i < PANEL; i++) {
        rescale[i] = vector_exp_nonpositive(rescale[i] - largest[i]);
        sum[i] *= rescale[i];
    }
    for (int64_t j = 0; j < rows; j++) {
        float *scores = w->scores + j * PANEL;
#pragma omp simd
        for (int64_t i = 0; i < PANEL; i++) {
            float probability = vector_exp_nonpositive(scores[i] - largest[i]);
            scores[i] = probability;
            sum[i] += probability;
        }
    }
}

/* results[width, PANEL] times factor[PANEL]. */
static void scale_columns(const struct attention_sizes *s, float *results, const float *factor)
{
    for (int64_t c = 0; c < s->width; c++)
        for (int64_t i = 0; i < PANEL; i++) results[c * PANEL + i] *= factor[i];
}

static void attend_block(const struct attention_sizes *s, struct workspace *w, const float *k, const float *v,
                         int64_t query, int64_t count)
{
    int64_t keys = attention_visible(s, query + count - 1), lanes = whole_vectors(count);
    for (int64_t i = 0; i < PANEL; i++) {
        w->largest[i] = -3e38f;
        w->sum[i] = 0;
    }
    memset(w->scores, 0, sizeof(float) * KEY_BLOCK * PANEL);
    memset(w->results, 0, (size_t)(s->width * PANEL) * sizeof(float));
    for (int64_t key = 0; key < keys; key += KEY_BLOCK) {
        int64_t rows = keys - key < KEY_BLOCK ? keys - key : KEY_BLOCK;
        attention_scores(s, k + key * s->stride, rows, lanes, w->q, w->scores);
        if (s->causal) hide_future(w, query, key, rows);
        softmax_update(s, w, rows);
        if (key > 0) scale_columns(s, w->results, w->rescale);
        attention_mix(s, v + key * s->stride, rows, lanes, w->scores, w->results);
    }
}

/* Items are blocks of queries of heads of batch items. */
static void attention_part(void *context, int64_t begin, int64_t end, int thread)
{
    const struct work *work = context;
    const struct attention_sizes *s = &work->sizes;
    struct workspace w = workspace_of(work, thread);
    float *lse = work->call->outputs[1];
    for (int64_t item = begin; item < end; item++) {
        int64_t head = item / work->query_blocks, query = item % work->query_blocks * PANEL;
        int64_t count = s->queries - query < PANEL ? s->queries - query : PANEL;
        int64_t query_offset = attention_offset(s, head, s->queries) + query * s->stride;
        int64_t key_offset = attention_offset(s, head, s->keys);
        matrix_pack((const float *)work->call->inputs[0] + query_offset, 1, s->stride, s->width, count, 0, 1, w.q);
        attend_block(s, &w, (const float *)work->call->inputs[1] + key_offset,
                     (const float *)work->call->inputs[2] + key_offset, query, count);
        for (int64_t i = 0; i < count; i++) {
            if (lse) lse[head * s->queries + query + i] = w.largest[i] + logf(w.sum[i]);
            w.sum[i] = 1.0f / w.sum[i];
        }
        scale_columns(s, w.results, w.sum);
        matrix_transpose(w.results, PANEL, s->width, count, (float *)work->call->outputs[0] + query_offset, s->stride);
    }
}

static status prepare_attention(struct kernel *kernel, struct kernel_requirements *requirements)
{
    struct attention_sizes s = attention_sizes_of(&kernel->operation, 0);
    requirements->scratch_bytes =
        (size_t)parallel_threads(kernel->parallel) * (size_t)workspace_floats(&s) * sizeof(float);
    return status_ok();
}

static status run_attention(const struct call *call)
{
    struct work work = {.call = call, .sizes = attention_sizes_of(&call->kernel->operation, 0)};
    work.query_blocks = (work.sizes.queries + PANEL - 1) / PANEL;
    parallel_for(call->kernel->parallel, work.sizes.heads * work.query_blocks, 1, attention_part, &work);
    return status_ok();
}

const struct cpu_kind NAME(cpu_attention) = {.prepare = prepare_attention, .run = run_attention};
