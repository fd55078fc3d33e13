/* Stands in for the CUDA engine where the build machine had no nvcc. */
#include <stdio.h>
#include <string.h>

#include "kernels/backend.h"
#include "kernels/cuda/probe.h"

static const char reason[] = "this build has no CUDA support: nvcc (CUDA 12 or 13) was not found on the PATH when it "
                             "was configured, or it was configured with -Dcuda=disabled";

void cuda_probe(struct cuda_probe *probe)
{
    memset(probe, 0, sizeof *probe);
    probe->architectures = probe->driver_needed = "";
    snprintf(probe->missing, sizeof probe->missing, "%s", reason);
}

status backend_cuda_create(int ordinal, enum cuda_precision precision, struct backend **backend)
{
    (void)ordinal, (void)precision;
    *backend = NULL;
    return status_error(STATUS_FAILED, "%s", reason);
}
