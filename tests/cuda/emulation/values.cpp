#include "values.h"

#include <vector>

struct alignas(16) vector16 {
    uint32_t word[4];
};
struct bfloat16_format {
};
struct float16_format {
};
#include "emulation.h"
#include "kernels/cuda/library.h"
#include "recorder.h"

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
