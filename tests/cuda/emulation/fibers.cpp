/* Blocks of threads as fibers, one after another. */
#include "block.h"
#include "recorder.h"

#include <cstdlib>
#include <cstring>

#include <sys/mman.h>

/* The kernels are compiled with the address sanitizer; the emulation is not, for speed. */
#ifdef WATCHED_BY_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>

/* Since GCC 13 the sanitizer gives every stack a second one, to see the use of a local after its function's return. For
 * a fiber this is mapped, cleared and unmapped again for each thread of each block, which takes longer than all else.
 */
extern "C" __attribute__((visibility("default"))) const char *__asan_default_options()
{
    return "detect_stack_use_after_return=0";
}
#endif

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace emulation
{
block *running;

namespace
{
/* Of a fiber; below it lies a page that nothing may touch. */
const size_t STACK_BYTES = 64 * 1024, GUARD_BYTES = 4096;
/* Of a block, on every device of compute capability 8.0 and later; on one of 9.0. */
const size_t SHARED_EVERYWHERE = 99 * 1024, SHARED_WITH_WARPGROUPS = 227 * 1024;

context scheduler;
const void *scheduler_stack;
size_t scheduler_stack_bytes;

/* The sanitizer must be told of every change of stack. */
void before_switch([[maybe_unused]] context &from, [[maybe_unused]] const void *stack, [[maybe_unused]] size_t bytes,
                   [[maybe_unused]] bool ends)
{
#ifdef WATCHED_BY_ASAN
    __sanitizer_start_switch_fiber(ends ? nullptr : &from.fake_stack, stack, bytes);
#endif
}
void after_switch([[maybe_unused]] context &own, [[maybe_unused]] const void **stack, [[maybe_unused]] size_t *bytes)
{
#ifdef WATCHED_BY_ASAN
    __sanitizer_finish_switch_fiber(own.fake_stack, stack, bytes);
#endif
}

#if defined(__x86_64__)
/* swapcontext without its two system calls: pushes what the calling convention keeps, changes the stack, pops. */
extern "C" void emulation_switch_stacks(void **from, void *to);
asm(".text\n.globl emulation_switch_stacks\n.type emulation_switch_stacks,@function\nemulation_switch_stacks:\n"
    "push %rbp\npush %rbx\npush %r12\npush %r13\npush %r14\npush %r15\n"
    "mov %rsp, (%rdi)\nmov %rsi, %rsp\n"
    "pop %r15\npop %r14\npop %r13\npop %r12\npop %rbx\npop %rbp\nret\n"
    ".size emulation_switch_stacks, .-emulation_switch_stacks\n");
#define OWN_SWITCH 1
#endif

/* Stacks are kept from block to block. */
void *stack_of(int thread)
{
    static std::vector<void *> stacks;
    while ((int)stacks.size() <= thread) {
        void *memory = mmap(nullptr, GUARD_BYTES + STACK_BYTES, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (memory == MAP_FAILED || mprotect(memory, GUARD_BYTES, PROT_NONE) != 0) abort();
        stacks.push_back((char *)memory + GUARD_BYTES);
    }
    return stacks[(size_t)thread];
}
} // namespace

void switch_to_scheduler(bool ends)
{
    fiber &own = own_fiber();
    int thread = current_thread();
    before_switch(own.self, scheduler_stack, scheduler_stack_bytes, ends);
#ifdef OWN_SWITCH
    emulation_switch_stacks(&own.saved_stack, scheduler.stack);
#else
    swapcontext(&own.self.state, &scheduler.state);
#endif
    after_switch(own.self, nullptr, nullptr);
    threadIdx.x = (unsigned)thread;
}

namespace
{
void fiber_main()
{
    const void *stack;
    size_t bytes;
    own_fiber().self.fake_stack = nullptr;
    after_switch(own_fiber().self, &stack, &bytes);
    scheduler_stack = stack;
    scheduler_stack_bytes = bytes;
    (*running->body)();
    fiber &own = own_fiber();
    if (!own.open.empty() || !own.groups.empty()) fault("thread %d ends with copies under way", current_thread());
    if (!own.open_products.empty() || !own.product_groups.empty())
        fault("thread %d ends with a warpgroup's products under way", current_thread());
    if (!own.awaited) fault("thread %d does not await the earlier kernels", current_thread());
    own.waits = ENDED;
    running->alive--;
    switch_to_scheduler(true);
    abort();
}

void start_fiber(fiber &fiber, int thread)
{
    fiber.self.stack = stack_of(thread);
    fiber.self.fake_stack = nullptr;
    fiber.waits = RUNS;
#ifdef WATCHED_BY_ASAN
    __asan_unpoison_memory_region(fiber.self.stack, STACK_BYTES); /* what the last fiber left there */
#endif
#ifdef OWN_SWITCH
    uintptr_t top = ((uintptr_t)fiber.self.stack + STACK_BYTES) & ~(uintptr_t)15;
    void **frame = (void **)top - 8; /* six registers, the entry point, and a return address that is never used */
    memset(frame, 0, 8 * sizeof *frame);
    frame[6] = (void *)fiber_main;
    fiber.saved_stack = frame;
#else
    getcontext(&fiber.self.state);
    fiber.self.state.uc_stack.ss_sp = fiber.self.stack;
    fiber.self.state.uc_stack.ss_size = STACK_BYTES;
    fiber.self.state.uc_link = nullptr;
    makecontext(&fiber.self.state, fiber_main, 0);
#endif
}

void resume(fiber &fiber, int thread)
{
    threadIdx.x = (unsigned)thread;
    before_switch(scheduler, fiber.self.stack, STACK_BYTES, false);
#ifdef OWN_SWITCH
    emulation_switch_stacks(&scheduler.stack, fiber.saved_stack);
#else
    swapcontext(&scheduler.state, &fiber.self.state);
#endif
    after_switch(scheduler, nullptr, nullptr);
}

bool is_ready(const fiber &fiber, int thread)
{
    switch (fiber.waits) {
    case RUNS: return true;
    case AT_SHARED_BARRIER: return fiber.awaits->phase > fiber.phase;
    case AT_BARRIER: return running->generation != fiber.generation;
    case IN_COLLECTIVE: return running->warps[(size_t)thread / WARP].generation != fiber.generation;
    case ENDED: return false;
    }
    return false;
}

/* Runs every thread of a block to its end; false when they wait for each other for ever. */
bool run_threads()
{
    int threads = (int)running->fibers.size();
    while (running->alive > 0) {
        bool progress = false;
        for (int i = 0; i < threads; i++) {
            int thread = reversed_order ? threads - 1 - i : i;
            fiber &fiber = running->fibers[(size_t)thread];
            if (!is_ready(fiber, thread)) continue;
            fiber.waits = RUNS;
            progress = true;
            resume(fiber, thread);
        }
        if (!progress) return false;
    }
    return true;
}

void run_block(int threads, size_t shared_bytes, const std::function<void()> &body)
{
    block block;
    block.fibers.resize((size_t)threads);
    block.warps.resize((size_t)(threads + WARP - 1) / WARP);
    for (warp &warp : block.warps) warp = {};
    shared_memory_begin(block, shared_bytes);
    block.warpgroup_products.resize((size_t)(threads + WARPGROUP - 1) / WARPGROUP);
    block.alive = threads;
    block.arrived = 0;
    block.body = &body;
    running = &block;
    for (int thread = 0; thread < threads; thread++) start_fiber(block.fibers[(size_t)thread], thread);
    counters.blocks++;
    if (!run_threads()) fault("%d threads of a block wait for each other for ever", block.alive);
    if (traffic_is_measured) traffic_of_block_ends();
    bool multiplies = false;
    for (const auto &products : block.warpgroup_products) multiplies = multiplies || !products.empty();
    if (shared_bytes > SHARED_EVERYWHERE && !multiplies)
        fault("a launch with %zu bytes of shared memory, more than every device has", shared_bytes);
    running = nullptr;
}

void run_grid(dim3 grid, int threads, size_t shared_bytes, const std::function<void()> &body)
{
    long blocks = (long)grid.x * grid.y * grid.z;
    gridDim = grid;
    blockDim = dim3((unsigned)threads);
    for (long i = 0; i < blocks; i++) {
        long at = reversed_order ? blocks - 1 - i : i;
        blockIdx = {(unsigned)(at % grid.x), (unsigned)(at / grid.x % grid.y), (unsigned)(at / grid.x / grid.y)};
        run_block(threads, shared_bytes, body);
    }
}
} // namespace

void launch(dim3 grid, int threads, size_t shared_bytes, cudaStream_t stream, std::function<void()> body)
{
    counters.launches++;
    if (grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.y > 65535 || grid.z > 65535 || threads < 1 ||
        threads > 1024 || shared_bytes > SHARED_WITH_WARPGROUPS) {
        fault("a launch of (%u, %u, %u) blocks, %d threads and %zu bytes of shared memory", grid.x, grid.y, grid.z,
              threads, shared_bytes);
        return;
    }
    recorder_queue(stream, [=] {
        if (!idle) run_grid(grid, threads, shared_bytes, body);
    });
}

void await_earlier_kernels()
{
    own_fiber().awaited = true;
}
} // namespace emulation

void __syncthreads()
{
    using namespace emulation;
    emulation::block &block = *running;
    size_t ended = block.fibers.size() - (size_t)block.alive;
    if (ended > 0) fault("a barrier after %zu threads have ended", ended);
    if (++block.arrived == block.alive) {
        block.arrived = 0;
        shared_memory_barrier(block);
        return;
    }
    fiber &own = own_fiber();
    own.waits = AT_BARRIER;
    own.generation = block.generation;
    switch_to_scheduler(false);
}
