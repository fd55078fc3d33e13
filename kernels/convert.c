/* Conversions between fp32, fp16 and bf16. */
#include "kernels/convert.h"

#include <stdbool.h>
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

/* The four conversions of one number, here where every loop below can take them in. They choose between results by
 * masks: a branch around arithmetic of floating type would keep the compiler from vectorising the loops. */

static int32_t mask_if(bool condition)
{
    return -(int32_t)condition;
}

/* Exponent and mantissa moved to their place in fp32 are the number divided by 2^112 (the difference of the exponent
 * biases, 127 - 15); the product restores it, subnormals included. Infinity and NaN get the full exponent back. */
static inline float widened_half(uint16_t half)
{
    int32_t shifted = (half & 0x7FFF) << 13;
    uint32_t magnitude = bits_of(float_of((uint32_t)shifted) * 0x1p112F);
    uint32_t exponent = (uint32_t)mask_if(shifted >= 0x0F800000) & 0x7F800000u;
    return float_of(magnitude | exponent | (uint32_t)(half & 0x8000u) << 16);
}

/* Beside 1/2, a number has 24 bits behind the point, as many as the subnormal halves: the sum rounds it to them. */
static inline uint16_t rounded_to_half(float value)
{
    const int32_t largest = 0x477FF000 /* 65520 */, smallest = 0x38800000 /* 2^-14 */, infinity = 0x7F800000;
    uint32_t bits = bits_of(value);
    int32_t magnitude = (int32_t)(bits & 0x7FFFFFFFu);
    int32_t subnormal = (int32_t)(bits_of(float_of((uint32_t)magnitude) + 0.5F) - bits_of(0.5F));
    int32_t normal = (magnitude + 0xFFF + (magnitude >> 13 & 1) - (112 << 23)) >> 13;
    int32_t is_subnormal = mask_if(magnitude < smallest), is_infinite = mask_if(magnitude >= largest);
    int32_t rounded = (subnormal & is_subnormal) | (normal & ~is_subnormal);
    rounded = (0x7C00 & is_infinite) | (rounded & ~is_infinite) | (0x0200 & mask_if(magnitude > infinity));
    return (uint16_t)((bits >> 16 & 0x8000u) | (uint32_t)rounded);
}

static inline float widened_bfloat16(uint16_t bits)
{
    return float_of((uint32_t)bits << 16);
}

static inline uint16_t rounded_to_bfloat16(float value)
{
    uint32_t bits = bits_of(value), rounded = bits + 0x7FFFu + (bits >> 16 & 1u);
    uint32_t nan = (uint32_t)mask_if((int32_t)(bits & 0x7FFFFFFFu) > 0x7F800000);
    return (uint16_t)(((bits | 0x400000u) & nan) >> 16 | (rounded & ~nan) >> 16);
}

float float_from_half(uint16_t bits)
{
    return widened_half(bits);
}

uint16_t half_from_float(float value)
{
    return rounded_to_half(value);
}

float float_from_bfloat16(uint16_t bits)
{
    return widened_bfloat16(bits);
}

uint16_t bfloat16_from_float(float value)
{
    return rounded_to_bfloat16(value);
}

void convert_from_double(enum element_type type, void *to, const double *from, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        switch (type) {
        case ELEMENT_F32: ((float *)to)[i] = (float)from[i]; break;
        case ELEMENT_F16: ((uint16_t *)to)[i] = rounded_to_half((float)from[i]); break;
        case ELEMENT_BF16: ((uint16_t *)to)[i] = rounded_to_bfloat16((float)from[i]); break;
        case ELEMENT_F64: ((double *)to)[i] = from[i]; break;
        case ELEMENT_I32: ((int32_t *)to)[i] = (int32_t)from[i]; break;
        }
    }
}

enum { BLOCK = 256 };

/* By blocks, so that the compiler can vectorise the loop and the target need not be aligned. */
static void halves_from_float(enum element_type type, unsigned char *to, const float *from, int64_t count)
{
    uint16_t block[BLOCK];
    for (int64_t start = 0; start < count; start += BLOCK) {
        int64_t length = count - start < BLOCK ? count - start : BLOCK;
        if (type == ELEMENT_F16)
            for (int64_t i = 0; i < length; i++) block[i] = rounded_to_half(from[start + i]);
        else
            for (int64_t i = 0; i < length; i++) block[i] = rounded_to_bfloat16(from[start + i]);
        memcpy(to + (size_t)start * sizeof block[0], block, (size_t)length * sizeof block[0]);
    }
}

