/* The emulation's controls where a real device takes its place: it has one order of threads, and its faults are found
 * by compute-sanitizer. */
#include "tests/cuda/emulation/control.h"

#include <stdlib.h>

static bool use_library = true;

void emulation_reverse(bool reversed)
{
    (void)reversed;
}

const char *emulation_fault(void)
{
    return NULL;
}

struct emulation_machine emulation_present_machine(void)
{
    return (struct emulation_machine){.has_matrix_library = use_library};
}

void emulation_set_machine(struct emulation_machine machine)
{
    use_library = machine.has_matrix_library;
    if (use_library)
        unsetenv("ALIGNPROP_CUBLASLT");
    else
        setenv("ALIGNPROP_CUBLASLT", "none", 1);
}
