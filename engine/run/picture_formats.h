/* What the readers of each picture format give picture_read, and what they share. */
#ifndef ALIGNPROP_RUN_PICTURE_FORMATS_H
#define ALIGNPROP_RUN_PICTURE_FORMATS_H

#include "engine/run/picture_file.h"

#include <stddef.h>

/* Where the picture's upper left corner is to be, as EXIF's tag 0x0112 says: 1 as stored, 2 to 8 mirrored or turned. */
enum { ORIENTATION_AS_STORED = 1, ORIENTATION_LAST = 8 };

/* Each decodes a whole file in memory to RGB in stored order. STATUS_BAD_INPUT names `path` and what is wrong: damage,
 * an early end, more pixels than allowed; STATUS_NO_MEMORY what is needed and free. On failure picture_clear is the
 * caller's. */
status picture_decode_png(const char *path, const void *data, size_t length, struct picture *picture, int *orientation);
status picture_decode_jpeg(const char *path, const void *data, size_t length, struct picture *picture,
                           int *orientation);

/* Makes room for the pixels once the file has told its size. `more` is what else decoding takes, in bytes. */
status picture_allocate(struct picture *picture, const char *path, size_t width, size_t height, size_t more);

/* The orientation in EXIF data (TIFF header, then directories; EXIF 2.32, 4.6.4); ORIENTATION_AS_STORED where it holds
 * none. An "Exif\0\0" in front, as JPEG files have it, is stepped over. */
int exif_orientation(const unsigned char *data, size_t length);

#endif
