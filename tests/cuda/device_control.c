/* The emulation's controls where a real device takes its place: it has one order of threads, and its faults are found
 * by compute-sanitizer. */
#include "tests/cuda/emulation/control.h"

#include <stdio.h>
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

/* What the environment names stays the library that is used, whenever one is. */
void emulation_set_machine(struct emulation_machine machine)
{
    static char named[4096];
    const char *present = getenv("ALIGNPROP_CUBLASLT");
    if (use_library && present) snprintf(named, sizeof named, "%s", present);
    use_library = machine.has_matrix_library;
    if (!use_library)
        setenv("ALIGNPROP_CUBLASLT", "none", 1);
    else if (named[0])
        setenv("ALIGNPROP_CUBLASLT", named, 1);
    else
        unsetenv("ALIGNPROP_CUBLASLT");
}
