/* The table of cases beside tests/unit/kernels/cases.c: shapes that take the CUDA kernels' own paths. */
#include "tests/cuda/cases.h"

#include "tests/unit/kernels/operands.h"

/* Versions of clang-format differ about braces in a macro. */
/* clang-format off */
#define LINEAR(text, rows, in, out)                                                                                    \
    {                                                                                                                  \
        "linear " text,                                                                                                \
            {.kind = OPERATION_LINEAR,                                                                                 \
             .input_count = 3,                                                                                         \
             .input = {S2(rows, in), S2(out, in), S1(out)},                                                            \
             .output_count = 1,                                                                                        \
             .output = {S2(rows, out)}},                                                                               \
            false                                                                                                      \
    }
#define CONVOLUTION(text, batch, height, width, in, out, kernel, stride_, padding, rows, columns)                      \
    {                                                                                                                  \
        "convolution " text,                                                                                           \
            {.kind = OPERATION_CONVOLUTION,                                                                            \
             .attributes = {.stride = stride_,                                                                         \
                            .padding_top = padding,                                                                    \
                            .padding_left = padding,                                                                   \
                            .padding_bottom = padding,                                                                 \
                            .padding_right = padding},                                                                 \
             .input_count = 3,                                                                                         \
             .input = {S4(batch, height, width, in), S4(out, in, kernel, kernel), S1(out)},                            \
             .output_count = 1,                                                                                        \
             .output = {S4(batch, rows, columns, out)}},                                                               \
            false                                                                                                      \
    }
/* Of a map seen doubled: rows and columns are twice height and width over the stride. */
#define DOUBLED(text, batch, height, width, in, out, kernel, stride_, padding, rows, columns)                          \
    {                                                                                                                  \
        "doubled convolution " text,                                                                                   \
            {.kind = OPERATION_CONVOLUTION,                                                                            \
             .attributes = {.stride = stride_,                                                                         \
                            .padding_top = padding,                                                                    \
                            .padding_left = padding,                                                                   \
                            .padding_bottom = padding,                                                                 \
                            .padding_right = padding,                                                                  \
                            .doubled = true},                                                                          \
             .input_count = 3,                                                                                         \
             .input = {S4(batch, height, width, in), S4(out, in, kernel, kernel), S1(out)},                            \
             .output_count = 1,                                                                                        \
             .output = {S4(batch, rows, columns, out)}},                                                               \
            false                                                                                                      \
    }
#define MATMUL(text, ta, tb, a, b, y)                                                                                  \
    {                                                                                                                  \
        "matmul " text,                                                                                                \
            {.kind = OPERATION_MATMUL,                                                                                 \
             .attributes = {.transpose_a = ta, .transpose_b = tb, .alpha = -0.5},                                      \
             .input_count = 2,                                                                                         \
             .input = {a, b},                                                                                          \
             .output_count = 1,                                                                                        \
             .output = {y}},                                                                                           \
            false                                                                                                      \
    }
#define ATTENTION(text, batch, queries, keys, heads_, width, causal_)                                                  \
    SCALED_ATTENTION(text, 0.2, batch, queries, keys, heads_, width, causal_)
#define SCALED_ATTENTION(text, scale, batch, queries, keys, heads_, width, causal_)                                    \
    {                                                                                                                  \
        "attention " text,                                                                                             \
            {.kind = OPERATION_ATTENTION,                                                                              \
             .attributes = {.heads = heads_, .alpha = scale, .causal = causal_},                                       \
             .input_count = 3,                                                                                         \
             .input = {S3(batch, queries, (heads_) * (width)), S3(batch, keys, (heads_) * (width)),                    \
                       S3(batch, keys, (heads_) * (width))},                                                           \
             .output_count = 2,                                                                                        \
             .output = {S3(batch, queries, (heads_) * (width)), S3(batch, heads_, queries)}},                          \
            false                                                                                                      \
    }
/* Queries, keys and values side by side in one tensor, and their gradients in another. */
#define ATTENTION_OF_COLUMNS(text, batch, tokens, heads_, width, causal_)                                              \
    {                                                                                                                  \
        "attention of columns, " text,                                                                                 \
            {.kind = OPERATION_ATTENTION,                                                                              \
             .attributes = {.heads = heads_, .alpha = 0.2, .causal = causal_},                                         \
             .input_count = 3,                                                                                         \
             .input = {COLUMNS3(batch, tokens, (heads_) * (width), 3 * (heads_) * (width)),                            \
                       COLUMNS3(batch, tokens, (heads_) * (width), 3 * (heads_) * (width)),                            \
                       COLUMNS3(batch, tokens, (heads_) * (width), 3 * (heads_) * (width))},                           \
             .output_count = 2,                                                                                        \
             .output = {S3(batch, tokens, (heads_) * (width)), S3(batch, heads_, tokens)}},                            \
            false                                                                                                      \
    }
