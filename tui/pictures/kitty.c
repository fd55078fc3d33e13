/* The kitty graphics protocol: PNG in chunks, stored under a number, placed under the text, the old one removed last.
 */
#include "tui/pictures/encode.h"

#include <png.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 4096 };

static unsigned char *to_png(const struct image *image, size_t *length)
{
    png_image writer = {.version = PNG_IMAGE_VERSION,
                        .width = (png_uint_32)image->width,
                        .height = (png_uint_32)image->height,
                        .format = PNG_FORMAT_RGB,
                        .flags = PNG_IMAGE_FLAG_FAST};
    png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(writer);
    unsigned char *data = malloc(size);
    if (!data) return NULL;
    if (!png_image_write_to_memory(&writer, data, &size, 0, image->pixels, 0, NULL)) {
        free(data);
        return NULL;
    }
    *length = size;
    return data;
}

static void write_chunks(const struct encode_request *request, const struct bytes *text, struct encoded *encoded)
{
    size_t done = 0;
    bool first = true;
    while (done < text->length) {
        size_t length = text->length - done < CHUNK ? text->length - done : CHUNK;
        bool more = done + length < text->length;
        if (first)
            bytes_format(&encoded->bytes, "\033_Ga=t,t=d,f=100,i=%u,q=2,m=%d;", request->identity, more);
        else
            bytes_format(&encoded->bytes, "\033_Gm=%d,q=2;", more);
        bytes_add(&encoded->bytes, text->data + done, length);
        bytes_add_text(&encoded->bytes, "\033\\");
        encoded_end_piece(encoded);
        first = false;
        done += length;
    }
}

bool encode_kitty(const struct encode_request *request, struct encoded *encoded)
{
    const struct image *image = request->image;
    struct image smaller = {0};
    int longest = image->width > image->height ? image->width : image->height;
    if (request->largest_side > 0 && longest > request->largest_side) {
        int width = image->width * request->largest_side / longest,
            height = image->height * request->largest_side / longest;
        if (!image_scale(image, width > 0 ? width : 1, height > 0 ? height : 1, &smaller)) return false;
        image = &smaller;
    }
    size_t length = 0;
    unsigned char *png = to_png(image, &length);
    struct bytes text = {0};
    if (png) bytes_add_base64(&text, png, length);
    bool ready = png && !text.failed;
    if (ready) {
        write_chunks(request, &text, encoded);
        if (!request->in_place)
            bytes_format(&encoded->bytes, "\0337\033[%d;%dH", request->row + 1, request->column + 1);
        bytes_format(&encoded->bytes, "\033_Ga=p,i=%u,p=1,c=%d,r=%d,%sq=2\033\\", request->identity, request->columns,
                     request->rows, request->in_place ? "" : "C=1,");
        if (!request->in_place) bytes_add_text(&encoded->bytes, "\0338");
        if (request->replaces != 0) bytes_format(&encoded->bytes, "\033_Ga=d,d=I,i=%u,q=2\033\\", request->replaces);
        encoded_end_piece(encoded);
    }
    bytes_free(&text);
    free(png);
    image_free(&smaller);
    return ready;
}
