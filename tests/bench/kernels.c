/* Speed of the CPU backend's kernels at model-like shapes, against what the processor's multiply-add units can do.
 *
 * usage: bench_kernels [threads [word]]   threads: 0 takes all; only rows whose text holds `word` run */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/backend.h"
#include "tests/bench/peak.h"
#include "tests/unit/kernels/operands.h"

#define ROW(text, kind_, attributes_, inputs, input_list, outputs, output_list)                                        \
    {                                                                                                                  \
        text,                                                                                                          \
        {                                                                                                              \
            .kind = OPERATION_##kind_, .attributes = attributes_, .input_count = inputs, .input = input_list,          \
            .output_count = outputs, .output = output_list                                                             \
        }                                                                                                              \
    }
#define PADDED .stride = 1, .padding_top = 1, .padding_left = 1, .padding_bottom = 1, .padding_right = 1
#define CONVOLUTION(text, batch, size, in, out)                                                                        \
    ROW("convolution 3x3 " text, CONVOLUTION, D(PADDED), 3, D(S4(batch, size, size, in), W4(out, in, 3, 3), S1(out)),  \
        1, D(S4(batch, size, size, out))),                                                                             \
        ROW("convolution 3x3 vjp " text, CONVOLUTION_VJP_INPUT, D(PADDED), 2,                                          \
            D(S4(batch, size, size, out), W4(out, in, 3, 3)), 1, D(S4(batch, size, size, in)))
#define LINEAR(text, rows, in, out)                                                                                    \
    ROW("linear " text, LINEAR, D(0), 3, D(S2(rows, in), W2(out, in), S1(out)), 1, D(S2(rows, out))),                  \
        ROW("linear vjp " text, LINEAR_VJP_INPUT, D(0), 2, D(S2(rows, out), W2(out, in)), 1, D(S2(rows, in)))
#define ADAPTER(text, rows, in, rank, out)                                                                             \
    ROW("adapter down " text, LINEAR, D(0), 2, D(S2(rows, in), S2(rank, in)), 1, D(S2(rows, rank))),                   \
        ROW("adapter up " text, LINEAR, D(0), 2, D(S2(rows, rank), S2(out, rank)), 1, D(S2(rows, out))),               \
        ROW("adapter down vjp " text, LINEAR_VJP_INPUT, D(0), 2, D(S2(rows, rank), S2(rank, in)), 1, D(S2(rows, in))), \
        ROW("adapter up vjp " text, LINEAR_VJP_INPUT, D(0), 2, D(S2(rows, out), S2(out, rank)), 1, D(S2(rows, rank))), \
        ROW("adapter down weight " text, LINEAR_VJP_WEIGHT, D(.accumulate = true), 2, D(S2(rows, rank), S2(rows, in)), \
            1, D(S2(rank, in))),                                                                                       \
        ROW("adapter up weight " text, LINEAR_VJP_WEIGHT, D(.accumulate = true), 2, D(S2(rows, out), S2(rows, rank)),  \
            1, D(S2(out, rank)))
#define ATTENTION(text, batch, queries, keys, heads_, width)                                                           \
    ROW("attention " text, ATTENTION, D(.heads = heads_, .alpha = 0.2), 3,                                             \
        D(S3(batch, queries, (heads_) * (width)), S3(batch, keys, (heads_) * (width)),                                 \
          S3(batch, keys, (heads_) * (width))),                                                                        \
        2, D(S3(batch, queries, (heads_) * (width)), S3(batch, heads_, queries))),                                     \
        ROW("attention vjp " text, ATTENTION_VJP, D(.heads = heads_, .alpha = 0.2), 6,                                 \
            D(S3(batch, queries, (heads_) * (width)), S3(batch, queries, (heads_) * (width)),                          \
              S3(batch, keys, (heads_) * (width)), S3(batch, keys, (heads_) * (width)),                                \
              S3(batch, queries, (heads_) * (width)), S3(batch, heads_, queries)),                                     \
            3,                                                                                                         \
            D(S3(batch, queries, (heads_) * (width)), S3(batch, keys, (heads_) * (width)),                             \
              S3(batch, keys, (heads_) * (width))))
#define GROUP_NORM(text, batch, size, channels, groups_)                                                               \
    ROW("group norm+silu " text, GROUP_NORM, D(.groups = groups_, .epsilon = 1e-5, .fused_silu = true), 3,             \
        D(S4(batch, size, size, channels), S1(channels), S1(channels)), 3,                                             \
        D(S4(batch, size, size, channels), S2(batch, groups_), S2(batch, groups_))),                                   \
        ROW("group norm+silu vjp " text, GROUP_NORM_VJP, D(.groups = groups_, .epsilon = 1e-5, .fused_silu = true), 6, \
            D(S4(batch, size, size, channels), S4(batch, size, size, channels), S1(channels), S1(channels),            \
              S2(batch, groups_), S2(batch, groups_)),                                                                 \
            1, D(S4(batch, size, size, channels)))

