/* Shapes of Stable Diffusion 1.5: U-Net of 320, 640, 1280 and 1280 channels on maps of 64 to 8 pixels a side, decoder
 * of 512 to 128 channels on 64 to 512, CLIP ViT-L/14 on 224x224 (diffusers' and OpenAI's configurations). */
#include "tests/cuda/layers.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

struct list {
    struct layer *layers;
    int count;
    bool tiny;
};

/* ---- sizes ---- */

static int64_t channels(const struct list *list, int64_t full)
{
    enum { MOST = 136 };
    if (!list->tiny || full <= 8) return full;
    int64_t part = (full / 5 + 7) / 8 * 8;
    return part < MOST ? part : MOST;
}

static int64_t side(const struct list *list, int64_t full)
{
    if (!list->tiny) return full;
    int64_t part = full / (full > 64 ? 32 : 8);
    return part < 2 ? 2 : part;
}

static int64_t tokens(const struct list *list, int64_t full)
{
    return list->tiny ? (full + 63) / 64 + 1 : full;
}

static struct operand operand(int rank, int64_t a, int64_t b, int64_t c, int64_t d)
{
    return (struct operand){.shape = {rank, {a, b, c, d}}, .present = true};
}

static struct operand vector(int64_t a)
{
    return operand(1, a, 0, 0, 0);
}

static struct operand matrix(int64_t a, int64_t b)
{
    return operand(2, a, b, 0, 0);
}

static struct operand sequence(int64_t a, int64_t b, int64_t c)
{
    return operand(3, a, b, c, 0);
}

static struct operand map(int64_t batch, int64_t height, int64_t c)
{
    return operand(4, batch, height, height, c);
}

static struct operand weight(struct operand of)
{
    of.constant = true;
    return of;
}

/* ---- layers ---- */

__attribute__((format(printf, 3, 4))) static void add(struct list *list, struct operation operation, const char *name,
                                                      ...)
{
    struct layer *layer = &list->layers[list->count++];
    va_list arguments;
    va_start(arguments, name);
    vsnprintf(layer->name, sizeof layer->name, name, arguments);
    va_end(arguments);
    layer->operation = operation;
}

struct window {
    int size, stride, padding;
    bool doubled;
};
static const struct window usual = {3, 1, 1, false}, halving = {3, 2, 1, false}, doubling = {3, 1, 1, true},
                           patches = {14, 14, 0, false};

static void convolution(struct list *list, int64_t batch, int64_t full_side, int64_t full_in, int64_t full_out,
                        struct window window)
{
    int64_t in = channels(list, full_in), out = channels(list, full_out);
    int64_t height = window.stride == window.size ? full_side : side(list, full_side);
    if (list->tiny && window.stride == window.size) height = 2 * window.size;
    int64_t seen = window.doubled ? 2 * height : height;
    int64_t rows = (seen + 2 * window.padding - window.size) / window.stride + 1;
    struct operation operation = {
        .kind = OPERATION_CONVOLUTION,
        .attributes = {.stride = window.stride,
                       .padding_top = window.padding,
                       .padding_left = window.padding,
                       .padding_bottom = window.padding,
                       .padding_right = window.padding,
                       .doubled = window.doubled},
        .input_count = 3,
        .input = {map(batch, height, in), weight(operand(4, out, in, window.size, window.size)), vector(out)},
        .output_count = 1,
        .output = {map(batch, rows, out)}};
    add(list, operation, "convolution %dx%d%s [%lld,%lld,%lld,%lld>%lld]", window.size, window.size,
        window.doubled                 ? " doubled"
        : window.stride == 2           ? " stride 2"
        : window.stride == window.size ? " patches"
                                       : "",
        (long long)batch, (long long)height, (long long)height, (long long)in, (long long)out);
}

static void linear(struct list *list, int64_t rows, int64_t full_in, int64_t full_out)
{
    int64_t in = channels(list, full_in), out = channels(list, full_out);
    struct operation operation = {.kind = OPERATION_LINEAR,
                                  .input_count = 3,
                                  .input = {matrix(rows, in), weight(matrix(out, in)), vector(out)},
                                  .output_count = 1,
                                  .output = {matrix(rows, out)}};
    add(list, operation, "linear [%lld,%lld>%lld]", (long long)rows, (long long)in, (long long)out);
}

static void adapter(struct list *list, int64_t rows, int64_t full_in, int64_t full_out)
{
    int64_t in = channels(list, full_in), out = channels(list, full_out);
    struct operation operation = {.kind = OPERATION_LINEAR,
                                  .attributes = {.accumulate = true},
                                  .input_count = 2,
                                  .input = {matrix(rows, in), matrix(out, in)},
                                  .output_count = 1,
                                  .output = {matrix(rows, out)}};
    add(list, operation, "adapter [%lld,%lld>%lld]", (long long)rows, (long long)in, (long long)out);
}

