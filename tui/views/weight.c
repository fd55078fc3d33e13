/* The unit that a weight is moved in, a power of ten, its steps, and its text. */
#include "tui/views/weight.h"

#include <math.h>
#include <stdio.h>

double weight_unit(double base)
{
    double size = fabs(base);
    return size >= 0.1 || size < 1e-6 ? 1 : pow(10, floor(log10(size)) + 1);
}

double weight_moved(double weight, double base, int direction, bool coarse)
{
    double unit = weight_unit(base), grain = unit / 1000;
    return round((weight + direction * (coarse ? 0.25 : 0.05) * unit) / grain) * grain;
}

const char *weight_text(char *text, size_t size, double weight)
{
    int decimals = 2;
    while (decimals < 6 && fabs(weight * pow(10, decimals) - round(weight * pow(10, decimals))) > 1e-6) decimals++;
    snprintf(text, size, "%.*f", decimals, weight);
    return text;
}
