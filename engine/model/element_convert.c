#include "engine/model/element_convert.h"

#include <string.h>

enum { BLOCK = 256 };

static float float_of_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint32_t bits_of_float(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* Exponent and mantissa moved to their place in fp32 are the number divided by 2^112 (the difference of the exponent
 * biases, 127 - 15); the product restores it, subnormals included. Infinity and NaN get the full exponent back. */
static inline float f16_to_f32(uint16_t half)
{
    uint32_t shifted = (uint32_t)(half & 0x7FFFu) << 13;
    uint32_t magnitude = bits_of_float(float_of_bits(shifted) * 0x1p112f);
    if (shifted >= 0x0F800000u) magnitude = shifted | 0x7F800000u;
    return float_of_bits(magnitude | ((uint32_t)(half & 0x8000u) << 16));
}

void convert_f16_to_f32(const void *halves, float *values, size_t count)
{
    const unsigned char *source = halves;
    uint16_t block[BLOCK];
    for (size_t start = 0; start < count; start += BLOCK) {
        size_t length = count - start < BLOCK ? count - start : BLOCK;
        memcpy(block, source + start * sizeof block[0], length * sizeof block[0]);
        for (size_t i = 0; i < length; i++) values[start + i] = f16_to_f32(block[i]);
    }
}

void convert_bf16_to_f32(const void *halves, float *values, size_t count)
{
    const unsigned char *source = halves;
    uint16_t block[BLOCK];
    for (size_t start = 0; start < count; start += BLOCK) {
        size_t length = count - start < BLOCK ? count - start : BLOCK;
        memcpy(block, source + start * sizeof block[0], length * sizeof block[0]);
        for (size_t i = 0; i < length; i++) values[start + i] = float_of_bits((uint32_t)block[i] << 16);
    }
}

uint16_t f32_to_f16(float value)
{
    uint32_t bits = bits_of_float(value);
    uint16_t sign = (uint16_t)((bits >> 16) & 0x8000u);
    uint32_t magnitude = bits & 0x7FFFFFFFu;
    if (magnitude > 0x7F800000u) return (uint16_t)(sign | 0x7E00u);
    if (magnitude >= 0x477FF000u) return (uint16_t)(sign | 0x7C00u);
    if (magnitude < 0x38800000u) {
        /* Adding 0.5 lets the fp32 adder round to the subnormals' step of 2^-24. */
        return (uint16_t)(sign | (bits_of_float(float_of_bits(magnitude) + 0.5f) - 0x3F000000u));
    }
    uint32_t rounded = magnitude + 0xFFFu + ((magnitude >> 13) & 1u);
    return (uint16_t)(sign | ((rounded - 0x38000000u) >> 13));
}
