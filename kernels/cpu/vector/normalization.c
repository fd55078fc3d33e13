/* Group, layer and Euclidean normalisation. */
#include <math.h>

#include "kernels/cpu/vector/kinds.h"
#include "kernels/cpu/vector/vector_math.h"

/* Group norm walks a map's positions with whole rows of channels, so every array below has one value a channel; the
 * groups only matter between the two walks. Items of the parallel loops are parts of the groups of one batch item. */
struct channels {
    double *sum, *product; /* totals over the positions */
    float *block_sum, *block_product;
    float *scale, *shift; /* y = scale x + shift */
};

enum { CHANNEL_BYTES = 2 * sizeof(double) + 4 * sizeof(float), POSITION_BLOCK = 64 };

static struct channels channels_of(void *scratch, int thread, int64_t count)
{
    double *doubles = (double *)((char *)scratch + (size_t)thread * (size_t)count * CHANNEL_BYTES);
    float *floats = (float *)(doubles + 2 * count);
    return (struct channels){doubles, doubles + count, floats, floats + count, floats + 2 * count, floats + 3 * count};
}

/* A part of the channels of one batch item: whole groups. */
struct part {
    int64_t item, first_group, groups; /* groups: how many */
    int64_t width;                     /* channels of a group */
    int64_t channels, positions;       /* of the map */
    int64_t first, count;              /* channels of this part */
};

struct group_work {
    const struct call *call;
    const struct shape *shape;
    int64_t parts; /* of a batch item */
};

static struct part part_of(const struct group_work *work, int64_t item)
{
    const struct shape *shape = work->shape;
    int64_t groups = attributes_of(work->call)->groups, part = item % work->parts;
    struct part result = {
        .item = item / work->parts,
        .first_group = groups * part / work->parts,
        .channels = last_dimension(shape),
        .positions = row_count(shape) / shape->dimension[0],
    };
    result.groups = groups * (part + 1) / work->parts - result.first_group;
    result.width = result.channels / groups;
    result.first = result.first_group * result.width;
    result.count = result.groups * result.width;
    return result;
}

/* Batch items are shared out whole where that keeps all threads busy, else cut by groups. */
static void for_parts(const struct call *call, const struct shape *shape, parallel_body body)
{
    int threads = parallel_threads(call->kernel->parallel);
    int64_t groups = attributes_of(call)->groups, parts = shape->dimension[0] % threads == 0 ? 1 : threads;
    struct group_work work = {call, shape, parts < groups ? parts : groups};
    int64_t each = shape_elements(shape) / (shape->dimension[0] * work.parts);
    parallel_for(call->kernel->parallel, shape->dimension[0] * work.parts, PARALLEL_GRAIN / (each + 1) + 1, body,
                 &work);
}

static void clear_totals(const struct part *part, const struct channels *c)
{
    for (int64_t i = 0; i < part->count; i++) c->sum[i] = c->product[i] = 0;
}

static void clear_block(const struct part *part, const struct channels *c)
{
    for (int64_t i = 0; i < part->count; i++) c->block_sum[i] = c->block_product[i] = 0;
}

static void add_block(const struct part *part, const struct channels *c)
{
    for (int64_t i = 0; i < part->count; i++) {
        c->sum[i] += (double)c->block_sum[i];
        c->product[i] += (double)c->block_product[i];
    }
}

/* Sums of d and d^2 by channels, d the difference from the first position's value: no cancellation where the mean is
 * large against the deviation. */
static void sum_channels(const struct part *part, const struct channels *c, const float *x)
{
    clear_totals(part, c);
    for (int64_t begin = 0; begin < part->positions; begin += POSITION_BLOCK) {
        int64_t end = begin + POSITION_BLOCK < part->positions ? begin + POSITION_BLOCK : part->positions;
        clear_block(part, c);
        for (int64_t position = begin; position < end; position++) {
            const float *row = x + position * part->channels;
            float *sum = c->block_sum, *square = c->block_product;
#pragma omp simd
            for (int64_t i = 0; i < part->count; i++) {
                float difference = row[i] - x[i];
                sum[i] += difference;
                square[i] += difference * difference;
            }
        }
        add_block(part, c);
    }
}

struct statistics {
    double mean, rstd;
};

