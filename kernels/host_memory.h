/* Memory of this machine: what the backends that compute on the CPU allocate from. */
#ifndef ALIGNPROP_KERNELS_HOST_MEMORY_H
#define ALIGNPROP_KERNELS_HOST_MEMORY_H

#include <stddef.h>

#include "engine/base/status.h"

/* `bytes` of memory aligned to 256 bytes, released by free(). Contents are undefined. STATUS_NO_MEMORY names the
 * needed and the free bytes. */
status host_memory_allocate(size_t bytes, void **memory);

/* Bytes that this process may still take without swapping, and the machine's bytes (total may be NULL): the kernel's
 * estimate, or what the control group of this process leaves where that is less. */
status host_memory_free(size_t *free_bytes, size_t *total_bytes);

/* Bytes of memory that this process holds now, and the most that it has held since its start or the last
 * host_memory_forget_peak; 0 where the system does not say. */
size_t host_memory_resident(void);
size_t host_memory_peak(void);
/* Counts the peak anew from what is held now. Where the system has no such thing, the peak stays that of the start. */
void host_memory_forget_peak(void);

#endif
