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

float float_from_half(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
    uint32_t exponent = (half >> 10) & 0x1Fu, fraction = half & 0x3FFu;
    if (exponent == 0) {
        float magnitude = (float)fraction * 0x1p-24F; /* zero and subnormal numbers */
        return sign ? -magnitude : magnitude;
    }
    if (exponent == 31) return float_of(sign | 0x7F800000u | fraction << 13);
    return float_of(sign | (exponent + 112) << 23 | fraction << 13);
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

void convert_to_float(enum element_type type, float *to, const void *from, int64_t count)
{
    if (type == ELEMENT_F32) {
        memcpy(to, from, (size_t)count * sizeof(float));
        return;
    }
    for (int64_t i = 0; i < count; i++) {
        double value;
        convert_to_double(type, &value, (const char *)from + (size_t)i * element_size(type), 1);
        to[i] = (float)value;
    }
}
