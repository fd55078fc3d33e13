#include "kernels/cuda/trouble.h"

#include <stddef.h>

#define LOST                                                                                                           \
    "; the GPU is lost to this program, a new one can go on: if that happens again, the driver's log (dmesg, lines "   \
    "with NVRM) says why"

static const struct {
    cudaError_t error;
    const char *advice;
} advices[] = {
    {cudaErrorMemoryAllocation, "; other programs have taken memory of this GPU since the start"},
    {cudaErrorInsufficientDriver, "; install a newer NVIDIA driver (`alignprop doctor` names it)"},
    {cudaErrorUnsupportedPtxVersion, "; install a newer NVIDIA driver (`alignprop doctor` names it)"},
    {cudaErrorNoKernelImageForDevice,
     "; this build holds code for " CUDA_ARCHITECTURES ": configure it with this GPU's -Dgpu_architectures"},
    {cudaErrorInvalidKernelImage,
     "; this build holds code for " CUDA_ARCHITECTURES ": configure it with this GPU's -Dgpu_architectures"},
    {cudaErrorDevicesUnavailable, "; another program holds this GPU for itself"},
    {cudaErrorSystemNotReady, "; start the NVIDIA fabric manager (service nvidia-fabricmanager)"},
    {cudaErrorSystemDriverMismatch, "; the driver was replaced while it was loaded: restart the machine"},
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
