/* What this build and this machine offer for computing on a GPU, found at run time: nothing of CUDA need be installed.
 */
#ifndef ALIGNPROP_KERNELS_CUDA_PROBE_H
#define ALIGNPROP_KERNELS_CUDA_PROBE_H

#include <stdbool.h>
#include <stddef.h>

enum { MAXIMUM_CUDA_DEVICES = 16 };

struct cuda_device {
    char name[256];
    int major, minor; /* compute capability */
    int multiprocessors;
    size_t memory_bytes;
    bool usable; /* this build has code for it */
};

struct cuda_probe {
    bool built;                /* false: this build has no CUDA engine, and the rest is zero but for `missing` */
    const char *architectures; /* of the machine code in this build, such as "sm_80 sm_90a compute_90" */
    int runtime_version;       /* CUDA version of this build, 13000 for 13.0 */
    int driver_version;        /* CUDA version that the installed driver supports; 0: no driver */
    const char *driver_needed; /* the oldest driver that this build runs with, such as "580.65.06" */
    int device_count;
    struct cuda_device device[MAXIMUM_CUDA_DEVICES];
    bool matrix_library; /* cuBLASLt was found; own kernels take its place where it is not */
    char missing[400];   /* why nothing can run on a GPU, and what would help; empty when something can */
};

/* Whether code for `architectures` (as in struct cuda_probe) runs on a device of that compute capability. */
bool cuda_code_covers(const char *architectures, int major, int minor);

/* Whether a device multiplies by warpgroups and runs code that does: capability 9.0 and "sm_90a" among architectures.
 */
bool cuda_code_has_warpgroups(const char *architectures, int major, int minor);

/* Looks, changes nothing, never fails. */
void cuda_probe(struct cuda_probe *probe);

#endif
