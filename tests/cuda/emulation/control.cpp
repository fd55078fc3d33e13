/* What a test asks of the emulated device, and what it has counted. */
#include "block.h"
#include "recorder.h"

#include <cstdarg>
#include <cstdio>
#include <cstdlib>

namespace emulation
{
bool reversed_order = getenv("ALIGNPROP_EMULATION_REVERSED") != nullptr;
bool broken_warpgroups;
bool idle = getenv("ALIGNPROP_EMULATION_IDLE") != nullptr;
emulation_counters counters;

namespace
{
char fault_text[300];
bool fault_told = true;
} // namespace

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
} // namespace emulation

void emulation_reverse(bool reversed)
{
    emulation::reversed_order = reversed;
}

void emulation_break_warpgroups(bool broken)
{
    emulation::broken_warpgroups = broken;
}

bool emulation_is_idle(void)
{
    return emulation::idle;
}

struct emulation_counters emulation_count(void)
{
    return emulation::counters;
}

const char *emulation_fault(void)
{
    if (emulation::fault_told) return nullptr;
    emulation::fault_told = true;
    return emulation::fault_text;
}

void emulation_count_allocation(void)
{
    emulation::counters.allocations++;
}

void emulation_count_synchronization(void)
{
    emulation::counters.synchronizations++;
}

void emulation_count_queued(void)
{
    emulation::counters.queued++;
}

void emulation_count_replay(void)
{
    emulation::counters.replays++;
}
