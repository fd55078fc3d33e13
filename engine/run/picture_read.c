#include "engine/base/files.h"
#include "engine/run/picture_file.h"

#include <stdio.h>

#include <jpeglib.h>
#include <png.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

enum { PICTURE_FILE_LIMIT = 256 << 20 };

void picture_clear(struct picture *picture)
{
    free(picture->pixels);
    *picture = (struct picture){0};
}

static status allocate(struct picture *picture, const char *path, unsigned long width, unsigned long height)
{
    if (width == 0 || height == 0 || width > PICTURE_SIDE_LIMIT || height > PICTURE_SIDE_LIMIT) {
        return status_error(STATUS_BAD_INPUT, "%s: is %lu x %lu pixels; from 1 to %d on a side are allowed", path,
                            width, height, PICTURE_SIDE_LIMIT);
    }
    picture->pixels = malloc(width * height * 3);
    if (!picture->pixels) return status_error(STATUS_NO_MEMORY, "%s: no memory for its pixels", path);
    picture->width = (int)width;
    picture->height = (int)height;
    return status_ok();
}

/* libpng's simplified reader takes care of every colour type, gamma and interlace. */
static status read_png(const char *path, const char *data, size_t length, struct picture *picture)
{
    png_image image = {.version = PNG_IMAGE_VERSION};
    if (!png_image_begin_read_from_memory(&image, data, length)) {
        return status_error(STATUS_BAD_INPUT, "%s: damaged PNG file: %s", path, image.message);
    }
    image.format = PNG_FORMAT_RGB;
    status result = allocate(picture, path, image.width, image.height);
    png_color white = {255, 255, 255};
    if (result.code == STATUS_OK && !png_image_finish_read(&image, &white, picture->pixels, 0, NULL)) {
        result = status_error(STATUS_BAD_INPUT, "%s: damaged PNG file: %s", path, image.message);
    }
    png_image_free(&image);
    return result;
}

struct jpeg_errors {
    struct jpeg_error_mgr manager; /* first, so that libjpeg's pointer is ours */
    jmp_buf back;
    char words[JMSG_LENGTH_MAX];
};

static void on_jpeg_error(j_common_ptr reader)
{
    struct jpeg_errors *errors = (struct jpeg_errors *)reader->err;
    errors->manager.format_message(reader, errors->words);
    longjmp(errors->back, 1);
}

static void on_jpeg_message(j_common_ptr reader, int level)
{
    (void)reader;
    (void)level;
}

static status read_jpeg(const char *path, const char *data, size_t length, struct picture *picture)
{
    struct jpeg_decompress_struct reader;
    struct jpeg_errors errors;
    reader.err = jpeg_std_error(&errors.manager);
    errors.manager.error_exit = on_jpeg_error;
    errors.manager.emit_message = on_jpeg_message;
    jpeg_create_decompress(&reader);
    if (setjmp(errors.back)) {
        jpeg_destroy_decompress(&reader);
        return status_error(STATUS_BAD_INPUT, "%s: damaged JPEG file: %s", path, errors.words);
    }
    jpeg_mem_src(&reader, (const unsigned char *)data, length);
    jpeg_read_header(&reader, TRUE);
    reader.out_color_space = JCS_RGB;
    jpeg_start_decompress(&reader);
    status result = allocate(picture, path, reader.output_width, reader.output_height);
    while (result.code == STATUS_OK && reader.output_scanline < reader.output_height) {
        JSAMPROW row = picture->pixels + (size_t)reader.output_scanline * reader.output_width * 3;
        jpeg_read_scanlines(&reader, &row, 1);
    }
    jpeg_destroy_decompress(&reader);
    return result;
}

status picture_read(const char *path, struct picture *picture)
{
    *picture = (struct picture){0};
    char *data;
    size_t length;
    TRY(file_read(path, PICTURE_FILE_LIMIT, &data, &length));
    status result;
    if (length >= 8 && memcmp(data, "\x89PNG\r\n\x1A\n", 8) == 0) {
        result = read_png(path, data, length, picture);
    } else if (length >= 3 && memcmp(data, "\xFF\xD8\xFF", 3) == 0) {
        result = read_jpeg(path, data, length, picture);
    } else {
        result = status_error(STATUS_BAD_INPUT, "%s: is neither a PNG nor a JPEG file", path);
    }
    free(data);
    if (result.code != STATUS_OK) picture_clear(picture);
    return result;
}