static void attention(struct list *list, int64_t batch, int64_t full_queries, int64_t full_keys, int full_heads,
                      int64_t width)
{
    int heads = list->tiny && full_heads > 1 ? 2 : full_heads;
    int64_t queries = tokens(list, full_queries), keys = tokens(list, full_keys), all = heads * width;
    struct operation operation = {
        .kind = OPERATION_ATTENTION,
        .attributes = {.heads = heads, .alpha = 1 / sqrt((double)width)},
        .input_count = 3,
        .input = {sequence(batch, queries, all), sequence(batch, keys, all), sequence(batch, keys, all)},
        .output_count = 2,
        .output = {sequence(batch, queries, all), sequence(batch, heads, queries)}};
    add(list, operation, "attention [%lld,%lldx%lld,%dx%lld]", (long long)batch, (long long)queries, (long long)keys,
        heads, (long long)width);
}

static void group_norm(struct list *list, int64_t batch, int64_t full_side, int64_t full_channels)
{
    int64_t height = side(list, full_side), c = list->tiny ? (full_channels / 320 + 1) * 32 : full_channels;
    struct operation operation = {.kind = OPERATION_GROUP_NORM,
                                  .attributes = {.groups = 32, .epsilon = 1e-5, .fused_silu = true},
                                  .input_count = 3,
                                  .input = {map(batch, height, c), vector(c), vector(c)},
                                  .output_count = 3,
                                  .output = {map(batch, height, c), matrix(batch, 32), matrix(batch, 32)}};
    add(list, operation, "group norm [%lld,%lld,%lld,%lld]", (long long)batch, (long long)height, (long long)height,
        (long long)c);
}

static void layer_norm(struct list *list, int64_t rows, int64_t full_width)
{
    int64_t width = channels(list, full_width);
    struct operation operation = {.kind = OPERATION_LAYER_NORM,
                                  .attributes = {.epsilon = 1e-5},
                                  .input_count = 3,
                                  .input = {matrix(rows, width), vector(width), vector(width)},
                                  .output_count = 3,
                                  .output = {matrix(rows, width), vector(rows), vector(rows)}};
    add(list, operation, "layer norm [%lld,%lld]", (long long)rows, (long long)width);
}

static void geglu(struct list *list, int64_t rows, int64_t full_width)
{
    int64_t width = channels(list, full_width);
    struct operation operation = {.kind = OPERATION_GEGLU,
                                  .input_count = 1,
                                  .input = {matrix(rows, 2 * width)},
                                  .output_count = 1,
                                  .output = {matrix(rows, width)}};
    add(list, operation, "geglu [%lld,%lld]", (long long)rows, (long long)(2 * width));
}

static void unary(struct list *list, enum unary_kind kind, const char *name, int64_t rows, int64_t full_width)
{
    struct operand operand = matrix(rows, channels(list, full_width));
    struct operation operation = {.kind = OPERATION_UNARY,
                                  .attributes = {.unary = kind},
                                  .input_count = 1,
                                  .input = {operand},
                                  .output_count = 1,
                                  .output = {operand}};
    add(list, operation, "%s [%lld,%lld]", name, (long long)rows, (long long)operand.shape.dimension[1]);
}

/* Of two maps, or of a map and a row a picture. */
static void addition(struct list *list, int64_t batch, int64_t full_side, int64_t full_channels, bool by_channels)
{
    int64_t height = side(list, full_side), c = channels(list, full_channels);
    struct operation operation = {.kind = OPERATION_BINARY,
                                  .attributes = {.binary = BINARY_ADD, .alpha = 1},
                                  .input_count = 2,
                                  .input = {map(batch, height, c), map(batch, by_channels ? 1 : height, c)},
                                  .output_count = 1,
                                  .output = {map(batch, height, c)}};
    add(list, operation, "addition%s [%lld,%lld,%lld,%lld]", by_channels ? " by channels" : "", (long long)batch,
        (long long)height, (long long)height, (long long)c);
}

static void concatenation(struct list *list, int64_t batch, int64_t full_side, int64_t full_a, int64_t full_b)
{
    int64_t height = side(list, full_side), a = channels(list, full_a), b = channels(list, full_b);
    struct operation operation = {.kind = OPERATION_CONCATENATE,
                                  .attributes = {.axis = 3},
                                  .input_count = 2,
                                  .input = {map(batch, height, a), map(batch, height, b)},
                                  .output_count = 1,
                                  .output = {map(batch, height, a + b)}};
    add(list, operation, "concatenation [%lld,%lld,%lld,%lld+%lld]", (long long)batch, (long long)height,
        (long long)height, (long long)a, (long long)b);
}

static void slice(struct list *list, int64_t batch, int64_t full_side, int64_t full_of, int64_t full_channels)
{
    int64_t height = side(list, full_side), of = channels(list, full_of), c = channels(list, full_channels);
    struct operation operation = {.kind = OPERATION_SLICE,
                                  .attributes = {.axis = 3, .length = c},
                                  .input_count = 1,
                                  .input = {map(batch, height, of)},
                                  .output_count = 1,
                                  .output = {map(batch, height, c)}};
    add(list, operation, "slice [%lld,%lld,%lld,%lld of %lld]", (long long)batch, (long long)height, (long long)height,
        (long long)c, (long long)of);
}

