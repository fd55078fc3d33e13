/* Sixel: the picture in cell-aligned strips that share one palette. */
#include "tui/pictures/encode.h"

#include <sixel.h>
#include <stdlib.h>
#include <string.h>

static int collect(char *data, int length, void *context)
{
    bytes_add(context, data, (size_t)length);
    return length;
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
        if (pixels == NULL) return false;
        memcpy(pixels, scaled->pixels + (size_t)top * stride, (size_t)height * stride);
        if (!request->in_place)
            bytes_format(&encoded->bytes, "\0337\033[%d;%dH", request->row + row + 1, request->column + 1);
        SIXELSTATUS done = sixel_encode(pixels, scaled->width, height, 3, dither, output);
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
    int colors = request->colors < 2 ? 2 : request->colors > 256 ? 256 : request->colors;
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
    if (output != NULL) sixel_output_unref(output);
    if (dither != NULL) sixel_dither_unref(dither);
    image_free(&scaled);
    return ready;
}
