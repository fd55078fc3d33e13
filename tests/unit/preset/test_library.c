/* Own presets before the program's, the nearest name, and prompt files beside a preset. */
#include "engine/preset/library.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char folder[64];

static void write_file(const char *name, const char *text)
{
    char path[PATH_SIZE];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(file_write_atomic(path, text, strlen(text)).code, STATUS_OK);
}

static int make_folders(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/alignprop-library-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    char path[PATH_SIZE];
    snprintf(path, sizeof path, "%s/config/alignprop/presets", folder);
    if (directory_make(path).code != STATUS_OK) return -1;
    snprintf(path, sizeof path, "%s/data/presets/prompts", folder);
    if (directory_make(path).code != STATUS_OK) return -1;
    snprintf(path, sizeof path, "%s/config", folder);
    setenv("XDG_CONFIG_HOME", path, 1);
    snprintf(path, sizeof path, "%s/data", folder);
    setenv("ALIGNPROP_DATA", path, 1);
    write_file("data/presets/emoji-two-cats.json", "{\"schema\":1,\"name\":\"emoji-two-cats\",\"steps\":11,"
                                                   "\"prompts\":{\"train_file\":\"list.txt\"}}");
    write_file("data/presets/shared.json", "{}");
    write_file("data/presets/README.md", "x");
    write_file("data/presets/prompts/list.txt", "one\ntwo\n");
    write_file("config/alignprop/presets/shared.json", "{}");
    return 0;
}

static int remove_folders(void **state)
{
    (void)state;
    return directory_remove(folder).code == STATUS_OK ? 0 : -1;
}

static void own_presets_hide_the_programs(void **state)
{
    (void)state;
    struct preset_entries list;
    assert_int_equal(preset_list(&list).code, STATUS_OK);
    assert_int_equal(list.count, 2);
    assert_string_equal(list.entries[0].name, "emoji-two-cats");
    assert_false(list.entries[0].own);
    assert_string_equal(list.entries[1].name, "shared");
    assert_true(list.entries[1].own);
    preset_entries_clear(&list);
}

static void a_wrong_name_gets_the_nearest(void **state)
{
    (void)state;
    char path[PATH_SIZE];
    assert_string_equal(preset_find("emoji-two-cat", path).message,
                        "emoji-two-cat: no such preset; did you mean \"emoji-two-cats\"?");
    status result = preset_find("zzz", path);
    assert_int_equal(result.code, STATUS_BAD_INPUT);
    assert_non_null(strstr(result.message, "presets list"));
}

static void a_preset_is_loaded_with_its_prompt_file(void **state)
{
    (void)state;
    struct preset preset;
    struct preset_warnings warnings = {0};
    assert_string_equal(preset_load("emoji-two-cats", NULL, 0, &preset, &warnings).message, "");
    assert_int_equal(preset.steps, 11);
    assert_int_equal(preset.train.count, 2);
    assert_string_equal(preset.train.texts[1], "two");
    assert_int_equal(warnings.count, 1);
    preset_warnings_clear(&warnings);
    preset_clear(&preset);
    status result = preset_load("/nowhere/x.json", NULL, 0, &preset, NULL);
    assert_int_equal(result.code, STATUS_BAD_INPUT);
    assert_non_null(strstr(result.message, "/nowhere/x.json: No such file"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(own_presets_hide_the_programs),
        cmocka_unit_test(a_wrong_name_gets_the_nearest),
        cmocka_unit_test(a_preset_is_loaded_with_its_prompt_file),
    };
    return cmocka_run_group_tests(tests, make_folders, remove_folders);
}
