/* Uploads and downloads of float and double arrays as the element type that a tensor has. */
#include "engine/graph/transfer.h"

#include "kernels/convert.h"

#include <stdlib.h>

typedef void converter(enum element_type type, void *to, const void *from, int64_t count);

static void from_float(enum element_type type, void *to, const void *from, int64_t count)
{
    convert_from_float(type, to, from, count);
}

static void from_double(enum element_type type, void *to, const void *from, int64_t count)
{
    convert_from_double(type, to, from, count);
}

static void to_float(enum element_type type, void *to, const void *from, int64_t count)
{
    convert_to_float(type, to, from, count);
}

static void to_double(enum element_type type, void *to, const void *from, int64_t count)
{
    convert_to_double(type, to, from, count);
}

static status staging(enum element_type type, int64_t count, void **memory, size_t *bytes)
{
    *bytes = (size_t)count * element_size(type);
    *memory = malloc(*bytes ? *bytes : 1);
    if (!*memory) return status_error(STATUS_NO_MEMORY, "no memory for a copy of %zu bytes", *bytes);
    return status_ok();
}

static status write_converted(struct backend *backend, enum element_type type, void *device, const void *values,
                              int64_t count, converter *convert)
{
    void *memory;
    size_t bytes;
    TRY(staging(type, count, &memory, &bytes));
    convert(type, memory, values, count);
    status result = backend->interface->upload(backend, device, memory, bytes);
    free(memory);
    return result;
}

static status read_converted(struct backend *backend, enum element_type type, const void *device, void *values,
                             int64_t count, converter *convert)
{
    void *memory;
    size_t bytes;
    TRY(staging(type, count, &memory, &bytes));
    status result = backend->interface->download(backend, memory, device, bytes);
    if (result.code == STATUS_OK) convert(type, values, memory, count);
    free(memory);
    return result;
}

status transfer_write(struct backend *backend, enum element_type type, void *device, const float *values, int64_t count)
{
    if (type == ELEMENT_F32) return backend->interface->upload(backend, device, values, (size_t)count * sizeof *values);
    return write_converted(backend, type, device, values, count, from_float);
}

status transfer_write_double(struct backend *backend, enum element_type type, void *device, const double *values,
                             int64_t count)
{
    return write_converted(backend, type, device, values, count, from_double);
}

status transfer_read(struct backend *backend, enum element_type type, const void *device, float *values, int64_t count)
{
    if (type == ELEMENT_F32)
        return backend->interface->download(backend, values, device, (size_t)count * sizeof *values);
    return read_converted(backend, type, device, values, count, to_float);
}

status transfer_read_double(struct backend *backend, enum element_type type, const void *device, double *values,
                            int64_t count)
{
    return read_converted(backend, type, device, values, count, to_double);
}
