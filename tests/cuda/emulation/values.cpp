/* The 16-bit element types of the emulated device, rounded as the hardware does. */
#include "values.h"

#include <cmath>
#include <cstring>
#include <vector>

#include "device_types.h"
#include "emulation.h"
#include "kernels/cuda/library.h"
#include "recorder.h"

namespace emulation
{
float exponential_of_two(float x)
{
    float result = exp2f(x);
    return result < 0x1p-126f ? 0.0f : result;
}

static float from_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

float widen(uint16_t bits, bool brain)
{
    if (brain) return from_bits((uint32_t)bits << 16);
    uint32_t sign = (uint32_t)(bits & 0x8000u) << 16, exponent = bits >> 10 & 31u, fraction = bits & 1023u;
    if (exponent == 31) return from_bits(sign | 0x7f800000u | fraction << 13);
    if (exponent == 0) return (sign ? -1.0f : 1.0f) * (float)fraction * 0x1p-24f;
    return from_bits(sign | (exponent + 112) << 23 | fraction << 13);
}

/* Rounds to nearest, ties to even. */
uint16_t narrow(float value, bool brain)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (value != value) return 0x7fff;
    if (brain) return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
    uint16_t sign = (uint16_t)(bits >> 16 & 0x8000u);
    float magnitude = from_bits(bits & 0x7fffffffu);
    if (magnitude >= 65520.0f) return (uint16_t)(sign | 0x7c00u);
    if (magnitude < 0x1p-14f) return (uint16_t)(sign | (uint16_t)__builtin_nearbyintf(magnitude * 0x1p24f));
    bits &= 0x7fffffffu;
    bits += 0xfffu + (bits >> 13 & 1u);
    return (uint16_t)(sign | ((bits - 0x38000000u) >> 13));
}
} // namespace emulation

double value_load(int type, const void *data, int64_t index)
{
    if (type == LT_REAL_32F) return static_cast<const float *>(data)[index];
    return emulation::widen(static_cast<const uint16_t *>(data)[index], type == LT_REAL_16BF);
}

void value_store(int type, void *data, int64_t index, double value)
{
    if (type == LT_REAL_32F)
        static_cast<float *>(data)[index] = (float)value;
    else
        static_cast<uint16_t *>(data)[index] = emulation::narrow((float)value, type == LT_REAL_16BF);
}

void emulation_queue(cudaStream_t stream, void (*work)(void *context), const void *context, size_t bytes)
{
    const char *from = static_cast<const char *>(context);
    std::vector<char> copy(from, from + bytes);
    recorder_queue(stream, [=]() mutable { work(copy.data()); });
}
