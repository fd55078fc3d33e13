/* What the files of the emulation share: a block of threads while it runs. */
#ifndef ALIGNPROP_TESTS_CUDA_BLOCK_H
#define ALIGNPROP_TESTS_CUDA_BLOCK_H

#include <cuda_runtime.h>

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include <ucontext.h>

#include "control.h"
#include "device_types.h"
#include "emulation.h"

#include "emulated_warpgroup.h"

namespace emulation
{
const int WARP = 32, WARPGROUP = 128;

struct context {
    ucontext_t state;
    void *fake_stack;
    void *stack;
};

enum wait_kind { RUNS, AT_BARRIER, AT_SHARED_BARRIER, IN_COLLECTIVE, ENDED };

/* An asynchronous copy to shared memory. */
struct copy {
    char *to;
    size_t bytes;
    vector16 value;
};

struct fiber {
    context self;
    void *saved_stack;
    wait_kind waits;
    long generation;                     /* of the barrier or collective that it waits for */
    const struct shared_barrier *awaits; /* AT_SHARED_BARRIER: and the phase of it */
    int phase;
    std::vector<copy> open;                /* copies begun, */
    std::vector<std::vector<copy>> groups; /* and those committed together */
    /* Of its warpgroup: products open, committed and begun; and up to which write it has ordered its own before them.
     */
    std::vector<warpgroup_product> open_products;
    std::vector<std::vector<warpgroup_product>> product_groups;
    bool products_begun;
    long products_issued, ordered_writes;
    bool awaited; /* the earlier kernels' end */
};

/* What the lanes of a warp bring to a collective and take from it; two, because a fast lane may bring its next value
 * before a slow one has taken its last. */
struct exchange_slot {
    int kind;
    unsigned char in[WARP][48], out[WARP][16];
};

struct warp {
    int arrived;
    long generation, epoch; /* epoch: advanced by what orders memory within the warp */
    exchange_slot slot[2];
};

/* A barrier in shared memory, and the copies that arrive there, of the threads that started them: they land when the
 * phase ends, which is as late as they can. */
struct shared_barrier {
    int arrivals, missing;
    long phase; /* the present one */
    std::vector<std::pair<int, copy>> copies;
};

struct block {
    std::vector<fiber> fibers;
    std::vector<warp> warps;
    std::unique_ptr<char[]> shared_storage;
    char *shared;
    size_t shared_bytes;
    std::vector<std::vector<std::pair<uint64_t, uint64_t>>> warpgroup_products; /* descriptors in order of issue */
    int alive, arrived;
    long generation; /* number of the last barrier */
    long ordered;    /* number of what last ordered accesses to shared memory: that, or the end of a phase */
    std::map<const uint64_t *, shared_barrier> barriers;
    long first_write; /* number of the last write before the block */
    const std::function<void()> *body;
};

/* The block that runs, of which threadIdx is the thread; NULL: none. */
extern block *running;
inline int current_thread()
{
    return (int)threadIdx.x;
}
inline int block_threads()
{
    return (int)blockDim.x;
}
inline fiber &own_fiber()
{
    return running->fibers[(size_t)current_thread()];
}
inline warp &own_warp()
{
    return running->warps[(size_t)current_thread() / WARP];
}
/* Back to the scheduler, until what the thread waits for has come. */
void switch_to_scheduler(bool ends);

/* Gives a block its shared memory, full of NaN. */
void shared_memory_begin(block &block, size_t bytes);
/* The block's threads have met: what they do from here on comes after what they did before. */
void shared_memory_barrier(block &block);
/* Some of them have met: which accesses that orders is not followed, all count as ordered. */
void shared_memory_ordered(block &block);
/* A copy of a thread's comes to its place. */
void land(const copy &copy, int thread);
/* False, and a fault: not inside the block's shared memory. */
bool in_shared(const void *address, size_t bytes);
/* Reads or writes shared memory in a way that is checked, but no access of a thread's own. */
bool note_read(const void *address, size_t bytes);
bool note_write(const void *address, size_t bytes);
/* A write to shared memory, counted over all blocks; thread -1: none. */
struct last_write {
    long number;
    int thread;
};
/* This block's last write to the two bytes at `address`. */
last_write last_write_to(const void *address);
/* Number of the last write of all. */
long write_number();

/* What is moved while it is measured: an access of the thread's from a place in the code; what is left of a block that
 * has ended. */
extern bool traffic_is_measured;
extern emulation_traffic traffic;
void note_traffic(enum emulation_access kind, const void *code, const void *address, size_t bytes);
void traffic_of_block_ends();

/* Tells of a mistake of the kernel's; the first one's text is kept. */
void fault(const char *format, ...) __attribute__((format(printf, 1, 2)));
extern emulation_counters counters;
extern bool reversed_order, broken_warpgroups, idle;
} // namespace emulation

#endif
