/* Runs a case on two backends, with element types converted, and measures how far apart they are. */
#include "tests/unit/kernels/harness.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct backend *harness_reference;

int harness_open_reference(void **unused)
{
    (void)unused;
    return backend_reference_create(&harness_reference).code;
}

int harness_close_reference(void **unused)
{
    (void)unused;
    harness_reference->interface->destroy(harness_reference);
    return 0;
}

bool harness_is_exact(enum operation_kind kind, bool output, int index)
{
    switch (kind) {
    case OPERATION_LINEAR_VJP_WEIGHT:
    case OPERATION_CONVOLUTION_VJP_WEIGHT: return output;
    case OPERATION_GROUP_NORM:
    case OPERATION_LAYER_NORM:
    case OPERATION_ATTENTION: return output && index > 0;
    case OPERATION_GROUP_NORM_VJP: return !output && (index == 4 || index == 5);
    case OPERATION_LAYER_NORM_VJP: return !output && (index == 3 || index == 4);
    case OPERATION_ATTENTION_VJP: return !output && index == 5;
    default: return false;
    }
}

int64_t harness_elements(const struct operand *operand)
{
    return shape_elements(&operand->shape);
}

/* ---- Numbers ---- */

static float from_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint32_t to_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static uint16_t to_bf16(float value)
{
    uint32_t bits = to_bits(value);
    if (isnan(value)) return 0x7fc0;
    return (uint16_t)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

static double from_f16(uint16_t bits)
{
    int exponent = (bits >> 10) & 31, mantissa = bits & 1023;
    double magnitude = exponent == 31  ? (mantissa ? NAN : INFINITY)
                       : exponent == 0 ? ldexp(mantissa, -24)
                                       : ldexp(1024 + mantissa, exponent - 25);
    return bits & 0x8000 ? -magnitude : magnitude;
}

/* Rounds to nearest, ties to even, as rint does. */
static uint16_t to_f16(double value)
{
    uint16_t sign = signbit(value) ? 0x8000 : 0;
    double magnitude = fabs(value);
    if (isnan(value)) return 0x7e00;
    if (magnitude >= 65520) return sign | 0x7c00;
    if (magnitude == 0) return sign;
    int exponent;
    frexp(magnitude, &exponent);
    if (exponent < -13) exponent = -13; /* below 2^-14: denormal */
    long units = lrint(ldexp(magnitude, 11 - exponent));
    if (exponent == -13 && units < 1024) return (uint16_t)(sign | units);
    return (uint16_t)(sign + ((exponent + 13) << 10) + units);
}

double harness_round(enum element_type type, double value)
{
    switch (type) {
    case ELEMENT_F32: return (double)(float)value;
    case ELEMENT_BF16: return (double)from_bits((uint32_t)to_bf16((float)value) << 16);
    case ELEMENT_F16: return from_f16(to_f16(value));
    case ELEMENT_F64:
    case ELEMENT_I32: break;
    }
    return value;
}

static void store(enum element_type type, void *to, int64_t index, double value)
{
    switch (type) {
    case ELEMENT_F32: ((float *)to)[index] = (float)value; break;
    case ELEMENT_F64: ((double *)to)[index] = value; break;
    case ELEMENT_I32: ((int32_t *)to)[index] = isnan(value) ? INT32_MIN : (int32_t)value; break;
    case ELEMENT_BF16: ((uint16_t *)to)[index] = to_bf16((float)value); break;
    case ELEMENT_F16: ((uint16_t *)to)[index] = to_f16(value); break;
    }
}

static double load(enum element_type type, const void *from, int64_t index)
{
    switch (type) {
    case ELEMENT_F32: return (double)((const float *)from)[index];
    case ELEMENT_F64: return ((const double *)from)[index];
    case ELEMENT_I32: return ((const int32_t *)from)[index];
    case ELEMENT_BF16: return (double)from_bits((uint32_t)((const uint16_t *)from)[index] << 16);
    case ELEMENT_F16: return from_f16(((const uint16_t *)from)[index]);
    }
    return NAN;
}

static double uniform(uint64_t *state)
{
    *state += 0x9e3779b97f4a7c15u; /* splitmix64 */
    uint64_t z = *state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return ((double)((z ^ (z >> 31)) >> 11) + 0.5) / 9007199254740992.0;
}

double harness_normal(uint64_t *state)
{
    double radius = sqrt(-2 * log(uniform(state)));
    return radius * cos(2 * 3.14159265358979323846 * uniform(state));
}

double harness_distance(const double *a, const double *b, int64_t count)
{
    double difference = 0, norm = 0, largest = 0;
    for (int64_t i = 0; i < count; i++) {
        if (isnan(a[i]) || isnan(b[i])) return INFINITY;
        largest = fmax(largest, fabs(a[i]));
        difference += (a[i] - b[i]) * (a[i] - b[i]);
        norm += b[i] * b[i];
    }
    return norm == 0 ? largest : sqrt(difference / norm);
}

/* ---- Running ---- */

static enum element_type type_on(const struct backend *backend, const struct operation *operation, bool output,
                                 int index)
{
    const struct operand *operand = output ? &operation->output[index] : &operation->input[index];
    if (operand->type == ELEMENT_I32) return ELEMENT_I32;
    return harness_is_exact(operation->kind, output, index) ? backend->interface->accumulation_type
                                                            : backend->interface->compute_type;
}

struct device_memory {
    void *input[MAXIMUM_INPUTS], *output[MAXIMUM_OUTPUTS], *packed, *scratch;
    struct kernel *kernel;
};

static int64_t row_width(const struct operand *operand)
{
    return operand->shape.dimension[operand->shape.rank - 1];
}

/* Elements of memory that an operand takes, with what lies between its rows. */
static int64_t memory_elements(const struct operand *operand)
{
    return harness_elements(operand) / row_width(operand) * operand_row_step(operand);
}

/* The operand's element `place` of its memory; -1: it lies between the rows. */
static int64_t element_there(const struct operand *operand, int64_t place)
{
    int64_t row = place / operand_row_step(operand), column = place % operand_row_step(operand);
    return column < row_width(operand) ? row * row_width(operand) + column : -1;
}

/* What lies between the rows is NaN. */
static status upload(struct backend *backend, const struct operand *operand, const double *values, void **memory)
{
    int64_t count = memory_elements(operand);
    size_t bytes = (size_t)count * element_size(operand->type);
    TRY(backend->interface->allocate(backend, bytes, memory));
    void *host = malloc(bytes);
    if (!host) return status_error(STATUS_NO_MEMORY, "no memory for a test's operand");
    for (int64_t i = 0; i < count; i++) {
        int64_t element = element_there(operand, i);
        store(operand->type, host, i, values && element >= 0 ? values[element] : NAN);
    }
    status uploaded = backend->interface->upload(backend, *memory, host, bytes);
    free(host);
    return uploaded;
}

static status download(struct backend *backend, const struct operand *operand, const void *memory, double *values)
{
    int64_t count = memory_elements(operand);
    size_t bytes = (size_t)count * element_size(operand->type);
    void *host = malloc(bytes);
    if (!host) return status_error(STATUS_NO_MEMORY, "no memory for a test's operand");
    status downloaded = backend->interface->download(backend, host, memory, bytes);
    for (int64_t i = 0; i < count && downloaded.code == STATUS_OK; i++) {
        int64_t element = element_there(operand, i);
        double value = load(operand->type, host, i);
        if (element >= 0)
            values[element] = value;
        else if (!isnan(value))
            downloaded = status_error(STATUS_FAILED, "something was written between the rows of an output");
    }
    free(host);
    return downloaded;
}

/* Memory that a kernel must not rely on: filled with NaN. */
static status poisoned(struct backend *backend, size_t bytes, void **memory)
{
    TRY(backend->interface->allocate(backend, bytes + 1, memory));
    void *host = malloc(bytes + 1);
    if (!host) return status_error(STATUS_NO_MEMORY, "no memory for a test's scratch");
    memset(host, 0xff, bytes + 1);
    status uploaded = backend->interface->upload(backend, *memory, host, bytes + 1);
    free(host);
    return uploaded;
}

static status run_on_device(struct backend *backend, const struct operation *operation, struct tensors *tensors,
                            bool in_place, struct device_memory *m)
{
    const struct backend_interface *interface = backend->interface;
    struct kernel_requirements requirements;
    for (int i = 0; i < operation->input_count; i++)
        if (operation->input[i].present) TRY(upload(backend, &operation->input[i], tensors->input[i], &m->input[i]));
    for (int i = 0; i < operation->output_count; i++)
        if (operation->output[i].present)
            TRY(upload(backend, &operation->output[i], operation->attributes.accumulate ? tensors->output[i] : NULL,
                       &m->output[i]));
    TRY(interface->prepare(backend, operation, &m->kernel, &requirements));
    TRY(poisoned(backend, requirements.scratch_bytes, &m->scratch));
    if (requirements.packed_bytes) {
        TRY(poisoned(backend, requirements.packed_bytes, &m->packed));
        TRY(interface->pack(backend, m->kernel, m->input[1], m->packed, m->scratch));
    }
    const void *inputs[MAXIMUM_INPUTS];
    void *outputs[MAXIMUM_OUTPUTS];
    memcpy(inputs, m->input, sizeof inputs);
    memcpy(outputs, m->output, sizeof outputs);
    int shared = operation_facts(operation->kind)->in_place_input;
    if (in_place && shared >= 0 && m->input[shared]) outputs[0] = m->input[shared];
    TRY(interface->run(backend, m->kernel, inputs, outputs, m->packed, m->scratch));
    TRY(interface->synchronize(backend));
    for (int i = 0; i < operation->output_count; i++)
        if (operation->output[i].present) TRY(download(backend, &operation->output[i], outputs[i], tensors->output[i]));
    return status_ok();
}

struct operation harness_adjoining(const struct operation *operation)
{
    struct operation adjoining = *operation;
    for (int i = 0; i < MAXIMUM_INPUTS; i++) adjoining.input[i].row_step = 0;
    for (int i = 0; i < MAXIMUM_OUTPUTS; i++) adjoining.output[i].row_step = 0;
    return adjoining;
}

status harness_run(struct backend *backend, const struct operation *operation, struct tensors *tensors, bool in_place)
{
    struct operation typed = *operation;
    struct device_memory memory = {0};
    for (int i = 0; i < typed.input_count; i++) typed.input[i].type = type_on(backend, operation, false, i);
    for (int i = 0; i < typed.output_count; i++) typed.output[i].type = type_on(backend, operation, true, i);
    status result = run_on_device(backend, &typed, tensors, in_place, &memory);
    for (int i = 0; i < MAXIMUM_INPUTS; i++)
        if (memory.input[i]) backend->interface->release(backend, memory.input[i]);
    for (int i = 0; i < MAXIMUM_OUTPUTS; i++)
        if (memory.output[i]) backend->interface->release(backend, memory.output[i]);
    if (memory.packed) backend->interface->release(backend, memory.packed);
    if (memory.scratch) backend->interface->release(backend, memory.scratch);
    if (memory.kernel) backend->interface->discard(backend, memory.kernel);
    return result;
}

/* ---- Inputs ---- */

static double *new_array(const struct operand *operand)
{
    double *array = calloc((size_t)harness_elements(operand), sizeof *array);
    if (!array) abort();
    return array;
}

void harness_allocate(const struct operation *operation, struct tensors *tensors)
{
    *tensors = (struct tensors){0};
    for (int i = 0; i < operation->input_count; i++)
        if (operation->input[i].present) tensors->input[i] = new_array(&operation->input[i]);
    for (int i = 0; i < operation->output_count; i++)
        if (operation->output[i].present) tensors->output[i] = new_array(&operation->output[i]);
}

void harness_release(struct tensors *tensors)
{
    for (int i = 0; i < MAXIMUM_INPUTS; i++) free(tensors->input[i]);
    for (int i = 0; i < MAXIMUM_OUTPUTS; i++) free(tensors->output[i]);
    *tensors = (struct tensors){0};
}

/* How many different indices an index input may hold. */
static int64_t index_limit(const struct operation *operation)
{
    return operation->kind == OPERATION_EMBEDDING ? operation->input[1].shape.dimension[0]
                                                  : operation->input[0].shape.dimension[1];
}

static bool wants_positive(const struct operation *operation, int index)
{
    const struct operation_attributes *attributes = &operation->attributes;
    if (operation->kind == OPERATION_BINARY) return attributes->binary == BINARY_DIVIDE && index == 1;
    if (operation->kind != OPERATION_UNARY) return false;
    switch (attributes->unary) {
    case UNARY_LOG:
    case UNARY_LOG1P:
    case UNARY_SQRT:
    case UNARY_RECIPROCAL: return true;
    default: return false;
    }
}

/* Keeps away from the places where a derivative jumps. */
static double off_kinks(const struct operation *operation, double value)
{
    const struct operation_attributes *attributes = &operation->attributes;
    if (operation->kind != OPERATION_UNARY) return value;
    if (attributes->unary == UNARY_CLAMP &&
        (fabs(value - attributes->alpha) < 0.02 || fabs(value - attributes->beta) < 0.02))
        return value + 0.05;
    return fabs(value) < 0.01 ? value + 0.03 : value;
}

static double random_value(const struct operation *operation, int index, uint64_t *state)
{
    const struct operand *operand = &operation->input[index];
    if (operand->type == ELEMENT_I32) return floor(uniform(state) * (double)index_limit(operation));
    if (operation->kind == OPERATION_SELECT_BOXES && index == 1) return 0.05 + 0.4 * uniform(state);
    double value = harness_normal(state);
    if (wants_positive(operation, index)) return 0.2 + fabs(value);
    bool is_unary = operation->kind == OPERATION_UNARY;
    return off_kinks(operation, is_unary ? 2 * value : value);
}

void harness_fill(const struct operation *operation, enum element_type type, uint64_t seed, struct tensors *tensors)
{
    uint64_t state = seed * 0x5851f42d4c957f2du + 1;
    for (int i = 0; i < operation->input_count; i++)
        for (int64_t j = 0; operation->input[i].present && j < harness_elements(&operation->input[i]); j++)
            tensors->input[i][j] = harness_round(type, random_value(operation, i, &state));
    for (int i = 0; i < operation->output_count; i++)
        for (int64_t j = 0; operation->output[i].present && j < harness_elements(&operation->output[i]); j++)
            tensors->output[i][j] = harness_round(type, harness_normal(&state));
}

/* ---- Vector-Jacobian products ---- */

struct rule {
    enum operation_kind forward, vjp;
    int sources, source[MAXIMUM_INPUTS];
    int gradients, gradient_of[MAXIMUM_OUTPUTS];
};

enum { DY = FROM_COTANGENT, OUT = FROM_OUTPUT };

static const struct rule rules[] = {
    {OPERATION_LINEAR, OPERATION_LINEAR_VJP_INPUT, 2, {DY, 1}, 1, {0}},
    {OPERATION_LINEAR, OPERATION_LINEAR_VJP_WEIGHT, 2, {DY, 0}, 1, {1}},
    {OPERATION_CONVOLUTION, OPERATION_CONVOLUTION_VJP_INPUT, 2, {DY, 1}, 1, {0}},
    {OPERATION_CONVOLUTION, OPERATION_CONVOLUTION_VJP_WEIGHT, 2, {DY, 0}, 1, {1}},
    {OPERATION_GROUP_NORM, OPERATION_GROUP_NORM_VJP, 6, {DY, 0, 1, 2, OUT + 1, OUT + 2}, 1, {0}},
    {OPERATION_LAYER_NORM, OPERATION_LAYER_NORM_VJP, 5, {DY, 0, 1, OUT + 1, OUT + 2}, 1, {0}},
    {OPERATION_ATTENTION, OPERATION_ATTENTION_VJP, 6, {DY, 0, 1, 2, OUT, OUT + 1}, 3, {0, 1, 2}},
    {OPERATION_UNARY, OPERATION_UNARY_VJP, 2, {DY, 0}, 1, {0}},
    {OPERATION_GEGLU, OPERATION_GEGLU_VJP, 2, {DY, 0}, 1, {0}},
    {OPERATION_SLICE, OPERATION_PLACE, 1, {DY}, 1, {0}},
    {OPERATION_PLACE, OPERATION_SLICE, 1, {DY}, 1, {0}},
    {OPERATION_UPSAMPLE, OPERATION_UPSAMPLE_VJP, 1, {DY}, 1, {0}},
    {OPERATION_RESIZE, OPERATION_RESIZE_VJP, 1, {DY}, 1, {0}},
    {OPERATION_GATHER, OPERATION_GATHER_VJP, 2, {DY, 1}, 1, {0}},
    {OPERATION_NORMALIZE, OPERATION_NORMALIZE_VJP, 2, {DY, 0}, 1, {0}},
    {OPERATION_TRANSPOSE, OPERATION_TRANSPOSE, 1, {DY}, 1, {0}},
};

static const struct operand *source_operand(const struct operation *forward, int source)
{
    if (source == FROM_COTANGENT) return &forward->output[0];
    return source >= FROM_OUTPUT ? &forward->output[source - FROM_OUTPUT] : &forward->input[source];
}

int harness_vjps(const struct operation *forward, struct vjp vjps[MAXIMUM_VJPS])
{
    int count = 0;
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        const struct rule *rule = &rules[i];
        if (rule->forward != forward->kind) continue;
        struct vjp vjp = {.operation = {.kind = rule->vjp,
                                        .attributes = forward->attributes,
                                        .input_count = rule->sources,
                                        .output_count = rule->gradients}};
        for (int j = 0; j < rule->sources; j++) {
            vjp.source[j] = rule->source[j];
            vjp.operation.input[j] = *source_operand(forward, rule->source[j]);
        }
        for (int j = 0; j < rule->gradients; j++) {
            vjp.gradient_of[j] = rule->gradient_of[j];
            vjp.operation.output[j] = forward->input[rule->gradient_of[j]];
        }
        vjps[count++] = vjp;
    }
    return count;
}