/* Joins the channels' means and squared deviations to the group's. */
static struct statistics group_statistics(const struct part *part, const struct channels *c, const float *x,
                                          int64_t group, double epsilon)
{
    double n = (double)part->positions, mean = 0, deviation = 0;
    const int64_t begin = group * part->width, end = begin + part->width;
    for (int64_t i = begin; i < end; i++) mean += ((double)x[i] + c->sum[i] / n) / (double)part->width;
    for (int64_t i = begin; i < end; i++) {
        double difference = (double)x[i] + c->sum[i] / n - mean;
        deviation += c->product[i] - c->sum[i] * c->sum[i] / n + n * difference * difference;
    }
    return (struct statistics){mean, 1 / sqrt(deviation / (n * (double)part->width) + epsilon)};
}

static void group_norm_part(void *context, int64_t begin, int64_t end, int thread)
{
    const struct group_work *work = context;
    const struct call *call = work->call;
    const struct operation_attributes *attributes = attributes_of(call);
    for (int64_t item = begin; item < end; item++) {
        struct part part = part_of(work, item);
        struct channels c = channels_of(call->scratch, thread, part.channels);
        int64_t offset = part.item * part.positions * part.channels + part.first;
        const float *x = (const float *)call->inputs[0] + offset;
        const float *gamma = (const float *)call->inputs[1] + part.first;
        const float *beta = (const float *)call->inputs[2] + part.first;
        float *y = (float *)call->outputs[0] + offset, *means = call->outputs[1], *rstds = call->outputs[2];
        sum_channels(&part, &c, x);
        for (int64_t group = 0; group < part.groups; group++) {
            struct statistics s = group_statistics(&part, &c, x, group, attributes->epsilon);
            int64_t index = part.item * attributes->groups + part.first_group + group;
            if (means) means[index] = (float)s.mean;
            if (rstds) rstds[index] = (float)s.rstd;
            for (int64_t i = group * part.width; i < (group + 1) * part.width; i++) {
                c.scale[i] = (float)(s.rstd * (double)gamma[i]);
                c.shift[i] = (float)((double)beta[i] - s.mean * s.rstd * (double)gamma[i]);
            }
        }
        const float *scale = c.scale, *shift = c.shift;
        for (int64_t position = 0; position < part.positions; position++) {
            const float *from = x + position * part.channels;
            float *to = y + position * part.channels;
            if (attributes->fused_silu) {
#pragma omp simd
                for (int64_t i = 0; i < part.count; i++) to[i] = vector_silu(from[i] * scale[i] + shift[i]);
            } else {
#pragma omp simd
                for (int64_t i = 0; i < part.count; i++) to[i] = from[i] * scale[i] + shift[i];
            }
        }
    }
}

static status run_group_norm(const struct call *call)
{
    for_parts(call, input_shape(call, 0), group_norm_part);
    return status_ok();
}

struct group_vjp {
    const float *dy, *x, *gamma, *beta, *mean, *rstd; /* mean and rstd by groups, the rest by channels of the part */
    float *dx;
};

/* scale and shift give the normalised value; shift of block arrays is not needed here. */
static void set_normalization(const struct part *part, const struct channels *c, const struct group_vjp *v)
{
    for (int64_t group = 0; group < part->groups; group++)
        for (int64_t i = group * part->width; i < (group + 1) * part->width; i++) {
            c->scale[i] = v->rstd[group];
            c->shift[i] = (float)(-(double)v->mean[group] * (double)v->rstd[group]);
        }
}

/* First walk: dx = g = dy gamma (times the derivative of SiLU), and by channels the sums of g and of g n, n the
 * normalised value. */
static void group_cotangents(const struct part *part, const struct channels *c, const struct group_vjp *v, bool silu)
{
    const float *gamma = v->gamma, *beta = v->beta, *scale = c->scale, *shift = c->shift;
    float *sum = c->block_sum, *product = c->block_product;
    clear_totals(part, c);
    for (int64_t begin = 0; begin < part->positions; begin += POSITION_BLOCK) {
        int64_t end = begin + POSITION_BLOCK < part->positions ? begin + POSITION_BLOCK : part->positions;
        clear_block(part, c);
        for (int64_t position = begin; position < end; position++) {
            const float *x = v->x + position * part->channels, *dy = v->dy + position * part->channels;
            float *dx = v->dx + position * part->channels;
            if (silu) {
#pragma omp simd
                for (int64_t i = 0; i < part->count; i++) {
                    float normal = x[i] * scale[i] + shift[i];
                    float g = dy[i] * gamma[i] * vector_silu_derivative(normal * gamma[i] + beta[i]);
                    dx[i] = g;
                    sum[i] += g;
                    product[i] += g * normal;
                }
            } else {
#pragma omp simd
                for (int64_t i = 0; i < part->count; i++) {
                    float g = dy[i] * gamma[i];
                    dx[i] = g;
                    sum[i] += g;
                    product[i] += g * (x[i] * scale[i] + shift[i]);
                }
            }
        }
        add_block(part, c);
    }
}

