/* Sixel: the picture in cell-aligned strips that share one palette. */
#include "tui/pictures/encode.h"

#include <sixel.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_COLORS = 256 };

static int collect(char *data, int length, void *context)
{
    bytes_add(context, data, (size_t)length);
    return length;
}

/* Reads `#number`, the sign's place being *at, and steps over it and what follows it if it is a definition. */
static int read_color(const char *text, size_t length, size_t *at, bool *definition)
{
    int number = 0;
    for (++*at; *at < length && text[*at] >= '0' && text[*at] <= '9'; ++*at) number = number * 10 + (text[*at] - '0');
    *definition = *at < length && text[*at] == ';';
    while (*definition && *at < length && (text[*at] == ';' || (text[*at] >= '0' && text[*at] <= '9'))) ++*at;
    return number;
}

/* Takes out the definitions of colours that the strip, `bytes` from `from` on, does not use: with many colours and
 * small strips they would be the larger part. */
static void drop_unused_colors(struct bytes *bytes, size_t from)
{
    if (bytes->failed) return;
    bool used[MOST_COLORS] = {false}, definition = false;
    char *text = bytes->data;
    for (size_t at = from; at < bytes->length;) {
        if (text[at] != '#') {
            at++;
            continue;
        }
        int color = read_color(text, bytes->length, &at, &definition);
        if (!definition && color < MOST_COLORS) used[color] = true;
    }
    size_t kept = from;
    for (size_t at = from; at < bytes->length;) {
        size_t start = at;
        bool keep = true;
        if (text[at] == '#') {
            int color = read_color(text, bytes->length, &at, &definition);
            keep = !definition || color >= MOST_COLORS || used[color];
        } else {
            at++;
        }
        if (!keep) continue;
        memmove(text + kept, text + start, at - start);
        kept += at - start;
    }
    bytes->length = kept;
}

static bool encode_strips(const struct encode_request *request, const struct image *scaled, sixel_dither_t *dither,
                          sixel_output_t *output, struct encoded *encoded)
{
    int strip_rows = request->strip_rows > 0 ? request->strip_rows : request->rows;
    size_t stride = (size_t)scaled->width * 3;
    for (int row = 0; row < request->rows; row += strip_rows) {
        int top = row * request->cell_height;
        int height = strip_rows * request->cell_height;
        if (top + height > scaled->height) height = scaled->height - top;
        /* The encoder may write into its input, so it gets a copy. */
        unsigned char *pixels = malloc((size_t)height * stride);
        if (!pixels) return false;
        memcpy(pixels, scaled->pixels + (size_t)top * stride, (size_t)height * stride);
        if (!request->in_place)
            bytes_format(&encoded->bytes, "\0337\033[%d;%dH", request->row + row + 1, request->column + 1);
        size_t start = encoded->bytes.length;
        SIXELSTATUS done = sixel_encode(pixels, scaled->width, height, 3, dither, output);
        if (!SIXEL_FAILED(done)) drop_unused_colors(&encoded->bytes, start);
        if (!request->in_place) bytes_add_text(&encoded->bytes, "\0338");
        free(pixels);
        if (SIXEL_FAILED(done)) return false;
        encoded_end_piece(encoded);
    }
    return true;
}

bool encode_sixel(const struct encode_request *request, struct encoded *encoded)
{
    struct image scaled = {0};
    int width = request->columns * request->cell_width, height = request->rows * request->cell_height;
    if (!image_scale(request->image, width, height, &scaled)) return false;
    sixel_dither_t *dither = NULL;
    sixel_output_t *output = NULL;
    int colors = request->colors < 2 ? 2 : request->colors > MOST_COLORS ? MOST_COLORS : request->colors;
    bool ready = SIXEL_SUCCEEDED(sixel_dither_new(&dither, colors, NULL)) &&
                 SIXEL_SUCCEEDED(sixel_output_new(&output, collect, &encoded->bytes, NULL)) &&
                 SIXEL_SUCCEEDED(sixel_dither_initialize(dither, scaled.pixels, width, height, SIXEL_PIXELFORMAT_RGB888,
                                                         SIXEL_LARGE_AUTO, SIXEL_REP_AUTO, SIXEL_QUALITY_LOW));
    if (ready) {
        /* Ordered dither depends on the place alone: an unchanged part of the picture keeps its bytes. */
        sixel_dither_set_diffusion_type(dither, SIXEL_DIFFUSE_NONE);
        sixel_dither_set_pixelformat(dither, SIXEL_PIXELFORMAT_RGB888);
        sixel_output_set_8bit_availability(output, 0);
        sixel_output_set_encode_policy(output, SIXEL_ENCODEPOLICY_FAST);
        ready = encode_strips(request, &scaled, dither, output, encoded);
    }
    if (output) sixel_output_unref(output);
    if (dither) sixel_dither_unref(dither);
    image_free(&scaled);
    return ready;
}
