/* A model's identity: that of its weights' bytes, whatever they are called and whenever they were written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/model/identity.h"
#include "model_copy.h"
#include "model_runner.h"

static const char *golden_folder, *emoji_folder;

static void fresh_copy(const char *name, const char *copy)
{
    char source[PATH_SIZE];
    assert_success(path_format(source, "%s/config/%s", golden_folder, name));
    assert_success(directory_remove(copy_path(copy)));
    copy_folder(source, copy_path(copy));
}

/* Adds one to the byte at `offset`; from the end where it is negative. */
static void change_byte(const char *path, off_t offset)
{
    struct stat facts;
    unsigned char byte;
    int descriptor = open(path, O_RDWR);
    assert_true(descriptor >= 0);
    assert_int_equal(fstat(descriptor, &facts), 0);
    if (offset < 0) offset += facts.st_size;
    assert_int_equal(pread(descriptor, &byte, 1, offset), 1);
    byte++;
    assert_int_equal(pwrite(descriptor, &byte, 1, offset), 1);
    close(descriptor);
}

/* Hashes computed by a script of its own from the words in identity.h. */
static void test_known_values(void **state)
{
    (void)state;
    char digits[65], path[PATH_SIZE];
    assert_success(path_format(path, "%s/config/deep-sharded", golden_folder));
    assert_success(model_identity(path, digits));
    assert_string_equal(digits, "6a082ae6c08ddf11bb477179e1aa3a66684ed5d89fd69e66c3d8be5a5b00af6f");
    assert_success(model_identity(emoji_folder, digits));
    assert_string_equal(digits, "005bc864d864a06a4d38b3c34b46c800bdb30bd668b4444adb4b1a31d979b8ad");
}

static void test_copies_are_the_same(void **state)
{
    (void)state;
    char first[65], second[65];
    fresh_copy("deep-sharded", "model");
    assert_success(model_identity(copy_path("model"), first));
    fresh_copy("deep-sharded", "other-name");
    const struct timespec long_ago[2] = {{1000, 0}, {1000, 0}};
    assert_int_equal(utimensat(AT_FDCWD, copy_path("other-name/vae/diffusion_pytorch_model.safetensors"), long_ago, 0),
                     0);
    assert_success(model_identity(copy_path("other-name"), second));
    assert_string_equal(first, second);
}

static void test_every_weight_file_counts(void **state)
{
    (void)state;
    static const char *const files[] = {
        "model/unet/diffusion_pytorch_model-00001-of-00002.safetensors",
        "model/unet/diffusion_pytorch_model-00002-of-00002.safetensors",
        "model/vae/diffusion_pytorch_model.safetensors",
        "model/text_encoder/model.safetensors",
    };
    char before[65], after[65];
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        fresh_copy("deep-sharded", "model");
        assert_success(model_identity(copy_path("model"), before));
        change_byte(copy_path(files[i]), -1);
        assert_success(model_identity(copy_path("model"), after));
        assert_string_not_equal(before, after);
    }
}

static void test_reward_models(void **state)
{
    (void)state;
    static const char *const kinds[] = {"clip", "detector", "aesthetic"};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        char source[PATH_SIZE], before[65], after[65];
        assert_success(path_format(source, "%s/rewards/%s", emoji_folder, kinds[i]));
        copy_folder(source, copy_path(kinds[i]));
        assert_success(model_identity(copy_path(kinds[i]), before));
        assert_success(path_format(source, "%s/model.safetensors", copy_path(kinds[i])));
        change_byte(source, -1);
        assert_success(model_identity(copy_path(kinds[i]), after));
        assert_string_not_equal(before, after);
    }
}

static void test_what_is_no_model(void **state)
{
    (void)state;
    char digits[65];
    assert_int_equal(model_identity(copy_path("absent"), digits).code, STATUS_BAD_INPUT);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_values),
        cmocka_unit_test(test_copies_are_the_same),
        cmocka_unit_test(test_every_weight_file_counts),
        cmocka_unit_test(test_reward_models),
        cmocka_unit_test(test_what_is_no_model),
    };
    if (argc != 3) return 2;
    golden_folder = argv[1];
    emoji_folder = argv[2];
    return cmocka_run_group_tests(tests, make_copies, remove_copies);
}
