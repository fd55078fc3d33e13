/* Inside the CPU backend: what its kernels are made of. */
#ifndef ALIGNPROP_KERNELS_CPU_CPU_H
#define ALIGNPROP_KERNELS_CPU_CPU_H

#include "kernels/backend.h"
#include "kernels/parallel.h"

struct onednn;
struct cpu_kind;

struct kernel {
    struct operation operation;
    const struct cpu_kind *kind;
    struct parallel *parallel;
    struct onednn *onednn; /* NULL when built without */
    void *state;           /* of the kind's own */
};

/* One call of a kernel; absent operands are NULL. */
struct call {
    const struct kernel *kernel;
    const void *inputs[MAXIMUM_INPUTS];
    void *outputs[MAXIMUM_OUTPUTS];
    const void *packed;
    void *scratch;
};

/* How one kind of operation is done. */
struct cpu_kind {
    /* Fills in state and requirements (zero before); NULL: nothing to prepare. On failure leaves nothing behind. */
    status (*prepare)(struct kernel *kernel, struct kernel_requirements *requirements);
    void (*discard)(struct kernel *kernel); /* NULL: nothing to discard */
    status (*pack)(const struct kernel *kernel, const void *weight, void *packed, void *scratch);
    status (*run)(const struct call *call);
};

/* Instruction sets that the kernels may be compiled for; which are depends on the build and the processor. */
enum cpu_instructions { CPU_BASELINE, CPU_AVX2, CPU_AVX512, CPU_BEST };

/* As backend_cpu_create, on kernels of a given instruction set, and without oneDNN where `own_products`: for tests. A
 * set that is not there is STATUS_FAILED. */
status cpu_backend_create(int threads, enum cpu_instructions instructions, bool own_products, struct backend **backend);

/* The table of all kinds, once for each instruction set it was compiled for. */
const struct cpu_kind *cpu_kinds_baseline(enum operation_kind kind);
const struct cpu_kind *cpu_kinds_avx2(enum operation_kind kind);
const struct cpu_kind *cpu_kinds_avx512(enum operation_kind kind);

#endif
