/* What build and machine offer of CUDA. */
#include "kernels/cuda/probe.h"

#include <cuda_runtime.h>
#include <stdio.h>
#include <string.h>

#include "kernels/cuda/error_advice.h"
#include "kernels/cuda/library.h"

/* The oldest Linux driver of each CUDA major version (release notes of the CUDA toolkit, minor version
 * compatibility). */
static const char *driver_for(int runtime_version)
{
    return runtime_version >= 13000 ? "580.65.06" : "525.60.13";
}

/* Machine code runs on devices of its major version from its minor one on, with a suffix on exactly its own; PTX
 * ("compute_90") is compiled by the driver for that device and any later one. */
bool cuda_code_covers(const char *architectures, int major, int minor)
{
    for (const char *at = architectures; at && *at; at = strchr(at, ' ')) {
        int number = 0;
        char suffix = ' ';
        while (*at == ' ') at++;
        if (sscanf(at, "sm_%d%c", &number, &suffix) >= 1) {
            bool exactly = number == 10 * major + minor;
            if (exactly || (suffix == ' ' && number / 10 == major && number % 10 <= minor)) return true;
        } else if (sscanf(at, "compute_%d", &number) == 1 && number <= 10 * major + minor) {
            return true;
        }
    }
    return false;
}

bool cuda_code_has_warpgroups(const char *architectures, int major, int minor)
{
    return major == 9 && minor == 0 && strstr(architectures, "sm_90a") && !strstr(architectures, "sm_90 ");
}

static void describe_devices(struct cuda_probe *probe)
{
    for (int i = 0; i < probe->device_count; i++) {
        struct cudaDeviceProp properties;
        struct cuda_device *device = &probe->device[i];
        if (cudaGetDeviceProperties(&properties, i) != cudaSuccess) continue;
        snprintf(device->name, sizeof device->name, "%s", properties.name);
        device->major = properties.major;
        device->minor = properties.minor;
        device->multiprocessors = properties.multiProcessorCount;
        device->memory_bytes = properties.totalGlobalMem;
        device->usable =
            properties.major >= 8 && cuda_code_covers(probe->architectures, properties.major, properties.minor);
    }
}

static bool any_usable(const struct cuda_probe *probe)
{
    for (int i = 0; i < probe->device_count; i++)
        if (probe->device[i].usable) return true;
    return false;
}

static void say_what_is_missing(struct cuda_probe *probe, cudaError_t found)
{
    size_t bytes = sizeof probe->missing;
    int major = probe->runtime_version / 1000, minor = probe->runtime_version % 1000 / 10;
    if (probe->driver_version == 0)
        snprintf(probe->missing, bytes,
                 "no NVIDIA driver is installed; this build (CUDA %d.%d) needs driver %s or later", major, minor,
                 probe->driver_needed);
    else if (found == cudaErrorInsufficientDriver)
        snprintf(probe->missing, bytes,
                 "the NVIDIA driver supports CUDA %d.%d at most; this build (CUDA %d.%d) needs driver %s or later",
                 probe->driver_version / 1000, probe->driver_version % 1000 / 10, major, minor, probe->driver_needed);
    else if (found == cudaErrorNoDevice || (found == cudaSuccess && probe->device_count == 0))
        snprintf(probe->missing, bytes, "the NVIDIA driver found no GPU");
    else if (found != cudaSuccess)
        snprintf(probe->missing, bytes, "cannot query the NVIDIA driver: %s%s", cudaGetErrorString(found),
                 cuda_advice(found));
    else if (!any_usable(probe))
        snprintf(probe->missing, bytes,
                 "%s has compute capability %d.%d; this build needs 8.0 (Ampere) or later and has code for %s",
                 probe->device[0].name, probe->device[0].major, probe->device[0].minor, probe->architectures);
}

void cuda_probe(struct cuda_probe *probe)
{
    memset(probe, 0, sizeof *probe);
    probe->built = true;
    probe->architectures = CUDA_ARCHITECTURES;
    probe->runtime_version = CUDART_VERSION;
    probe->driver_needed = driver_for(CUDART_VERSION);
    if (cudaDriverGetVersion(&probe->driver_version) != cudaSuccess) probe->driver_version = 0;
    cudaError_t found = cudaGetDeviceCount(&probe->device_count);
    if (found != cudaSuccess) probe->device_count = 0;
    if (probe->device_count > MAXIMUM_CUDA_DEVICES) probe->device_count = MAXIMUM_CUDA_DEVICES;
    (void)cudaGetLastError();
    describe_devices(probe);
    say_what_is_missing(probe, found);
    probe->matrix_library = matrix_library_present();
}
