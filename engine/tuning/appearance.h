/* How a batch of pictures statistics, in figures that betray a reward being cheated before the eye does: pictures that
 * grow alike, dark, flat or over-coloured. Measured only; nothing is tuned toward them.
 *
 * Pictures are float32 RGB rows [height, width, 3] in [0, 1]; every figure is a share in [0, 1]. */
#ifndef ALIGNPROP_TUNING_APPEARANCE_H
#define ALIGNPROP_TUNING_APPEARANCE_H

enum { THUMBNAIL_SIDE = 8, THUMBNAIL_VALUES = THUMBNAIL_SIDE * THUMBNAIL_SIDE * 3 };

struct appearance {
    double dark;       /* share of pixels whose luma (ITU-R BT.601) is below 0.1 */
    double edges;      /* share of pixels whose luma differs by more than 0.1 from the next one right or below */
    double saturation; /* mean over pixels of largest minus smallest channel */
};

struct appearance appearance_measure(const float *picture, int height, int width);

/* Mean colour of each of 8x8 fields; thumbnail has THUMBNAIL_VALUES values. Pictures smaller than 8 repeat pixels. */
void appearance_thumbnail(const float *picture, int height, int width, float *thumbnail);
/* Root mean square difference of two thumbnails, averaged over all pairs of `count`; 0 for fewer than two. */
double appearance_diversity(const float *thumbnails, int count);

#endif
