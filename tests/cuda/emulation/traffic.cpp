/* What kernels move through shared memory, and in how many wavefronts: the accesses of a warp's threads that are one
 * instruction are found again, which a fiber does not know of. */
#include "block.h"

#include <algorithm>
#include <deque>
#include <map>

namespace emulation
{
bool traffic_is_measured;
emulation_traffic traffic;

namespace
{
const int BANKS = 32, WORD = 4, PASS_BYTES = BANKS * WORD;

/* An instruction of a warp: from which byte on each lane reads or writes. */
struct warp_access {
    int lanes;
    bool takes_part[WARP];
    uint32_t offset[WARP];
};

/* A place in the code, as one warp comes by. Its n-th time is the n-th of every lane: so it is in loops that all lanes
 * go through alike, the last rounds left out by some. */
struct place {
    size_t bytes;
    emulation_access kind;
    long times[WARP], done; /* of each lane; of all */
    std::deque<warp_access> open;
};
std::map<std::pair<int, const void *>, place> places;

/* Lanes first .. first + count - 1: those whose words may be served together. */
void count_pass(const place &place, const warp_access &access, int first, int count)
{
    std::vector<uint32_t> words;
    for (int lane = first; lane < first + count; lane++)
        if (access.takes_part[lane])
            for (uint32_t at = access.offset[lane]; at < access.offset[lane] + place.bytes; at += WORD)
                words.push_back(at / WORD);
    std::sort(words.begin(), words.end());
    words.erase(std::unique(words.begin(), words.end()), words.end());
    long wanted[BANKS] = {};
    for (uint32_t word : words) wanted[word % BANKS]++;
    traffic.access[place.kind].wavefronts += *std::max_element(wanted, wanted + BANKS);
    traffic.access[place.kind].fewest += ((long)words.size() + BANKS - 1) / BANKS;
}

void count_access(const place &place, const warp_access &access)
{
    int at_once = place.bytes <= WORD ? WARP : PASS_BYTES / (int)place.bytes;
    for (int first = 0; first < WARP; first += at_once) count_pass(place, access, first, at_once);
}
} // namespace

void note_traffic(emulation_access kind, const void *code, const void *address, size_t bytes)
{
    int lane = current_thread() % WARP;
    place &place = places[{current_thread() / WARP, code}];
    place.kind = kind;
    place.bytes = bytes;
    traffic.access[kind].bytes += (long)bytes;
    size_t number = (size_t)(place.times[lane]++ - place.done);
    if (number == place.open.size()) place.open.push_back({});
    warp_access &access = place.open[number];
    access.takes_part[lane] = true;
    access.offset[lane] = (uint32_t)((const char *)address - running->shared);
    if (++access.lanes < WARP || number > 0) return;
    count_access(place, access);
    place.open.pop_front();
    place.done++;
}

void traffic_of_block_ends()
{
    for (const auto &entry : places)
        for (const warp_access &access : entry.second.open) count_access(entry.second, access);
    places.clear();
    traffic.blocks++;
}
} // namespace emulation

void emulation_measure_traffic(bool measured)
{
    emulation::traffic_is_measured = measured;
    if (measured) emulation::traffic = {};
}

struct emulation_traffic emulation_measured_traffic(void)
{
    return emulation::traffic;
}
