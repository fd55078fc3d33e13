/* Facts of the JPEG standard (ITU-T T.81) as libjpeg applies them. */
#ifndef ALIGNPROP_REWARD_JPEG_TABLES_H
#define ALIGNPROP_REWARD_JPEG_TABLES_H

#include "kernels/status.h"

enum jpeg_plane { JPEG_LUMA, JPEG_CHROMA };

/* Quantiser steps at `quality` 1..100 by vertical and horizontal frequency: annex K's example table, scaled as
 * libjpeg's jpeg_set_quality does, from 1 to 255. */
void jpeg_quantiser(enum jpeg_plane plane, int quality, double step[8][8]);

/* The orthonormal discrete cosine transform of 8 samples: coefficient = sum of matrix[coefficient][sample] * sample. */
void jpeg_cosine_matrix(double matrix[8][8]);

/* Bytes of the file that libjpeg writes for picture[height][width][3] in [0,1] (rounded to 8 bits) at `quality` with
 * halved chroma (4:2:0) and its standard Huffman tables. */
status jpeg_real_size(const float *picture, int height, int width, int quality, unsigned long *bytes);

#endif
