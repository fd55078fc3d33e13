/* What a test asks of the emulated device, and what it is told. */
#ifndef ALIGNPROP_TESTS_CUDA_CONTROL_H
#define ALIGNPROP_TESTS_CUDA_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Runs blocks, warps and threads in descending order from now on. */
void emulation_reverse(bool reversed);

/* Counters since the program started. */
struct emulation_counters {
    long launches, blocks, allocations, synchronizations;
    long faults; /* races, barriers that not all threads reach, collectives out of step */
};
struct emulation_counters emulation_count(void);
/* The first fault since the last call, or NULL; valid until the next fault. */
const char *emulation_fault(void);

/* Pretends that the driver, the device or memory is missing: what the runtime answers from now on. */
struct emulation_machine {
    int driver_version; /* 0: no driver */
    int devices;
    int major, minor;
    size_t memory_bytes;
    bool has_matrix_library;
};
void emulation_set_machine(struct emulation_machine machine);
struct emulation_machine emulation_present_machine(void);

#ifdef __cplusplus
}
#endif
#endif
