/* Figures of pictures: dark share, edges, saturation, and diversity by thumbnails. */
#include "engine/tuning/appearance.h"

#include "engine/base/range.h"

#include <math.h>

static const float dark_luma = 0.1F, edge_step = 0.1F;

enum { BLOCK = 256 }; /* pixels of a row that are measured together, in arrays that the compiler can vectorise over */

static void luma_of(const float *pixels, int count, float *luma)
{
    for (int i = 0; i < count; i++)
        luma[i] = 0.299F * pixels[3 * i] + 0.587F * pixels[3 * i + 1] + 0.114F * pixels[3 * i + 2];
}

static double saturation_of(const float *pixels, int count)
{
    double sum = 0.0;
    for (int i = 0; i < count; i++) {
        const float *pixel = pixels + 3 * i;
        sum += max_float(pixel[0], max_float(pixel[1], pixel[2])) - min_float(pixel[0], min_float(pixel[1], pixel[2]));
    }
    return sum;
}

/* `count` pixels of a row, of which `known` (one more, but at the row's end) have a neighbour at the right. */
static void measure_block(const float *pixels, const float *below, int count, int known, struct appearance *sums)
{
    float here[BLOCK + 1], under[BLOCK];
    int dark = 0, edges = 0;
    luma_of(pixels, known, here);
    luma_of(below, count, under);
    if (known == count) here[count] = here[count - 1];
    for (int i = 0; i < count; i++) {
        dark += here[i] < dark_luma;
        edges += (fabsf(here[i + 1] - here[i]) > edge_step) | (fabsf(under[i] - here[i]) > edge_step);
    }
    sums->dark += dark;
    sums->edges += edges;
    sums->saturation += saturation_of(pixels, count);
}

struct appearance appearance_measure(const float *picture, int height, int width)
{
    struct appearance sums = {0};
    for (int y = 0; y < height; y++) {
        const float *row = picture + (long)y * width * 3, *below = y + 1 < height ? row + (long)width * 3 : row;
        for (int x = 0; x < width; x += BLOCK) {
            int left = width - x, count = min_int(left, BLOCK);
            measure_block(row + 3 * x, below + 3 * x, count, left > count ? count + 1 : count, &sums);
        }
    }
    double pixels = (double)height * width;
    return (struct appearance){sums.dark / pixels, sums.edges / pixels, sums.saturation / pixels};
}

/* The pixels [first, end) of `size` that field `index` of the thumbnail covers; at least one. */
static void field(int index, int size, int *first, int *end)
{
    *first = index * size / THUMBNAIL_SIDE;
    *end = (index + 1) * size / THUMBNAIL_SIDE;
    if (*end <= *first) *end = *first + 1;
}

static void mean_colour(const float *picture, int width, const int rows[2], const int columns[2], float colour[3])
{
    double sums[3] = {0};
    for (int y = rows[0]; y < rows[1]; y++)
        for (int x = columns[0]; x < columns[1]; x++)
            for (int c = 0; c < 3; c++) sums[c] += picture[((long)y * width + x) * 3 + c];
    double count = (double)(rows[1] - rows[0]) * (columns[1] - columns[0]);
    for (int c = 0; c < 3; c++) colour[c] = (float)(sums[c] / count);
}

void appearance_thumbnail(const float *picture, int height, int width, float *thumbnail)
{
    for (int row = 0; row < THUMBNAIL_SIDE; row++) {
        for (int column = 0; column < THUMBNAIL_SIDE; column++) {
            int rows[2], columns[2];
            field(row, height, &rows[0], &rows[1]);
            field(column, width, &columns[0], &columns[1]);
            mean_colour(picture, width, rows, columns, thumbnail + (row * THUMBNAIL_SIDE + column) * 3);
        }
    }
}

static double difference(const float *one, const float *other)
{
    double squares = 0.0;
    for (int i = 0; i < THUMBNAIL_VALUES; i++) squares += ((double)one[i] - other[i]) * ((double)one[i] - other[i]);
    return sqrt(squares / THUMBNAIL_VALUES);
}

double appearance_diversity(const float *thumbnails, int count)
{
    double sum = 0.0;
    for (int i = 0; i < count; i++)
        for (int j = 0; j < i; j++)
            sum += difference(thumbnails + (long)i * THUMBNAIL_VALUES, thumbnails + (long)j * THUMBNAIL_VALUES);
    return count < 2 ? 0.0 : sum / ((double)count * (count - 1) / 2);
}
