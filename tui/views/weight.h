/* How weights of rewards are shown and moved. Rewards come in units of their own (kilobytes, a share, a colourfulness),
 * so a weight may be small beside others and yet has to be moved finely. */
#ifndef ALIGNPROP_TUI_VIEWS_WEIGHT_H
#define ALIGNPROP_TUI_VIEWS_WEIGHT_H

#include <stdbool.h>
#include <stddef.h>

/* The power of ten that a weight which began as `base` is moved in: 1 from a weight of 0.1 on and for 0, else the next
 * above it. A fine step is 0.05 of it. */
double weight_unit(double base);
/* `weight` moved by fine or coarse steps (a quarter of the unit) in `direction`, -1 or 1. */
double weight_moved(double weight, double base, int direction, bool coarse);
/* Two decimals, or as many as a small weight needs; writes to `text` and returns it. */
const char *weight_text(char *text, size_t size, double weight);

#endif
