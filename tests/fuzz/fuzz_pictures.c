/* A picture file of either kind, as stored and its EXIF data on its own. */
#include "engine/run/picture_formats.h"
#include "tests/fuzz/target.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* A frame header (SOF0 to SOF2) of more than a million pixels, which would only take time. */
static bool is_large(const uint8_t *data, size_t size)
{
    for (size_t i = 0; i + 9 <= size; i++) {
        if (data[i] != 0xFF || data[i + 1] < 0xC0 || data[i + 1] > 0xC2) continue;
        size_t height = (size_t)data[i + 5] << 8 | data[i + 6], width = (size_t)data[i + 7] << 8 | data[i + 8];
        if (height * width > 1 << 20) return true;
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct picture picture = {0};
    int orientation = exif_orientation(data, size);
    if (orientation < ORIENTATION_AS_STORED || orientation > ORIENTATION_LAST) abort();
    if (is_large(data, size)) return 0;
    bool png = size >= 8 && memcmp(data, "\x89PNG\r\n\x1A\n", 8) == 0;
    status result = png ? picture_decode_png("fuzz", data, size, &picture, &orientation)
                        : picture_decode_jpeg("fuzz", data, size, &picture, &orientation);
    if (result.code == STATUS_OK && (!picture.pixels || picture.width < 1 || picture.height < 1)) abort();
    if (result.code != STATUS_OK && !result.message[0]) abort();
    picture_clear(&picture);
    return 0;
}
