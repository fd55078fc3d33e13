#include "engine/tuning/appearance.h"

#include <math.h>

static const float dark_luma = 0.1F, edge_step = 0.1F;

static float luma(const float *pixel)
{
    return 0.299F * pixel[0] + 0.587F * pixel[1] + 0.114F * pixel[2];
}

struct appearance appearance_measure(const float *picture, int height, int width)
{
    long dark = 0, edges = 0;
    double saturation = 0.0;
    for (int y = 0; y < height; y++) {
        for (int x = 0; x < width; x++) {
            const float *pixel = picture + ((long)y * width + x) * 3;
            float here = luma(pixel), right = x + 1 < width ? luma(pixel + 3) : here,
                  below = y + 1 < height ? luma(pixel + (long)width * 3) : here;
            dark += here < dark_luma;
            edges += fabsf(right - here) > edge_step || fabsf(below - here) > edge_step;
            saturation += fmaxf(pixel[0], fmaxf(pixel[1], pixel[2])) - fminf(pixel[0], fminf(pixel[1], pixel[2]));
        }
    }
    double pixels = (double)height * width;
    return (struct appearance){(double)dark / pixels, (double)edges / pixels, saturation / pixels};
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