/* Second walk: dx = rstd (g - mean(g) - n mean(g n)), as dx = rstd g + a x + b. */
static void finish_group_vjp(const struct part *part, const struct channels *c, const struct group_vjp *v)
{
    float *slope = c->block_sum, *constant = c->block_product;
    const float *factor = c->scale;
    for (int64_t group = 0; group < part->groups; group++) {
        double sum = 0, product = 0, count = (double)(part->positions * part->width);
        const int64_t begin = group * part->width, end = begin + part->width;
        for (int64_t i = begin; i < end; i++) {
            sum += c->sum[i];
            product += c->product[i];
        }
        double rstd = (double)v->rstd[group], mean = (double)v->mean[group];
        for (int64_t i = begin; i < end; i++) {
            slope[i] = (float)(-rstd * rstd * product / count);
            constant[i] = (float)(rstd * (mean * rstd * product - sum) / count);
        }
    }
    for (int64_t position = 0; position < part->positions; position++) {
        const float *x = v->x + position * part->channels;
        float *dx = v->dx + position * part->channels;
#pragma omp simd
        for (int64_t i = 0; i < part->count; i++) dx[i] = dx[i] * factor[i] + (x[i] * slope[i] + constant[i]);
    }
}

static void group_norm_vjp_part(void *context, int64_t begin, int64_t end, int thread)
{
    const struct group_work *work = context;
    const struct call *call = work->call;
    for (int64_t item = begin; item < end; item++) {
        struct part part = part_of(work, item);
        struct channels c = channels_of(call->scratch, thread, part.channels);
        int64_t offset = part.item * part.positions * part.channels + part.first;
        int64_t group = part.item * attributes_of(call)->groups + part.first_group;
        struct group_vjp v = {
            .dy = (const float *)call->inputs[0] + offset,
            .x = (const float *)call->inputs[1] + offset,
            .gamma = (const float *)call->inputs[2] + part.first,
            .beta = (const float *)call->inputs[3] + part.first,
            .mean = (const float *)call->inputs[4] + group,
            .rstd = (const float *)call->inputs[5] + group,
            .dx = (float *)call->outputs[0] + offset,
        };
        set_normalization(&part, &c, &v);
        group_cotangents(&part, &c, &v, attributes_of(call)->fused_silu);
        finish_group_vjp(&part, &c, &v);
    }
}

static status run_group_norm_vjp(const struct call *call)
{
    for_parts(call, input_shape(call, 1), group_norm_vjp_part);
    return status_ok();
}

static status prepare_group_norm(struct kernel *kernel, struct kernel_requirements *requirements)
{
    int64_t channels = last_dimension(&kernel->operation.input[0].shape);
    requirements->scratch_bytes = (size_t)parallel_threads(kernel->parallel) * (size_t)channels * CHANNEL_BYTES;
    return status_ok();
}

static float sum_of(const float *x, int64_t count)
{
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < count; i++) sum += x[i];
    return sum;
}

static float dot(const float *a, const float *b, int64_t count)
{
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < count; i++) sum += a[i] * b[i];
    return sum;
}

static float squared_deviation(const float *x, float mean, int64_t count)
{
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < count; i++) sum += (x[i] - mean) * (x[i] - mean);
    return sum;
}

static void layer_norm_part(void *context, int64_t begin, int64_t end, int thread)
{
    const struct call *call = context;
    const float *gamma = call->inputs[1], *beta = call->inputs[2];
    const float epsilon = (float)attributes_of(call)->epsilon;
    float *means = call->outputs[1], *rstds = call->outputs[2];
    int64_t width = last_dimension(input_shape(call, 0));
    (void)thread;
    for (int64_t row = begin; row < end; row++) {
        const float *x = (const float *)call->inputs[0] + row * width;
        float *y = (float *)call->outputs[0] + row * width;
        const float mean = sum_of(x, width) / (float)width;
        const float rstd = 1.0f / sqrtf(squared_deviation(x, mean, width) / (float)width + epsilon);
#pragma omp simd
        for (int64_t i = 0; i < width; i++) y[i] = (x[i] - mean) * rstd * gamma[i] + beta[i];
        if (means) means[row] = mean;
        if (rstds) rstds[row] = rstd;
    }
}

