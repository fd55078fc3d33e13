/* Host numbers to device tensors and back, converting element types. */
#ifndef ALIGNPROP_GRAPH_TRANSFER_H
#define ALIGNPROP_GRAPH_TRANSFER_H

#include "kernels/backend.h"

/* Writes count values to device memory holding `type`. */
status transfer_write(struct backend *backend, enum element_type type, void *device, const float *values,
                      int64_t count);
status transfer_write_double(struct backend *backend, enum element_type type, void *device, const double *values,
                             int64_t count);
/* Reads count values of device memory holding `type`. */
status transfer_read(struct backend *backend, enum element_type type, const void *device, float *values, int64_t count);
status transfer_read_double(struct backend *backend, enum element_type type, const void *device, double *values,
                            int64_t count);

#endif
