/* PNG as RGB, sample values as stored: 16 bits keep their upper byte, and gAMA, cHRM, sRGB and iCCP are not applied, as
 * Pillow and what is built on it read them. Transparency is put on white by those values (Pillow's alpha_composite). */
#include "engine/run/picture_formats.h"

#include <png.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

struct png_source {
    const char *path;
    const unsigned char *data;
    size_t length, at;
    struct picture *picture;
    int orientation;
    png_structp png;
    png_infop info, end;
    unsigned char *samples; /* RGBA: of one row, or of all rows of an interlaced picture */
    png_bytepp rows;        /* where each row of an interlaced picture goes */
    char error[160];
    status result; /* of what is no fault of the file */
};

static void on_error(png_structp png, png_const_charp message)
{
    struct png_source *source = png_get_error_ptr(png);
    snprintf(source->error, sizeof source->error, "%s", message);
    longjmp(png_jmpbuf(png), 1);
}

static void on_warning(png_structp png, png_const_charp message)
{
    (void)png;
    (void)message;
}

static void on_read(png_structp png, png_bytep target, png_size_t length)
{
    struct png_source *source = png_get_io_ptr(png);
    if (length > source->length - source->at) png_error(png, "the file ends before the picture does");
    memcpy(target, source->data + source->at, length);
    source->at += length;
}

/* Rounded (c a + 255 (255 - a)) / 255, by the shifts that make the division exact. */
static unsigned char over_white(unsigned sample, unsigned alpha)
{
    unsigned sum = sample * alpha + 255 * (255 - alpha) + 128;
    return (unsigned char)(((sum >> 8) + sum) >> 8);
}

static void put_on_white(const unsigned char *rgba, int width, unsigned char *rgb)
{
    for (int x = 0; x < width; x++)
        for (int channel = 0; channel < 3; channel++)
            rgb[3 * x + channel] = over_white(rgba[4 * x + channel], rgba[4 * x + 3]);
}

/* What the file may hold besides the picture is not looked at: compressed texts and profiles may be of any size. */
static void skip_the_rest(png_structp png)
{
    static const unsigned char skipped[] = "tEXt\0zTXt\0iTXt\0iCCP\0sPLT\0hIST\0pCAL";
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, NULL, 0);
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, skipped, (int)(sizeof skipped / 5));
}

/* RGB or RGBA of 8 bits; returns the passes over the rows. */
static int set_form(png_structp png, png_infop info)
{
    png_set_expand(png); /* palettes, grey of less than 8 bits, tRNS to alpha */
    png_set_strip_16(png);
    png_set_gray_to_rgb(png);
    int passes = png_set_interlace_handling(png);
    png_read_update_info(png, info);
    return passes;
}

static bool make_room(struct png_source *source, bool alpha, bool interlaced)
{
    size_t width = png_get_image_width(source->png, source->info);
    size_t height = png_get_image_height(source->png, source->info);
    size_t row_bytes = 4 * width;
    size_t samples = !alpha ? 0 : interlaced ? row_bytes * height : row_bytes;
    source->result = picture_allocate(source->picture, source->path, width, height, samples);
    if (source->result.code != STATUS_OK) return false;
    if (alpha) source->samples = malloc(samples);
    if (interlaced) source->rows = malloc(height * sizeof *source->rows);
    if ((!alpha || source->samples) && (!interlaced || source->rows)) return true;
    source->result = status_error(STATUS_NO_MEMORY, "%s: no memory for its pixels", source->path);
    return false;
}

static void read_rows(struct png_source *source, bool alpha)
{
    struct picture *picture = source->picture;
    for (int y = 0; y < picture->height; y++) {
        unsigned char *row = picture->pixels + (size_t)y * (size_t)picture->width * 3;
        png_read_row(source->png, alpha ? source->samples : row, NULL);
        if (alpha) put_on_white(source->samples, picture->width, row);
    }
}

static void read_interlaced(struct png_source *source, bool alpha)
{
    struct picture *picture = source->picture;
    size_t width = (size_t)picture->width, bytes = width * (alpha ? 4 : 3);
    unsigned char *first = alpha ? source->samples : picture->pixels;
    for (int y = 0; y < picture->height; y++) source->rows[y] = first + (size_t)y * bytes;
    png_read_image(source->png, source->rows);
    for (int y = 0; alpha && y < picture->height; y++)
        put_on_white(source->rows[y], picture->width, picture->pixels + (size_t)y * width * 3);
}

static void read_orientation(struct png_source *source)
{
    png_infop places[2] = {source->info, source->end};
    for (int i = 0; i < 2; i++) {
        png_uint_32 length = 0;
        png_bytep exif = NULL;
        if (png_get_eXIf_1(source->png, places[i], &length, &exif) && exif)
            source->orientation = exif_orientation(exif, length);
    }
}

/* False with source->error or source->result telling why. */
static bool decode(struct png_source *source)
{
    if (setjmp(png_jmpbuf(source->png))) return false;
    png_set_read_fn(source->png, source, on_read);
    png_set_user_limits(source->png, PNG_UINT_31_MAX, PNG_UINT_31_MAX); /* picture_allocate names its own */
    skip_the_rest(source->png);
    png_read_info(source->png, source->info);
    bool interlaced = set_form(source->png, source->info) > 1;
    bool alpha = png_get_channels(source->png, source->info) == 4;
    if (!make_room(source, alpha, interlaced)) return false;
    if (interlaced) {
        read_interlaced(source, alpha);
    } else {
        read_rows(source, alpha);
    }
    png_read_end(source->png, source->end);
    read_orientation(source);
    return true;
}

status picture_decode_png(const char *path, const void *data, size_t length, struct picture *picture, int *orientation)
{
    struct png_source source = {.path = path,
                                .data = data,
                                .length = length,
                                .picture = picture,
                                .orientation = ORIENTATION_AS_STORED,
                                .result = status_ok()};
    source.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &source, on_error, on_warning);
    source.info = source.png ? png_create_info_struct(source.png) : NULL;
    source.end = source.info ? png_create_info_struct(source.png) : NULL;
    status result = status_error(STATUS_NO_MEMORY, "%s: no memory to read it", path);
    if (source.end) {
        bool good = decode(&source);
        result = source.result;
        if (!good && result.code == STATUS_OK)
            result = status_error(STATUS_BAD_INPUT, "%s: damaged PNG file: %s", path, source.error);
    }
    png_destroy_read_struct(&source.png, &source.info, &source.end);
    free(source.samples);
    free(source.rows);
    *orientation = source.orientation;
    return result;
}
