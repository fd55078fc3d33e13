/* One AdamW update of an array of parameters. */
#include "engine/tuning/optimizer.h"

#include <math.h>

void optimizer_step(const struct optimizer_settings *settings, int step, double scale, float *values, float *m,
                    float *v, const float *gradient, int64_t count)
{
    float beta1 = (float)settings->beta1, beta2 = (float)settings->beta2;
    float rate = (float)(settings->learning_rate / (1.0 - pow(settings->beta1, step)));
    float correction = (float)sqrt(1.0 - pow(settings->beta2, step));
    float decay = (float)(1.0 - settings->learning_rate * settings->weight_decay);
    float epsilon = (float)settings->epsilon, clip = (float)scale;
    for (int64_t i = 0; i < count; i++) {
        float g = gradient[i] * clip;
        m[i] = beta1 * m[i] + (1.0F - beta1) * g;
        v[i] = beta2 * v[i] + (1.0F - beta2) * g * g;
        values[i] = values[i] * decay - rate * m[i] / (sqrtf(v[i]) / correction + epsilon);
    }
}
