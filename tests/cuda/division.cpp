/* divisor.h against ordinary division, at the numbers where it could fail. */
#include "tests/cuda/division.h"

#include "kernels/cuda/divisor.h"

__extension__ typedef unsigned __int128 wide;

static bool meets_theorem(const struct divisor &divisor)
{
    int bits = divisor.second_shift + divisor.first_shift;
    wide power = (wide)1 << (32 + bits), product = (((wide)1 << 32) + divisor.multiplier) * (wide)divisor.value;
    return power <= product && product <= power + ((wide)1 << bits);
}

extern "C" bool division_is_right(int64_t number, int64_t value)
{
    struct division found = divide(number, divisor_of(value));
    return found.quotient == number / value && found.remainder == number % value;
}

/* Beside the first and the last multiples below 2^32, where a wrong quotient shows first. */
static bool is_right_beside_multiples(int64_t value)
{
    int64_t last = UINT32_MAX / value;
    bool right = division_is_right(UINT32_MAX, value);
    for (int64_t i = 0; i <= 200 && i <= last; i++)
        for (int64_t multiple : {i * value, (last - i) * value})
            right = right && division_is_right(multiple, value) &&
                    (multiple == 0 || division_is_right(multiple - 1, value));
    return right;
}

extern "C" bool division_is_exact(int64_t value)
{
    struct divisor divisor = divisor_of(value);
    return (value > UINT32_MAX || meets_theorem(divisor)) && is_right_beside_multiples(value);
}
