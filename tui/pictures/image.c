/* Loads PNG files, copies and scales pictures (Catmull-Rom), and tells pictures apart by a hash. */
#include "tui/pictures/image.h"

#include "engine/base/input_file.h"
#include "engine/base/range.h"

#include <math.h>
#include <png.h>
#include <stdlib.h>
#include <string.h>

static uint64_t hash_of(int width, int height, const unsigned char *pixels)
{
    /* FNV-1a over words of eight bytes: fast enough for every frame. */
    uint64_t hash = 1469598103934665603u ^ ((uint64_t)width << 32 | (uint64_t)height);
    size_t length = (size_t)width * (size_t)height * 3, at = 0;
    for (; at + 8 <= length; at += 8) {
        uint64_t word;
        memcpy(&word, pixels + at, 8);
        hash = (hash ^ word) * 1099511628211u;
        hash ^= hash >> 29;
    }
    for (; at < length; at++) hash = (hash ^ pixels[at]) * 1099511628211u;
    return hash == 0 ? 1 : hash;
}

static bool take_pixels(struct image *image, int width, int height, const unsigned char *pixels)
{
    size_t length = (size_t)width * (size_t)height * 3;
    if (image->width != width || image->height != height || !image->pixels) {
        unsigned char *fresh = malloc(length);
        if (!fresh) return false;
        free(image->pixels);
        image->pixels = fresh;
        image->width = width;
        image->height = height;
    }
    memcpy(image->pixels, pixels, length);
    return true;
}

bool image_set(struct image *image, int width, int height, const unsigned char *pixels)
{
    if (!take_pixels(image, width, height, pixels)) return false;
    image->hash = hash_of(width, height, pixels);
    return true;
}

bool image_copy(struct image *image, const struct image *source)
{
    if (!take_pixels(image, source->width, source->height, source->pixels)) return false;
    image->hash = source->hash;
    return true;
}

void image_free(struct image *image)
{
    free(image->pixels);
    *image = (struct image){0};
}

static status read_png(FILE *file, const char *path, struct image *image)
{
    png_image reader = {.version = PNG_IMAGE_VERSION};
    if (!png_image_begin_read_from_stdio(&reader, file))
        return status_error(STATUS_BAD_INPUT, "%s: %s", path, reader.message);
    if (reader.width > IMAGE_LARGEST_SIDE || reader.height > IMAGE_LARGEST_SIDE) {
        png_image_free(&reader);
        return status_error(STATUS_BAD_INPUT, "%s: %u x %u pixels; at most %d a side can be shown", path, reader.width,
                            reader.height, IMAGE_LARGEST_SIDE);
    }
    reader.format = PNG_FORMAT_RGB;
    unsigned char *pixels = malloc(PNG_IMAGE_SIZE(reader));
    if (!pixels) {
        png_image_free(&reader);
        return status_error(STATUS_NO_MEMORY, "%s: no memory for the picture", path);
    }
    png_color black = {0, 0, 0};
    if (!png_image_finish_read(&reader, &black, pixels, 0, NULL)) {
        free(pixels);
        return status_error(STATUS_BAD_INPUT, "%s: %s", path, reader.message);
    }
    image_free(image);
    *image = (struct image){(int)reader.width, (int)reader.height, pixels,
                            hash_of((int)reader.width, (int)reader.height, pixels)};
    return status_ok();
}

status image_load_png(const char *path, struct image *image)
{
    FILE *file;
    TRY(input_stream_open(path, &file));
    status result = read_png(file, path, image);
    fclose(file);
    return result;
}

struct tap {
    int first; /* source index of the first weight; may lie outside */
    int count;
    float weight[64]; /* of up to 64 source pixels */
};

