/* Pictures as the terminals' protocols write them. */
#ifndef ALIGNPROP_TUI_PICTURES_ENCODE_H
#define ALIGNPROP_TUI_PICTURES_ENCODE_H

#include "tui/pictures/bytes.h"
#include "tui/pictures/image.h"
#include "tui/terminal/probe.h"

enum { ENCODED_PIECES = 512 };

/* What to send for one picture: pieces that are each whole control strings, so output may pause between any two. */
struct encoded {
    struct bytes bytes;
    size_t ends[ENCODED_PIECES]; /* of each piece in `bytes` */
    int count;
};

struct encode_request {
    const struct image *image; /* as it is; scaled by the encoder as its protocol needs */
    int row, column;           /* of the upper left cell, from 0 */
    int rows, columns;         /* cells covered */
    int cell_width, cell_height;
    int largest_side;  /* pixels; above it the picture is sent smaller where the protocol can enlarge */
    int colors;        /* of a palette */
    int strip_rows;    /* cell rows of one piece; 0: all in one */
    unsigned identity; /* kitty: number of this picture, not 0 */
    unsigned replaces; /* kitty: number of the picture that goes when this one stands; 0: none */
    bool in_place;     /* write at the cursor instead of at row and column (for `show`) */
};

/* Each returns false when memory is short or the picture cannot be encoded; `encoded` is then to be freed all the same.
 */
bool encode_sixel(const struct encode_request *request, struct encoded *encoded);
bool encode_kitty(const struct encode_request *request, struct encoded *encoded);
bool encode_iterm2(const struct encode_request *request, struct encoded *encoded);
/* By the protocol's row in the table; false for protocols without pixels. */
bool encode_picture(enum picture_protocol protocol, const struct encode_request *request, struct encoded *encoded);

void encoded_end_piece(struct encoded *encoded);
void encoded_clear(struct encoded *encoded);
void encoded_free(struct encoded *encoded);

#endif
