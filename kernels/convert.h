/* Conversion of element types on the host, round to nearest even. */
#ifndef ALIGNPROP_KERNELS_CONVERT_H
#define ALIGNPROP_KERNELS_CONVERT_H

#include "kernels/operations.h"

/* to[i] = from[i] in `type` for count values; ELEMENT_I32 truncates. */
void convert_from_double(enum element_type type, void *to, const double *from, int64_t count);
void convert_from_float(enum element_type type, void *to, const float *from, int64_t count);
/* to[i] = from[i], where from holds `type`. */
void convert_to_double(enum element_type type, double *to, const void *from, int64_t count);
void convert_to_float(enum element_type type, float *to, const void *from, int64_t count);
/* to[i] in `type` = from[i] in `from_type`, through fp32. `from` holds F32, F16 or BF16, at any alignment; or the two
 * types are the same. */
void convert_elements(enum element_type type, void *to, enum element_type from_type, const void *from, int64_t count);

/* The first of values[count], of `type`, that is an infinity or not a number; -1 where all are finite. */
int64_t convert_find_not_finite(enum element_type type, const void *values, int64_t count);

float float_from_half(uint16_t bits);
uint16_t half_from_float(float value);
float float_from_bfloat16(uint16_t bits);
uint16_t bfloat16_from_float(float value);

#endif