static status run_layer_norm(const struct call *call)
{
    const struct shape *x = input_shape(call, 0);
    parallel_for(call->kernel->parallel, row_count(x), row_grain(last_dimension(x)), layer_norm_part, (void *)call);
    return status_ok();
}

/* As group norm's: dx = rstd (g - mean(g) - n mean(g n)). g stands in dx meanwhile, so that it is the same number in
 * both walks. */
static void layer_norm_vjp_part(void *context, int64_t begin, int64_t end, int thread)
{
    const struct call *call = context;
    const float *gamma = call->inputs[2], *means = call->inputs[3], *rstds = call->inputs[4];
    int64_t width = last_dimension(input_shape(call, 1));
    (void)thread;
    for (int64_t row = begin; row < end; row++) {
        const float *dy = (const float *)call->inputs[0] + row * width,
                    *x = (const float *)call->inputs[1] + row * width;
        float *dx = (float *)call->outputs[0] + row * width;
        const float mean = means[row], rstd = rstds[row];
        float sum = 0, product = 0;
#pragma omp simd reduction(+ : sum, product)
        for (int64_t i = 0; i < width; i++) {
            float g = dy[i] * gamma[i];
            dx[i] = g;
            sum += g;
            product += g * ((x[i] - mean) * rstd);
        }
        sum /= (float)width;
        product /= (float)width;
#pragma omp simd
        for (int64_t i = 0; i < width; i++) dx[i] = rstd * (dx[i] - sum - (x[i] - mean) * rstd * product);
    }
}

static status run_layer_norm_vjp(const struct call *call)
{
    const struct shape *x = input_shape(call, 1);
    parallel_for(call->kernel->parallel, row_count(x), row_grain(last_dimension(x)), layer_norm_vjp_part, (void *)call);
    return status_ok();
}

static void normalize_part(void *context, int64_t begin, int64_t end, int thread)
{
    const struct call *call = context;
    int64_t width = last_dimension(input_shape(call, 0));
    (void)thread;
    for (int64_t row = begin; row < end; row++) {
        const float *x = (const float *)call->inputs[0] + row * width;
        float *y = (float *)call->outputs[0] + row * width;
        const float factor = 1.0f / (sqrtf(dot(x, x, width)) + (float)attributes_of(call)->epsilon);
#pragma omp simd
        for (int64_t i = 0; i < width; i++) y[i] = x[i] * factor;
    }
}

static status run_normalize(const struct call *call)
{
    const struct shape *x = input_shape(call, 0);
    parallel_for(call->kernel->parallel, row_count(x), row_grain(last_dimension(x)), normalize_part, (void *)call);
    return status_ok();
}

/* With n = |x|: dx = dy / (n + epsilon) - x <x, dy> / (n (n + epsilon)^2); 0 at x = 0. */
static void normalize_vjp_part(void *context, int64_t begin, int64_t end, int thread)
{
    const struct call *call = context;
    int64_t width = last_dimension(input_shape(call, 0));
    (void)thread;
    for (int64_t row = begin; row < end; row++) {
        const float *dy = (const float *)call->inputs[0] + row * width,
                    *x = (const float *)call->inputs[1] + row * width;
        float *dx = (float *)call->outputs[0] + row * width;
        const float norm = sqrtf(dot(x, x, width));
        const float factor = norm == 0.0f ? 0.0f : 1.0f / (norm + (float)attributes_of(call)->epsilon);
        const float along = norm == 0.0f ? 0.0f : dot(x, dy, width) * factor * factor / norm;
#pragma omp simd
        for (int64_t i = 0; i < width; i++) dx[i] = dy[i] * factor - x[i] * along;
    }
}

static status run_normalize_vjp(const struct call *call)
{
    const struct shape *x = input_shape(call, 1);
    parallel_for(call->kernel->parallel, row_count(x), row_grain(last_dimension(x)), normalize_vjp_part, (void *)call);
    return status_ok();
}

const struct cpu_kind NAME(cpu_group_norm) = {.prepare = prepare_group_norm, .run = run_group_norm};
const struct cpu_kind NAME(cpu_group_norm_vjp) = {.prepare = prepare_group_norm, .run = run_group_norm_vjp};
const struct cpu_kind NAME(cpu_layer_norm) = {.run = run_layer_norm};
const struct cpu_kind NAME(cpu_layer_norm_vjp) = {.run = run_layer_norm_vjp};
const struct cpu_kind NAME(cpu_normalize) = {.run = run_normalize};
const struct cpu_kind NAME(cpu_normalize_vjp) = {.run = run_normalize_vjp};
