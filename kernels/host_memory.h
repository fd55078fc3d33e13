/* Memory of this machine: what the backends that compute on the CPU allocate from. */
#ifndef ALIGNPROP_KERNELS_HOST_MEMORY_H
#define ALIGNPROP_KERNELS_HOST_MEMORY_H

#include <stddef.h>

#include "kernels/status.h"

/* `bytes` of memory aligned to 256 bytes, released by free(). Contents are undefined. STATUS_NO_MEMORY names the
 * needed and the free bytes. */
status host_memory_allocate(size_t bytes, void **memory);

/* Bytes that this process may still take without swapping, and all bytes that it could have (total may be NULL): the
 * kernel's estimate for the machine, or what its control groups (a container's limit, versions 1 and 2) or its limits
 * on address space and data leave where that is less. The one answer to what is free: plans, commands and screens ask
 * here. */
status host_memory_free(size_t *free_bytes, size_t *total_bytes);
/* The same with the kernel's files below another folder than "/", for tests. */
status host_memory_free_below(const char *root, size_t *free_bytes, size_t *total_bytes);

/* Kept of a limit on address space or data for what no plan knows of: stacks of threads, code of kernels, a text
 * encoder before the arenas are there. */
#define HOST_MEMORY_UNPLANNED ((size_t)32 << 20)

/* STATUS_NO_MEMORY where a limit of the process leaves less than HOST_MEMORY_UNPLANNED: for asking before a library
 * that does not survive a failed allocation. Costs nothing without such a limit. */
status host_memory_check_room(void);

/* Before threads are made: where the address space of this process is limited, they shall not reserve any of it that
 * the plan does not know of. */
void host_memory_share_reserves(void);

/* Bytes of memory that this process holds now, and the most that it has held since its start or the last
 * host_memory_forget_peak; 0 where the system does not say. */
size_t host_memory_resident(void);
size_t host_memory_peak(void);
/* Counts the peak anew from what is held now. Where the system has no such thing, the peak stays that of the start. */
void host_memory_forget_peak(void);

#endif