void convert_from_float(enum element_type type, void *to, const float *from, int64_t count)
{
    switch (type) {
    case ELEMENT_F32: memcpy(to, from, (size_t)count * sizeof(float)); break;
    case ELEMENT_F16:
    case ELEMENT_BF16: halves_from_float(type, to, from, count); break;
    case ELEMENT_F64:
        for (int64_t i = 0; i < count; i++) ((double *)to)[i] = from[i];
        break;
    case ELEMENT_I32:
        for (int64_t i = 0; i < count; i++) ((int32_t *)to)[i] = (int32_t)from[i];
        break;
    }
}

void convert_to_double(enum element_type type, double *to, const void *from, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        switch (type) {
        case ELEMENT_F32: to[i] = ((const float *)from)[i]; break;
        case ELEMENT_F16: to[i] = widened_half(((const uint16_t *)from)[i]); break;
        case ELEMENT_BF16: to[i] = widened_bfloat16(((const uint16_t *)from)[i]); break;
        case ELEMENT_F64: to[i] = ((const double *)from)[i]; break;
        case ELEMENT_I32: to[i] = ((const int32_t *)from)[i]; break;
        }
    }
}

/* As halves_from_float. */
static void halves_to_float(enum element_type type, float *to, const unsigned char *from, int64_t count)
{
    uint16_t block[BLOCK];
    for (int64_t start = 0; start < count; start += BLOCK) {
        int64_t length = count - start < BLOCK ? count - start : BLOCK;
        memcpy(block, from + (size_t)start * sizeof block[0], (size_t)length * sizeof block[0]);
        if (type == ELEMENT_F16)
            for (int64_t i = 0; i < length; i++) to[start + i] = widened_half(block[i]);
        else
            for (int64_t i = 0; i < length; i++) to[start + i] = widened_bfloat16(block[i]);
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

void convert_elements(enum element_type type, void *to, enum element_type from_type, const void *from, int64_t count)
{
    size_t size = element_size(type), from_size = element_size(from_type);
    float block[BLOCK]; /* stays in the first-level cache */
    if (type == from_type) {
        memcpy(to, from, (size_t)count * size);
        return;
    }
    for (int64_t start = 0; start < count; start += BLOCK) {
        int64_t length = count - start < BLOCK ? count - start : BLOCK;
        convert_to_float(from_type, block, (const char *)from + (size_t)start * from_size, length);
        convert_from_float(type, (char *)to + (size_t)start * size, block, length);
    }
}

/* Magnitudes above the largest finite one are infinities and what is no number. Whole blocks are asked first, in loops
 * that the compiler vectorises. */

static bool block_is_finite_16(const uint16_t *values, int64_t count, int16_t largest)
{
    int16_t found = 0;
    for (int64_t i = 0; i < count; i++) found |= (int16_t)(0 - ((int16_t)(values[i] & 0x7FFF) > largest));
    return found == 0;
}

static bool block_is_finite_32(const uint32_t *values, int64_t count, int32_t largest)
{
    int32_t found = 0;
    for (int64_t i = 0; i < count; i++) found |= mask_if((int32_t)(values[i] & 0x7FFFFFFFu) > largest);
    return found == 0;
}

static bool block_is_finite_64(const uint64_t *values, int64_t count, int64_t largest)
{
    bool found = false;
    for (int64_t i = 0; i < count; i++) found |= (int64_t)(values[i] & INT64_MAX) > largest;
    return !found;
}

static bool block_is_finite(enum element_type type, const void *values, int64_t count)
{
    switch (type) {
    case ELEMENT_F16: return block_is_finite_16(values, count, 0x7BFF);
    case ELEMENT_BF16: return block_is_finite_16(values, count, 0x7F7F);
    case ELEMENT_F32: return block_is_finite_32(values, count, 0x7F7FFFFF);
    case ELEMENT_F64: return block_is_finite_64(values, count, 0x7FEFFFFFFFFFFFFF);
    case ELEMENT_I32: break;
    }
    return true;
}

int64_t convert_find_not_finite(enum element_type type, const void *values, int64_t count)
{
    size_t size = element_size(type);
    uint64_t block[BLOCK]; /* aligned for every type */
    for (int64_t start = 0; start < count; start += BLOCK) {
        int64_t length = count - start < BLOCK ? count - start : BLOCK;
        memcpy(block, (const char *)values + (size_t)start * size, (size_t)length * size);
        if (block_is_finite(type, block, length)) continue;
        for (int64_t i = 0; i < length; i++)
            if (!block_is_finite(type, (const char *)block + (size_t)i * size, 1)) return start + i;
    }
    return -1;
}
