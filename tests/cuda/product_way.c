/* Opens a backend on an emulated device that multiplies in the way asked for. */
#include "tests/cuda/product_way.h"

#include <stdlib.h>

#include "tests/cuda/emulation/control.h"
#include "tests/unit/kernels/operands.h"

enum { MANY_MULTIPROCESSORS = 132 };

const char *product_way_name(enum product_way way)
{
    static const char *const names[] = {[BY_LIBRARY] = "cuBLASLt",
                                        [BY_WARPGROUPS] = "warpgroups",
                                        [BY_DIVIDED_WARPGROUPS] = "divided warpgroups",
                                        [BY_WARPS] = "warps",
                                        [FOR_MANY_MULTIPROCESSORS] = "132 multiprocessors"};
    return names[way];
}

/* The library is looked for when the first product is prepared. */
static status prepare_a_product(struct backend *backend)
{
    struct operation product = {.kind = OPERATION_LINEAR,
                                .input_count = 2,
                                .input = {S2(8, 8), W2(8, 8)},
                                .output_count = 1,
                                .output = {S2(8, 8)}};
    struct kernel *kernel;
    struct kernel_requirements requirements;
    product.input[0].type = product.input[1].type = product.output[0].type = backend->interface->compute_type;
    TRY(backend->interface->prepare(backend, &product, &kernel, &requirements));
    backend->interface->discard(backend, kernel);
    return status_ok();
}

status product_way_open(enum product_way way, enum cuda_precision precision, struct backend **backend)
{
    struct emulation_machine machine = emulation_present_machine();
    machine.has_matrix_library = way == BY_LIBRARY;
    machine.multiprocessors = way == FOR_MANY_MULTIPROCESSORS ? MANY_MULTIPROCESSORS : 0;
    emulation_set_machine(machine);
    const char *warpgroups = way == BY_WARPS ? "off" : way == BY_DIVIDED_WARPGROUPS ? "divided" : "";
    if (setenv("ALIGNPROP_WARPGROUPS", warpgroups, 1) != 0)
        return status_error(STATUS_FAILED, "the environment cannot be changed");
    TRY(backend_cuda_create(0, precision, backend));
    status prepared = prepare_a_product(*backend);
    if (prepared.code != STATUS_OK) (*backend)->interface->destroy(*backend);
    return prepared;
}
