/* Hands a picture to the encoder of the terminal's protocol, and ends what was cut off half way. */
#include "tui/pictures/encode.h"

#include <stddef.h>

static bool (*const encoders[])(const struct encode_request *, struct encoded *) = {
    [PROTOCOL_ITERM2] = encode_iterm2,
    [PROTOCOL_SIXEL] = encode_sixel,
    [PROTOCOL_KITTY] = encode_kitty,
};

bool encode_picture(enum picture_protocol protocol, const struct encode_request *request, struct encoded *encoded)
{
    return encoders[protocol] && encoders[protocol](request, encoded) && !encoded->bytes.failed;
}

void encoded_end_piece(struct encoded *encoded)
{
    if (encoded->count < ENCODED_PIECES) encoded->count++;
    encoded->ends[encoded->count - 1] = encoded->bytes.length;
}

void encoded_clear(struct encoded *encoded)
{
    bytes_clear(&encoded->bytes);
    encoded->count = 0;
}

void encoded_free(struct encoded *encoded)
{
    bytes_free(&encoded->bytes);
    encoded->count = 0;
}
