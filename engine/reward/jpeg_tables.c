/* Quantisers as libjpeg scales them, the cosine matrix, and the real size of a picture by libjpeg itself. */
#include "engine/reward/jpeg_tables.h"

#include "engine/base/memory.h"
#include "engine/base/range.h"

#include <math.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <jpeglib.h>

/* ITU-T T.81, tables K.1 and K.2. */
static const unsigned char base[2][8][8] = {
    {{16, 11, 10, 16, 24, 40, 51, 61},
     {12, 12, 14, 19, 26, 58, 60, 55},
     {14, 13, 16, 24, 40, 57, 69, 56},
     {14, 17, 22, 29, 51, 87, 80, 62},
     {18, 22, 37, 56, 68, 109, 103, 77},
     {24, 35, 55, 64, 81, 104, 113, 92},
     {49, 64, 78, 87, 103, 121, 120, 101},
     {72, 92, 95, 98, 112, 100, 103, 99}},
    {{17, 18, 24, 47, 99, 99, 99, 99},
     {18, 21, 26, 66, 99, 99, 99, 99},
     {24, 26, 56, 99, 99, 99, 99, 99},
     {47, 66, 99, 99, 99, 99, 99, 99},
     {99, 99, 99, 99, 99, 99, 99, 99},
     {99, 99, 99, 99, 99, 99, 99, 99},
     {99, 99, 99, 99, 99, 99, 99, 99},
     {99, 99, 99, 99, 99, 99, 99, 99}},
};

void jpeg_quantiser(enum jpeg_plane plane, int quality, double step[8][8])
{
    int percent = quality < 50 ? 5000 / quality : 200 - 2 * quality;
    for (int v = 0; v < 8; v++)
        for (int u = 0; u < 8; u++) {
            int scaled = (base[plane][v][u] * percent + 50) / 100;
            step[v][u] = clamp_int(scaled, 1, 255);
        }
}

void jpeg_cosine_matrix(double matrix[8][8])
{
    const double pi = 3.14159265358979323846;
    for (int k = 0; k < 8; k++)
        for (int n = 0; n < 8; n++) matrix[k][n] = (k == 0 ? sqrt(0.125) : 0.5) * cos((2 * n + 1) * k * pi / 16.0);
}

/* One compression. libjpeg reports errors by a callback that must not return, so what has to be released lives here,
 * outside the function that the callback jumps into. */
struct compression {
    struct jpeg_compress_struct compressor;
    struct jpeg_error_mgr manager;
    jmp_buf failed;
    char message[JMSG_LENGTH_MAX];
    JSAMPLE *row;
    unsigned char *file; /* grown by libjpeg */
    unsigned long file_bytes;
};

static void leave(j_common_ptr common)
{
    struct compression *compression = common->client_data;
    common->err->format_message(common, compression->message);
    longjmp(compression->failed, 1);
}

static JSAMPLE level(float value)
{
    float scaled = value * 255.0F + 0.5F;
    return (JSAMPLE)(scaled >= 255.0F ? 255 : scaled > 0.0F ? (int)scaled : 0); /* not a number: 0 */
}

static void write_rows(struct compression *compression, const float *picture)
{
    struct jpeg_compress_struct *compressor = &compression->compressor;
    size_t samples = (size_t)compressor->image_width * 3;
    while (compressor->next_scanline < compressor->image_height) {
        const float *source = picture + compressor->next_scanline * samples;
        for (size_t i = 0; i < samples; i++) compression->row[i] = level(source[i]);
        jpeg_write_scanlines(compressor, &compression->row, 1);
    }
}

/* False after an error of libjpeg, whose words are then in `message`. */
static bool compress(struct compression *compression, const float *picture, int height, int width, int quality)
{
    struct jpeg_compress_struct *compressor = &compression->compressor;
    if (setjmp(compression->failed) != 0) return false;
    jpeg_create_compress(compressor);
    compressor->client_data = compression;
    jpeg_mem_dest(compressor, &compression->file, &compression->file_bytes);
    compressor->image_width = (JDIMENSION)width;
    compressor->image_height = (JDIMENSION)height;
    compressor->input_components = 3;
    compressor->in_color_space = JCS_RGB;
    jpeg_set_defaults(compressor); /* YCbCr with halved chroma */
    jpeg_set_quality(compressor, quality, TRUE);
    jpeg_start_compress(compressor, TRUE);
    write_rows(compression, picture);
    jpeg_finish_compress(compressor);
    return true;
}

status jpeg_real_size(const float *picture, int height, int width, int quality, unsigned long *bytes)
{
    struct compression compression = {.row = memory_take((size_t)width, 3)};
    compression.compressor.err = jpeg_std_error(&compression.manager);
    compression.compressor.client_data = &compression;
    compression.manager.error_exit = leave;
    status result = compress(&compression, picture, height, width, quality)
                        ? status_ok()
                        : status_error(STATUS_FAILED, "libjpeg: %s", compression.message);
    *bytes = compression.file_bytes;
    jpeg_destroy_compress(&compression.compressor);
    free(compression.row);
    free(compression.file);
    return result;
}
