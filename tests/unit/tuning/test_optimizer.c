/* AdamW against numbers from torch. */
#include "engine/tuning/optimizer.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Three steps of torch.optim.AdamW (lr 0.01, weight decay 0.1) after clip_grad_norm_(1.0), torch 2.15, fp32. */
static void test_against_torch(void **state)
{
    (void)state;
    static const float gradients[3][4] = {
        {0.1F, -0.2F, 0.0F, 3.0F}, {-0.3F, 0.4F, 1e-4F, 1.0F}, {0.05F, -0.6F, -2e-4F, -2.0F}};
    static const double expected[3][4] = {
        {0.4895000159740448, -1.2387499809265137, 0.0, 1.9880000352859497},
        {0.4955720901489258, -1.2436039447784424, -0.007440192624926567, 1.9760551452636719},
        {0.4995652139186859, -1.2420967817306519, -0.0066888658329844475, 1.9715360403060913}};
    float values[4] = {0.5F, -1.25F, 0.0F, 2.0F}, first[4] = {0}, second[4] = {0};
    struct optimizer_settings settings = {0.01, 0.9, 0.999, 1e-8, 0.1};
    for (int step = 0; step < 3; step++) {
        double norm = 0.0;
        for (int i = 0; i < 4; i++) norm += (double)gradients[step][i] * gradients[step][i];
        optimizer_step(&settings, step + 1, fmin(1.0, 1.0 / (sqrt(norm) + 1e-6)), values, first, second,
                       gradients[step], 4);
        for (int i = 0; i < 4; i++) assert_true(fabs(values[i] - expected[step][i]) < 1e-6);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_against_torch)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