void harness_fill_vjp(const struct vjp *vjp, enum element_type type, const struct tensors *forward,
                      const double *cotangent, struct tensors *tensors)
{
    for (int i = 0; i < vjp->operation.input_count; i++) {
        int source = vjp->source[i];
        const double *from = source == FROM_COTANGENT ? cotangent
                             : source >= FROM_OUTPUT  ? forward->output[source - FROM_OUTPUT]
                                                      : forward->input[source];
        bool exact = harness_is_exact(vjp->operation.kind, false, i);
        for (int64_t j = 0; j < harness_elements(&vjp->operation.input[i]); j++)
            tensors->input[i][j] = harness_round(exact && type != ELEMENT_F64 ? ELEMENT_F32 : type, from[j]);
    }
}

bool harness_add_residual(const struct operation *operation, enum element_type type, uint64_t seed,
                          struct operation *with, struct tensors *tensors)
{
    int index = operation_facts(operation->kind)->residual_input;
    if (index < 0) return false;
    *with = *operation;
    with->attributes.alpha = -0.75;
    for (int i = operation->input_count; i < index; i++) with->input[i].present = false;
    with->input[index] = (struct operand){
        .shape = operation->output[0].shape, .present = true, .row_step = operation->output[0].row_step};
    with->input_count = index + 1;
    tensors->input[index] = new_array(&with->input[index]);
    for (int64_t i = 0; i < harness_elements(&with->input[index]); i++)
        tensors->input[index][i] = harness_round(type, harness_normal(&seed));
    return true;
}

