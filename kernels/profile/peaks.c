/* Peak arithmetic rate and bandwidth of a device, measured. */
#include "kernels/profile/peaks.h"

#include "kernels/convert.h"

#include <stdlib.h>

enum { CALLS = 7, EMPTY_CALLS = 101, SMALLEST_SIDE = 64, LARGEST_SIDE = 8192, FILL_VALUES = 1 << 20 };
static const size_t smallest_copy = (size_t)1 << 16, largest_copy = (size_t)1 << 30;
static const double long_enough = 0.05; /* seconds of one call: from here on, starting it is no part of its time */

struct measurement {
    struct backend *backend; /* timed, reports to `last` */
    double last;             /* seconds of the last call */
    double (*now)(void *context);
    void *context;
};

/* A kernel with memory of its own for everything that it reads and writes. */
struct bench_kernel {
    struct kernel *kernel;
    void *inputs[MAXIMUM_INPUTS], *outputs[MAXIMUM_OUTPUTS], *packed, *scratch;
};

static double read_clock(void *context)
{
    const struct measurement *measurement = context;
    return measurement->now(measurement->context);
}

static void keep_seconds(void *context, const struct timed_call *call)
{
    struct measurement *measurement = context;
    measurement->last = call->seconds;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, by_size);
    return values[count / 2];
}

static bool fits(struct backend *backend, size_t bytes)
{
    size_t available;
    status known = backend->interface->memory_free(backend, &available, NULL);
    return known.code == STATUS_OK && bytes <= available / 2;
}

/* Numbers in [-0.5, 0.5): a device may be faster on zeros, which switch fewer of its gates. */
static void scatter(float *values, int count)
{
    uint32_t state = 1;
    for (int i = 0; i < count; i++) {
        state = state * 1664525u + 1013904223u; /* the generator of Numerical Recipes, 2nd edition, 7.1 */
        values[i] = (float)(state >> 8) / (float)(1 << 24) - 0.5F;
    }
}

/* Fills device memory with such numbers, the same ones again and again. */
static status fill(struct backend *backend, enum element_type type, void *memory, size_t bytes)
{
    size_t block = FILL_VALUES * element_size(type);
    float *values = malloc(FILL_VALUES * sizeof *values);
    void *converted = malloc(block);
    status result = values && converted ? status_ok() : status_error(STATUS_NO_MEMORY, "no memory for random numbers");
    if (result.code == STATUS_OK) {
        scatter(values, FILL_VALUES);
        convert_from_float(type, converted, values, FILL_VALUES);
    }
    for (size_t done = 0; done < bytes && result.code == STATUS_OK; done += block)
        result = backend->interface->upload(backend, (char *)memory + done, converted,
                                            bytes - done < block ? bytes - done : block);
    free(values);
    free(converted);
    return result;
}

static size_t operand_size(const struct operand *operand)
{
    return (size_t)shape_elements(&operand->shape) * element_size(operand->type);
}

static void close_kernel(struct backend *backend, struct bench_kernel *bench)
{
    const struct backend_interface *interface = backend->interface;
    for (int i = 0; i < MAXIMUM_INPUTS; i++)
        if (bench->inputs[i]) interface->release(backend, bench->inputs[i]);
    for (int i = 0; i < MAXIMUM_OUTPUTS; i++)
        if (bench->outputs[i]) interface->release(backend, bench->outputs[i]);
    if (bench->packed) interface->release(backend, bench->packed);
    if (bench->scratch) interface->release(backend, bench->scratch);
    if (bench->kernel) interface->discard(backend, bench->kernel);
}

static status open_kernel(struct backend *backend, const struct operation *operation, struct bench_kernel *bench)
{
    const struct backend_interface *interface = backend->interface;
    struct kernel_requirements requirements = {0};
    TRY(interface->prepare(backend, operation, &bench->kernel, &requirements));
    for (int i = 0; i < operation->input_count; i++) {
        size_t bytes = operand_size(&operation->input[i]);
        TRY(interface->allocate(backend, bytes, &bench->inputs[i]));
        TRY(fill(backend, operation->input[i].type, bench->inputs[i], bytes));
    }
    for (int i = 0; i < operation->output_count; i++)
        TRY(interface->allocate(backend, operand_size(&operation->output[i]), &bench->outputs[i]));
    if (requirements.scratch_bytes > 0) TRY(interface->allocate(backend, requirements.scratch_bytes, &bench->scratch));
    if (requirements.packed_bytes == 0) return status_ok();
    TRY(interface->allocate(backend, requirements.packed_bytes, &bench->packed));
    return interface->pack(backend, bench->kernel, bench->inputs[1], bench->packed, bench->scratch);
}

