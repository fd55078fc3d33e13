/* Every family of kernels at Stable Diffusion's shapes, in bf16: right, against the exact fp32 kernels on the same
 * device, and how fast. A line for each operation and way of computing its products; a wrong one is told, and the next
 * one follows. Exit status 1 where any is wrong.
 *
 * usage: check_families [--pictures N] [--main] [--tiny] [--only WORD] [--once]
 *                       [--from N] [--to N] [--position FILE] [--limit SECONDS]
 *   --main   the layers alone that take most of a step's time;  --tiny  small shapes, for an emulated device
 *   --only   lines alone whose name holds WORD;  --once  neither compared nor timed, for a profiler
 *   The others: position.h. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/convert.h"
#include "kernels/cuda/probe.h"
#include "kernels/profile/peaks.h"
#include "kernels/profile/timed_backend.h"
#include "tests/cuda/layers.h"
#include "tests/cuda/position.h"
#include "tests/cuda/product_way.h"
#include "tests/unit/kernels/harness.h"

enum { POOL_VALUES = (1 << 20) + 7, EXIT_SKIPPED = 77, REPETITIONS = 5, LONGEST_SEQUENCE = 50 };
/* Of an output with more elements, that many are compared, in pieces from its first to its last element. */
enum { MOST_COMPARED = 1 << 24, PIECES = 16 };

/* An output may be this far off as a whole (relative, Euclidean; the worst seen on an emulated device is 0.0032), and
 * no element further than that share of itself and of the output's mean size. */
static const double tolerance = 0.006, element_tolerance = 1.0 / 64, size_tolerance = 1.0 / 16;
static const double long_enough = 0.004; /* seconds of the calls that are timed together */

struct options {
    int pictures;
    bool main_only, tiny, once;
    const char *only;
};

/* Random numbers that both types hold exactly, and NaN of either type, on the device: tensors are filled by copies. */
struct pool {
    void *f32, *bf16, *nan;
};

struct check {
    struct options options;
    struct position position;
    struct backend *exact, *by[PRODUCT_WAY_COUNT];
    struct pool pool;
    struct machine_peaks peaks;
    int lines, wrong;
};

/* Where an input's values come from: the pool from `start` on, or `values` of an output that was computed before. */
struct source {
    int64_t start;
    const float *values;
};

struct placed {
    struct operation operation; /* with its types */
    struct kernel *kernel;
    void *input[MAXIMUM_INPUTS], *output[MAXIMUM_OUTPUTS], *packed, *scratch;
};

/* All elements, or those compared. */
struct outputs {
    float *values[MAXIMUM_OUTPUTS];
};

/* ---- values ---- */

static status upload_pool(struct check *check, const void *values, size_t size, void **memory)
{
    const struct backend_interface *interface = check->exact->interface;
    TRY(interface->allocate(check->exact, POOL_VALUES * size, memory));
    return interface->upload(check->exact, *memory, values, POOL_VALUES * size);
}

static status open_pool(struct check *check)
{
    uint64_t state = 1;
    struct pool *pool = &check->pool;
    float *values = malloc(POOL_VALUES * sizeof *values);
    uint16_t *rounded = malloc(POOL_VALUES * sizeof *rounded);
    status result = values && rounded ? status_ok() : status_error(STATUS_NO_MEMORY, "no memory for random numbers");
    for (int i = 0; i < POOL_VALUES && result.code == STATUS_OK; i++)
        values[i] = (float)harness_round(ELEMENT_BF16, harness_normal(&state));
    if (result.code == STATUS_OK) {
        convert_from_float(ELEMENT_BF16, rounded, values, POOL_VALUES);
        result = upload_pool(check, values, sizeof *values, &pool->f32);
    }
    if (result.code == STATUS_OK) result = upload_pool(check, rounded, sizeof *rounded, &pool->bf16);
    if (result.code == STATUS_OK) {
        memset(values, 0xff, POOL_VALUES * sizeof *values);
        result = upload_pool(check, values, sizeof *values, &pool->nan);
    }
    free(values);
    free(rounded);
    TRY(result);
    return check->exact->interface->synchronize(check->exact);
}

static void close_pool(struct check *check)
{
    void *memory[] = {check->pool.f32, check->pool.bf16, check->pool.nan};
    for (size_t i = 0; i < sizeof memory / sizeof *memory; i++)
        if (memory[i]) check->exact->interface->release(check->exact, memory[i]);
}

