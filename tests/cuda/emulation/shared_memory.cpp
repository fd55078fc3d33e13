/* Shared memory: who may touch what when, and asynchronous copies into it. */
#include "block.h"

#include <cstring>

namespace emulation
{
namespace
{
/* Who touched two bytes of shared memory since the last barrier. */
struct shadow {
    long epoch, write_warp_epoch, read_warp_epoch;
    int writer, reader; /* thread, or -1: none, -2: several threads of reader_warp, -3: of several warps */
    int reader_warp;
};
const size_t GRAIN = 2;

/* Of the shared memory of all blocks, one after another: their barriers and writes are counted on, so what a block
 * finds here of an earlier one is older than all its own. */
std::vector<shadow> shadows;
std::vector<last_write> writes;
long barrier_count = 1, write_count;

/* Whether an access of an earlier thread of the same warp is ordered before this one by a warp barrier. */
bool ordered(int other_warp, long other_epoch)
{
    return other_warp == current_thread() / WARP && other_epoch < own_warp().epoch;
}

/* Whether another thread has written, and nothing orders that before what this thread does now. */
bool races_with_writer(const shadow &entry)
{
    return entry.writer >= 0 && entry.writer != current_thread() &&
           !ordered(entry.writer / WARP, entry.write_warp_epoch);
}

shadow &shadow_of(size_t grain)
{
    shadow &entry = shadows[grain];
    if (entry.epoch != running->ordered) entry = shadow{running->ordered, 0, 0, -1, -1, -1};
    return entry;
}

void race(const char *what, size_t grain, int other)
{
    fault("race at byte %zu of shared memory: thread %d of block (%d, %d, %d) %s thread %d", grain * GRAIN,
          current_thread(), (int)blockIdx.x, (int)blockIdx.y, (int)blockIdx.z, what, other);
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

void shared_memory_begin(block &block, size_t bytes)
{
    block.shared_storage.reset(new char[bytes + 16]);
    memset(block.shared_storage.get(), 0xff, bytes + 16);
    /* Exactly `bytes` from a 16-byte boundary to the end of the allocation are not always possible; what is left behind
     * it is less than 16 bytes, and in_shared checks the limit. */
    block.shared = (char *)(((uintptr_t)block.shared_storage.get() + 15) & ~(uintptr_t)15);
    block.shared_bytes = bytes;
    if (shadows.size() <= bytes / GRAIN) {
        shadows.resize(bytes / GRAIN + 1, shadow{-1, 0, 0, -1, -1, -1});
        writes.resize(bytes / GRAIN + 1, last_write{0, 0});
    }
    block.first_write = write_count;
    shared_memory_barrier(block);
}

void shared_memory_barrier(block &block)
{
    block.generation = block.ordered = ++barrier_count;
}

void shared_memory_ordered(block &block)
{
    block.ordered = ++barrier_count;
}

bool in_shared(const void *address, size_t bytes)
{
    const char *at = (const char *)address;
    if (at >= running->shared && at + bytes <= running->shared + running->shared_bytes) return true;
    fault("an access to shared memory at byte %ld of %zu", (long)(at - running->shared), running->shared_bytes);
    return false;
}

last_write last_write_to(const void *address)
{
    last_write write = writes[grains_of(address, 1).first];
    return write.number > running->first_write ? write : last_write{0, -1};
}

long write_number()
{
    return write_count;
}

char *shared_base()
{
    return running->shared;
}

bool note_read(const void *address, size_t bytes)
{
    if (!in_shared(address, bytes)) return false;
    int thread = current_thread(), warp = thread / WARP;
    grains range = grains_of(address, bytes);
    for (size_t grain = range.first; grain <= range.last; grain++) {
        shadow &entry = shadow_of(grain);
        if (races_with_writer(entry)) {
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
    int thread = current_thread();
    grains range = grains_of(address, bytes);
    for (size_t grain = range.first; grain <= range.last; grain++) {
        shadow &entry = shadow_of(grain);
        if (races_with_writer(entry)) {
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

/* As `kind`, from a place in the code; in front of what tells whether it may be touched. */
static void note_access(enum emulation_access kind, const void *code, const void *address, size_t bytes)
{
    if ((uintptr_t)address % bytes != 0) fault("an access of %zu bytes off a boundary of its size", bytes);
    if (traffic_is_measured) note_traffic(kind, code, address, bytes);
}

bool note_access_read(const void *address, size_t bytes)
{
    note_access(EMULATION_READ, __builtin_return_address(0), address, bytes);
    return note_read(address, bytes);
}

bool note_access_write(const void *address, size_t bytes)
{
    note_access(EMULATION_WRITE, __builtin_return_address(0), address, bytes);
    return note_write(address, bytes);
}

/* The copy may land at any time from now to the wait: until then others must not touch the place, and it reads as
 * NaN. */
void start_copy(void *to, const void *from, size_t bytes, bool valid)
{
    copy copy = {(char *)to, bytes, {}};
    if ((uintptr_t)to % bytes != 0 || (uintptr_t)from % bytes != 0)
        fault("an asynchronous copy off a boundary of its size");
    if (traffic_is_measured) {
        note_traffic(EMULATION_COPY, __builtin_return_address(0), to, bytes);
        traffic.copied_bytes += valid ? (long)bytes : 0;
    }
    if (valid) memcpy(&copy.value, from, bytes);
    if (!note_write(to, bytes)) return;
    memset(to, 0xff, bytes);
    own_fiber().open.push_back(copy);
}

void land(const copy &copy, int thread)
{
    grains range = grains_of(copy.to, copy.bytes);
    for (size_t grain = range.first; grain <= range.last; grain++) writes[grain] = last_write{++write_count, thread};
    memcpy(copy.to, &copy.value, copy.bytes);
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
} // namespace emulation
