/* JPEG as RGB. A file that libjpeg would fill up with grey because it ends early or its data is corrupt is damaged. */
#include "engine/run/picture_formats.h"

#include <stdio.h>

#include <jpeglib.h>

#include <jerror.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

enum { SCANS_LIMIT = 500 }; /* each reads all coefficients again: a small file could take hours */

struct jpeg_source {
    struct jpeg_decompress_struct reader;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf back;
    char message[JMSG_LENGTH_MAX]; /* of an error */
    char damage[JMSG_LENGTH_MAX];  /* of the first warning of damage; "" without one */
    const char *path;
    struct picture *picture;
    unsigned char *inks; /* one row of cyan, magenta, yellow and black */
    int orientation;
    status result; /* of what is no fault of the file */
};

static void on_error(j_common_ptr reader)
{
    struct jpeg_source *source = reader->client_data;
    source->errors.format_message(reader, source->message);
    if (source->errors.msg_code == JERR_OUT_OF_MEMORY)
        source->result = status_error(STATUS_NO_MEMORY, "%s: no memory for its pixels", source->path);
    longjmp(source->back, 1);
}

/* Warnings that cost no pixel. */
static bool is_harmless(int code)
{
    return code == JWRN_EXTRANEOUS_DATA || code == JWRN_ADOBE_XFORM || code == JWRN_JFIF_MAJOR ||
           code == JWRN_NOT_SEQUENTIAL || code == JWRN_TOO_MUCH_DATA;
}

static void on_message(j_common_ptr reader, int level)
{
    struct jpeg_source *source = reader->client_data;
    if (level >= 0 || is_harmless(source->errors.msg_code) || source->damage[0]) return;
    source->errors.format_message(reader, source->damage);
}

static void on_progress(j_common_ptr reader)
{
    struct jpeg_source *source = reader->client_data;
    if (source->reader.input_scan_number <= SCANS_LIMIT) return;
    snprintf(source->message, sizeof source->message, "it has more than %d scans", SCANS_LIMIT);
    longjmp(source->back, 1);
}

/* Two bytes for each coefficient of a file in several scans, all of which must be there before the first row. */
static size_t coefficient_bytes(j_decompress_ptr reader)
{
    size_t blocks = 0;
    if (!jpeg_has_multiple_scans(reader)) return 0;
    for (int i = 0; i < reader->num_components; i++)
        blocks += (size_t)reader->comp_info[i].width_in_blocks * reader->comp_info[i].height_in_blocks;
    return blocks * DCTSIZE2 * sizeof(JCOEF);
}

/* Rounded a b / 255. */
static unsigned char product(unsigned a, unsigned b)
{
    unsigned sum = a * b + 128;
    return (unsigned char)(((sum >> 8) + sum) >> 8);
}

/* Inks are stored inverted, as Adobe's programs do and others took over: what is stored is the light that each lets
 * through. Without a profile red is what cyan and black let through, and so on; Pillow converts by the same rule. */
static void from_inks(const unsigned char *inks, int width, unsigned char *rgb)
{
    for (int x = 0; x < width; x++) {
        unsigned black = inks[4 * x + 3];
        for (int channel = 0; channel < 3; channel++)
            rgb[3 * x + channel] = (unsigned char)(black - product(255u - inks[4 * x + channel], black));
    }
}

static void read_orientation(struct jpeg_source *source)
{
    static const char name[6] = "Exif\0";
    for (jpeg_saved_marker_ptr marker = source->reader.marker_list; marker; marker = marker->next) {
        if (marker->marker != JPEG_APP0 + 1 || marker->data_length < sizeof name) continue;
        if (memcmp(marker->data, name, sizeof name) != 0) continue;
        source->orientation = exif_orientation(marker->data, marker->data_length);
        return;
    }
}

static void read_rows(struct jpeg_source *source)
{
    j_decompress_ptr reader = &source->reader;
    struct picture *picture = source->picture;
    while (reader->output_scanline < reader->output_height) {
        unsigned char *row = picture->pixels + (size_t)reader->output_scanline * (size_t)picture->width * 3;
        JSAMPROW target = source->inks ? source->inks : row;
        jpeg_read_scanlines(reader, &target, 1);
        if (source->inks) from_inks(source->inks, picture->width, row);
    }
}

static bool make_room(struct jpeg_source *source)
{
    j_decompress_ptr reader = &source->reader;
    source->result = picture_allocate(source->picture, source->path, reader->image_width, reader->image_height,
                                      coefficient_bytes(reader));
    if (source->result.code != STATUS_OK || reader->out_color_space != JCS_CMYK)
        return source->result.code == STATUS_OK;
    source->inks = malloc((size_t)reader->image_width * 4);
    if (!source->inks) source->result = status_error(STATUS_NO_MEMORY, "%s: no memory for its pixels", source->path);
    return source->inks != NULL;
}

/* False with source->words or source->result telling why. */
static bool decode(struct jpeg_source *source, const void *data, size_t length)
{
    j_decompress_ptr reader = &source->reader;
    if (setjmp(source->back)) return false;
    jpeg_create_decompress(reader);
    reader->progress = &source->progress;
    jpeg_save_markers(reader, JPEG_APP0 + 1, 0xFFFF);
    jpeg_mem_src(reader, data, length);
    jpeg_read_header(reader, TRUE);
    bool inks = reader->jpeg_color_space == JCS_CMYK || reader->jpeg_color_space == JCS_YCCK;
    reader->out_color_space = inks ? JCS_CMYK : JCS_RGB;
    read_orientation(source);
    if (!make_room(source)) return false;
    jpeg_start_decompress(reader);
    read_rows(source);
    jpeg_finish_decompress(reader);
    return true;
}

status picture_decode_jpeg(const char *path, const void *data, size_t length, struct picture *picture, int *orientation)
{
    struct jpeg_source source = {
        .path = path, .picture = picture, .orientation = ORIENTATION_AS_STORED, .result = status_ok()};
    source.reader.err = jpeg_std_error(&source.errors);
    source.reader.client_data = &source;
    source.errors.error_exit = on_error;
    source.errors.emit_message = on_message;
    source.progress.progress_monitor = on_progress;
    bool good = decode(&source, data, length);
    jpeg_destroy_decompress(&source.reader);
    free(source.inks);
    *orientation = source.orientation;
    if (source.result.code != STATUS_OK) return source.result;
    if (!good) return status_error(STATUS_BAD_INPUT, "%s: cannot be read as a JPEG file: %s", path, source.message);
    if (!source.damage[0]) return status_ok();
    return status_error(STATUS_BAD_INPUT, "%s: damaged JPEG file: %s", path, source.damage);
}
