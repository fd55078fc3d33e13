/* The CPU backend: its interface, and the choice of the instruction set. */
#include "kernels/cpu/cpu.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernels/cpu/onednn.h"
#include "kernels/host_backend.h"
#include "kernels/operation_check.h"

enum { MOST_THREADS = 1024 };

typedef const struct cpu_kind *(*kinds_function)(enum operation_kind kind);

struct cpu_backend {
    struct backend backend;
    kinds_function kinds;
    struct parallel *parallel;
    struct onednn *onednn;
};

static status prepare(struct backend *backend, const struct operation *operation, struct kernel **result,
                      struct kernel_requirements *requirements)
{
    struct cpu_backend *cpu = (struct cpu_backend *)backend;
    TRY(operation_check(operation));
    if (!operation_numbers_are(operation, ELEMENT_F32))
        return operation_error(operation, "the CPU backend computes in float32 alone");
    if (operation->attributes.doubled)
        return operation_error(operation, "the CPU backend does not fold upsampling into convolutions");
    if (operation_residual(operation)) return operation_error(operation, "the CPU backend adds no residual");
    if (!operation_rows_adjoin(operation))
        return operation_error(operation, "the CPU backend reads and writes whole rows alone");
    struct kernel *kernel = malloc(sizeof *kernel);
    if (!kernel) return status_error(STATUS_NO_MEMORY, "no memory for a kernel");
    *kernel = (struct kernel){*operation, cpu->kinds(operation->kind), cpu->parallel, cpu->onednn, NULL};
    *requirements = (struct kernel_requirements){0};
    status prepared = kernel->kind->prepare ? kernel->kind->prepare(kernel, requirements) : status_ok();
    if (prepared.code == STATUS_OK)
        *result = kernel;
    else
        free(kernel);
    return prepared;
}

static void discard(struct backend *backend, struct kernel *kernel)
{
    (void)backend;
    if (!kernel) return;
    if (kernel->kind->discard) kernel->kind->discard(kernel);
    free(kernel);
}

static status pack(struct backend *backend, struct kernel *kernel, const void *weight, void *packed, void *scratch)
{
    (void)backend;
    return kernel->kind->pack ? kernel->kind->pack(kernel, weight, packed, scratch) : status_ok();
}

static status run(struct backend *backend, struct kernel *kernel, const void *const *inputs, void *const *outputs,
                  const void *packed, void *scratch)
{
    (void)backend;
    const struct operation *operation = &kernel->operation;
    struct call call = {.kernel = kernel, .packed = packed, .scratch = scratch};
    for (int i = 0; i < operation->input_count; i++)
        if (operation->input[i].present) call.inputs[i] = inputs[i];
    for (int i = 0; i < operation->output_count; i++)
        if (operation->output[i].present) call.outputs[i] = outputs[i];
    return kernel->kind->run(&call);
}

static void destroy(struct backend *backend)
{
    struct cpu_backend *cpu = (struct cpu_backend *)backend;
    if (!cpu) return;
    onednn_destroy(cpu->onednn);
    parallel_destroy(cpu->parallel);
    free(cpu);
}

static const struct backend_interface interface = {
    .name = "cpu",
    .compute_type = ELEMENT_F32,
    .accumulation_type = ELEMENT_F32,
    /* No adds_residual: all element-wise operations of two tensors together take 1.7 % of a step of the default model
     * on one thread (tests/bench/step_kernels.c), and a product would still read what it adds. */
    .pixels_at_once = 2 * 128 * 128,
    .allocate = host_backend_allocate,
    .release = host_backend_release,
    .memory_free = host_backend_memory_free,
    .upload = host_backend_copy,
    .download = host_backend_copy,
    .copy = host_backend_copy,
    .clear = host_backend_clear,
    .prepare = prepare,
    .discard = discard,
    .pack = pack,
    .run = run,
    .synchronize = host_backend_synchronize,
    .destroy = destroy,
};

static bool processor_has(enum cpu_instructions instructions)
{
#ifdef CPU_HAS_X86_VARIANTS
    __builtin_cpu_init();
    if (instructions == CPU_AVX512)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    if (instructions == CPU_AVX2)
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
#endif
    return instructions == CPU_BASELINE;
}

/* NULL where the processor or the build does not have them. */
static kinds_function kinds_of(enum cpu_instructions instructions)
{
    if (instructions == CPU_BEST)
        instructions = processor_has(CPU_AVX512) ? CPU_AVX512 : processor_has(CPU_AVX2) ? CPU_AVX2 : CPU_BASELINE;
    if (!processor_has(instructions)) return NULL;
#ifdef CPU_HAS_X86_VARIANTS
    if (instructions == CPU_AVX512) return cpu_kinds_avx512;
    if (instructions == CPU_AVX2) return cpu_kinds_avx2;
#endif
    return cpu_kinds_baseline;
}

static int available_cores(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return cores > 0 ? (int)cores : 1;
}

status cpu_backend_create(int threads, enum cpu_instructions instructions, bool own_products, struct backend **backend)
{
    *backend = NULL;
    if (threads < 0)
        return status_error(STATUS_USAGE, "the number of threads is %d; it must be 0 (all) or more", threads);
    if (threads == 0) threads = available_cores();
    if (threads > MOST_THREADS) threads = MOST_THREADS;
    struct cpu_backend *cpu = calloc(1, sizeof *cpu);
    if (!cpu) return status_error(STATUS_NO_MEMORY, "no memory for the CPU backend");
    cpu->backend.interface = &interface;
    cpu->kinds = kinds_of(instructions);
    status created = cpu->kinds ? parallel_create(threads, &cpu->parallel)
                                : status_error(STATUS_FAILED, "this processor does not have these instructions");
    if (created.code == STATUS_OK && !own_products) created = onednn_create(cpu->parallel, &cpu->onednn);
    if (created.code == STATUS_OK)
        *backend = &cpu->backend;
    else
        destroy(&cpu->backend);
    return created;
}

status backend_cpu_create(int threads, struct backend **backend)
{
    return cpu_backend_create(threads, CPU_BEST, false, backend);
}