static const struct {
    const char *name;
    struct operation operation;
} rows[] = {
    CONVOLUTION("16x16 96>96 b16", 16, 16, 96, 96),
    CONVOLUTION("16x16 192>96 b16", 16, 16, 192, 96),
    CONVOLUTION("8x8 192>192 b16", 16, 8, 192, 192),
    CONVOLUTION("8x8 384>192 b16", 16, 8, 384, 192),
    CONVOLUTION("16x16 4>96 b16", 16, 16, 4, 96),
    CONVOLUTION("16x16 96>4 b16", 16, 16, 96, 4),
    CONVOLUTION("128x128 32>32 b8", 8, 128, 32, 32),
    CONVOLUTION("128x128 32>3 b8", 8, 128, 32, 3),
    CONVOLUTION("8x8 320>320 b2", 2, 8, 320, 320),
    CONVOLUTION("4x4 640>640 b2", 2, 4, 640, 640),
    CONVOLUTION("2x2 1280>1280 b2", 2, 2, 1280, 1280),
    CONVOLUTION("64x64 320>320 b2", 2, 64, 320, 320),
    ROW("convolution 8x8 stride 8, 1>64", CONVOLUTION, D(.stride = 8), 2, D(S4(8, 128, 128, 1), W4(64, 1, 8, 8)), 1,
        D(S4(8, 16, 16, 64))),
    LINEAR("4096x96>96", 4096, 96, 96),
    LINEAR("4096x96>768", 4096, 96, 768),
    LINEAR("4096x384>96", 4096, 384, 96),
    LINEAR("1024x192>1536", 1024, 192, 1536),
    LINEAR("16x384>192", 16, 384, 192),
    LINEAR("128x320>2560", 128, 320, 2560),
    LINEAR("128x1280>320", 128, 1280, 320),
    LINEAR("154x768>320", 154, 768, 320),
    LINEAR("8192x320>320", 8192, 320, 320),
    ADAPTER("4096x96 rank 4", 4096, 96, 4, 96),
    ADAPTER("128x320 rank 4", 128, 320, 4, 320),
    ATTENTION("16x256x256 4x12", 16, 256, 256, 4, 12),
    ATTENTION("16x256x32 4x12", 16, 256, 32, 4, 12),
    ATTENTION("16x64x64 4x24", 16, 64, 64, 4, 24),
    ATTENTION("16x64x32 4x24", 16, 64, 32, 4, 24),
    ATTENTION("16x256x256 3x32", 16, 256, 256, 3, 32),
    ATTENTION("16x256x16 3x32", 16, 256, 16, 3, 32),
    ATTENTION("16x64x64 6x32", 16, 64, 64, 6, 32),
    ATTENTION("2x64x64 8x40", 2, 64, 64, 8, 40),
    ATTENTION("2x64x77 8x40", 2, 64, 77, 8, 40),
    ATTENTION("1x4096x4096 8x40", 1, 4096, 4096, 8, 40),
    ATTENTION("1x1024x1024 8x80", 1, 1024, 1024, 8, 80),
    ATTENTION("2x256x256 8x160", 2, 256, 256, 8, 160),
    GROUP_NORM("16x16x96 b16", 16, 16, 96, 32),
    GROUP_NORM("8x8x192 b16", 16, 8, 192, 32),
    GROUP_NORM("8x8x320 b2", 2, 8, 320, 32),
    GROUP_NORM("128x128x32 b8", 8, 128, 32, 8),
    ROW("layer norm 4096x96", LAYER_NORM, D(.epsilon = 1e-5), 3, D(S2(4096, 96), S1(96), S1(96)), 3,
        D(S2(4096, 96), S1(4096), S1(4096))),
    ROW("layer norm vjp 4096x96", LAYER_NORM_VJP, D(.epsilon = 1e-5), 5,
        D(S2(4096, 96), S2(4096, 96), S1(96), S1(4096), S1(4096)), 1, D(S2(4096, 96))),
    ROW("geglu 4096x384", GEGLU, D(0), 1, D(S2(4096, 768)), 1, D(S2(4096, 384))),
    ROW("geglu vjp 4096x384", GEGLU_VJP, D(0), 2, D(S2(4096, 384), S2(4096, 768)), 1, D(S2(4096, 768))),
    ROW("silu 4096x96", UNARY, D(.unary = UNARY_SILU), 1, D(S2(4096, 96)), 1, D(S2(4096, 96))),
    ROW("add 4096x96", BINARY, D(.alpha = 1), 2, D(S2(4096, 96), S2(4096, 96)), 1, D(S2(4096, 96))),
    ROW("add channels 16x16x16x96", BINARY, D(.alpha = 1), 2, D(S4(16, 16, 16, 96), S4(16, 1, 1, 96)), 1,
        D(S4(16, 16, 16, 96))),
    ROW("sum of positions 16x16x16x96", REDUCE, D(.alpha = 1), 1, D(S4(16, 16, 16, 96)), 1, D(S4(16, 1, 1, 96))),
    ROW("concatenate 4096x(96+96)", CONCATENATE, D(.axis = 1), 2, D(S2(4096, 96), S2(4096, 96)), 1, D(S2(4096, 192))),
    ROW("slice 4096x(96 of 192)", SLICE, D(.axis = 1, .length = 96), 1, D(S2(4096, 192)), 1, D(S2(4096, 96))),
    ROW("upsample 8x8x192 b16", UPSAMPLE, D(0), 1, D(S4(16, 8, 8, 192)), 1, D(S4(16, 16, 16, 192))),
    ROW("resize 128>224 bicubic b8", RESIZE, D(.filter = RESIZE_BICUBIC, .antialias = true), 1, D(S4(8, 128, 128, 3)),
        1, D(S4(8, 224, 224, 3))),
    ROW("add 8x4 (overhead)", BINARY, D(.alpha = 1), 2, D(S2(8, 4), S2(8, 4)), 1, D(S2(8, 4))),
    LINEAR("8x16>16 (overhead)", 8, 16, 16),
};