/* From the element `start` of a pool on, and from its beginning again. */
static status fill(struct backend *backend, const struct operand *operand, const void *pool, int64_t start,
                   void *memory)
{
    size_t size = element_size(operand->type);
    int64_t count = harness_elements(operand), at = start % POOL_VALUES;
    for (int64_t done = 0; done < count;) {
        int64_t part = POOL_VALUES - at < count - done ? POOL_VALUES - at : count - done;
        TRY(backend->interface->copy(backend, (char *)memory + (size_t)done * size,
                                     (const char *)pool + (size_t)at * size, (size_t)part * size));
        done += part;
        at = 0;
    }
    return status_ok();
}

static const void *pool_of(const struct pool *pool, const struct operand *operand)
{
    return operand->type == ELEMENT_BF16 ? pool->bf16 : pool->f32;
}

static status upload_values(struct backend *backend, const struct operand *operand, const float *values, void *memory)
{
    int64_t count = harness_elements(operand);
    size_t bytes = (size_t)count * element_size(operand->type);
    void *converted = malloc(bytes);
    if (!converted) return status_error(STATUS_NO_MEMORY, "no memory for an operand");
    convert_from_float(operand->type, converted, values, count);
    status result = backend->interface->upload(backend, memory, converted, bytes);
    free(converted);
    return result;
}

/* What the operations of a layer's vector-Jacobian product read of its outputs. */
static bool is_read_again(enum operation_kind kind)
{
    return kind == OPERATION_ATTENTION || kind == OPERATION_GROUP_NORM || kind == OPERATION_LAYER_NORM;
}

static int64_t compared_elements(enum operation_kind kind, const struct operand *operand)
{
    int64_t count = harness_elements(operand);
    return count > MOST_COMPARED && !is_read_again(kind) ? MOST_COMPARED : count;
}

static status download_pieces(struct backend *backend, const struct operand *operand, const void *memory,
                              int64_t compared, void *stored)
{
    size_t size = element_size(operand->type);
    int64_t count = harness_elements(operand), length = compared / PIECES;
    if (compared == count) return backend->interface->download(backend, stored, memory, (size_t)count * size);
    for (int64_t i = 0; i < PIECES; i++) {
        int64_t start = (count - length) / (PIECES - 1) * i;
        if (i == PIECES - 1) start = count - length;
        TRY(backend->interface->download(backend, (char *)stored + (size_t)(i * length) * size,
                                         (const char *)memory + (size_t)start * size, (size_t)length * size));
    }
    return status_ok();
}

static status download_values(struct backend *backend, enum operation_kind kind, const struct operand *operand,
                              const void *memory, float **values)
{
    int64_t compared = compared_elements(kind, operand);
    void *stored = malloc((size_t)compared * element_size(operand->type));
    *values = malloc((size_t)compared * sizeof **values);
    status result =
        stored && *values ? status_ok() : status_error(STATUS_NO_MEMORY, "no memory for an operand's values");
    if (result.code == STATUS_OK) result = download_pieces(backend, operand, memory, compared, stored);
    if (result.code == STATUS_OK) convert_to_float(operand->type, *values, stored, compared);
    free(stored);
    return result;
}

static void release_outputs(struct outputs *outputs)
{
    for (int i = 0; i < MAXIMUM_OUTPUTS; i++) free(outputs->values[i]);
    *outputs = (struct outputs){0};
}

/* ---- an operation on a backend ---- */

static void set_types(struct operation *operation, const struct backend *backend)
{
    const struct backend_interface *interface = backend->interface;
    for (int i = 0; i < operation->input_count; i++)
        operation->input[i].type =
            harness_is_exact(operation->kind, false, i) ? interface->accumulation_type : interface->compute_type;
    for (int i = 0; i < operation->output_count; i++)
        operation->output[i].type =
            harness_is_exact(operation->kind, true, i) ? interface->accumulation_type : interface->compute_type;
}

static size_t bytes_of(const struct operand *operand)
{
    return (size_t)harness_elements(operand) * element_size(operand->type);
}