#define LINEAR_TO_COLUMNS(text, rows, in, out, step)                                                                   \
    {                                                                                                                  \
        "linear to columns, " text,                                                                                    \
            {.kind = OPERATION_LINEAR,                                                                                 \
             .input_count = 3,                                                                                         \
             .input = {S2(rows, in), S2(out, in), S1(out)},                                                            \
             .output_count = 1,                                                                                        \
             .output = {COLUMNS2(rows, out, step)}},                                                                   \
            false                                                                                                      \
    }
#define GROUP_NORM(text, silu, groups_, batch, height, width, channels)                                                \
    {                                                                                                                  \
        "group norm " text,                                                                                            \
            {.kind = OPERATION_GROUP_NORM,                                                                             \
             .attributes = {.groups = groups_, .epsilon = 1e-6, .fused_silu = silu},                                   \
             .input_count = 3,                                                                                         \
             .input = {S4(batch, height, width, channels), S1(channels), S1(channels)},                                \
             .output_count = 3,                                                                                        \
             .output = {S4(batch, height, width, channels), S2(batch, groups_), S2(batch, groups_)}},                  \
            false                                                                                                      \
    }
#define LAYER_NORM(text, rows, width)                                                                                  \
    {                                                                                                                  \
        "layer norm " text,                                                                                            \
            {.kind = OPERATION_LAYER_NORM,                                                                             \
             .attributes = {.epsilon = 1e-5},                                                                          \
             .input_count = 3,                                                                                         \
             .input = {S2(rows, width), S1(width), S1(width)},                                                         \
             .output_count = 3,                                                                                        \
             .output = {S2(rows, width), S1(rows), S1(rows)}},                                                         \
            false                                                                                                      \
    }
