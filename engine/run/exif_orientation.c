/* Finds the orientation in a picture's Exif block. */
#include "engine/run/picture_formats.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { TAG_ORIENTATION = 0x0112, TYPE_SHORT = 3, TYPE_LONG = 4, ENTRY_BYTES = 12 };

struct tiff {
    const unsigned char *data;
    size_t length;
    bool big_endian;
};

/* `bytes` (2 or 4) bytes at `at` as a number; 0 beyond the end. */
static uint32_t number_at(const struct tiff *tiff, size_t at, int bytes)
{
    if (at > tiff->length || tiff->length - at < (size_t)bytes) return 0;
    uint32_t value = 0;
    for (int i = 0; i < bytes; i++) {
        int place = tiff->big_endian ? i : bytes - 1 - i;
        value = value << 8 | tiff->data[at + (size_t)place];
    }
    return value;
}

int exif_orientation(const unsigned char *data, size_t length)
{
    static const char name[6] = "Exif\0";
    if (length >= sizeof name && memcmp(data, name, sizeof name) == 0) {
        data += sizeof name;
        length -= sizeof name;
    }
    if (length < 8 || (memcmp(data, "II*\0", 4) != 0 && memcmp(data, "MM\0*", 4) != 0)) return ORIENTATION_AS_STORED;
    struct tiff tiff = {data, length, data[0] == 'M'};
    size_t directory = number_at(&tiff, 4, 4);
    uint32_t entries = number_at(&tiff, directory, 2);
    for (uint32_t i = 0; i < entries; i++) {
        size_t entry = directory + 2 + (size_t)i * ENTRY_BYTES;
        if (entry + ENTRY_BYTES > length) break;
        if (number_at(&tiff, entry, 2) != TAG_ORIENTATION) continue;
        uint32_t type = number_at(&tiff, entry + 2, 2);
        uint32_t value = type == TYPE_SHORT  ? number_at(&tiff, entry + 8, 2)
                         : type == TYPE_LONG ? number_at(&tiff, entry + 8, 4)
                                             : 0;
        return value >= 1 && value <= ORIENTATION_LAST ? (int)value : ORIENTATION_AS_STORED;
    }
    return ORIENTATION_AS_STORED;
}
