/* The aesthetic head: folding its layers, and reading what torch.save wrote without trusting it. */
#include "engine/base/files.h"
#include "engine/model/aesthetic_head.h"
#include "engine/model/torch_archive.h"
#include "reward_fixture.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void golden_path(char path[PATH_SIZE], const char *name)
{
    assert_success(path_format(path, "%s/%s", golden_folder(), name));
}

static void test_both_files_hold_the_same_head(void **state)
{
    (void)state;
    char path[PATH_SIZE];
    struct aesthetic_head a, b;
    golden_path(path, "aesthetic/model.safetensors");
    assert_success(aesthetic_head_open(path, &a));
    golden_path(path, "aesthetic/head.pth");
    assert_success(aesthetic_head_open(path, &b));
    assert_int_equal(a.width, 24);
    assert_int_equal(b.width, 24);
    assert_true(a.bias == b.bias);
    assert_memory_equal(a.weight, b.weight, 24 * sizeof *a.weight);
    aesthetic_head_clear(&a);
    aesthetic_head_clear(&b);
}

/* The published predictor, where a copy is at hand: its affine map is known. */
static void test_published_head(void **state)
{
    (void)state;
    const char *path = getenv("LAION_AESTHETIC_HEAD");
    if (path == NULL || path[0] == '\0') skip();
    struct aesthetic_head head;
    assert_success(aesthetic_head_open(path, &head));
    assert_int_equal(head.width, 768);
    double squares = 0;
    for (int i = 0; i < 768; i++) squares += head.weight[i] * head.weight[i];
    assert_true(fabs(head.bias - 5.236645844819847) < 1e-6);
    assert_true(fabs(sqrt(squares) - 17.995624776433644) < 1e-6);
    static const double first[5] = {-0.6915934, -0.5569939, -0.3211685, -0.6314836, -0.1847930};
    for (int i = 0; i < 5; i++) assert_true(fabs(head.weight[i] - first[i]) < 1e-6);
    aesthetic_head_clear(&head);
}

static void test_folder_with_two_heads(void **state)
{
    (void)state;
    char path[PATH_SIZE];
    struct aesthetic_head head;
    golden_path(path, "aesthetic");
    status result = aesthetic_head_open(path, &head);
    assert_int_equal(result.code, STATUS_BAD_INPUT);
    assert_non_null(strstr(result.message, "but holds 2"));
}

static void read_archive(char **data, size_t *size)
{
    char path[PATH_SIZE];
    golden_path(path, "aesthetic/head.pth");
    assert_success(file_read(path, 1 << 20, data, size));
}

/* Replaces the first place of `from` by `to` of the same length. */
static void replace(char *data, size_t size, const char *from, const char *to)
{
    char *at = memmem(data, size, from, strlen(from));
    assert_non_null(at);
    memcpy(at, to, strlen(to));
}

static void expect_archive_error(const char *from, const char *to, const char *part)
{
    char *data;
    size_t size;
    read_archive(&data, &size);
    replace(data, size, from, to);
    struct torch_archive archive;
    status result = torch_archive_parse(data, size, "head.pth", &archive);
    if (result.code != STATUS_BAD_INPUT || strstr(result.message, part) == NULL)
        fail_msg("expected \"%s\", got code %d: %s", part, result.code, result.message);
    free(data);
}

static void test_foreign_pickles_are_refused(void **state)
{
    (void)state;
    expect_archive_error("collections\nOrderedDict", "subprocess0\ncheck_outpu", "holds a subprocess0.check_outpu");
    expect_archive_error("FloatStorage", "HalfsStorage", "only a dictionary of fp32 tensors");
    expect_archive_error("head/data/4P", "head/dota/4P", "no member data/4");
    expect_archive_error("PK\5\6", "PK\5\7", "not a zip archive");
}

/* Every cut and many single-byte changes: an error or the same few tensors, never a crash. */
static void test_damaged_archives(void **state)
{
    (void)state;
    char *data;
    size_t size;
    read_archive(&data, &size);
    struct torch_archive archive;
    for (size_t length = 0; length < size; length += 7) {
        status result = torch_archive_parse(data, length, "cut", &archive);
        assert_int_equal(result.code, STATUS_BAD_INPUT);
    }
    uint64_t random = 3;
    for (int i = 0; i < 20000; i++) {
        size_t at = (size_t)(random_unit(&random) * (double)size);
        char before = data[at];
        data[at] = (char)(unsigned char)(random_unit(&random) * 256);
        if (torch_archive_parse(data, size, "changed", &archive).code == STATUS_OK) torch_archive_close(&archive);
        data[at] = before;
    }
    free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_files_hold_the_same_head),
        cmocka_unit_test(test_published_head),
        cmocka_unit_test(test_folder_with_two_heads),
        cmocka_unit_test(test_foreign_pickles_are_refused),
        cmocka_unit_test(test_damaged_archives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