static void take_away(struct backend *backend, struct placed *placed)
{
    const struct backend_interface *interface = backend->interface;
    for (int i = 0; i < MAXIMUM_INPUTS; i++)
        if (placed->input[i]) interface->release(backend, placed->input[i]);
    for (int i = 0; i < MAXIMUM_OUTPUTS; i++)
        if (placed->output[i]) interface->release(backend, placed->output[i]);
    if (placed->packed) interface->release(backend, placed->packed);
    if (placed->scratch) interface->release(backend, placed->scratch);
    if (placed->kernel) interface->discard(backend, placed->kernel);
    *placed = (struct placed){0};
}

/* Outputs hold zeros, which accumulating operations add to; or NaN, which every other must replace. */
static status place_output(const struct check *check, struct backend *backend, const struct operation *operation,
                           int index, void **memory)
{
    const struct operand *operand = &operation->output[index];
    TRY(backend->interface->allocate(backend, bytes_of(operand), memory));
    if (operation->attributes.accumulate) return backend->interface->clear(backend, *memory, bytes_of(operand));
    return fill(backend, operand, check->pool.nan, 0, *memory);
}

static status place(const struct check *check, struct backend *backend, const struct operation *operation,
                    const struct source *sources, struct placed *placed)
{
    const struct backend_interface *interface = backend->interface;
    struct kernel_requirements requirements;
    placed->operation = *operation;
    set_types(&placed->operation, backend);
    for (int i = 0; i < operation->input_count; i++) {
        const struct operand *operand = &placed->operation.input[i];
        TRY(interface->allocate(backend, bytes_of(operand), &placed->input[i]));
        TRY(sources[i].values
                ? upload_values(backend, operand, sources[i].values, placed->input[i])
                : fill(backend, operand, pool_of(&check->pool, operand), sources[i].start, placed->input[i]));
    }
    for (int i = 0; i < operation->output_count; i++)
        TRY(place_output(check, backend, &placed->operation, i, &placed->output[i]));
    TRY(interface->prepare(backend, &placed->operation, &placed->kernel, &requirements));
    TRY(interface->allocate(backend, requirements.scratch_bytes + 1, &placed->scratch));
    if (requirements.packed_bytes == 0) return status_ok();
    TRY(interface->allocate(backend, requirements.packed_bytes, &placed->packed));
    return interface->pack(backend, placed->kernel, placed->input[1], placed->packed, placed->scratch);
}

static status run_placed(struct backend *backend, struct placed *placed)
{
    return backend->interface->run(backend, placed->kernel, (const void *const *)placed->input, placed->output,
                                   placed->packed, placed->scratch);
}

static status read_outputs(struct backend *backend, const struct placed *placed, struct outputs *outputs)
{
    TRY(backend->interface->synchronize(backend));
    for (int i = 0; i < placed->operation.output_count; i++)
        TRY(download_values(backend, placed->operation.kind, &placed->operation.output[i], placed->output[i],
                            &outputs->values[i]));
    return status_ok();
}

/* ---- right ---- */

struct agreement {
    double distance;
    int64_t off; /* elements too far off */
};

static void compare_values(const float *found, const float *expected, int64_t count, struct agreement *agreement)
{
    double squares = 0, differences = 0;
    for (int64_t i = 0; i < count; i++) {
        double difference = (double)found[i] - expected[i];
        squares += (double)expected[i] * expected[i];
        differences += difference * difference;
    }
    double size = sqrt(squares / (double)count), distance = squares > 0 ? sqrt(differences / squares) : differences;
    for (int64_t i = 0; i < count; i++) {
        double allowed = element_tolerance * fabs((double)expected[i]) + size_tolerance * size;
        agreement->off += !(fabs((double)found[i] - expected[i]) <= allowed);
    }
    if (!(distance <= agreement->distance)) agreement->distance = distance;
}

static struct agreement compare_outputs(const struct operation *operation, const struct outputs *found,
                                        const struct outputs *expected)
{
    struct agreement agreement = {0};
    for (int i = 0; i < operation->output_count; i++)
        compare_values(found->values[i], expected->values[i], compared_elements(operation->kind, &operation->output[i]),
                       &agreement);
    return agreement;
}

/* ---- how fast ---- */

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static status time_replay(struct backend *backend, void *sequence, double *seconds)
{
    double begin = timed_wall_clock(NULL);
    TRY(backend->interface->replay(backend, sequence));
    TRY(backend->interface->synchronize(backend));
    *seconds = timed_wall_clock(NULL) - begin;
    return status_ok();
}