/* Catmull-Rom's cubic, widened to cover the source when shrinking. */
static float cubic(float distance)
{
    distance = fabsf(distance);
    if (distance < 1) return 1.5f * distance * distance * distance - 2.5f * distance * distance + 1;
    if (distance < 2) return -0.5f * distance * distance * distance + 2.5f * distance * distance - 4 * distance + 2;
    return 0;
}

static void make_taps(struct tap *taps, int from, int to)
{
    float ratio = (float)from / (float)to;
    float width = ratio > 1 ? ratio : 1;
    if (width > 15) width = 15;
    for (int i = 0; i < to; i++) {
        float center = ((float)i + 0.5f) * ratio - 0.5f;
        struct tap *tap = &taps[i];
        tap->first = (int)ceilf(center - 2 * width);
        int last = (int)floorf(center + 2 * width);
        tap->count = last - tap->first + 1;
        float sum = 0;
        for (int at = 0; at < tap->count; at++) {
            tap->weight[at] = cubic(((float)(tap->first + at) - center) / width);
            sum += tap->weight[at];
        }
        for (int at = 0; at < tap->count; at++) tap->weight[at] /= sum;
    }
}

static void scale_row(const unsigned char *source, int from, const struct tap *taps, int to, float *row)
{
    for (int x = 0; x < to; x++) {
        float sum[3] = {0, 0, 0};
        for (int at = 0; at < taps[x].count; at++) {
            const unsigned char *pixel = source + 3 * clamp_int(taps[x].first + at, 0, from - 1);
            for (int channel = 0; channel < 3; channel++) sum[channel] += taps[x].weight[at] * (float)pixel[channel];
        }
        for (int channel = 0; channel < 3; channel++) row[3 * x + channel] = sum[channel];
    }
}

static unsigned char to_byte(float value)
{
    /* lround would be a call for every sample. NOLINTNEXTLINE(bugprone-incorrect-roundings) */
    return value <= 0 ? 0 : value >= 255 ? 255 : (unsigned char)(value + 0.5f);
}

bool image_scale(const struct image *source, int width, int height, struct image *scaled)
{
    if (width <= 0 || height <= 0 || source->width <= 0 || source->height <= 0) return false;
    if (width == source->width && height == source->height) return image_set(scaled, width, height, source->pixels);
    struct tap *across = malloc((size_t)width * sizeof *across), *down = malloc((size_t)height * sizeof *down);
    float *rows = malloc((size_t)source->height * (size_t)width * 3 * sizeof *rows);
    unsigned char *pixels = malloc((size_t)width * (size_t)height * 3);
    bool ready = across && down && rows && pixels;
    if (ready) {
        make_taps(across, source->width, width);
        make_taps(down, source->height, height);
        size_t stride = (size_t)width * 3;
        for (int y = 0; y < source->height; y++)
            scale_row(source->pixels + (size_t)y * (size_t)source->width * 3, source->width, across, width,
                      rows + (size_t)y * stride);
        for (int y = 0; y < height; y++) {
            for (size_t at = 0; at < stride; at++) {
                float sum = 0;
                for (int tap = 0; tap < down[y].count; tap++)
                    sum += down[y].weight[tap] *
                           rows[(size_t)clamp_int(down[y].first + tap, 0, source->height - 1) * stride + at];
                pixels[(size_t)y * stride + at] = to_byte(sum);
            }
        }
        ready = image_set(scaled, width, height, pixels);
    }
    free(across);
    free(down);
    free(rows);
    free(pixels);
    return ready;
}

void image_fit(int width, int height, int rows, int columns, int cell_width, int cell_height, int *fit_rows,
               int *fit_columns)
{
    double box_width = (double)columns * cell_width, box_height = (double)rows * cell_height;
    double scale = fmin(box_width / width, box_height / height);
    int across = (int)lround(width * scale / cell_width), down = (int)lround(height * scale / cell_height);
    *fit_columns = across < 1 ? 1 : across > columns ? columns : across;
    *fit_rows = down < 1 ? 1 : down > rows ? rows : down;
}
