/* Memory and copies of the backends that compute on the CPU. */
#include "kernels/host_backend.h"

#include "kernels/host_memory.h"

#include <stdlib.h>
#include <string.h>

status host_backend_allocate(struct backend *backend, size_t bytes, void **memory)
{
    (void)backend;
    return host_memory_allocate(bytes, memory);
}

void host_backend_release(struct backend *backend, void *memory)
{
    (void)backend;
    free(memory);
}

status host_backend_memory_free(struct backend *backend, size_t *free_bytes, size_t *total_bytes)
{
    (void)backend;
    return host_memory_free(free_bytes, total_bytes);
}

status host_backend_copy(struct backend *backend, void *to, const void *from, size_t bytes)
{
    (void)backend;
    memmove(to, from, bytes);
    return status_ok();
}

status host_backend_clear(struct backend *backend, void *memory, size_t bytes)
{
    (void)backend;
    memset(memory, 0, bytes);
    return status_ok();
}

status host_backend_synchronize(struct backend *backend)
{
    (void)backend;
    return status_ok();
}