static status record(struct backend *backend, struct placed *placed, int calls, void **sequence)
{
    TRY(backend->interface->capture_begin(backend));
    status queued = status_ok();
    for (int i = 0; i < calls && queued.code == STATUS_OK; i++) queued = run_placed(backend, placed);
    status ended = backend->interface->capture_end(backend, sequence);
    return queued.code == STATUS_OK ? ended : queued;
}

/* The median seconds of replaying a recorded sequence of calls, after one replay that is not counted. What is between
 * two calls of a sequence is in it, what the host takes to queue is not. */
static status time_sequence(struct backend *backend, struct placed *placed, int calls, double *seconds)
{
    double each[REPETITIONS];
    void *sequence = NULL;
    status result = record(backend, placed, calls, &sequence);
    for (int i = -1; i < REPETITIONS && result.code == STATUS_OK; i++)
        result = time_replay(backend, sequence, &each[i < 0 ? 0 : i]);
    backend->interface->sequence_discard(backend, sequence);
    TRY(result);
    qsort(each, REPETITIONS, sizeof *each, by_size);
    *seconds = each[REPETITIONS / 2];
    return status_ok();
}

/* Seconds of one call, from sequences of as many as take long enough; tiny ones, which say nothing, once. */
static status time_calls(struct backend *backend, struct placed *placed, bool tiny, double *seconds)
{
    void *sequence = NULL;
    status result = record(backend, placed, 1, &sequence);
    if (result.code == STATUS_OK) result = time_replay(backend, sequence, seconds);
    if (result.code == STATUS_OK && !tiny) result = time_replay(backend, sequence, seconds);
    backend->interface->sequence_discard(backend, sequence);
    if (result.code != STATUS_OK || tiny) return result;
    int calls = *seconds < long_enough ? (int)fmin(ceil(long_enough / *seconds), LONGEST_SEQUENCE) : 1;
    TRY(time_sequence(backend, placed, calls, seconds));
    *seconds /= calls;
    return status_ok();
}

/* ---- a line ---- */

static void print_header(const struct check *check)
{
    if (check->peaks.flops_per_second > 0)
        printf("floors at %.1f TFLOP/s and %.0f GB/s, reached here by a product of %lldx%lld in bf16 and a copy\n",
               check->peaks.flops_per_second * 1e-12, check->peaks.bytes_per_second * 1e-9,
               (long long)check->peaks.product_side, (long long)check->peaks.product_side);
    printf("%4s %-64s %-18s %-9s %8s %10s %8s %8s %7s\n", "case", "operation", "products", "right", "distance", "us",
           "TFLOP/s", "GB/s", "% floor");
}

static void print_line(const struct check *check, const char *name, const char *way, const struct operation *operation,
                       const struct agreement *agreement, double seconds)
{
    double flops = operation_flops(operation), bytes = operation_bytes(operation);
    bool right = agreement->distance < tolerance && agreement->off == 0;
    char verdict[32] = "yes";
    if (!right) snprintf(verdict, sizeof verdict, "NO:%lld", (long long)agreement->off);
    printf("%4d %-64s %-18s %-9s %8.1e %10.1f", check->position.number, name, way, verdict, agreement->distance,
           seconds * 1e6);
    if (flops > 0)
        printf(" %8.1f", flops / seconds * 1e-12);
    else
        printf(" %8s", "");
    printf(" %8.0f", bytes / seconds * 1e-9);
    if (check->peaks.flops_per_second > 0)
        printf(" %7.1f",
               100 * fmax(flops / check->peaks.flops_per_second, bytes / check->peaks.bytes_per_second) / seconds);
    printf("\n");
}

static bool multiplies(enum operation_kind kind)
{
    return kind == OPERATION_LINEAR || kind == OPERATION_LINEAR_VJP_INPUT || kind == OPERATION_LINEAR_VJP_WEIGHT ||
           kind == OPERATION_CONVOLUTION || kind == OPERATION_CONVOLUTION_VJP_INPUT ||
           kind == OPERATION_CONVOLUTION_VJP_WEIGHT;
}

/* cuBLASLt makes no convolutions of windows; what makes no products is computed in one way. */
static bool has_way(enum operation_kind kind, enum product_way way)
{
    bool is_linear =
        kind == OPERATION_LINEAR || kind == OPERATION_LINEAR_VJP_INPUT || kind == OPERATION_LINEAR_VJP_WEIGHT;
    if (!multiplies(kind)) return way == BY_LIBRARY;
    return is_linear || way != BY_LIBRARY;
}