static void sum_of_positions(struct list *list, int64_t batch, int64_t full_side, int64_t full_channels)
{
    int64_t height = side(list, full_side), c = channels(list, full_channels);
    struct operation operation = {.kind = OPERATION_REDUCE,
                                  .attributes = {.alpha = 1},
                                  .input_count = 1,
                                  .input = {map(batch, height, c)},
                                  .output_count = 1,
                                  .output = {map(batch, 1, c)}};
    add(list, operation, "sum of positions [%lld,%lld,%lld,%lld]", (long long)batch, (long long)height,
        (long long)height, (long long)c);
}

static void resize(struct list *list, int64_t batch, int64_t full_from, int64_t full_to)
{
    int64_t from = side(list, full_from), to = list->tiny ? full_to / 32 : full_to;
    struct operation operation = {.kind = OPERATION_RESIZE,
                                  .attributes = {.filter = RESIZE_BICUBIC, .antialias = true},
                                  .input_count = 1,
                                  .input = {map(batch, from, 3)},
                                  .output_count = 1,
                                  .output = {map(batch, to, 3)}};
    add(list, operation, "resize [%lld,%lld>%lld]", (long long)batch, (long long)from, (long long)to);
}

/* ---- the model ---- */

static void list_main(struct list *list, int64_t batch)
{
    convolution(list, batch, 64, 320, 320, usual);
    convolution(list, batch, 32, 640, 640, usual);
    convolution(list, batch, 16, 1280, 1280, usual);
    convolution(list, batch, 8, 1280, 1280, usual);
    convolution(list, batch, 64, 960, 320, usual);
    convolution(list, batch, 16, 2560, 1280, usual);
    convolution(list, batch, 32, 640, 640, doubling);
    linear(list, batch * tokens(list, 4096), 320, 320);
    linear(list, batch * tokens(list, 4096), 320, 2560);
    linear(list, batch * tokens(list, 4096), 1280, 320);
    linear(list, batch * tokens(list, 1024), 640, 5120);
    linear(list, batch * tokens(list, 256), 1280, 10240);
    adapter(list, batch * tokens(list, 4096), 320, 4);
    adapter(list, batch * tokens(list, 4096), 4, 320);
    attention(list, batch, 4096, 4096, 8, 40);
    attention(list, batch, 4096, 77, 8, 40);
    attention(list, batch, 1024, 1024, 8, 80);
    attention(list, batch, 256, 256, 8, 160);
    group_norm(list, batch, 64, 320);
    group_norm(list, batch, 16, 1280);
    layer_norm(list, batch * tokens(list, 4096), 320);
    geglu(list, batch * tokens(list, 4096), 1280);
    addition(list, batch, 64, 320, false);
}

static void list_rest_of_unet(struct list *list, int64_t batch)
{
    convolution(list, batch, 64, 4, 320, usual);
    convolution(list, batch, 64, 320, 4, usual);
    convolution(list, batch, 64, 320, 320, halving);
    linear(list, batch * tokens(list, 77), 768, 320);
    linear(list, batch, 1280, 320);
    attention(list, batch, 1024, 77, 8, 80);
    attention(list, batch, 64, 64, 8, 160);
    group_norm(list, batch, 64, 960);
    layer_norm(list, batch * tokens(list, 256), 1280);
    unary(list, UNARY_SILU, "silu", batch, 1280);
    addition(list, batch, 64, 320, true);
    concatenation(list, batch, 64, 320, 640);
    slice(list, batch, 64, 960, 320);
    sum_of_positions(list, batch, 64, 320);
}

static void list_decoder(struct list *list)
{
    convolution(list, 1, 512, 128, 128, usual);
    convolution(list, 1, 256, 256, 256, usual);
    convolution(list, 1, 128, 512, 512, usual);
    convolution(list, 1, 64, 512, 512, usual);
    convolution(list, 1, 256, 256, 256, doubling);
    convolution(list, 1, 512, 128, 3, usual);
    attention(list, 1, 4096, 4096, 1, 512);
    group_norm(list, 1, 512, 128);
}

static void list_tower(struct list *list, int64_t pictures)
{
    convolution(list, pictures, 224, 3, 1024, patches);
    linear(list, pictures * tokens(list, 257), 1024, 4096);
    attention(list, pictures, 257, 257, 16, 64);
    layer_norm(list, pictures * tokens(list, 257), 1024);
    unary(list, UNARY_QUICK_GELU, "quick gelu", pictures * tokens(list, 257), 4096);
    resize(list, pictures, 512, 224);
}

int layers_list(int pictures, bool tiny, bool main_only, struct layer layers[MAXIMUM_LAYERS])
{
    struct list list = {layers, 0, tiny};
    list_main(&list, tiny ? pictures : 2 * (int64_t)pictures);
    if (main_only) return list.count;
    list_rest_of_unet(&list, tiny ? pictures : 2 * (int64_t)pictures);
    list_decoder(&list);
    list_tower(&list, pictures);
    return list.count;
}
