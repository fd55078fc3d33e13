/* The aesthetic head: folding its layers, and reading what torch.save wrote without trusting it. */
#include "engine/base/files.h"
#include "engine/model/aesthetic_head.h"
#include "engine/model/safetensors.h"
#include "engine/model/stored_zip.h"
#include "engine/model/torch_archive.h"
#include "reward_fixture.h"
#include "zip_writer.h"

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

static void test_what_is_no_archive(void **state)
{
    (void)state;
    char *data;
    size_t size;
    struct torch_archive archive;
    read_archive(&data, &size);
    replace(data, size, "PK\5\6", "PK\5\7");
    status result = torch_archive_parse(data, size, "head.pth", &archive);
    assert_int_equal(result.code, STATUS_BAD_INPUT);
    assert_non_null(strstr(result.message, "not a zip archive"));
    free(data);
    static const char page[] = "<!DOCTYPE html><html><body>Sign in</body></html>";
    result = torch_archive_parse(page, sizeof page - 1, "head.pth", &archive);
    assert_int_equal(result.code, STATUS_BAD_INPUT);
    assert_non_null(strstr(result.message, "head.pth: is a web page"));
}

/* ---- archives written here, member by member ---- */

enum { MOST_MEMBERS = 40 };

struct archive {
    struct zip_member members[MOST_MEMBERS];
    int count;
    char *source; /* that the members' bytes are in */
};

/* The members of a golden head. */
static struct archive open_members(const char *name)
{
    struct archive archive = {0};
    struct stored_zip *zip = calloc(1, sizeof *zip);
    char path[PATH_SIZE];
    size_t size;
    assert_non_null(zip);
    golden_path(path, name);
    assert_success(file_read(path, 1 << 20, &archive.source, &size));
    assert_success(stored_zip_parse(archive.source, size, path, zip));
    assert_in_range(zip->count, 1, MOST_MEMBERS - 2);
    for (int i = 0; i < zip->count; i++) {
        struct zip_member *member = &archive.members[archive.count++];
        snprintf(member->name, sizeof member->name, "%s", zip->members[i].name);
        member->bytes = (char *)(uintptr_t)zip->members[i].bytes;
        member->size = zip->members[i].size;
    }
    free(zip);
    return archive;
}

static struct zip_member *member_of(struct archive *archive, const char *ending)
{
    for (int i = 0; i < archive->count; i++) {
        const char *name = archive->members[i].name;
        size_t length = strlen(name), size = strlen(ending);
        if (length >= size && strcmp(name + length - size, ending) == 0) return &archive->members[i];
    }
    fail_msg("no member %s", ending);
    return NULL;
}

/* Writes the archive and expects it to be refused with those words; NULL: to be read. */
static void expect_read(struct archive *archive, const char *message)
{
    size_t size;
    char *bytes = zip_write(archive->members, archive->count, &size);
    struct torch_archive opened;
    status result = torch_archive_parse(bytes, size, "head.pth", &opened);
    if (message == NULL)
        assert_success(result);
    else if (result.code != STATUS_BAD_INPUT || strstr(result.message, message) == NULL)
        fail_msg("expected \"%s\", got code %d: %s", message, result.code, result.message);
    torch_archive_close(&opened);
    free(bytes);
}

static void test_archives_are_read_strictly(void **state)
{
    (void)state;
    struct archive archive = open_members("heads/linear.pth");
    expect_read(&archive, NULL);
    archive.members[archive.count++] = *member_of(&archive, "data/1");
    expect_read(&archive, "data/1 of the archive is there twice");
    archive.count--;
    struct zip_member *weight = member_of(&archive, "data/0");
    weight->wrong_checksum = true;
    expect_read(&archive, "does not have the checksum");
    weight->wrong_checksum = false;
    snprintf(weight->local_name, sizeof weight->local_name, "linear/data/9");
    expect_read(&archive, "data/0 of the archive has another name in the header before its bytes");
    snprintf(weight->local_name, sizeof weight->local_name, "linear/data/");
    expect_read(&archive, "has another name in the header before its bytes");
    weight->local_name[0] = '\0';
    weight->wrong_local_size = true;
    expect_read(&archive, "has another size or checksum in the header before its bytes");
    weight->wrong_local_size = false;
    weight->size -= 4;
    expect_read(&archive, "data/0 has 20");
    weight->size += 4;
    struct zip_member *order = member_of(&archive, "byteorder");
    order->bytes = (char[]){"big"};
    order->size = 3;
    expect_read(&archive, "byteorder says \"big\"; expected \"little\"");
    *order = archive.members[--archive.count]; /* older versions write none */
    expect_read(&archive, NULL);
    free(archive.source);
}

