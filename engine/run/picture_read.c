/* Decodes a PNG or JPEG by its first bytes and turns it upright. */
#include "engine/base/files.h"
#include "engine/base/format.h"
#include "engine/run/picture_formats.h"
#include "kernels/host_memory.h"

#include <stdlib.h>
#include <string.h>

enum { PICTURE_FILE_LIMIT = 256 << 20 };

void picture_clear(struct picture *picture)
{
    free(picture->pixels);
    *picture = (struct picture){0};
}

/* Before anything is taken: a page of a file may stand for gigabytes. */
static status check_size(const char *path, size_t width, size_t height, size_t needed)
{
    bool sides = width >= 1 && height >= 1 && width <= PICTURE_SIDE_LIMIT && height <= PICTURE_SIDE_LIMIT;
    if (!sides) {
        return status_error(STATUS_BAD_INPUT, "%s: is %zu x %zu pixels; from 1 to %d on a side are allowed", path,
                            width, height, PICTURE_SIDE_LIMIT);
    }
    if (width * height > PICTURE_PIXEL_LIMIT) {
        return status_error(STATUS_BAD_INPUT, "%s: is %zu x %zu pixels, %zu in all; at most %d are allowed", path,
                            width, height, width * height, PICTURE_PIXEL_LIMIT);
    }
    size_t available;
    TRY(host_memory_free(&available, NULL));
    if (needed <= available) return status_ok();
    char message[2][FORMAT_SIZE];
    return status_error(STATUS_NO_MEMORY, "%s: its %zu x %zu pixels need %s of memory, %s are free", path, width,
                        height, format_bytes_closely(message[0], sizeof message[0], (double)needed),
                        format_bytes_closely(message[1], sizeof message[1], (double)available));
}

status picture_allocate(struct picture *picture, const char *path, size_t width, size_t height, size_t more)
{
    size_t bytes = width * height * 3;
    TRY(check_size(path, width, height, bytes + more));
    picture->pixels = malloc(bytes);
    char message[FORMAT_SIZE];
    if (!picture->pixels)
        return status_error(STATUS_NO_MEMORY, "%s: its %zu x %zu pixels need %s of memory, which are not available",
                            path, width, height, format_bytes_closely(message, sizeof message, (double)bytes));
    picture->width = (int)width;
    picture->height = (int)height;
    return status_ok();
}

/* ---- orientation ---- */

/* Which stored pixel stands at (x, y) once the picture is upright. */
static size_t stored_place(const struct picture *stored, int orientation, int x, int y)
{
    int right = stored->width - 1, bottom = stored->height - 1, column = x, row = y;
    switch (orientation) {
    case 2: column = right - x; break;
    case 3: column = right - x, row = bottom - y; break;
    case 4: row = bottom - y; break;
    case 5: column = y, row = x; break;
    case 6: column = y, row = bottom - x; break;
    case 7: column = right - y, row = bottom - x; break;
    case 8: column = right - y, row = x; break;
    default: break;
    }
    return (size_t)row * (size_t)stored->width + (size_t)column;
}

static status turn_upright(struct picture *picture, const char *path, int orientation)
{
    if (orientation == ORIENTATION_AS_STORED) return status_ok();
    struct picture upright;
    bool on_its_side = orientation >= 5;
    size_t width = (size_t)picture->width, height = (size_t)picture->height;
    TRY(picture_allocate(&upright, path, on_its_side ? height : width, on_its_side ? width : height, 0));
    unsigned char *target = upright.pixels;
    for (int y = 0; y < upright.height; y++)
        for (int x = 0; x < upright.width; x++, target += 3)
            memcpy(target, picture->pixels + 3 * stored_place(picture, orientation, x, y), 3);
    picture_clear(picture);
    *picture = upright;
    return status_ok();
}

/* ---- files ---- */

static status decode(const char *path, const char *data, size_t length, struct picture *picture, int *orientation)
{
    if (length >= 8 && memcmp(data, "\x89PNG\r\n\x1A\n", 8) == 0)
        return picture_decode_png(path, data, length, picture, orientation);
    if (length >= 3 && memcmp(data, "\xFF\xD8\xFF", 3) == 0)
        return picture_decode_jpeg(path, data, length, picture, orientation);
    return status_error(STATUS_BAD_INPUT, "%s: is neither a PNG nor a JPEG file", path);
}

status picture_read(const char *path, struct picture *picture)
{
    *picture = (struct picture){0};
    char *data;
    size_t length;
    int orientation = ORIENTATION_AS_STORED;
    TRY(file_read(path, PICTURE_FILE_LIMIT, &data, &length));
    status result = decode(path, data, length, picture, &orientation);
    free(data);
    if (result.code == STATUS_OK) result = turn_upright(picture, path, orientation);
    if (result.code != STATUS_OK) picture_clear(picture);
    return result;
}
