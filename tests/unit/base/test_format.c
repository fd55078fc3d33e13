/* Quantities for people, bounds of values, and the clocks. */
#include "engine/base/clock.h"
#include "engine/base/format.h"
#include "engine/base/range.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

struct example {
    double value;
    const char *message;
};

typedef const char *(*formatter)(char *text, size_t size, double value);

static void expect(formatter format, const struct example *examples, size_t count)
{
    char text[FORMAT_SIZE];
    for (size_t i = 0; i < count; i++)
        assert_string_equal(format(text, sizeof text, examples[i].value), examples[i].message);
}

#define EXPECT(format, ...)                                                                                            \
    do {                                                                                                               \
        static const struct example examples[] = {__VA_ARGS__};                                                        \
        expect(format, examples, sizeof examples / sizeof *examples);                                                  \
    } while (0)

static void bytes_are_told_in_units_of_1000(void **state)
{
    (void)state;
    EXPECT(format_bytes, {NAN, "~"}, {0, "0 B"}, {999, "999 B"}, {1000, "1.0 kB"}, {7100000, "7.1 MB"},
           {412e6, "412 MB"}, {5.1e9, "5.1 GB"}, {22.9e9, "23 GB"}, {4e15, "4000 TB"});
    EXPECT(format_bytes_closely, {35.24e6, "35.2 MB"}, {5.126e9, "5.13 GB"}, {5.134e9, "5.13 GB"}, {500, "0.0 MB"});
}

static void seconds_are_told_as_on_a_clock(void **state)
{
    (void)state;
    EXPECT(format_seconds, {NAN, "~"}, {-1, "~"}, {INFINITY, "~"}, {1e300, "~"}, {0, "0.0 s"}, {2.14, "2.1 s"},
           {10, "10 s"}, {24.6, "25 s"}, {59.9, "60 s"}, {68.9, "1:08"}, {60, "1:00"}, {133, "2:13"}, {3600, "1:00:00"},
           {3725, "1:02:05"}, {400000, "111:06:40"});
    EXPECT(format_ago, {NAN, "~"}, {3, "just now"}, {300, "5 min ago"}, {7200, "2 h ago"}, {86400 * 3, "3 days ago"});
}

static void numbers_keep_their_digits(void **state)
{
    (void)state;
    EXPECT(format_number, {NAN, "~"}, {-0.0001, "0.000"}, {1.23456, "1.235"}, {-12.345, "-12.35"}, {123.45, "123.5"},
           {1234.5, "1234"}, {123456, "1.2e+05"});
    assert_string_equal(format_operations(9.9e11).name, "GFLOP");
    assert_string_equal(format_operations(1e12).name, "TFLOP");
    assert_true(format_operations(1e12).size == 1e12);
}

static void values_are_kept_within_bounds(void **state)
{
    (void)state;
    assert_int_equal(min_int(2, -3), -3);
    assert_int_equal(max_int64(INT64_C(1) << 40, 3), INT64_C(1) << 40);
    assert_int_equal(clamp_int(-1, 0, 5), 0);
    assert_int_equal(clamp_int(9, 0, 5), 5);
    assert_int_equal(clamp_int(3, 0, 5), 3);
    assert_true(clamp_double(2.5, 0, 2) == 2);
}

static void clocks_go_forward(void **state)
{
    (void)state;
    double steady = clock_steady(), processor = clock_processor();
    int64_t milliseconds = clock_milliseconds();
    assert_true(clock_steady() >= steady);
    assert_true(clock_processor() >= processor);
    assert_true(fabs((double)milliseconds * 1e-3 - steady) < 60);
    assert_true(fabs(clock_wall() - (double)time(NULL)) < 60);
    struct timespec due = clock_deadline(1e3 + 0.75);
    double left = (double)due.tv_sec + 1e-9 * (double)due.tv_nsec - steady;
    assert_true(left >= 1e3 + 0.75 && left < 1060);
    assert_in_range(due.tv_nsec, 0, 999999999);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_are_told_in_units_of_1000),
        cmocka_unit_test(seconds_are_told_as_on_a_clock),
        cmocka_unit_test(numbers_keep_their_digits),
        cmocka_unit_test(values_are_kept_within_bounds),
        cmocka_unit_test(clocks_go_forward),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