/* A member that has another one within its bytes: both have the right checksum. */
static void test_overlapping_members(void **state)
{
    (void)state;
    struct archive archive = open_members("heads/linear.pth");
    struct zip_member *inner = member_of(&archive, "version");
    size_t inner_size;
    char *whole = zip_write(inner, 1, &inner_size);
    archive.members[archive.count] = (struct zip_member){.name = "linear/outer", .bytes = whole, .size = inner_size};
    archive.count++;
    size_t size;
    char *bytes = zip_write(archive.members, archive.count, &size);
    zip_move_entry(bytes, size, inner->name, "linear/outer");
    struct torch_archive opened;
    status result = torch_archive_parse(bytes, size, "head.pth", &opened);
    assert_int_equal(result.code, STATUS_BAD_INPUT);
    if (!strstr(result.message, "overlaps the one before it")) fail_msg("%s", result.message);
    free(bytes);
    free(whole);
    free(archive.source);
}

static void test_foreign_pickles_with_right_checksums(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *message;
    } rows[] = {
        {"collections\nOrderedDict", "subprocess0\ncheck_outpu", "holds a subprocess0.check_outpu"},
        {"FloatStorage", "ShortStorage", "holds a torch.ShortStorage; only a dictionary of tensors"},
        {"FloatStorage", "FlootStorage", "holds a torch.FlootStorage"},
        {"\x80\2", "\x80\4", "of another protocol than 2"},
        {"bias", "weig", NULL}, /* another name is the archive's affair */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct archive archive = open_members("heads/linear.pth");
        struct zip_member *pickle = member_of(&archive, "data.pkl");
        replace(pickle->bytes, pickle->size, rows[i].from, rows[i].to);
        expect_read(&archive, rows[i].message);
        free(archive.source);
    }
    struct archive archive = open_members("heads/linear.pth");
    struct zip_member *pickle = member_of(&archive, "data.pkl");
    while (pickle->size > 0) {
        pickle->size--;
        expect_read(&archive, "data.pkl");
    }
    free(archive.source);
}

static void test_tensors_of_every_shape(void **state)
{
    (void)state;
    char path[PATH_SIZE];
    struct torch_archive archive;
    float value;
    golden_path(path, "heads/scalar.pth");
    assert_success(torch_archive_open(path, &archive));
    assert_int_equal(archive.count, 3);
    assert_string_equal(archive.tensors[2].name, "scale");
    assert_int_equal(archive.tensors[2].rank, 0);
    assert_int_equal(archive.tensors[2].elements, 1);
    memcpy(&value, archive.tensors[2].bytes, sizeof value);
    assert_true(value == 2.5F);
    torch_archive_close(&archive);
    golden_path(path, "heads/rows.pth");
    assert_success(torch_archive_open(path, &archive));
    assert_string_equal(archive.tensors[1].name, "second");
    memcpy(&value, archive.tensors[1].bytes, sizeof value);
    assert_true(value == 6.0F);
    torch_archive_close(&archive);
}

/* ---- kinds of heads ---- */

static void test_heads_of_every_type(void **state)
{
    (void)state;
    static const char *const names[] = {"linear", "linear-fp16", "chain-bf16", "chain-fp16", "chain-fp64"};
    static const char *const endings[] = {"pth", "safetensors"};
    char path[PATH_SIZE], name[80];
    struct safetensors *golden;
    golden_path(path, "heads/golden.safetensors");
    assert_success(safetensors_open(path, &golden));
    for (size_t i = 0; i < 2 * sizeof names / sizeof *names; i++) {
        struct aesthetic_head head;
        float weight[6], bias;
        snprintf(name, sizeof name, "%s.weight", names[i / 2]);
        assert_success(safetensors_read(golden, name, &SHAPE1((int64_t)6), weight));
        snprintf(name, sizeof name, "%s.bias", names[i / 2]);
        assert_success(safetensors_read(golden, name, &SHAPE1((int64_t)1), &bias));
        snprintf(name, sizeof name, "heads/%s.%s", names[i / 2], endings[i % 2]);
        golden_path(path, name);
        assert_success(aesthetic_head_open(path, &head));
        assert_int_equal(head.width, 6);
        if (!(fabs(head.bias - (double)bias) < 1e-6)) fail_msg("%s: bias %g, not %g", name, head.bias, (double)bias);
        for (int j = 0; j < 6; j++)
            if (!(fabs(head.weight[j] - (double)weight[j]) < 1e-6)) fail_msg("%s: weight %d", name, j);
        aesthetic_head_clear(&head);
    }
    safetensors_close(golden);
}

