/* Width and height of a picture in pixels. */
#ifndef ALIGNPROP_BASE_PICTURE_SIZE_H
#define ALIGNPROP_BASE_PICTURE_SIZE_H

struct picture_size {
    int width, height;
};

#endif