static status check_placed(struct check *check, const char *name, enum product_way way, struct placed *placed,
                           const struct outputs *expected, struct outputs *found)
{
    struct backend *backend = check->by[way];
    double seconds = 0;
    TRY(run_placed(backend, placed));
    TRY(read_outputs(backend, placed, found));
    if (check->options.once) return status_ok();
    struct agreement agreement = compare_outputs(&placed->operation, found, expected);
    TRY(time_calls(backend, placed, check->options.tiny, &seconds));
    print_line(check, name, multiplies(placed->operation.kind) ? product_way_name(way) : "", &placed->operation,
               &agreement, seconds);
    check->lines++;
    check->wrong += !(agreement.distance < tolerance && agreement.off == 0);
    return status_ok();
}

static status run_exactly(struct check *check, const struct operation *operation, const struct source *sources,
                          struct outputs *expected)
{
    struct placed placed = {0};
    if (check->options.once) return status_ok();
    status result = place(check, check->exact, operation, sources, &placed);
    if (result.code == STATUS_OK) result = run_placed(check->exact, &placed);
    if (result.code == STATUS_OK) result = read_outputs(check->exact, &placed, expected);
    take_away(check->exact, &placed);
    return result;
}

/* In every way; `found` is what the last one gave. */
static status check_ways(struct check *check, const char *name, const struct operation *operation,
                         const struct source *sources, struct outputs *found)
{
    struct outputs expected = {0};
    status result = run_exactly(check, operation, sources, &expected);
    for (enum product_way way = 0; way < PRODUCT_WAY_COUNT && result.code == STATUS_OK; way++) {
        struct placed placed = {0};
        if (!has_way(operation->kind, way)) continue;
        release_outputs(found);
        result = place(check, check->by[way], operation, sources, &placed);
        if (result.code == STATUS_OK) result = check_placed(check, name, way, &placed, &expected, found);
        take_away(check->by[way], &placed);
    }
    release_outputs(&expected);
    return result;
}

/* ---- a layer ---- */

static const int64_t starts[MAXIMUM_INPUTS] = {0, 104729, 224737, 350377, 479909, 611953, 746773}; /* primes */
static const int64_t cotangent_start = 882377;

static struct source source_of(int index, const struct outputs *forward)
{
    if (index == FROM_COTANGENT) return (struct source){cotangent_start, NULL};
    if (index >= FROM_OUTPUT) return (struct source){0, forward->values[index - FROM_OUTPUT]};
    return (struct source){starts[index], NULL};
}

static bool is_frozen(const struct operation *operation)
{
    return operation->input[1].constant;
}

/* Frozen weights have no gradient, and patches of the tower none of their own. */
static bool vjp_is_wanted(const struct layer *layer, const struct vjp *vjp)
{
    enum operation_kind kind = vjp->operation.kind;
    bool of_weight = kind == OPERATION_LINEAR_VJP_WEIGHT || kind == OPERATION_CONVOLUTION_VJP_WEIGHT;
    return !of_weight || !is_frozen(&layer->operation);
}

static bool name_is_wanted(const struct check *check, const char *name)
{
    return !check->options.only || strstr(name, check->options.only);
}

static status check_vjps(struct check *check, const struct layer *layer, const struct outputs *forward)
{
    struct vjp vjps[MAXIMUM_VJPS];
    int count = harness_vjps(&layer->operation, vjps);
    for (int i = 0; i < count; i++) {
        char name[200];
        struct outputs found = {0};
        struct source sources[MAXIMUM_INPUTS];
        snprintf(name, sizeof name, "%s, %s", layer->name,
                 vjps[i].operation.kind == OPERATION_LINEAR_VJP_WEIGHT ? "weight" : "backward");
        if (!vjp_is_wanted(layer, &vjps[i]) || !name_is_wanted(check, name)) continue;
        for (int j = 0; j < vjps[i].operation.input_count; j++) sources[j] = source_of(vjps[i].source[j], forward);
        status result = check_ways(check, name, &vjps[i].operation, sources, &found);
        release_outputs(&found);
        TRY(result);
    }
    return status_ok();
}