static void stop_on(status state)
{
    if (state.code == STATUS_OK) return;
    fprintf(stderr, "%s\n", state.message);
    exit(state.code);
}

static void *filled(struct backend *backend, size_t bytes)
{
    void *memory;
    stop_on(backend->interface->allocate(backend, bytes + 4, &memory));
    for (size_t i = 0; i < bytes / sizeof(float); i++) ((float *)memory)[i] = (float)(i % 97) * 0.01f - 0.5f;
    return memory;
}

/* The best time of a call. */
static double bench(struct backend *backend, struct operation operation)
{
    struct kernel *kernel;
    struct kernel_requirements requirements;
    const void *inputs[MAXIMUM_INPUTS] = {0};
    void *outputs[MAXIMUM_OUTPUTS] = {0};
    for (int i = 0; i < operation.input_count; i++)
        inputs[i] = filled(backend, 4 * (size_t)shape_elements(&operation.input[i].shape));
    for (int i = 0; i < operation.output_count; i++)
        outputs[i] = filled(backend, 4 * (size_t)shape_elements(&operation.output[i].shape));
    stop_on(backend->interface->prepare(backend, &operation, &kernel, &requirements));
    void *scratch = filled(backend, requirements.scratch_bytes), *packed = NULL;
    if (requirements.packed_bytes) {
        packed = filled(backend, requirements.packed_bytes);
        stop_on(backend->interface->pack(backend, kernel, inputs[1], packed, scratch));
    }
    double best = 1e9, spent = 0;
    for (int i = 0; i < 2000 && (spent < 0.15 || i < 5); i++) {
        double begin = bench_now();
        stop_on(backend->interface->run(backend, kernel, inputs, outputs, packed, scratch));
        double seconds = bench_now() - begin;
        spent += seconds;
        if (seconds < best) best = seconds;
    }
    backend->interface->discard(backend, kernel);
    for (int i = 0; i < operation.input_count; i++) backend->interface->release(backend, (void *)inputs[i]);
    for (int i = 0; i < operation.output_count; i++) backend->interface->release(backend, outputs[i]);
    backend->interface->release(backend, scratch);
    if (packed) backend->interface->release(backend, packed);
    return best;
}

static void print_row(const char *name, const struct operation *operation, double seconds, double peak)
{
    double flops = operation_flops(operation);
    double bytes = operation_bytes(operation);
    printf("%-40s %10.1f us", name, seconds * 1e6);
    if (flops > 0) printf(" %8.1f GFLOP/s %5.1f %%", flops / seconds * 1e-9, 100 * flops / seconds / peak);
    printf(" %8.1f GB/s\n", bytes / seconds * 1e-9);
}

int main(int argument_count, char **arguments)
{
    enum { ROWS = sizeof rows / sizeof *rows };
    static double seconds[ROWS];
    struct backend *backend;
    int threads = argument_count > 1 ? atoi(arguments[1]) : 1;
    const char *word = argument_count > 2 ? arguments[2] : "";
    stop_on(backend_cpu_create(threads, &backend));
    /* The best of all peaks counts: other programs on the machine slow it down at times. */
    double peak = bench_peak_of_a_core();
    bench_use_clock(threads != 1);
    for (int i = 0; i < ROWS; i++) {
        if (!strstr(rows[i].name, word)) continue;
        seconds[i] = bench(backend, rows[i].operation);
        double again = bench_peak_of_a_core();
        if (again > peak) peak = again;
    }
    int cores = threads > 0 ? threads : 1;
    printf("peak of one core: %.1f GFLOP/s; percentages are of %d cores\n", peak * 1e-9, cores);
    for (int i = 0; i < ROWS; i++)
        if (seconds[i] > 0) print_row(rows[i].name, &rows[i].operation, seconds[i], peak * cores);
    backend->interface->destroy(backend);
    return 0;
}