/* Median seconds of `calls` calls after one that is not counted. */
static status time_kernel(struct measurement *measurement, const struct bench_kernel *bench, int calls, double *seconds)
{
    struct backend *backend = measurement->backend;
    double each[EMPTY_CALLS];
    for (int i = -1; i < calls; i++) {
        TRY(backend->interface->run(backend, bench->kernel, (const void *const *)bench->inputs, bench->outputs,
                                    bench->packed, bench->scratch));
        if (i >= 0) each[i] = measurement->last;
    }
    *seconds = median(each, calls);
    return status_ok();
}

static status time_operation(struct measurement *measurement, const struct operation *operation, int calls,
                             double *seconds)
{
    struct bench_kernel bench = {0};
    status result = open_kernel(measurement->backend, operation, &bench);
    if (result.code == STATUS_OK) result = time_kernel(measurement, &bench, calls, seconds);
    close_kernel(measurement->backend, &bench);
    return result;
}

static struct operation square_product(enum element_type type, int64_t side)
{
    struct operand matrix = {.shape = {2, {side, side}}, .type = type, .present = true};
    struct operand weight = matrix;
    weight.constant = true;
    return (struct operation){
        .kind = OPERATION_LINEAR, .input_count = 2, .input = {matrix, weight}, .output_count = 1, .output = {matrix}};
}

static struct operation copy_kernel(enum element_type type, int64_t count)
{
    struct operand vector = {.shape = {1, {count}}, .type = type, .present = true};
    return (struct operation){.kind = OPERATION_UNARY,
                              .attributes = {.unary = UNARY_IDENTITY},
                              .input_count = 1,
                              .input = {vector},
                              .output_count = 1,
                              .output = {vector}};
}

static status measure_product(struct measurement *measurement, struct machine_peaks *peaks)
{
    double seconds = 0.0;
    for (int64_t side = SMALLEST_SIDE; side <= LARGEST_SIDE && seconds < long_enough; side *= 2) {
        struct operation product = square_product(peaks->compute_type, side);
        size_t with_packed_copy = (size_t)operation_bytes(&product) / 3 * 4;
        if (side > SMALLEST_SIDE && !fits(measurement->backend, with_packed_copy)) break;
        TRY(time_operation(measurement, &product, CALLS, &seconds));
        peaks->flops_per_second = operation_flops(&product) / seconds;
        peaks->product_side = side;
    }
    return status_ok();
}

static status time_copy(struct measurement *measurement, size_t bytes, double *seconds)
{
    struct backend *backend = measurement->backend;
    void *from = NULL, *to = NULL;
    double each[CALLS];
    status result = backend->interface->allocate(backend, bytes, &from);
    if (result.code == STATUS_OK) result = backend->interface->allocate(backend, bytes, &to);
    if (result.code == STATUS_OK) result = fill(backend, ELEMENT_F32, from, bytes);
    for (int i = -1; i < CALLS && result.code == STATUS_OK; i++) {
        result = backend->interface->copy(backend, to, from, bytes);
        if (i >= 0) each[i] = measurement->last;
    }
    if (result.code == STATUS_OK) *seconds = median(each, CALLS);
    if (to) backend->interface->release(backend, to);
    if (from) backend->interface->release(backend, from);
    return result;
}

static status measure_copy(struct measurement *measurement, struct machine_peaks *peaks)
{
    double seconds = 0.0;
    for (size_t bytes = smallest_copy; bytes <= largest_copy && seconds < long_enough; bytes *= 2) {
        if (bytes > smallest_copy && !fits(measurement->backend, 2 * bytes)) break;
        double by_copy = 0.0, by_kernel = 0.0;
        struct operation kernel =
            copy_kernel(peaks->compute_type, (int64_t)(bytes / element_size(peaks->compute_type)));
        TRY(time_copy(measurement, bytes, &by_copy));
        TRY(time_operation(measurement, &kernel, CALLS, &by_kernel));
        seconds = by_copy < by_kernel ? by_copy : by_kernel;
        peaks->bytes_per_second = 2.0 * (double)bytes / seconds;
        peaks->copy_bytes = bytes;
    }
    return status_ok();
}

status machine_peaks_measure(struct backend *backend, double (*now)(void *context), void *context,
                             struct machine_peaks *peaks)
{
    struct measurement measurement = {.now = now, .context = context};
    struct timed_hooks hooks = {&measurement, read_clock, keep_seconds};
    *peaks = (struct machine_peaks){.compute_type = backend->interface->compute_type};
    TRY(timed_backend_create(backend, hooks, &measurement.backend));
    struct operation nothing = copy_kernel(peaks->compute_type, 1);
    status result = time_operation(&measurement, &nothing, EMPTY_CALLS, &peaks->call_seconds);
    if (result.code == STATUS_OK) result = measure_product(&measurement, peaks);
    if (result.code == STATUS_OK) result = measure_copy(&measurement, peaks);
    measurement.backend->interface->destroy(measurement.backend);
    return result;
}