static bool any_name_is_wanted(const struct check *check, const struct layer *layer)
{
    return !check->options.only || strncmp(check->options.only, layer->name, strcspn(check->options.only, ",")) == 0 ||
           strstr(layer->name, check->options.only);
}

static status check_layer(struct check *check, const struct layer *layer)
{
    struct outputs forward = {0};
    struct source sources[MAXIMUM_INPUTS];
    for (int i = 0; i < layer->operation.input_count; i++) sources[i] = source_of(i, NULL);
    status result = check_ways(check, layer->name, &layer->operation, sources, &forward);
    if (result.code == STATUS_OK) result = check_vjps(check, layer, &forward);
    release_outputs(&forward);
    return result;
}

/* ---- all ---- */

static status open_backends(struct check *check)
{
    TRY(product_way_open(BY_WARPS, CUDA_PRECISION_F32, &check->exact));
    for (enum product_way way = 0; way < PRODUCT_WAY_COUNT; way++)
        TRY(product_way_open(way, CUDA_PRECISION_BF16, &check->by[way]));
    return open_pool(check);
}

static void close_backends(struct check *check)
{
    if (check->exact) close_pool(check);
    for (enum product_way way = 0; way < PRODUCT_WAY_COUNT; way++)
        if (check->by[way]) check->by[way]->interface->destroy(check->by[way]);
    if (check->exact) check->exact->interface->destroy(check->exact);
    *check = (struct check){.options = check->options,
                            .position = check->position,
                            .peaks = check->peaks,
                            .lines = check->lines,
                            .wrong = check->wrong};
}

/* After a call that failed. */
static status open_anew(struct check *check)
{
    close_backends(check);
    return status_context(open_backends(check), "the device is lost after case %d", check->position.number);
}

static status check_layers(struct check *check)
{
    static struct layer layers[MAXIMUM_LAYERS];
    int count = layers_list(check->options.pictures, check->options.tiny, check->options.main_only, layers);
    for (int i = 0; i < count; i++) {
        if (!any_name_is_wanted(check, &layers[i]) || !position_next(&check->position, layers[i].name)) continue;
        status result = check_layer(check, &layers[i]);
        if (result.code == STATUS_OK) continue;
        printf("wrong: case %d, %s: %s\n", check->position.number, layers[i].name, result.message);
        check->wrong++;
        TRY(open_anew(check));
    }
    position_end(&check->position);
    return status_ok();
}

static status check_all(struct check *check)
{
    TRY(open_backends(check));
    if (!check->options.once && !check->options.tiny)
        TRY(machine_peaks_measure(check->by[BY_LIBRARY], timed_wall_clock, NULL, &check->peaks));
    if (!check->options.once) print_header(check);
    TRY(check_layers(check));
    printf("%d lines, %d wrong\n", check->lines, check->wrong);
    return status_ok();
}

static bool read_options(int count, char **arguments, struct options *options)
{
    *options = (struct options){.pictures = 1};
    for (int i = 1; i < count; i++) {
        bool has_value = i + 1 < count;
        if (strcmp(arguments[i], "--main") == 0)
            options->main_only = true;
        else if (strcmp(arguments[i], "--tiny") == 0)
            options->tiny = true;
        else if (strcmp(arguments[i], "--once") == 0)
            options->once = true;
        else if (strcmp(arguments[i], "--only") == 0 && has_value)
            options->only = arguments[++i];
        else if (strcmp(arguments[i], "--pictures") == 0 && has_value)
            options->pictures = atoi(arguments[++i]);
        else
            return false;
    }
    return options->pictures >= 1 && options->pictures <= 64;
}

int main(int count, char **arguments)
{
    static struct check check;
    struct cuda_probe probe;
    if (!position_read(&count, arguments, &check.position) || !read_options(count, arguments, &check.options)) {
        fprintf(stderr, "usage: %s [--pictures N] [--main] [--tiny] [--only WORD] [--once]\n", arguments[0]);
        return 2;
    }
    cuda_probe(&probe);
    if (probe.missing[0]) {
        printf("skipped: %s\n", probe.missing);
        return EXIT_SKIPPED;
    }
    status result = check_all(&check);
    if (result.code != STATUS_OK) fprintf(stderr, "%s\n", result.message);
    close_backends(&check);
    return result.code != STATUS_OK || check.wrong > 0;
}
