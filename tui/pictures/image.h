/* Pictures in memory: 8-bit RGB rows without padding. */
#ifndef ALIGNPROP_TUI_PICTURES_IMAGE_H
#define ALIGNPROP_TUI_PICTURES_IMAGE_H

#include "kernels/status.h"

#include <stddef.h>
#include <stdint.h>

enum { IMAGE_LARGEST_SIDE = 8192 };

struct image {
    int width, height;
    unsigned char *pixels; /* width * height * 3, owned */
    uint64_t hash;         /* of size and pixels: equal pictures have equal hashes */
};

/* Copies `pixels`; false when memory is short. */
bool image_set(struct image *image, int width, int height, const unsigned char *pixels);
/* The same with the picture of another image, whose hash is known. */
bool image_copy(struct image *image, const struct image *source);
void image_free(struct image *image);
/* Reads a PNG; the message names the file. */
status image_load_png(const char *path, struct image *image);
/* `source` in `width` x `height` pixels: the mean of the covered pixels when smaller, cubic in between when larger.
 * False where one of them is empty or memory is short. */
bool image_scale(const struct image *source, int width, int height, struct image *scaled);
/* The largest size of cells inside rows x columns that keeps the picture's shape. */
void image_fit(int width, int height, int rows, int columns, int cell_width, int cell_height, int *fit_rows,
               int *fit_columns);

#endif