static void expect_refused(const char *path, const char *message)
{
    struct aesthetic_head head;
    status result = aesthetic_head_open(path, &head);
    if (result.code != STATUS_BAD_INPUT || !strstr(result.message, message) || !strstr(result.message, path))
        fail_msg("expected \"%s\", got code %d: %s", message, result.code, result.message);
}

static void write_head(const char *path, const struct safetensors_item *items, size_t count)
{
    assert_success(safetensors_write(path, items, count, NULL, 0));
}

static void test_heads_that_are_not_linear(void **state)
{
    (void)state;
    static const float ones[4] = {1, 1, 1, 1}, broken[4] = {1, 1, NAN, 1};
    static const uint16_t infinite[2] = {0x3C00, 0x7C00};
    struct safetensors_item items[] = {
        {"layers.0.weight", SAFETENSORS_F32, 2, {2, 2}, ones},    {"layers.0.bias", SAFETENSORS_F32, 1, {2}, ones},
        {"layers.2.weight", SAFETENSORS_F32, 2, {1, 2}, ones},    {"layers.2.bias", SAFETENSORS_F32, 1, {1}, ones},
        {"layers.1.running_mean", SAFETENSORS_F32, 1, {2}, ones},
    };
    char path[PATH_SIZE], folder[] = "/tmp/alignprop-head-XXXXXX", config[PATH_SIZE];
    golden_path(path, "heads/relu.pth");
    expect_refused(path, "those of LAION's predictor with ReLU between them");
    golden_path(path, "heads/scalar.pth");
    expect_refused(path, "tensor weight; an aesthetic head in LAION's layout has");
    assert_non_null(mkdtemp(folder));
    assert_success(path_format(path, "%s/head.safetensors", folder));
    assert_success(path_format(config, "%s/config.json", folder));
    write_head(path, items, 4);
    expect_refused(path, "what stands between its layers 0 and 2 cannot be told");
    static const char linear[] = "{\"model_type\":\"aesthetic-predictor\",\"activation\":null}";
    static const char relu[] = "{\"model_type\":\"aesthetic-predictor\",\"activation\":\"relu\"}";
    struct aesthetic_head head;
    assert_success(file_write_atomic(config, linear, strlen(linear)));
    assert_success(aesthetic_head_open(path, &head));
    assert_true(head.width == 2 && head.weight[0] == 2.0 && head.weight[1] == 2.0 && head.bias == 3.0);
    aesthetic_head_clear(&head);
    assert_success(file_write_atomic(config, relu, strlen(relu)));
    status result = aesthetic_head_open(path, &head);
    assert_int_equal(result.code, STATUS_BAD_INPUT);
    assert_non_null(strstr(result.message, "activation is \"relu\"; expected null"));
    assert_success(file_write_atomic(config, linear, strlen(linear)));
    write_head(path, items, 5);
    expect_refused(path, "tensor layers.1.running_mean");
    items[0].bytes = broken;
    write_head(path, items, 4);
    expect_refused(path, "tensor layers.0.weight holds an infinity or NaN, at element 2");
    items[0].bytes = ones;
    items[2] = (struct safetensors_item){"layers.2.weight", SAFETENSORS_F16, 2, {1, 2}, infinite};
    write_head(path, items, 4);
    expect_refused(path, "tensor layers.2.weight holds an infinity or NaN, at element 1");
    assert_success(directory_remove(folder));
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
        cmocka_unit_test(test_what_is_no_archive),
        cmocka_unit_test(test_archives_are_read_strictly),
        cmocka_unit_test(test_overlapping_members),
        cmocka_unit_test(test_foreign_pickles_with_right_checksums),
        cmocka_unit_test(test_tensors_of_every_shape),
        cmocka_unit_test(test_heads_of_every_type),
        cmocka_unit_test(test_heads_that_are_not_linear),
        cmocka_unit_test(test_damaged_archives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
