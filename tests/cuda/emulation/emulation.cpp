#include <cuda_runtime.h>

#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <vector>

#include <sys/mman.h>
#include <ucontext.h>

#include "control.h"
#include "recorder.h"

struct alignas(16) vector16 {
    uint32_t word[4];
};
struct bfloat16_format {
};
struct float16_format {
};
#include "emulation.h"
enum swizzle { SWIZZLE_128 = 1, SWIZZLE_64 = 2 };
#include "emulated_warpgroup.h"

/* The kernels are compiled with the address sanitizer; this file is not, for speed. */
#ifdef WATCHED_BY_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

/* ---- fibers ---- */

namespace
{
/* Of a fiber; below it lies a page that nothing may touch. */
const size_t STACK_BYTES = 64 * 1024, GUARD_BYTES = 4096;
const int WARP = 32, WARPGROUP = 128;
/* Of a block, on every device of compute capability 8.0 and later; on one of 9.0. */
const size_t SHARED_EVERYWHERE = 99 * 1024, SHARED_WITH_WARPGROUPS = 227 * 1024;

struct context {
    ucontext_t state;
    void *fake_stack;
    void *stack;
};

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

enum wait_kind { RUNS, AT_BARRIER, IN_COLLECTIVE, ENDED };

struct copy {
    char *to;
    size_t bytes;
    vector16 value;
};

struct fiber {
    context self;
    void *saved_stack;
    wait_kind waits;
    long generation; /* of the barrier or collective that it waits for */
    std::vector<copy> open;
    std::vector<std::vector<copy>> groups;
    /* Of its warpgroup: products open, committed and begun; and up to which write it has ordered its own before them.
     */
    std::vector<emulation::warpgroup_product> open_products;
    std::vector<std::vector<emulation::warpgroup_product>> product_groups;
    bool products_begun;
    long products_issued, ordered_writes;
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

/* Who touched two bytes of shared memory since the last barrier. */
struct shadow {
    long epoch, write_warp_epoch, read_warp_epoch;
    int writer, reader; /* thread, or -1: none, -2: several threads of reader_warp, -3: of several warps */
    int reader_warp;
};
const size_t GRAIN = 2;

/* The last write to two bytes, counted over the block. */
struct last_write {
    long number;
    int thread;
};

struct block {
    std::vector<fiber> fibers;
    std::vector<warp> warps;
    std::unique_ptr<char[]> shared_storage;
    char *shared;
    size_t shared_bytes;
    std::vector<std::vector<std::pair<uint64_t, uint64_t>>> warpgroup_products; /* descriptors in order of issue */
    int alive, arrived;
    long generation;  /* number of the last barrier */
    long first_write; /* number of the last write before the block */
    const std::function<void()> *body;
    emulation::indices base;
};

block *running;
/* Of the shared memory of all blocks, one after another: their barriers and writes are counted on, so what a block
 * finds here of an earlier one is older than all its own. */
std::vector<shadow> shadows;
std::vector<last_write> writes;
long barrier_count = 1, write_count;
context scheduler;
const void *scheduler_stack;
size_t scheduler_stack_bytes;
bool reversed_order = getenv("ALIGNPROP_EMULATION_REVERSED") != nullptr;
bool broken_warpgroups;
struct emulation_counters counters;
char fault_text[300];
bool fault_told = true;

void fault(const char *format, ...) __attribute__((format(printf, 1, 2)));
void fault(const char *format, ...)
{
    counters.faults++;
    if (!fault_told) return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(fault_text, sizeof fault_text, format, arguments);
    va_end(arguments);
    fault_told = false;
}

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

fiber &own_fiber()
{
    return running->fibers[(size_t)emulation::current.thread];
}
warp &own_warp()
{
    return running->warps[(size_t)emulation::current.thread / WARP];
}

void switch_to_scheduler(bool ends)
{
    fiber &own = own_fiber();
    int thread = emulation::current.thread;
    before_switch(own.self, scheduler_stack, scheduler_stack_bytes, ends);
#ifdef OWN_SWITCH
    emulation_switch_stacks(&own.saved_stack, scheduler.stack);
#else
    swapcontext(&own.self.state, &scheduler.state);
#endif
    after_switch(own.self, nullptr, nullptr);
    emulation::current.thread = thread;
}

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
    if (!own.open.empty() || !own.groups.empty())
        fault("thread %d ends with copies under way", emulation::current.thread);
    if (!own.open_products.empty() || !own.product_groups.empty())
        fault("thread %d ends with a warpgroup's products under way", emulation::current.thread);
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
    emulation::current.thread = thread;
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

void run_block(emulation::indices base, int threads, size_t shared_bytes, const std::function<void()> &body)
{
    block block;
    block.fibers.resize((size_t)threads);
    block.warps.resize((size_t)(threads + WARP - 1) / WARP);
    for (warp &warp : block.warps) warp = {};
    block.shared_storage.reset(new char[shared_bytes + 16]);
    memset(block.shared_storage.get(), 0xff, shared_bytes + 16);
    /* Exactly shared_bytes from a 16-byte boundary to the end of the allocation are not always possible; what is left
     * behind it is less than 16 bytes, and note_* checks the limit. */
    block.shared = (char *)(((uintptr_t)block.shared_storage.get() + 15) & ~(uintptr_t)15);
    block.shared_bytes = shared_bytes;
    if (shadows.size() <= shared_bytes / GRAIN) {
        shadows.resize(shared_bytes / GRAIN + 1, shadow{-1, 0, 0, -1, -1, -1});
        writes.resize(shared_bytes / GRAIN + 1, last_write{0, 0});
    }
    block.warpgroup_products.resize((size_t)(threads + WARPGROUP - 1) / WARPGROUP);
    block.alive = threads;
    block.arrived = 0;
    block.generation = ++barrier_count;
    block.first_write = write_count;
    block.body = &body;
    block.base = base;
    running = &block;
    emulation::current = base;
    for (int thread = 0; thread < threads; thread++) start_fiber(block.fibers[(size_t)thread], thread);
    counters.blocks++;
    if (!run_threads()) fault("%d threads of a block wait for each other for ever", block.alive);
    if (shared_bytes > SHARED_EVERYWHERE && block.warpgroup_products[0].empty())
        fault("a launch with %zu bytes of shared memory, more than every device has", shared_bytes);
    running = nullptr;
}

void run_grid(dim3 grid, int threads, size_t shared_bytes, const std::function<void()> &body)
{
    long blocks = (long)grid.x * grid.y * grid.z;
    for (long i = 0; i < blocks; i++) {
        long at = reversed_order ? blocks - 1 - i : i;
        emulation::indices base = {};
        base.block_threads = threads;
        base.block[0] = (int)(at % grid.x);
        base.block[1] = (int)(at / grid.x % grid.y);
        base.block[2] = (int)(at / grid.x / grid.y);
        base.grid_x = (int)grid.x;
        run_block(base, threads, shared_bytes, body);
    }
}

/* ---- collectives ---- */

enum collective { BARRIER = 1, EXCHANGE, ANY, LOAD, LOAD_TRANSPOSED, MULTIPLY_BFLOAT16, MULTIPLY_FLOAT16 };

void finish_exchange(exchange_slot &slot)
{
    for (int lane = 0; lane < WARP; lane++) {
        int from;
        memcpy(&from, slot.in[lane] + 4, 4);
        if (from < 0 || from >= WARP) {
            fault("a shuffle reads lane %d", from);
            from = lane;
        }
        memcpy(slot.out[lane], slot.in[from], 4);
    }
}

void finish_any(exchange_slot &slot)
{
    unsigned char any = 0;
    for (int lane = 0; lane < WARP; lane++) any |= slot.in[lane][0];
    for (int lane = 0; lane < WARP; lane++) slot.out[lane][0] = any;
}

void finish_load(exchange_slot &slot, bool transposed)
{
    for (int matrix = 0; matrix < 4; matrix++) {
        uint16_t element[8][8];
        for (int row = 0; row < 8; row++) memcpy(element[row], slot.in[8 * matrix + row], 16);
        for (int lane = 0; lane < WARP; lane++)
            for (int i = 0; i < 2; i++) {
                int outer = lane / 4, inner = 2 * (lane % 4) + i;
                uint16_t value = transposed ? element[inner][outer] : element[outer][inner];
                memcpy(slot.out[lane] + 4 * matrix + 2 * i, &value, 2);
            }
    }
}

void finish_multiply(exchange_slot &slot, bool brain)
{
    float a[16][16], b[16][8], c[16][8];
    for (int lane = 0; lane < WARP; lane++) {
        uint32_t word[6];
        float sums[4];
        memcpy(word, slot.in[lane], sizeof word);
        memcpy(sums, slot.in[lane] + sizeof word, sizeof sums);
        int group = lane / 4, pair = 2 * (lane % 4);
        for (int i = 0; i < 2; i++) {
            auto half = [&](int index) { return emulation::widen((uint16_t)(word[index] >> 16 * i), brain); };
            a[group][pair + i] = half(0);
            a[group + 8][pair + i] = half(1);
            a[group][pair + 8 + i] = half(2);
            a[group + 8][pair + 8 + i] = half(3);
            b[pair + i][group] = half(4);
            b[pair + 8 + i][group] = half(5);
            c[group][pair + i] = sums[i];
            c[group + 8][pair + i] = sums[2 + i];
        }
    }
    for (int row = 0; row < 16; row++)
        for (int column = 0; column < 8; column++)
            for (int k = 0; k < 16; k++) c[row][column] += a[row][k] * b[k][column];
    for (int lane = 0; lane < WARP; lane++) {
        int group = lane / 4, pair = 2 * (lane % 4);
        float sums[4] = {c[group][pair], c[group][pair + 1], c[group + 8][pair], c[group + 8][pair + 1]};
        memcpy(slot.out[lane], sums, sizeof sums);
    }
}

void finish(exchange_slot &slot)
{
    switch (slot.kind) {
    case BARRIER: break;
    case EXCHANGE: finish_exchange(slot); break;
    case ANY: finish_any(slot); break;
    case LOAD: finish_load(slot, false); break;
    case LOAD_TRANSPOSED: finish_load(slot, true); break;
    case MULTIPLY_BFLOAT16: finish_multiply(slot, true); break;
    case MULTIPLY_FLOAT16: finish_multiply(slot, false); break;
    }
}

/* Brings `in`, waits for the warp's other lanes, returns this lane's result. */
const unsigned char *collective(int kind, const void *in, size_t bytes)
{
    warp &warp = own_warp();
    exchange_slot &slot = warp.slot[warp.generation % 2];
    int lane = emulation::current.thread % WARP;
    int lanes = emulation::current.block_threads % WARP == 0 ? WARP : 0;
    if (lanes == 0) fault("a collective in a block of %d threads", emulation::current.block_threads);
    if (warp.arrived > 0 && slot.kind != kind) fault("lanes of a warp meet in different collectives");
    slot.kind = kind;
    memcpy(slot.in[lane], in, bytes);
    if (++warp.arrived == WARP) {
        finish(slot);
        warp.arrived = 0;
        warp.generation++;
        if (kind == BARRIER) warp.epoch++;
    } else {
        fiber &own = own_fiber();
        own.waits = IN_COLLECTIVE;
        own.generation = warp.generation;
        switch_to_scheduler(false);
    }
    return slot.out[lane];
}

/* ---- races ---- */

bool in_shared(const void *address, size_t bytes)
{
    const char *at = (const char *)address;
    if (at >= running->shared && at + bytes <= running->shared + running->shared_bytes) return true;
    fault("an access to shared memory at byte %ld of %zu", (long)(at - running->shared), running->shared_bytes);
    return false;
}

/* Whether an access of an earlier thread of the same warp is ordered before this one by a warp barrier. */
bool ordered(int other_warp, long other_epoch)
{
    return other_warp == emulation::current.thread / WARP && other_epoch < own_warp().epoch;
}

shadow &shadow_of(size_t grain)
{
    shadow &entry = shadows[grain];
    if (entry.epoch != running->generation) entry = shadow{running->generation, 0, 0, -1, -1, -1};
    return entry;
}

void race(const char *what, size_t grain, int other)
{
    fault("race at byte %zu of shared memory: thread %d of block (%d, %d, %d) %s thread %d", grain * GRAIN,
          emulation::current.thread, emulation::current.block[0], emulation::current.block[1],
          emulation::current.block[2], what, other);
}

/* The grains of an access that lies inside. */
struct grains {
    size_t first, last;
};
grains grains_of(const void *address, size_t bytes)
{
    size_t offset = (size_t)((const char *)address - running->shared);
    return {offset / GRAIN, (offset + bytes - 1) / GRAIN};
}
} // namespace

namespace emulation
{
indices current;

void launch(dim3 grid, int threads, size_t shared_bytes, cudaStream_t stream, std::function<void()> body)
{
    counters.launches++;
    if (grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.y > 65535 || grid.z > 65535 || threads < 1 ||
        threads > 1024 || shared_bytes > SHARED_WITH_WARPGROUPS) {
        fault("a launch of (%u, %u, %u) blocks, %d threads and %zu bytes of shared memory", grid.x, grid.y, grid.z,
              threads, shared_bytes);
        return;
    }
    recorder_queue(stream, [=] { run_grid(grid, threads, shared_bytes, body); });
}

char *shared_base()
{
    return running->shared;
}

bool note_read(const void *address, size_t bytes)
{
    if (!in_shared(address, bytes)) return false;
    int thread = current.thread, warp = thread / WARP;
    grains range = grains_of(address, bytes);
    for (size_t grain = range.first; grain <= range.last; grain++) {
        shadow &entry = shadow_of(grain);
        if (entry.writer >= 0 && entry.writer != thread && !ordered(entry.writer / WARP, entry.write_warp_epoch)) {
            race("reads what was written since the last barrier by", grain, entry.writer);
            return true;
        }
        if (entry.reader == -1) {
            entry.reader = thread;
            entry.reader_warp = warp;
        } else if (entry.reader != thread) {
            entry.reader = entry.reader_warp == warp && entry.reader != -3 ? -2 : -3;
        }
        entry.read_warp_epoch = own_warp().epoch;
    }
    return true;
}

bool note_write(const void *address, size_t bytes)
{
    if (!in_shared(address, bytes)) return false;
    int thread = current.thread;
    grains range = grains_of(address, bytes);
    for (size_t grain = range.first; grain <= range.last; grain++) {
        shadow &entry = shadow_of(grain);
        if (entry.writer >= 0 && entry.writer != thread && !ordered(entry.writer / WARP, entry.write_warp_epoch)) {
            race("writes what was written since the last barrier by", grain, entry.writer);
            return true;
        }
        bool others_read = entry.reader != -1 && entry.reader != thread;
        if (others_read && (entry.reader == -3 || !ordered(entry.reader_warp, entry.read_warp_epoch))) {
            race("writes what was read since the last barrier by", grain, entry.reader);
            return true;
        }
        entry.writer = thread;
        entry.write_warp_epoch = own_warp().epoch;
        writes[grain] = last_write{++write_count, thread};
    }
    return true;
}

void require_aligned(const void *address, size_t bytes)
{
    if ((uintptr_t)address % bytes != 0) fault("an access of %zu bytes off a boundary of its size", bytes);
}

void barrier()
{
    block &block = *running;
    size_t ended = block.fibers.size() - (size_t)block.alive;
    if (ended > 0) fault("a barrier after %zu threads have ended", ended);
    if (++block.arrived == block.alive) {
        block.arrived = 0;
        block.generation = ++barrier_count;
        return;
    }
    fiber &own = own_fiber();
    own.waits = AT_BARRIER;
    own.generation = block.generation;
    switch_to_scheduler(false);
}

void warp_barrier()
{
    char nothing = 0;
    collective(BARRIER, &nothing, 1);
}

float exchange(float value, int operand, bool xor_operand)
{
    int lane = current.thread % WARP, from = xor_operand ? lane ^ operand : operand;
    unsigned char in[8];
    memcpy(in, &value, 4);
    memcpy(in + 4, &from, 4);
    memcpy(&value, collective(EXCHANGE, in, sizeof in), 4);
    return value;
}

bool any(bool condition)
{
    unsigned char in = condition;
    return *collective(ANY, &in, 1) != 0;
}

/* The copy may land at any time from now to the wait: until then others must not touch the place, and it reads as
 * NaN. */
void start_copy(void *to, const void *from, size_t bytes, bool valid)
{
    copy copy = {(char *)to, bytes, {}};
    if ((uintptr_t)to % bytes != 0 || (uintptr_t)from % bytes != 0)
        fault("an asynchronous copy off a boundary of its size");
    if (valid) memcpy(&copy.value, from, bytes);
    if (!note_write(to, bytes)) return;
    memset(to, 0xff, bytes);
    own_fiber().open.push_back(copy);
}

void commit_copies()
{
    own_fiber().groups.push_back(std::move(own_fiber().open));
    own_fiber().open.clear();
}

void wait_copies(int groups)
{
    fiber &own = own_fiber();
    while ((int)own.groups.size() > groups) {
        for (const copy &copy : own.groups.front()) {
            note_write(copy.to, copy.bytes);
            memcpy(copy.to, &copy.value, copy.bytes);
        }
        own.groups.erase(own.groups.begin());
    }
}

void load_matrices(uint32_t registers[4], const uint16_t *row, bool transposed)
{
    unsigned char in[16] = {};
    if ((uintptr_t)row % 16 != 0) fault("a matrix row off a 16-byte boundary");
    if (note_read(row, 16)) memcpy(in, row, 16);
    memcpy(registers, collective(transposed ? LOAD_TRANSPOSED : LOAD, in, sizeof in), 16);
}

void multiply(float c[4], const uint32_t a[4], const uint32_t b[2], bool brain)
{
    unsigned char in[40];
    memcpy(in, a, 16);
    memcpy(in + 16, b, 8);
    memcpy(in + 24, c, 16);
    memcpy(c, collective(brain ? MULTIPLY_BFLOAT16 : MULTIPLY_FLOAT16, in, sizeof in), 16);
}

float exponential_of_two(float x)
{
    float result = exp2f(x);
    return result < 0x1p-126f ? 0.0f : result;
}

/* ---- products of a warpgroup ---- */

static const uint32_t SHARED_START = 1040; /* as if a kilobyte and sixteen bytes came before */
/* Bits of a descriptor's address that tell an operand inside a line (the depth that it begins at) from one whose lines
 * are not counted from a multiple of their group. */
static const uint64_t OFF_ALIGNMENT = 0x19;

uint32_t shared_address(const void *place)
{
    return SHARED_START + (uint32_t)((const char *)place - running->shared);
}

/* Where an operand's element lies. Lines of 128 (64) bytes; the 16-byte chunk's number within a line is changed by
 * three (two) bits of the line's number, which are bits of the address. */
static const uint16_t *operand_element(uint64_t descriptor, bool by_columns, int row, int depth)
{
    uint32_t start = (uint32_t)(descriptor & 0x3fff) << 4;
    uint32_t leading = (uint32_t)(descriptor >> 16 & 0x3fff) << 4, stride = (uint32_t)(descriptor >> 32 & 0x3fff) << 4;
    int swizzle = (int)(descriptor >> 62);
    if (swizzle != (by_columns ? SWIZZLE_64 : SWIZZLE_128)) fault("an operand with the other order of chunks");
    uint32_t address = by_columns ? start + (uint32_t)(row / 32) * leading + (uint32_t)(depth / 8) * stride +
                                        (uint32_t)(depth % 8 * 64 + row % 32 * 2)
                                  : start + (uint32_t)(row / 8) * stride + (uint32_t)(row % 8 * 128 + depth * 2);
    address ^= (address >> 7 & (by_columns ? 3u : 7u)) << 4;
    static const uint16_t nothing = 0;
    const char *element = running->shared + ((long)address - (long)SHARED_START);
    return in_shared(element, sizeof nothing) ? (const uint16_t *)element : &nothing;
}

/* What the products read must have been ordered before them by whoever wrote it: eight neighbours from here on. */
static void note_product_read(uint64_t descriptor, bool by_columns, int row, int depth)
{
    const uint16_t *element = operand_element(descriptor, by_columns, row, depth);
    if (!note_read(element, 16)) return;
    const last_write &write = writes[grains_of(element, 16).first];
    if (write.number > running->first_write && write.number > running->fibers[(size_t)write.thread].ordered_writes)
        fault("a warpgroup's product reads what thread %d wrote and did not order before it", write.thread);
}

void order_before_warpgroup()
{
    own_fiber().ordered_writes = write_count;
}

void warpgroup_begin()
{
    own_fiber().products_begun = true;
}

/* Where this thread's row of the operand a begins. */
static int first_product_row()
{
    return current.thread % WARPGROUP / WARP * 16 + current.thread % WARP / 4;
}

void warpgroup_multiply(const warpgroup_product &product)
{
    fiber &own = own_fiber();
    if (!own.products_begun) fault("a warpgroup's product without warpgroup_begin");
    if ((product.a | product.b) & OFF_ALIGNMENT) fault("a warpgroup's operand off its alignment of 512 bytes");
    if (current.block_threads % WARPGROUP != 0) fault("a warpgroup in a block of %d threads", current.block_threads);
    auto &issued = running->warpgroup_products[(size_t)current.thread / WARPGROUP];
    size_t number = (size_t)own.products_issued++;
    if (number == issued.size()) issued.push_back({product.a, product.b});
    if (number > issued.size() || issued[number] != std::make_pair(product.a, product.b))
        fault("threads of a warpgroup begin different products");
    for (int depth = 0; depth < 16; depth += 8)
        for (int half = 0; half < 2; half++) note_product_read(product.a, false, first_product_row() + 8 * half, depth);
    int row_step = product.b_by_columns ? 8 : 1, depth_step = product.b_by_columns ? 1 : 8;
    for (int row = 0; row < product.columns && current.thread % WARP == 0; row += row_step)
        for (int depth = 0; depth < 16; depth += depth_step)
            note_product_read(product.b, product.b_by_columns, row, depth);
    own.open_products.push_back(product);
}

void warpgroup_commit()
{
    own_fiber().product_groups.push_back(std::move(own_fiber().open_products));
    own_fiber().open_products.clear();
}

/* As late as can be: with what lies in shared memory when the thread waits. */
static void carry_out(const warpgroup_product &product)
{
    float a[2][16];
    int first_column = 2 * (current.thread % 4);
    auto value = [&](uint64_t descriptor, bool by_columns, int row, int depth) {
        return widen(*operand_element(descriptor, by_columns, row, depth), product.brain);
    };
    for (int half = 0; half < 2; half++)
        for (int depth = 0; depth < 16; depth++)
            a[half][depth] = value(product.a, false, first_product_row() + 8 * half, depth);
    for (int i = 0; i < product.columns / 4; i++) {
        int column = first_column + i / 2 * 8 + i % 2;
        for (int depth = 0; depth < 16; depth++) {
            float b = value(product.b, product.b_by_columns, column, depth);
            for (int half = 0; half < 2 && !broken_warpgroups; half++)
                product.sum[i / 2 * 4 + 2 * half + i % 2] += a[half][depth] * b;
        }
    }
}

void warpgroup_wait(int groups)
{
    fiber &own = own_fiber();
    own.products_begun = false;
    while ((int)own.product_groups.size() > groups) {
        for (const warpgroup_product &product : own.product_groups.front()) carry_out(product);
        own.product_groups.erase(own.product_groups.begin());
    }
}

static float from_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

float widen(uint16_t bits, bool brain)
{
    if (brain) return from_bits((uint32_t)bits << 16);
    uint32_t sign = (uint32_t)(bits & 0x8000u) << 16, exponent = bits >> 10 & 31u, fraction = bits & 1023u;
    if (exponent == 31) return from_bits(sign | 0x7f800000u | fraction << 13);
    if (exponent == 0) return (sign ? -1.0f : 1.0f) * (float)fraction * 0x1p-24f;
    return from_bits(sign | (exponent + 112) << 23 | fraction << 13);
}

/* Rounds to nearest, ties to even. */
uint16_t narrow(float value, bool brain)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (value != value) return brain ? 0x7fff : 0x7fff;
    if (brain) return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
    uint16_t sign = (uint16_t)(bits >> 16 & 0x8000u);
    float magnitude = from_bits(bits & 0x7fffffffu);
    if (magnitude >= 65520.0f) return (uint16_t)(sign | 0x7c00u);
    if (magnitude < 0x1p-14f) return (uint16_t)(sign | (uint16_t)__builtin_nearbyintf(magnitude * 0x1p24f));
    bits &= 0x7fffffffu;
    bits += 0xfffu + (bits >> 13 & 1u);
    return (uint16_t)(sign | ((bits - 0x38000000u) >> 13));
}
} // namespace emulation

void emulation_reverse(bool reversed)
{
    reversed_order = reversed;
}

void emulation_break_warpgroups(bool broken)
{
    broken_warpgroups = broken;
}

struct emulation_counters emulation_count(void)
{
    return counters;
}

const char *emulation_fault(void)
{
    if (fault_told) return nullptr;
    fault_told = true;
    return fault_text;
}

void emulation_count_allocation(void)
{
    counters.allocations++;
}

void emulation_count_synchronization(void)
{
    counters.synchronizations++;
}

void emulation_count_queued(void)
{
    counters.queued++;
}

void emulation_count_replay(void)
{
    counters.replays++;
}