#define BINARY(text, kind_, a, b)                                                                                      \
    {                                                                                                                  \
        "binary " text,                                                                                                \
            {.kind = OPERATION_BINARY,                                                                                 \
             .attributes = {.binary = BINARY_##kind_, .alpha = 0.5},                                                   \
             .input_count = 2,                                                                                         \
             .input = {a, b},                                                                                          \
             .output_count = 1,                                                                                        \
             .output = {a}},                                                                                           \
            false                                                                                                      \
    }
#define REDUCE(text, a, y)                                                                                             \
    {                                                                                                                  \
        "reduce " text,                                                                                                \
            {.kind = OPERATION_REDUCE,                                                                                 \
             .attributes = {.alpha = 0.25},                                                                            \
             .input_count = 1,                                                                                         \
             .input = {a},                                                                                             \
             .output_count = 1,                                                                                        \
             .output = {y}},                                                                                           \
            false                                                                                                      \
    }
/* clang-format on */

const struct kernel_case cuda_cases[] = {
    LINEAR("of several tiles", 150, 72, 136),
    LINEAR("with a deep sum", 70, 1544, 40),
    LINEAR("of large tiles", 200, 64, 264),
    LINEAR("of odd width", 67, 50, 71),
    /* From 64 rows and columns and a depth of 256 on, on a warpgroup's instructions where there are any: tiles of 128
     * by 128 or 160 and 64 deep, four stages. */
    LINEAR("of a warpgroup's tiles", 130, 264, 136),
    LINEAR("of a warpgroup's tiles, backward", 130, 136, 264),
    LINEAR("of a warpgroup's wide tiles", 64, 264, 320),
    LINEAR("of a warpgroup's wide tiles, backward", 66, 160, 328),
    LINEAR("of a warpgroup's tiles in parts", 70, 1096, 72),
    CONVOLUTION("of a warpgroup's tiles", 2, 5, 8, 64, 72, 3, 1, 1, 5, 8),
    CONVOLUTION("of a warpgroup's tiles, backward", 2, 5, 8, 72, 64, 3, 1, 1, 5, 8),
    CONVOLUTION("of a warpgroup's tiles, crossing taps", 1, 9, 8, 72, 64, 3, 1, 1, 9, 8),
    CONVOLUTION("of a warpgroup's tiles, stride 2", 1, 11, 12, 64, 64, 3, 2, 1, 6, 6),
    CONVOLUTION("of a warpgroup's tiles, 8 channels", 1, 9, 8, 8, 64, 7, 1, 3, 9, 8),
    DOUBLED("of a warpgroup's tiles", 1, 8, 8, 64, 64, 3, 1, 1, 16, 16),
    DOUBLED("of a warpgroup's wide tiles", 1, 8, 8, 64, 72, 3, 1, 1, 16, 16),
    CONVOLUTION("of several tiles", 2, 9, 11, 16, 72, 3, 1, 1, 9, 11),
    CONVOLUTION("of large tiles", 1, 10, 13, 8, 136, 3, 1, 1, 10, 13),
    CONVOLUTION("of large tiles, backward", 1, 10, 13, 136, 8, 3, 1, 1, 10, 13),
    CONVOLUTION("stride 2", 2, 12, 10, 16, 24, 3, 2, 1, 6, 5),
    CONVOLUTION("stride 2, odd sides", 1, 11, 9, 8, 16, 3, 2, 1, 6, 5),
    CONVOLUTION("with a deep sum", 1, 4, 4, 136, 24, 3, 1, 1, 4, 4),
    CONVOLUTION("1x1 of several tiles", 2, 8, 7, 40, 80, 1, 1, 0, 8, 7),
    CONVOLUTION("1x1 stride 2", 1, 8, 8, 16, 8, 1, 2, 0, 4, 4),
    CONVOLUTION("4 channels", 1, 8, 9, 4, 24, 3, 1, 1, 8, 9),
    CONVOLUTION("to 3 channels", 2, 8, 9, 24, 3, 3, 1, 1, 8, 9),
    CONVOLUTION("patches", 2, 12, 12, 3, 24, 4, 4, 0, 3, 3),
    CONVOLUTION("patches of 8 channels in parts", 2, 12, 8, 8, 1032, 4, 4, 0, 3, 2),
    CONVOLUTION("patches with a rest", 1, 14, 13, 3, 24, 4, 4, 0, 3, 3),
    CONVOLUTION("patches of three", 1, 9, 6, 5, 24, 3, 3, 0, 3, 2),
    DOUBLED("of several tiles", 2, 5, 6, 16, 72, 3, 1, 1, 10, 12),
    DOUBLED("of large tiles", 1, 9, 9, 8, 136, 3, 1, 1, 18, 18),
    DOUBLED("of odd channels", 1, 4, 5, 12, 10, 3, 1, 1, 8, 10),
    DOUBLED("1x1", 1, 4, 5, 16, 24, 1, 1, 0, 8, 10),
    DOUBLED("stride 2", 1, 6, 5, 16, 8, 3, 2, 1, 6, 5),
    MATMUL("of several tiles", false, false, S3(2, 70, 40), S3(2, 40, 72), S3(2, 70, 72)),
    MATMUL("transposed a, of several tiles", true, false, S3(2, 40, 72), S3(2, 40, 80), S3(2, 72, 80)),
    MATMUL("transposed b, of several tiles", false, true, S3(1, 70, 48), S3(1, 66, 48), S3(1, 70, 66)),
    MATMUL("transposed both, of several tiles", true, true, S3(1, 40, 72), S3(1, 72, 40), S3(1, 72, 72)),
    MATMUL("of a warpgroup's tiles", false, false, S3(2, 66, 264), S3(2, 264, 72), S3(2, 66, 72)),
    MATMUL("of 8x8 blocks", false, true, S3(9, 8, 8), S3(9, 8, 8), S3(9, 8, 8)),
    ATTENTION("width 16", 1, 70, 90, 2, 16, false),
    ATTENTION("width 24, causal", 1, 100, 100, 2, 24, true),
    ATTENTION("width 40", 1, 130, 77, 2, 40, false),
    ATTENTION("width 64, causal", 1, 80, 80, 1, 64, true),
    ATTENTION("width 80", 1, 66, 70, 1, 80, false),
    ATTENTION("width 88", 1, 65, 33, 1, 88, false),
    ATTENTION("width 128", 1, 30, 66, 1, 128, false),
    ATTENTION("width 160", 1, 66, 40, 1, 160, false),
    ATTENTION("width 160, causal", 1, 70, 70, 1, 160, true),
    ATTENTION("width 256", 1, 40, 34, 1, 256, false),
    ATTENTION("width 512", 1, 66, 66, 1, 512, false),
    ATTENTION("one query", 2, 1, 77, 2, 32, false),
    /* Tiles in both stages more than once, several blocks of queries and of keys, the last of both in part. */
    ATTENTION("width 32, of many keys", 1, 150, 200, 1, 32, false),
    ATTENTION("width 40, of many keys", 1, 130, 177, 1, 40, false),
    ATTENTION("width 40, of whole tiles", 1, 128, 256, 1, 40, false),
    ATTENTION("width 40, causal, of many keys", 1, 180, 180, 1, 40, true),
    ATTENTION("width 40, causal, with more keys", 1, 40, 150, 1, 40, true),
    ATTENTION("width 40, of many heads", 2, 33, 70, 3, 40, false),
    ATTENTION("width 40, of a prompt's keys", 1, 260, 77, 1, 40, false),
    ATTENTION("width 64, of many keys", 1, 140, 200, 1, 64, false),
    ATTENTION("width 80, of many keys", 1, 140, 150, 1, 80, false),
    ATTENTION("width 80, causal, of many keys", 1, 140, 140, 1, 80, true),
    ATTENTION("width 128, of many keys", 1, 70, 150, 1, 128, false),
    ATTENTION("width 160, of many keys", 1, 70, 140, 1, 160, false),
    ATTENTION("width 168, causal, of many keys", 1, 90, 100, 1, 168, true),
    ATTENTION("width 512, causal", 1, 50, 70, 1, 512, true),
    /* Scores that exceed the softmax's reference again and again. */
    SCALED_ATTENTION("of steep scores", 1.0, 1, 100, 200, 1, 40, false),
    SCALED_ATTENTION("of steep scores, one block of rows a warp", 1.0, 1, 70, 100, 1, 160, false),
    SCALED_ATTENTION("of steep scores, wide", 1.0, 1, 40, 100, 1, 256, false),
    ATTENTION_OF_COLUMNS("width 32, causal", 2, 70, 2, 32, true),
    ATTENTION_OF_COLUMNS("width 40, of many keys", 2, 150, 2, 40, false),
    ATTENTION_OF_COLUMNS("width 64", 1, 80, 2, 64, false),
    ATTENTION_OF_COLUMNS("width 80", 1, 140, 1, 80, false),
    ATTENTION_OF_COLUMNS("width 128", 1, 40, 1, 128, false),
    ATTENTION_OF_COLUMNS("width 160", 2, 66, 1, 160, false),
    ATTENTION_OF_COLUMNS("width 168, causal", 1, 40, 1, 168, true),
    ATTENTION_OF_COLUMNS("of odd width", 2, 37, 3, 12, false),
    {"attention of columns of a prompt",
     {.kind = OPERATION_ATTENTION,
      .attributes = {.heads = 2, .alpha = 0.2},
      .input_count = 3,
      .input = {S3(2, 66, 80), COLUMNS3(2, 77, 80, 168), COLUMNS3(2, 77, 80, 168)},
      .output_count = 2,
      .output = {S3(2, 66, 80), S3(2, 2, 66)}},
     false},
    LINEAR_TO_COLUMNS("of several tiles", 150, 72, 136, 408),
    LINEAR_TO_COLUMNS("of a warpgroup's tiles", 130, 264, 136, 408),
    LINEAR_TO_COLUMNS("of a warpgroup's wide tiles", 64, 264, 320, 960),
    LINEAR_TO_COLUMNS("of a warpgroup's tiles in parts", 70, 1096, 72, 144),
    LINEAR_TO_COLUMNS("of an adapter", 66, 8, 72, 216),
    LINEAR_TO_COLUMNS("of odd width", 67, 50, 71, 200),
    LINEAR_TO_COLUMNS("a step that no vector fits", 67, 64, 72, 219),
    {"broadcast of columns",
     {.kind = OPERATION_BROADCAST,
      .attributes = {.alpha = -0.5},
      .input_count = 1,
      .input = {COLUMNS3(2, 37, 40, 120)},
      .output_count = 1,
      .output = {S3(2, 37, 40)}},
     false},
    {"broadcast of columns, a step that no vector fits",
     {.kind = OPERATION_BROADCAST,
      .attributes = {.alpha = -0.5},
      .input_count = 1,
      .input = {COLUMNS3(2, 37, 40, 121)},
      .output_count = 1,
      .output = {S3(2, 37, 40)}},
     false},
    GROUP_NORM("groups of 10 channels", true, 32, 2, 9, 8, 320),
    GROUP_NORM("many positions", true, 4, 1, 24, 23, 16),
    GROUP_NORM("wide", false, 32, 1, 2, 3, 2560),
    GROUP_NORM("of three vectors by 85 positions", true, 3, 1, 24, 31, 24),
    GROUP_NORM("of odd width in more parts than a warp has lanes", true, 3, 1, 12, 12, 201),
    GROUP_NORM("of odd width, several positions by block", false, 4, 2, 15, 14, 12),
    GROUP_NORM("of one channel a group, whole vectors", true, 16, 2, 5, 7, 16),
    GROUP_NORM("of more odd channels than threads", true, 3, 1, 3, 3, 309),
    LAYER_NORM("of whole vectors", 11, 320),
    LAYER_NORM("of one vector by row", 67, 8),
    LAYER_NORM("with lanes to spare", 9, 72),
    LAYER_NORM("of 640 elements", 5, 640),
    LAYER_NORM("of the widest rows kept in registers", 3, 1280),
    LAYER_NORM("of rows too wide for registers", 3, 1288),
    {"geglu of whole vectors",
     {.kind = OPERATION_GEGLU, .input_count = 1, .input = {S2(37, 160)}, .output_count = 1, .output = {S2(37, 80)}},
     false},
    {"normalize whole vectors",
     {.kind = OPERATION_NORMALIZE,
      .attributes = {.epsilon = 1e-6},
      .input_count = 1,
      .input = {S2(9, 264)},
      .output_count = 1,
      .output = {S2(9, 264)}},
     false},
    {"transpose whole vectors",
     {.kind = OPERATION_TRANSPOSE,
      .input_count = 1,
      .input = {S4(2, 9, 7, 16)},
      .output_count = 1,
      .output = {S4(2, 7, 9, 16)}},
     false},
    {"upsample whole vectors",
     {.kind = OPERATION_UPSAMPLE,
      .input_count = 1,
      .input = {S4(2, 9, 7, 16)},
      .output_count = 1,
      .output = {S4(2, 18, 14, 16)}},
     false},
    {"concatenate whole vectors",
     {.kind = OPERATION_CONCATENATE,
      .attributes = {.axis = 3},
      .input_count = 2,
      .input = {S4(2, 9, 7, 16), S4(2, 9, 7, 24)},
      .output_count = 1,
      .output = {S4(2, 9, 7, 40)}},
     false},
    {"slice whole vectors",
     {.kind = OPERATION_SLICE,
      .attributes = {.axis = 3, .start = 8, .length = 16},
      .input_count = 1,
      .input = {S4(2, 9, 7, 40)},
      .output_count = 1,
      .output = {S4(2, 9, 7, 16)}},
     false},
    BINARY("of whole vectors, alike", SUBTRACT, S4(3, 9, 7, 16), S4(3, 9, 7, 16)),
    BINARY("of whole vectors over odd rows", DIVIDE, S4(2, 8, 5, 3), S4(2, 8, 5, 3)),
    BINARY("with whole vectors by channels", ADD, S4(3, 9, 7, 16), S4(3, 1, 1, 16)),
    BINARY("with whole vectors by positions", MULTIPLY, S4(3, 9, 7, 16), S4(3, 9, 7, 1)),
    BINARY("with whole vectors by items", MULTIPLY, S4(3, 4, 2, 5), S4(3, 1, 1, 1)),
    BINARY("with whole vectors by rows and channels", ADD, S4(3, 9, 7, 16), S4(1, 9, 1, 16)),
    BINARY("with whole vectors by columns", SUBTRACT, S4(3, 9, 7, 16), S4(3, 1, 7, 16)),
    REDUCE("over many positions", S4(2, 40, 30, 48), S4(2, 1, 1, 48)),
    REDUCE("over many positions of odd width", S4(1, 31, 30, 33), S4(1, 1, 1, 33)),
    REDUCE("columns of more than a block's threads", S4(2, 9, 3, 520), S4(2, 1, 3, 520)),
    REDUCE("over items and columns", S4(3, 4, 35, 40), S4(1, 4, 1, 40)),
    REDUCE("rows of whole vectors", S3(3, 5, 4160), S3(3, 5, 1)),
    REDUCE("rows and items", S4(5, 3, 7, 64), S4(1, 3, 1, 1)),
};

const int cuda_case_count = sizeof cuda_cases / sizeof *cuda_cases;
