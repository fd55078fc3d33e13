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
    long launches, blocks;
    long allocations; /* of device or page-locked memory, streams, events and executable graphs */
    long synchronizations;
    long queued;  /* what the host queued: a launch, copy or fill, or a whole graph */
    long replays; /* of graphs */
    long faults;  /* races, barriers that not all threads reach, collectives out of step */
};
struct emulation_counters emulation_count(void);
/* The first fault since the last call, or NULL; valid until the next fault. */
const char *emulation_fault(void);

/* Ways to reach shared memory: a thread's reads and writes, asynchronous copies, matrices for a warp's products. */
enum emulation_access { EMULATION_READ, EMULATION_WRITE, EMULATION_COPY, EMULATION_MATRICES, EMULATION_ACCESSES };
/* What went through shared memory. A wavefront serves each of the 32 banks of four bytes once; threads that want the
 * same four bytes share them. An access of a warp takes as many wavefronts as the bank most in demand has words to
 * give: among all 32 threads where each has four bytes or less, among 16 where it has eight, among 8 where it has 16.
 */
struct emulation_traffic {
    struct {
        long bytes, wavefronts, fewest; /* fewest: wavefronts if no two words were in one bank */
    } access[EMULATION_ACCESSES];
    long copied_bytes;  /* of device memory, that asynchronous copies read */
    long product_bytes; /* of operands that the products of warpgroups read */
    long blocks;
};
/* Counts from 0 from now on, or no longer: it slows the kernels down. */
void emulation_measure_traffic(bool measured);
struct emulation_traffic emulation_measured_traffic(void);

/* Pretends that the driver, the device or memory is missing: what the runtime answers from now on. */
struct emulation_machine {
    int driver_version; /* 0: no driver */
    int devices;
    int major, minor;
    size_t memory_bytes;
    bool has_matrix_library;
    int multiprocessors; /* 0: 4 */
};
/* Begins as CUDA 13.0's driver with one device of capability 9.0 and 1 GiB, or as the environment variable
 * ALIGNPROP_EMULATION_MACHINE says: driver_version,devices,major,minor,memory_bytes. */
void emulation_set_machine(struct emulation_machine machine);
struct emulation_machine emulation_present_machine(void);

/* From the `after`-th thing queued on (counted from now, 0: the next), everything that reaches the device fails with
 * `error` (a cudaError_t), as after a fault that loses the device; 0 mends it. The environment variable
 * ALIGNPROP_EMULATION_LOST=AFTER,ERROR does so from the program's start. */
void emulation_lose_device(long after, int error);
/* The products of warpgroups are wrong from now on, or no longer. */
void emulation_break_warpgroups(bool broken);
/* Whether the environment variable ALIGNPROP_EMULATION_IDLE is set: then kernels, products of matrices and what writes
 * to device memory do nothing, and what a run takes is the host's own time. */
bool emulation_is_idle(void);
/* Capture of a stream fails from now on, or no longer. */
void emulation_refuse_capture(bool refuse);

#ifdef __cplusplus
}
#endif
#endif
