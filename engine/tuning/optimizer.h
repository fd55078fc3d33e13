/* AdamW (Loshchilov and Hutter 2019) over the adapter factors, on the host in fp32, one thread, one fixed order. */
#ifndef ALIGNPROP_TUNING_OPTIMIZER_H
#define ALIGNPROP_TUNING_OPTIMIZER_H

#include <stdint.h>

struct optimizer_settings {
    double learning_rate, beta1, beta2, epsilon, weight_decay;
};

/* One step, number `step` (1..): values, first moments m and second moments v of `count` elements are updated with the
 * gradient times `scale` (of clipping). */
void optimizer_step(const struct optimizer_settings *settings, int step, double scale, float *values, float *m,
                    float *v, const float *gradient, int64_t count);

#endif
