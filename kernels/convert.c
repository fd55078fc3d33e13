#include "kernels/convert.h"

#include <math.h>
#include <string.h>

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float float_of(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Exponent and mantissa moved to their place in fp32 are the number divided by 2^112 (the difference of the exponent
 * biases, 127 - 15); the product restores it, subnormals included. Infinity and NaN get the full exponent back. */
float float_from_half(uint16_t half)
{
    uint32_t shifted = (uint32_t)(half & 0x7FFFu) << 13;
    uint32_t magnitude = bits_of(float_of(shifted) * 0x1p112F);
    if (shifted >= 0x0F800000u) magnitude = shifted | 0x7F800000u;
    return float_of(magnitude | (uint32_t)(half & 0x8000u) << 16);
}

uint16_t half_from_float(float value)
{
    uint32_t bits = bits_of(value), sign = bits >> 16 & 0x8000u;
    float magnitude = fabsf(value);
    if (isnan(value)) return (uint16_t)(sign | 0x7E00u);
    if (magnitude >= 65520.0F) return (uint16_t)(sign | 0x7C00u); /* rounds to infinity */
    if (magnitude < 0x1p-14F) return (uint16_t)(sign | (uint32_t)lrintf(magnitude * 0x1p24F));
    uint32_t rounded = (bits & 0x7FFFFFFFu) + 0xFFFu + (bits >> 13 & 1u);
    return (uint16_t)(sign | ((rounded - (112u << 23)) >> 13));
}

float float_from_bfloat16(uint16_t bits)
{
    return float_of((uint32_t)bits << 16);
}

uint16_t bfloat16_from_float(float value)
{
    uint32_t bits = bits_of(value);
    if (isnan(value)) return (uint16_t)(bits >> 16 | 0x40u);
    return (uint16_t)((bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16);
}

void convert_from_double(enum element_type type, void *to, const double *from, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        switch (type) {
        case ELEMENT_F32: ((float *)to)[i] = (float)from[i]; break;
        case ELEMENT_F16: ((uint16_t *)to)[i] = half_from_float((float)from[i]); break;
        case ELEMENT_BF16: ((uint16_t *)to)[i] = bfloat16_from_float((float)from[i]); break;
        case ELEMENT_F64: ((double *)to)[i] = from[i]; break;
        case ELEMENT_I32: ((int32_t *)to)[i] = (int32_t)from[i]; break;
        }
    }
}

void convert_from_float(enum element_type type, void *to, const float *from, int64_t count)
{
    if (type == ELEMENT_F32) {
        memcpy(to, from, (size_t)count * sizeof(float));
        return;
    }
    for (int64_t i = 0; i < count; i++) {
        double value = from[i];
        convert_from_double(type, (char *)to + (size_t)i * element_size(type), &value, 1);
    }
}

void convert_to_double(enum element_type type, double *to, const void *from, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        switch (type) {
        case ELEMENT_F32: to[i] = ((const float *)from)[i]; break;
        case ELEMENT_F16: to[i] = float_from_half(((const uint16_t *)from)[i]); break;
        case ELEMENT_BF16: to[i] = float_from_bfloat16(((const uint16_t *)from)[i]); break;
        case ELEMENT_F64: to[i] = ((const double *)from)[i]; break;
        case ELEMENT_I32: to[i] = ((const int32_t *)from)[i]; break;
        }
    }
}

enum { BLOCK = 256 };

/* Halves by blocks, so that the compiler can vectorise the loop and the source need not be aligned. */
static void halves_to_float(enum element_type type, float *to, const unsigned char *from, int64_t count)
{
    uint16_t block[BLOCK];
    for (int64_t start = 0; start < count; start += BLOCK) {
        int64_t length = count - start < BLOCK ? count - start : BLOCK;
        memcpy(block, from + (size_t)start * sizeof block[0], (size_t)length * sizeof block[0]);
        if (type == ELEMENT_F16)
            for (int64_t i = 0; i < length; i++) to[start + i] = float_from_half(block[i]);
        else
            for (int64_t i = 0; i < length; i++) to[start + i] = float_from_bfloat16(block[i]);
    }
}

void convert_to_float(enum element_type type, float *to, const void *from, int64_t count)
{
    switch (type) {
    case ELEMENT_F32: memcpy(to, from, (size_t)count * sizeof(float)); break;
    case ELEMENT_F16:
    case ELEMENT_BF16: halves_to_float(type, to, from, count); break;
    case ELEMENT_F64:
        for (int64_t i = 0; i < count; i++) to[i] = (float)((const double *)from)[i];
        break;
    case ELEMENT_I32:
        for (int64_t i = 0; i < count; i++) to[i] = (float)((const int32_t *)from)[i];
        break;
    }
}
