/* Philox 4x32-10, and from its words uniform and normal numbers (Box and Muller). */
#include "engine/sampling/noise.h"

#include <math.h>
#include <string.h>

void noise_words(struct noise_stream stream, uint32_t block, uint32_t words[4])
{
    /* Multipliers and key increments (the golden ratio and sqrt(3) - 1) are the published ones. */
    uint32_t counter[4] = {block, (uint32_t)stream.index, (uint32_t)(stream.index >> 32), (uint32_t)stream.purpose};
    uint32_t key[2] = {(uint32_t)stream.seed, (uint32_t)(stream.seed >> 32)};
    for (int round = 0; round < 10; round++) {
        uint64_t first = UINT64_C(0xD2511F53) * counter[0], second = UINT64_C(0xCD9E8D57) * counter[2];
        uint32_t mixed[4] = {(uint32_t)(second >> 32) ^ counter[1] ^ key[0], (uint32_t)second,
                             (uint32_t)(first >> 32) ^ counter[3] ^ key[1], (uint32_t)first};
        memcpy(counter, mixed, sizeof counter);
        key[0] += 0x9E3779B9u;
        key[1] += 0xBB67AE85u;
    }
    memcpy(words, counter, sizeof counter);
}

/* The middle of the word's interval in (0, 1). */
static double unit(uint32_t word)
{
    return ((double)word + 0.5) * 0x1p-32;
}

/* Natural logarithm of x in (0, 1): x = m 2^e, log m = 2 artanh((m - 1)/(m + 1)) by its series. */
static double logarithm(double x)
{
    int exponent;
    double mantissa = frexp(x, &exponent);
    if (mantissa < 0.70710678118654752) {
        mantissa *= 2.0;
        exponent--;
    }
    double s = (mantissa - 1.0) / (mantissa + 1.0), square = s * s, sum = 0.0;
    for (int odd = 23; odd >= 1; odd -= 2) sum = sum * square + 1.0 / odd;
    return 2.0 * s * sum + exponent * 0.69314718055994531;
}

/* Sine and cosine of x in [-pi/4, pi/4] by their Taylor series. */
static void sine_cosine(double x, double *sine, double *cosine)
{
    double square = x * x, s = 0.0, c = 0.0;
    for (int n = 8; n >= 0; n--) {
        s = 1.0 - square / ((2.0 * n + 2.0) * (2.0 * n + 3.0)) * (n == 8 ? 1.0 : s);
        c = 1.0 - square / ((2.0 * n + 1.0) * (2.0 * n + 2.0)) * (n == 8 ? 1.0 : c);
    }
    *sine = x * s;
    *cosine = c;
}

static void normal_pair(uint32_t radius_word, uint32_t angle_word, double pair[2])
{
    double radius = sqrt(-2.0 * logarithm(unit(radius_word)));
    double turn = unit(angle_word) * 4.0; /* in quarter turns */
    int quarter = (int)(turn + 0.5);
    double sine, cosine;
    sine_cosine((turn - quarter) * 1.5707963267948966, &sine, &cosine);
    switch (quarter & 3) {
    case 0: pair[0] = cosine, pair[1] = sine; break;
    case 1: pair[0] = -sine, pair[1] = cosine; break;
    case 2: pair[0] = -cosine, pair[1] = -sine; break;
    default: pair[0] = sine, pair[1] = -cosine; break;
    }
    pair[0] *= radius;
    pair[1] *= radius;
}

static void normal_block(struct noise_stream stream, uint32_t block, double normals[4])
{
    uint32_t words[4];
    noise_words(stream, block, words);
    normal_pair(words[0], words[1], &normals[0]);
    normal_pair(words[2], words[3], &normals[2]);
}

void noise_normals(struct noise_stream stream, float *values, int64_t count)
{
    for (int64_t start = 0; start < count; start += 4) {
        double normals[4];
        normal_block(stream, (uint32_t)(start / 4), normals);
        for (int64_t i = start; i < count && i < start + 4; i++) values[i] = (float)normals[i - start];
    }
}

double noise_uniform(struct noise_stream stream, uint32_t position)
{
    uint32_t words[4];
    noise_words(stream, position / 4, words);
    return (double)words[position % 4] * 0x1p-32;
}

double noise_normal(struct noise_stream stream, uint32_t position)
{
    double normals[4];
    normal_block(stream, position / 4, normals);
    return normals[position % 4];
}
