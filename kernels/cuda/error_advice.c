/* What a person can do about an error of the CUDA runtime. */
#include "kernels/cuda/error_advice.h"

#include <stddef.h>

#define LOST                                                                                                           \
    "; this process can no longer use the GPU, restart it to go on; if it happens again, look for NVRM in dmesg"

static const struct {
    cudaError_t error;
    const char *advice;
} advices[] = {
    {cudaErrorMemoryAllocation, "; other programs have taken memory on this GPU since the run started"},
    {cudaErrorInsufficientDriver, "; install a newer NVIDIA driver (`alignprop doctor` says which)"},
    {cudaErrorUnsupportedPtxVersion, "; install a newer NVIDIA driver (`alignprop doctor` says which)"},
    {cudaErrorNoKernelImageForDevice,
     "; this build has code for " CUDA_ARCHITECTURES ": add this GPU to -Dgpu_architectures and build again"},
    {cudaErrorInvalidKernelImage,
     "; this build has code for " CUDA_ARCHITECTURES ": add this GPU to -Dgpu_architectures and build again"},
    {cudaErrorDevicesUnavailable, "; another process has exclusive use of this GPU"},
    {cudaErrorSystemNotReady, "; start the NVIDIA fabric manager (service nvidia-fabricmanager)"},
    {cudaErrorSystemDriverMismatch, "; the driver was updated while it was loaded: reboot"},
    {cudaErrorCompatNotSupportedOnDevice, "; remove the CUDA compatibility package or install a newer NVIDIA driver"},
    {cudaErrorECCUncorrectable, LOST},
    {cudaErrorNvlinkUncorrectable, LOST},
    {cudaErrorContained, LOST},
    {cudaErrorIllegalAddress, LOST},
    {cudaErrorLaunchTimeout, LOST},
    {cudaErrorHardwareStackError, LOST},
    {cudaErrorLaunchFailure, LOST},
    {cudaErrorUnknown, LOST},
};

const char *cuda_advice(cudaError_t error)
{
    for (size_t i = 0; i < sizeof advices / sizeof *advices; i++)
        if (advices[i].error == error) return advices[i].advice;
    return "";
}
