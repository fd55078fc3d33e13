/* What every backend that computes on the CPU does alike: its memory is this machine's, so uploads and downloads are
 * plain copies, and nothing is ever under way. For a table of struct backend_interface, whose comments say what each
 * does. */
#ifndef ALIGNPROP_KERNELS_HOST_BACKEND_H
#define ALIGNPROP_KERNELS_HOST_BACKEND_H

#include "kernels/backend.h"

status host_backend_allocate(struct backend *backend, size_t bytes, void **memory);
void host_backend_release(struct backend *backend, void *memory);
status host_backend_memory_free(struct backend *backend, size_t *free_bytes, size_t *total_bytes);
status host_backend_copy(struct backend *backend, void *to, const void *from, size_t bytes);
status host_backend_clear(struct backend *backend, void *memory, size_t bytes);
status host_backend_synchronize(struct backend *backend);

#endif
