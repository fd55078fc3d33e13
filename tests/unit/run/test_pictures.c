/* Picture files of every kind against the samples that Pillow reads, see tests/oracle/make_picture_goldens.py. */
#include "engine/base/files.h"
#include "engine/run/picture_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define PICTURES GOLDEN_FOLDER "/pictures/"

static const char *ending_of(const char *name)
{
    return strrchr(name, '.');
}

/* Lossy files may differ by one where another library rounds otherwise; others may not differ. */
static void compare(const char *name, const struct picture *picture)
{
    char path[PATH_SIZE], *expected;
    size_t length;
    snprintf(path, sizeof path, PICTURES "%.*s.rgb", (int)(ending_of(name) - name), name);
    assert_int_equal(file_read(path, 1 << 20, &expected, &length).code, STATUS_OK);
    if (length != (size_t)picture->width * (size_t)picture->height * 3) fail_msg("%s: wrong size", name);
    int allowed = strcmp(ending_of(name), ".jpg") == 0 ? 1 : 0;
    for (size_t i = 0; i < length; i++) {
        int difference = abs((int)picture->pixels[i] - (int)(unsigned char)expected[i]);
        if (difference > allowed)
            fail_msg("%s: sample %zu is %d, Pillow's %d", name, i, picture->pixels[i], (unsigned char)expected[i]);
    }
    free(expected);
}

static void read_one(const char *name)
{
    char path[PATH_SIZE];
    struct picture picture;
    snprintf(path, sizeof path, PICTURES "%s", name);
    status result = picture_read(path, &picture);
    if (strncmp(name, "damaged", 7) == 0) {
        if (result.code != STATUS_BAD_INPUT) fail_msg("%s: is read", name);
        assert_non_null(strstr(result.message, name));
        assert_null(picture.pixels);
        return;
    }
    if (result.code != STATUS_OK) fail_msg("%s", result.message);
    compare(name, &picture);
    /* Pictures that lie on their side are as high as they are stored wide. */
    bool on_side = strncmp(name, "turned-", 7) == 0 && name[7] >= '5';
    if (strncmp(name, "turned-", 7) == 0) assert_int_equal(picture.width, on_side ? 12 : 20);
    picture_clear(&picture);
}

static void pictures_are_read_as_pillow_reads_them(void **state)
{
    (void)state;
    struct name_list list;
    int read = 0;
    assert_int_equal(directory_list(PICTURES, &list).code, STATUS_OK);
    for (int i = 0; i < list.count; i++) {
        if (strcmp(ending_of(list.names[i]), ".rgb") == 0) continue;
        read_one(list.names[i]);
        read++;
    }
    assert_int_equal(read, 50);
    name_list_clear(&list);
}

static void put_number(unsigned char *target, uint32_t value)
{
    for (int i = 0; i < 4; i++) target[i] = (unsigned char)(value >> (24 - 8 * i));
}

/* A header is enough to say no, and the file need not hold more. */
static void sizes_are_refused_before_memory_is_taken(void **state)
{
    (void)state;
    static const struct {
        uint32_t width, height, crc;
        const char *message;
    } cases[] = {{16384, 16384, 0x26AA87D3, "268435456 in all; at most 89478485"},
                 {20000, 1, 0xB4D609D9, "from 1 to 16384 on a side"}};
    char path[] = "/tmp/alignprop-picture-XXXXXX";
    int descriptor = mkstemp(path);
    assert_true(descriptor >= 0);
    close(descriptor);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        /* Signature, IHDR of 8-bit RGB with its checksum, and the beginning of an IDAT. */
        unsigned char file[41] = "\x89PNG\r\n\x1A\n\0\0\0\rIHDR........\x08\x02\0\0\0....\0\0\0\0IDA";
        file[40] = 'T';
        put_number(file + 16, cases[i].width);
        put_number(file + 20, cases[i].height);
        put_number(file + 29, cases[i].crc);
        assert_int_equal(file_write_atomic(path, file, sizeof file).code, STATUS_OK);
        struct picture picture;
        status result = picture_read(path, &picture);
        assert_int_equal(result.code, STATUS_BAD_INPUT);
        if (!strstr(result.message, cases[i].message)) fail_msg("%s", result.message);
    }
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pictures_are_read_as_pillow_reads_them),
        cmocka_unit_test(sizes_are_refused_before_memory_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