void harness_copy(const struct operation *operation, const struct tensors *from, enum element_type type,
                  struct tensors *to)
{
    harness_allocate(operation, to);
    for (int i = 0; i < operation->input_count; i++)
        if (operation->input[i].present)
            memcpy(to->input[i], from->input[i], (size_t)harness_elements(&operation->input[i]) * sizeof(double));
    for (int i = 0; i < operation->output_count; i++)
        for (int64_t j = 0; operation->output[i].present && j < harness_elements(&operation->output[i]); j++)
            to->output[i][j] = harness_round(type, sin((double)j));
}

static bool has_all_inputs(const struct operation *operation)
{
    bool all = true;
    for (int i = 0; i < operation->input_count; i++) all = all && operation->input[i].present;
    return all;
}

status harness_compare_vjps(const char *name, const struct operation *forward, enum element_type type, uint64_t seed,
                            struct tensors *tensors, harness_compare *compare, void *context)
{
    TRY(harness_run(harness_reference, forward, tensors, false));
    int64_t outputs = harness_elements(&forward->output[0]);
    double *cotangent = calloc((size_t)outputs, sizeof *cotangent);
    if (!cotangent) return status_error(STATUS_NO_MEMORY, "no memory for a cotangent");
    for (int64_t i = 0; i < outputs; i++) cotangent[i] = harness_round(type, harness_normal(&seed));
    struct vjp vjps[MAXIMUM_VJPS];
    int count = harness_vjps(forward, vjps);
    for (int i = 0; i < count; i++) {
        if (!has_all_inputs(&vjps[i].operation)) continue;
        char whole[200];
        struct tensors filled;
        snprintf(whole, sizeof whole, "%s, %s", name, operation_facts(vjps[i].operation.kind)->name);
        harness_allocate(&vjps[i].operation, &filled);
        harness_fill_vjp(&vjps[i], type, tensors, cotangent, &filled);
        compare(context, whole, &vjps[i].operation, &filled);
        harness_release(&filled);
    }
    free(cotangent);
    return status_ok();
}
