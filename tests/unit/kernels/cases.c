/* The table of kernel cases: every operation at shapes where kernels take different paths. */
#include "tests/unit/kernels/cases.h"

#include "tests/unit/kernels/operands.h"

/* Versions of clang-format differ about braces in a macro. */
/* clang-format off */
#define CASE(text, kind_, big, attributes_, inputs, input_list, outputs, output_list)                                  \
    {                                                                                                                  \
        text,                                                                                                          \
            {.kind = OPERATION_##kind_,                                                                                \
             .attributes = attributes_,                                                                                \
             .input_count = inputs,                                                                                    \
             .input = input_list,                                                                                      \
             .output_count = outputs,                                                                                  \
             .output = output_list},                                                                                   \
            big                                                                                                        \
    }
/* clang-format on */
#define NO_ATTRIBUTES D(0)

#define UNARY(name)                                                                                                    \
    CASE("unary " #name, UNARY, false, D(.unary = UNARY_##name, .alpha = -0.75, .beta = 0.5), 1, D(S2(37, 29)), 1,     \
         D(S2(37, 29)))
#define BINARY(name, text, a, b)                                                                                       \
    CASE("binary " #name " " text, BINARY, false, D(.binary = BINARY_##name, .alpha = -1.5), 2, D(a, b), 1, D(a))
#define LINEAR(text, big, rows, in, out)                                                                               \
    CASE("linear " text, LINEAR, big, NO_ATTRIBUTES, 3, D(S2(rows, in), W2(out, in), S1(out)), 1, D(S2(rows, out)))
#define CONVOLUTION(text, big, batch, size, in, out, kernel, stride_, padding, result)                                 \
    CASE("convolution " text, CONVOLUTION, big,                                                                        \
         D(.stride = stride_, .padding_top = padding, .padding_left = padding, .padding_bottom = padding,              \
           .padding_right = padding),                                                                                  \
         3, D(S4(batch, size, size, in), W4(out, in, kernel, kernel), S1(out)), 1, D(S4(batch, result, result, out)))
#define ATTENTION(text, big, batch, queries, keys, heads_, width, causal_)                                             \
    CASE("attention " text, ATTENTION, big, D(.heads = heads_, .alpha = 0.3, .causal = causal_), 3,                    \
         D(S3(batch, queries, (heads_) * (width)), S3(batch, keys, (heads_) * (width)),                                \
           S3(batch, keys, (heads_) * (width))),                                                                       \
         2, D(S3(batch, queries, (heads_) * (width)), S3(batch, heads_, queries)))
#define GROUP_NORM(text, big, silu, groups_, batch, height, width, channels)                                           \
    CASE("group norm " text, GROUP_NORM, big, D(.groups = groups_, .epsilon = 1e-5, .fused_silu = silu), 3,            \
         D(S4(batch, height, width, channels), S1(channels), S1(channels)), 3,                                         \
         D(S4(batch, height, width, channels), S2(batch, groups_), S2(batch, groups_)))
#define RESIZE(text, big, filter_, antialias_, batch, h, w, h2, w2, c)                                                 \
    CASE("resize " text, RESIZE, big, D(.filter = RESIZE_##filter_, .antialias = antialias_), 1,                       \
         D(S4(batch, h, w, c)), 1, D(S4(batch, h2, w2, c)))
#define MATMUL(text, ta, tb, a, b, y)                                                                                  \
    CASE("matmul " text, MATMUL, false, D(.transpose_a = ta, .transpose_b = tb, .alpha = 0.7), 2, D(a, b), 1, D(y))
#define REDUCE(text, add, a, y)                                                                                        \
    CASE("reduce " text, REDUCE, false, D(.alpha = 0.5, .accumulate = add), 1, D(a), 1, D(y))
#define BROADCAST(text, a, y) CASE("broadcast " text, BROADCAST, false, D(.alpha = -2.0), 1, D(a), 1, D(y))

const struct kernel_case kernel_cases[] = {
    LINEAR("odd", false, 7, 33, 17),
    LINEAR("one row", false, 1, 5, 3),
    LINEAR("to rank 4", false, 130, 96, 4),
    LINEAR("from rank 4", false, 130, 4, 96),
    CASE("linear rank 3, no bias", LINEAR, false, NO_ATTRIBUTES, 2, D(S3(2, 5, 16), W2(9, 16)), 1, D(S3(2, 5, 9))),
    CASE("linear absent bias", LINEAR, false, NO_ATTRIBUTES, 3, D(S2(6, 16), W2(9, 16), NONE), 1, D(S2(6, 9))),
    CASE("linear by a variable", LINEAR, false, NO_ATTRIBUTES, 2, D(S2(19, 21), S2(10, 21)), 1, D(S2(19, 10))),
    LINEAR("to rank 7", false, 45, 83, 7),
    LINEAR("to rank 4, many rows", true, 2050, 200, 4),
    LINEAR("from rank 4, many rows", true, 2050, 4, 200),
    LINEAR("model-like", true, 512, 320, 640),
    CONVOLUTION("3x3", false, 2, 7, 5, 6, 3, 1, 1, 7),
    CONVOLUTION("3x3 stride 2", false, 2, 8, 3, 4, 3, 2, 1, 4),
    CONVOLUTION("1x1", false, 3, 4, 8, 5, 1, 1, 0, 4),
    CONVOLUTION("4 to many", false, 1, 9, 4, 48, 3, 1, 1, 9),
    CONVOLUTION("many to 3", false, 1, 9, 48, 3, 3, 1, 1, 9),
    CONVOLUTION("8x8 stride 8, 1 to 64", false, 2, 24, 1, 64, 8, 8, 0, 3),
    CASE("convolution uneven padding", CONVOLUTION, false, D(.stride = 2, .padding_bottom = 1, .padding_right = 1), 3,
         D(S4(2, 6, 8, 3), W4(7, 3, 3, 3), S1(7)), 1, D(S4(2, 3, 4, 7))),
    CASE("convolution uneven kernel, no bias", CONVOLUTION, false,
         D(.stride = 1, .padding_top = 2, .padding_left = 1, .padding_bottom = 0, .padding_right = 2), 2,
         D(S4(1, 5, 6, 4), W4(3, 4, 2, 5)), 1, D(S4(1, 6, 5, 3))),
    CASE("convolution by a variable", CONVOLUTION, false,
         D(.stride = 1, .padding_top = 1, .padding_left = 1, .padding_bottom = 1, .padding_right = 1), 2,
         D(S4(2, 5, 5, 8), S4(6, 8, 3, 3)), 1, D(S4(2, 5, 5, 6))),
    CONVOLUTION("model-like", true, 4, 16, 96, 128, 3, 1, 1, 16),
    CONVOLUTION("model-like stride 2", true, 2, 16, 64, 64, 3, 2, 1, 8),
    CONVOLUTION("one item over threads", true, 1, 24, 48, 40, 3, 1, 1, 24),
    CONVOLUTION("8x8 stride 8 over threads", true, 1, 128, 4, 64, 8, 8, 0, 16),
    CONVOLUTION("1x1 stride 2 over threads", true, 1, 65, 64, 64, 1, 2, 0, 33),
    CASE("convolution stride 2, uneven padding over threads", CONVOLUTION, true,
         D(.stride = 2, .padding_bottom = 1, .padding_right = 1), 3, D(S4(1, 33, 34, 48), W4(56, 48, 3, 3), S1(56)), 1,
         D(S4(1, 16, 17, 56))),
    CASE("matmul over threads", MATMUL, true, D(.alpha = 0.5, .transpose_a = true), 2,
         D(S3(2, 96, 130), S3(2, 96, 110)), 1, D(S3(2, 130, 110))),
    MATMUL("plain", false, false, S3(3, 5, 7), S3(3, 7, 4), S3(3, 5, 4)),
    MATMUL("transposed a", true, false, S3(2, 7, 5), S3(2, 7, 4), S3(2, 5, 4)),
    MATMUL("transposed b", false, true, S3(2, 5, 7), S3(2, 4, 7), S3(2, 5, 4)),
    MATMUL("transposed both", true, true, S3(2, 7, 5), S3(2, 4, 7), S3(2, 5, 4)),
    MATMUL("wide", false, false, S3(1, 65, 130), S3(1, 130, 70), S3(1, 65, 70)),
    GROUP_NORM("plain", false, false, 3, 2, 3, 5, 12),
    GROUP_NORM("silu", false, true, 4, 3, 4, 3, 20),
    GROUP_NORM("one group", false, true, 1, 1, 3, 3, 7),
    GROUP_NORM("groups of one channel", false, false, 6, 2, 2, 7, 6),
    CASE("group norm of tokens", GROUP_NORM, false, D(.groups = 2, .epsilon = 1e-6), 3, D(S3(2, 9, 8), S1(8), S1(8)), 3,
         D(S3(2, 9, 8), S2(2, 2), S2(2, 2))),
    GROUP_NORM("model-like", true, true, 32, 1, 16, 16, 96),
    GROUP_NORM("model-like batch", true, false, 32, 8, 16, 16, 64),
    CASE("group norm, statistics not needed", GROUP_NORM, true, D(.groups = 4, .epsilon = 1e-5), 3,
         D(S4(2, 3, 3, 16), S1(16), S1(16)), 3, D(S4(2, 3, 3, 16), NONE, NONE)),
    CASE("layer norm", LAYER_NORM, false, D(.epsilon = 1e-5), 3, D(S3(2, 7, 37), S1(37), S1(37)), 3,
         D(S3(2, 7, 37), S2(2, 7), S2(2, 7))),
    CASE("layer norm model-like", LAYER_NORM, true, D(.epsilon = 1e-5), 3, D(S3(8, 77, 768), S1(768), S1(768)), 3,
         D(S3(8, 77, 768), S2(8, 77), S2(8, 77))),
    ATTENTION("small", false, 2, 5, 7, 3, 4, false),
    ATTENTION("causal", false, 2, 9, 9, 2, 8, true),
    ATTENTION("causal, uneven", false, 1, 9, 5, 2, 8, true),
    ATTENTION("odd width", false, 1, 30, 70, 1, 13, false),
    ATTENTION("one key", false, 2, 3, 1, 1, 6, false),
    ATTENTION("many blocks", true, 1, 203, 517, 2, 40, false),
    ATTENTION("many blocks, causal", true, 1, 333, 333, 3, 24, true),
    ATTENTION("one wide head", true, 1, 130, 130, 1, 160, false),
    ATTENTION("cross", true, 4, 256, 77, 4, 32, false),
    UNARY(IDENTITY),
    UNARY(AFFINE),
    UNARY(SILU),
    UNARY(GELU_ERF),
    UNARY(GELU_TANH),
    UNARY(QUICK_GELU),
    UNARY(RELU),
    UNARY(SIGMOID),
    UNARY(LOG_SIGMOID),
    UNARY(TANH),
    UNARY(ELU),
    UNARY(EXP),
    UNARY(LOG),
    UNARY(LOG1P),
    UNARY(SQRT),
    UNARY(SQUARE),
    UNARY(ABS),
    UNARY(CLAMP),
    UNARY(RECIPROCAL),
    CASE("unary over threads", UNARY, true, D(.unary = UNARY_SILU), 1, D(S2(301, 333)), 1, D(S2(301, 333))),
    CASE("geglu", GEGLU, false, NO_ATTRIBUTES, 1, D(S3(2, 5, 38)), 1, D(S3(2, 5, 19))),
    CASE("geglu over threads", GEGLU, true, NO_ATTRIBUTES, 1, D(S2(300, 640)), 1, D(S2(300, 320))),
    BINARY(ADD, "same", S3(3, 5, 7), S3(3, 5, 7)),
    BINARY(SUBTRACT, "same", S3(3, 5, 7), S3(3, 5, 7)),
    BINARY(MULTIPLY, "same", S3(3, 5, 7), S3(3, 5, 7)),
    BINARY(DIVIDE, "same", S3(3, 5, 7), S3(3, 5, 7)),
    BINARY(ADD, "by channels", S4(2, 3, 5, 7), S4(2, 1, 1, 7)),
    BINARY(SUBTRACT, "by one channel", S4(2, 3, 5, 7), S4(2, 3, 5, 1)),
    BINARY(MULTIPLY, "by items", S4(2, 3, 5, 7), S4(2, 1, 1, 1)),
    BINARY(DIVIDE, "by one number", S4(2, 3, 5, 7), S4(1, 1, 1, 1)),
    BINARY(DIVIDE, "by columns", S4(2, 3, 5, 7), S4(1, 3, 1, 7)),
    BINARY(ADD, "by rows", S4(2, 3, 5, 7), S4(2, 1, 5, 1)),
    BINARY(MULTIPLY, "over threads", S4(4, 32, 32, 33), S4(4, 1, 32, 33)),
    REDUCE("all", false, S3(3, 5, 7), S3(1, 1, 1)),
    REDUCE("last", false, S3(3, 5, 7), S3(3, 5, 1)),
    REDUCE("first", false, S3(3, 5, 70), S3(1, 5, 70)),
    REDUCE("first, added", true, S3(3, 5, 70), S3(1, 5, 70)),
    REDUCE("middle", false, S4(2, 3, 5, 7), S4(2, 1, 1, 7)),
    REDUCE("outer and inner", false, S4(2, 3, 5, 7), S4(1, 3, 5, 1)),
    REDUCE("alternating", true, S4(2, 3, 5, 7), S4(1, 3, 1, 7)),
    REDUCE("nothing", false, S2(4, 5), S2(4, 5)),
    REDUCE("long", false, S2(3, 70001), S2(3, 1)),
    REDUCE("tall", false, S2(3001, 70), S2(1, 70)),
    BROADCAST("all", S3(1, 1, 1), S3(3, 5, 7)),
    BROADCAST("last", S3(3, 5, 1), S3(3, 5, 7)),
    BROADCAST("middle", S4(2, 1, 1, 7), S4(2, 3, 5, 7)),
    BROADCAST("alternating", S4(1, 3, 1, 7), S4(2, 3, 5, 7)),
    CASE("concatenate channels", CONCATENATE, false, D(.axis = 3), 2, D(S4(2, 3, 5, 7), S4(2, 3, 5, 4)), 1,
         D(S4(2, 3, 5, 11))),
    CASE("concatenate items", CONCATENATE, false, D(.axis = 0), 2, D(S2(3, 5), S2(2, 5)), 1, D(S2(5, 5))),
    CASE("slice middle", SLICE, false, D(.axis = 1, .start = 2, .length = 3), 1, D(S3(2, 7, 5)), 1, D(S3(2, 3, 5))),
    CASE("slice channels", SLICE, false, D(.axis = 3, .start = 0, .length = 2), 1, D(S4(2, 3, 5, 7)), 1,
         D(S4(2, 3, 5, 2))),
    CASE("place", PLACE, false, D(.axis = 1, .start = 2, .length = 3), 1, D(S3(2, 3, 5)), 1, D(S3(2, 7, 5))),
    CASE("upsample", UPSAMPLE, false, NO_ATTRIBUTES, 1, D(S4(2, 3, 5, 7)), 1, D(S4(2, 6, 10, 7))),
    CASE("upsample over threads", UPSAMPLE, true, NO_ATTRIBUTES, 1, D(S4(3, 16, 16, 64)), 1, D(S4(3, 32, 32, 64))),
    RESIZE("nearest up", false, NEAREST, false, 2, 5, 3, 8, 7, 3),
    RESIZE("nearest down", false, NEAREST, false, 1, 9, 7, 4, 5, 2),
    RESIZE("bilinear up", false, BILINEAR, false, 2, 5, 3, 8, 7, 3),
    RESIZE("bilinear down", false, BILINEAR, false, 1, 9, 7, 4, 5, 3),
    RESIZE("bilinear down, antialias", false, BILINEAR, true, 2, 11, 9, 4, 5, 3),
    RESIZE("bilinear up, antialias", false, BILINEAR, true, 1, 4, 5, 7, 9, 1),
    RESIZE("bicubic up", false, BICUBIC, false, 2, 5, 4, 9, 7, 3),
    RESIZE("bicubic down", false, BICUBIC, false, 1, 11, 9, 4, 5, 3),
    RESIZE("bicubic down, antialias", false, BICUBIC, true, 1, 13, 11, 4, 5, 3),
    RESIZE("bicubic up, antialias", false, BICUBIC, true, 2, 4, 5, 7, 9, 2),
    RESIZE("model-like", true, BICUBIC, true, 2, 64, 64, 224, 224, 3),
    CASE("embedding", EMBEDDING, false, NO_ATTRIBUTES, 2, D(I2(3, 5), S2(11, 6)), 1, D(S3(3, 5, 6))),
    CASE("gather", GATHER, false, NO_ATTRIBUTES, 2, D(S3(3, 7, 5), I2(3, 4)), 1, D(S3(3, 4, 5))),
    CASE("gather more than there are", GATHER, false, NO_ATTRIBUTES, 2, D(S3(2, 3, 5), I2(2, 9)), 1, D(S3(2, 9, 5))),
    CASE("normalize", NORMALIZE, false, D(.epsilon = 1e-3), 1, D(S2(5, 37)), 1, D(S2(5, 37))),
    CASE("normalize wide", NORMALIZE, false, D(.epsilon = 0), 1, D(S3(2, 3, 512)), 1, D(S3(2, 3, 512))),
    CASE("transpose", TRANSPOSE, false, NO_ATTRIBUTES, 1, D(S4(2, 3, 5, 7)), 1, D(S4(2, 5, 3, 7))),
    CASE("transpose single channel", TRANSPOSE, false, NO_ATTRIBUTES, 1, D(S4(2, 30, 50, 1)), 1, D(S4(2, 50, 30, 1))),
    CASE("transpose rank 3", TRANSPOSE, false, NO_ATTRIBUTES, 1, D(S3(2, 30, 50)), 1, D(S3(2, 50, 30))),
    CASE("select boxes", SELECT_BOXES, true, D(.alpha = 0.3), 2, D(S2(3, 40), S3(3, 40, 4)), 1, D(I2(3, 12))),
    CASE("select all boxes", SELECT_BOXES, true, D(.alpha = 0.1), 2, D(S2(2, 25), S3(2, 25, 4)), 1, D(I2(2, 25))),
};

const int kernel_case_count = sizeof kernel_cases / sizeof *kernel_cases;
