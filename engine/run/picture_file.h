/* Picture files: PNGs of samples with the recipe they were made by inside. */
#ifndef ALIGNPROP_RUN_PICTURE_FILE_H
#define ALIGNPROP_RUN_PICTURE_FILE_H

#include "engine/base/text.h"
#include "kernels/status.h"

#include <stddef.h>

/* Writes 8-bit RGB rows [height, width, 3] to `path`, whole or not at all. `parameters` (may be NULL) goes into a text
 * chunk of that name: tEXt when it is Latin-1, else iTXt, as the programs that read it expect. */
status picture_write_png(const char *path, const unsigned char *pixels, int width, int height, const char *parameters);

struct picture {
    unsigned char *pixels; /* [height, width, 3], owned */
    int width, height;
};
/* The second is where Pillow begins to take a picture for an attack. */
enum { PICTURE_SIDE_LIMIT = 16384, PICTURE_PIXEL_LIMIT = 89478485 };
/* Reads a PNG or JPEG file as RGB of 8 bits, upright as its EXIF data says. Sample values are taken as sRGB, whatever
 * gamma or profile the file names; 16 bits keep their upper byte; transparency is put on white by those values, and
 * inks (CMYK, YCCK) become light without a profile: all as Pillow does. STATUS_BAD_INPUT names file and what is wrong:
 * damage, an early end, or more pixels than allowed; STATUS_NO_MEMORY what is needed and free. */
status picture_read(const char *path, struct picture *picture);
void picture_clear(struct picture *picture);

/* ---- the recipe ---- */

struct recipe {
    const char *prompt, *negative; /* negative may be NULL or "" */
    int steps, width, height;
    const char *sampler; /* name */
    double guidance;
    unsigned long long seed;
    const char *model;   /* name */
    const char *adapter; /* file name, or NULL */
    double adapter_scale;
    const char *reward; /* "count: 0.93, jpeg: -2.1", or NULL */
};

/* The text that AUTOMATIC1111's web UI writes and reads: prompt, "Negative prompt: ", and a line of "Key: value" pairs.
 */
void recipe_append(struct text *text, const struct recipe *recipe);

#endif
