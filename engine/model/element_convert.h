/* Conversion of half-precision numbers to fp32. */
#ifndef ALIGNPROP_MODEL_ELEMENT_CONVERT_H
#define ALIGNPROP_MODEL_ELEMENT_CONVERT_H

#include <stddef.h>
#include <stdint.h>

/* `halves` is `count` little-endian IEEE binary16 numbers, not necessarily aligned. Exact, NaN and subnormals too. */
void convert_f16_to_f32(const void *halves, float *values, size_t count);
/* The same from bfloat16. */
void convert_bf16_to_f32(const void *halves, float *values, size_t count);
/* Rounds to nearest even; beyond the range becomes infinity; NaN stays NaN. */
uint16_t f32_to_f16(float value);

#endif
