/* The iTerm2 protocol: a JPEG file inline, drawn over the cells it is given. */
#include "tui/pictures/encode.h"

#include <stdio.h>
#include <stdlib.h>

#include <jpeglib.h>
#include <setjmp.h>

struct failure {
    struct jpeg_error_mgr manager;
    jmp_buf place;
};

static void fail(j_common_ptr compressor)
{
    struct failure *failure = (struct failure *)compressor->err;
    longjmp(failure->place, 1);
}

static bool to_jpeg(const struct image *image, int quality, unsigned char **data, unsigned long *length)
{
    struct jpeg_compress_struct compressor;
    struct failure failure;
    compressor.err = jpeg_std_error(&failure.manager);
    failure.manager.error_exit = fail;
    if (setjmp(failure.place)) {
        jpeg_destroy_compress(&compressor);
        return false;
    }
    jpeg_create_compress(&compressor);
    jpeg_mem_dest(&compressor, data, length);
    compressor.image_width = (JDIMENSION)image->width;
    compressor.image_height = (JDIMENSION)image->height;
    compressor.input_components = 3;
    compressor.in_color_space = JCS_RGB;
    jpeg_set_defaults(&compressor);
    jpeg_set_quality(&compressor, quality, TRUE);
    jpeg_start_compress(&compressor, TRUE);
    while (compressor.next_scanline < compressor.image_height) {
        JSAMPROW row = image->pixels + (size_t)compressor.next_scanline * (size_t)image->width * 3;
        jpeg_write_scanlines(&compressor, &row, 1);
    }
    jpeg_finish_compress(&compressor);
    jpeg_destroy_compress(&compressor);
    return true;
}

bool encode_iterm2(const struct encode_request *request, struct encoded *encoded)
{
    unsigned char *data = NULL;
    unsigned long length = 0;
    int quality = request->colors >= 256 ? 90 : request->colors >= 64 ? 75 : 50;
    bool ready = to_jpeg(request->image, quality, &data, &length);
    if (ready) {
        if (!request->in_place)
            bytes_format(&encoded->bytes, "\0337\033[%d;%dH", request->row + 1, request->column + 1);
        bytes_format(&encoded->bytes,
                     "\033]1337;File=inline=1;size=%lu;width=%d;height=%d;preserveAspectRatio=0:", length,
                     request->columns, request->rows);
        bytes_add_base64(&encoded->bytes, data, length);
        bytes_add_text(&encoded->bytes, "\a");
        if (!request->in_place) bytes_add_text(&encoded->bytes, "\0338");
        encoded_end_piece(encoded);
    }
    free(data);
    return ready;
}
