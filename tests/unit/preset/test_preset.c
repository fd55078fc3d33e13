/* Defaults, ranges, messages, paths and --set of presets. */
#include "engine/base/text.h"
#include "engine/preset/preset.h"

#include "engine/base/files.h"
#include "engine/base/json.h"
#include "engine/model/adapter.h"
#include "engine/preset/keys.h"
#include "engine/preset/migrate.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define PROMPTS "\"prompts\":{\"train\":[\"a\"],\"eval\":[\"b\"]}"
#define MINIMAL "{\"schema\":1,\"name\":\"x\"," PROMPTS "}"

static status read_preset(const char *text, const char *const *settings, int count, struct preset *preset,
                          struct preset_warnings *warnings)
{
    cJSON *tree;
    status result = json_parse(text, strlen(text), "x.json", &tree);
    assert_int_equal(result.code, STATUS_OK);
    result = preset_from_json(tree, "x.json", NULL, settings, count, preset, warnings);
    cJSON_Delete(tree);
    return result;
}

static void assert_wrong(const char *text, const char *message)
{
    struct preset preset;
    status result = read_preset(text, NULL, 0, &preset, NULL);
    assert_int_equal(result.code, STATUS_BAD_INPUT);
    if (!strstr(result.message, message)) fail_msg("expected \"%s\" in: %s", message, result.message);
    assert_non_null(strstr(result.message, "x.json"));
}

static void defaults_fill_what_is_absent(void **state)
{
    (void)state;
    struct preset preset;
    struct preset_warnings warnings = {0};
    assert_string_equal(read_preset(MINIMAL, NULL, 0, &preset, &warnings).message, "");
    assert_int_equal(warnings.count, 0);
    assert_string_equal(preset.model, "emoji");
    assert_int_equal(preset.rank, 4);
    assert_true(preset.alpha == 4);
    assert_int_equal(preset.targets, 1);
    assert_int_equal(preset.sampler_steps, 20);
    assert_int_equal(preset.draw_maximum, 20);
    assert_int_equal(preset.width, 0);
    assert_true(preset.learning_rate == 0.001);
    assert_true(preset.epsilon == 1e-8);
    assert_true(preset.seed == 42);
    assert_int_equal(preset.keep_steps, -1);
    assert_int_equal(preset.reward_count, 1);
    assert_string_equal(preset.rewards[0].id, "jpeg");
    assert_string_equal(cJSON_GetObjectItemCaseSensitive(preset.sources, "steps")->valuestring, "default");
    assert_string_equal(cJSON_GetObjectItemCaseSensitive(preset.sources, "prompts.train")->valuestring, "preset");
    assert_int_equal(preset_fill_size(&preset, (struct picture_size){128, 96}).code, STATUS_OK);
    assert_int_equal(preset.width, 128);
    assert_int_equal(preset.height, 96);
    preset_clear(&preset);
}

static void the_resolved_preset_reads_back_the_same(void **state)
{
    (void)state;
    const char *text =
        "{\"schema\":1,\"name\":\"x\",\"seed\":\"18446744073709551615\",\"lora\":{\"rank\":8},"
        "\"optimizer\":{\"lr\":0.00031},\"memory\":{\"limit\":\"1.5 GiB\",\"keep_steps\":3}," PROMPTS ","
        "\"rewards\":[{\"name\":\"count\",\"id\":\"two\",\"weight\":0.3,\"params\":{\"object\":\"cat\"}}]}";
    struct preset first, second;
    assert_string_equal(read_preset(text, NULL, 0, &first, NULL).message, "");
    char *printed = json_print(first.resolved, true);
    struct preset_warnings warnings = {0};
    assert_string_equal(read_preset(printed, NULL, 0, &second, &warnings).message, "");
    assert_int_equal(warnings.count, 0);
    char *again = json_print(second.resolved, true);
    assert_string_equal(printed, again);
    assert_true(second.seed == UINT64_MAX);
    assert_true(second.alpha == 8);
    assert_true(second.memory_limit == (size_t)1536 << 20);
    assert_int_equal(second.keep_steps, 3);
    assert_true(second.learning_rate == 0.00031);
    free(printed);
    free(again);
    preset_clear(&first);
    preset_clear(&second);
}

static void wrong_values_name_key_and_range(void **state)
{
    (void)state;
    const char *const cases[][2] = {
        {"{\"name\":\"x\"}", "schema: expected a whole number"},
        {"{\"schema\":2,\"name\":\"x\"}", "schema: 2 is newer"},
        {"{\"schema\":1}", "name: expected"},
        {"{\"schema\":1,\"name\":\"../x\"}", "name: expected"},
        {"{\"schema\":1,\"name\":\"x\",\"batch\":0," PROMPTS "}",
         "batch: expected a whole number from 1 to 1024, found 0"},
        {"{\"schema\":1,\"name\":\"x\",\"batch\":1.5," PROMPTS "}", "batch: expected a whole number"},
        {"{\"schema\":1,\"name\":\"x\",\"seed\":42," PROMPTS "}", "seed: expected a text of digits"},
        {"{\"schema\":1,\"name\":\"x\",\"seed\":\"-1\"," PROMPTS "}", "seed: expected a text of digits"},
        {"{\"schema\":1,\"name\":\"x\",\"sampler\":5," PROMPTS "}", "sampler: expected an object, found 5"},
        {"{\"schema\":1,\"name\":\"x\",\"sampler\":{\"name\":\"dim\"}," PROMPTS "}", "did you mean \"ddim\""},
        {"{\"schema\":1,\"name\":\"x\",\"sampler\":{\"width\":4097}," PROMPTS "}",
         "null or a whole number from 8 to 4096"},
        {"{\"schema\":1,\"name\":\"x\",\"backprop\":{\"max\":21}," PROMPTS "}",
         "backprop.max: 21 is more than sampler.steps"},
        {"{\"schema\":1,\"name\":\"x\",\"backprop\":{\"min\":9,\"max\":5}," PROMPTS "}", "backprop.min: 9"},
        {"{\"schema\":1,\"name\":\"x\",\"backprop\":{\"method\":\"last-k\",\"k\":30}," PROMPTS "}", "backprop.k: 30"},
        {"{\"schema\":1,\"name\":\"x\",\"lora\":{\"targets\":[]}," PROMPTS "}", "lora.targets: expected"},
        {"{\"schema\":1,\"name\":\"x\",\"lora\":{\"targets\":[\"atention\"]}," PROMPTS "}",
         "did you mean \"attention\""},
        {"{\"schema\":1,\"name\":\"x\",\"memory\":{\"limit\":\"8 bananas\"}," PROMPTS "}", "8 GiB"},
        {"{\"schema\":1,\"name\":\"x\",\"prompts\":{\"train\":[1]}}", "prompts.train[0]: expected a prompt"},
        {"{\"schema\":1,\"name\":\"x\",\"prompts\":{\"train\":[\"a\\u001b[2J\"]}}", "control characters"},
        {"{\"schema\":1,\"name\":\"x\",\"prompts\":{\"train_file\":\"nowhere.txt\"}}", "nowhere.txt"},
        {"{\"schema\":1,\"name\":\"x\"," PROMPTS ",\"rewards\":[]}", "rewards: expected a list"},
        {"{\"schema\":1,\"name\":\"x\"," PROMPTS ",\"rewards\":[{\"weight\":1}]}", "rewards[0].name: expected a text"},
        {"{\"schema\":1,\"name\":\"x\"," PROMPTS ",\"rewards\":[{\"name\":\"a\"},{\"name\":\"a\"}]}", "used twice"},
        {"{\"schema\":1,\"name\":\"x\"," PROMPTS ",\"rewards\":[{\"name\":\"a\",\"id\":\"total\"}]}", "total"},
        {"{\"schema\":1,\"name\":\"x\"," PROMPTS ",\"rewards\":[{\"name\":\"a\",\"weight\":1e9}]}",
         "rewards[0].weight: expected a number from -1000 to 1000"},
        {"{\"schema\":1,\"name\":\"x\"," PROMPTS ",\"rewards\":[{\"name\":\"a\",\"params\":3}]}", "rewards[0].params"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) assert_wrong(cases[i][0], cases[i][1]);
}

static void held_out_prompts_that_are_trained_on_are_told(void **state)
{
    (void)state;
    static const struct {
        const char *prompts, *warning;
    } cases[] = {
        {"\"train\":[\"b\",\"a\",\"c\"],\"eval\":[\"d\",\"a \"]", NULL},
        {"\"train\":[\"b\",\"a\",\"c\"],\"eval\":[\"d\",\"a\"]",
         "x.json: prompts.eval: 1 of 2 held-out prompts is a training prompt too, such as \"a\""},
        {"\"train\":[\"b\",\"a\"],\"eval\":[\"b\",\"a\"]",
         "x.json: prompts.eval: 2 of 2 held-out prompts are training prompts too, such as \"b\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[300];
        struct preset preset;
        struct preset_warnings warnings = {0};
        snprintf(text, sizeof text, "{\"schema\":1,\"name\":\"x\",\"prompts\":{%s}}", cases[i].prompts);
        assert_string_equal(read_preset(text, NULL, 0, &preset, &warnings).message, "");
        assert_int_equal(warnings.count, cases[i].warning ? 1 : 0);
        if (cases[i].warning) assert_string_equal(warnings.lines[0], cases[i].warning);
        preset_warnings_clear(&warnings);
        preset_clear(&preset);
    }
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

/* The same path means the same file from every folder; what is beside the preset comes before what is here. */
static void paths_are_relative_to_the_presets_file(void **state)
{
    (void)state;
    char base[] = "/tmp/alignprop-paths-XXXXXX", old[4096], path[4200], expected[4200];
    struct preset preset;
    struct preset_warnings warnings = {0};
    assert_non_null(mkdtemp(base));
    assert_non_null(getcwd(old, sizeof old));
    assert_int_equal(chdir(base), 0);
    assert_int_equal(mkdir("desk", 0700) | mkdir("here", 0700), 0);
    write_file("desk/p.json",
               "{\"schema\":1,\"name\":\"x\",\"prompts\":{\"train_file\":\"./t.txt\",\"eval_file\":\"e.txt\"}}");
    write_file("desk/t.txt", "beside\n");
    write_file("here/t.txt", "here\n");
    write_file("here/e.txt", "also here\n");
    assert_int_equal(chdir("here"), 0);
    assert_string_equal(preset_load("../desk/p.json", NULL, 0, &preset, &warnings).message, "");
    assert_string_equal(preset.train.texts[0], "beside");
    assert_string_equal(preset.evaluation.texts[0], "also here");
    assert_int_equal(warnings.count, 1);
    assert_non_null(strstr(warnings.lines[0], "prompts.eval_file: e.txt is not beside the preset's file"));
    snprintf(expected, sizeof expected, "%s/desk/t.txt", base);
    assert_string_equal(preset_value(&preset, "prompts.train_file")->valuestring, expected);
    assert_true(preset_find_path(&preset, "model", "t.txt", path));
    assert_string_equal(path, expected);
    assert_false(preset_find_path(&preset, "model", "nothing", path));
    preset_warnings_clear(&warnings);
    preset_clear(&preset);
    const char *const set[] = {"prompts.train_file=t.txt"}; /* of the command line: here */
    assert_string_equal(preset_load("../desk/p.json", set, 1, &preset, NULL).message, "");
    assert_string_equal(preset.train.texts[0], "here");
    preset_clear(&preset);
    assert_int_equal(chdir(old), 0);
    assert_string_equal(directory_remove(base).message, "");
}

static struct preset two_rewards(void)
{
    struct preset preset;
    const char *text =
        "{\"schema\":1,\"name\":\"x\"," PROMPTS
        ",\"rewards\":[{\"name\":\"jpeg\",\"id\":\"a\",\"weight\":-3},{\"name\":\"brightness\",\"id\":\"b\"}],"
        "\"optimizer\":{\"lr\":0.25,\"clip\":7},\"sample\":{\"every\":9}}";
    assert_string_equal(read_preset(text, NULL, 0, &preset, NULL).message, "");
    return preset;
}

/* A run begins with what its preset says, and with the preview's rate that no preset has. */
static void a_run_begins_with_its_presets_settings(void **state)
{
    (void)state;
    struct preset preset = two_rewards();
    struct live_settings settings = live_settings_of(&preset), others = settings;
    assert_true(settings.weights[0] == -3 && settings.weights[1] == 1);
    assert_true(settings.learning_rate == 0.25 && settings.clip == 7 && settings.sample_every == 9);
    assert_true(settings.preview_rate == PREVIEW_RATE_LIMIT);
    struct live_setting setting;
    int count = 0;
    for (; live_setting_at(&preset, count, &setting); count++) {
        struct live_setting found;
        assert_true(live_setting_find(&preset, setting.key, &found));
        assert_int_equal(found.offset, setting.offset);
        /* Each has a place of its own. */
        assert_true(live_settings_equal(&preset, &settings, &others));
        live_setting_set(&setting, &others, count + 11);
        assert_true(live_setting_get(&setting, &others) == count + 11);
        assert_false(live_settings_equal(&preset, &settings, &others));
        others = settings;
    }
    assert_true(live_setting_at(&preset, 0, &setting) && strcmp(setting.key, "rewards.a.weight") == 0);
    assert_true(live_setting_find(&preset, "preview.rate", &setting) && setting.row->of_runs_only);
    assert_true(count >= 6);
    preset_clear(&preset);
}

/* A preset, a change while the run goes on and a run that goes on have the same range. */
static void a_live_key_has_one_range(void **state)
{
    (void)state;
    struct preset preset = two_rewards();
    struct live_setting setting;
    for (int i = 0; live_setting_at(&preset, i, &setting); i++) {
        double low = setting.row->low, high = setting.row->high;
        assert_string_equal(live_settings_check(&preset, setting.key, low).message, "");
        assert_string_equal(live_settings_check(&preset, setting.key, high).message, "");
        const double wrong[] = {low - 1, high + 1, NAN, INFINITY};
        for (size_t w = 0; w < sizeof wrong / sizeof *wrong; w++)
            assert_int_equal(live_settings_check(&preset, setting.key, wrong[w]).code, STATUS_BAD_INPUT);
        bool whole = setting.row->kind == KEY_INTEGER;
        assert_int_equal(live_settings_check(&preset, setting.key, 0.5).code, whole ? STATUS_BAD_INPUT : STATUS_OK);
    }
    assert_string_equal(live_settings_check(&preset, "lora.rank", 8).message,
                        "lora.rank: is fixed while a run goes on");
    const char *const none[] = {"rewards.weight", "rewards..weigh",    "rewards.c.weight",
                                "preview",        "xrewards.a.weight", ""};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        assert_non_null(strstr(live_settings_check(&preset, none[i], 1).message,
                               ": no such setting; expected rewards.ID.weight, optimizer.lr, "));
    assert_non_null(strstr(live_settings_check(&preset, "", 1).message, " or preview.rate"));
    preset_clear(&preset);
}

/* What is written comes back; a setting that came later may be missing, others may not. */
static void settings_come_back_from_a_checkpoint(void **state)
{
    (void)state;
    struct preset preset = two_rewards();
    struct live_settings settings = live_settings_of(&preset), read;
    settings.weights[1] = 0.5;
    settings.sample_every = 4;
    settings.preview_rate = 12;
    cJSON *group = cJSON_CreateObject();
    live_settings_write(&preset, &settings, group);
    char *text = cJSON_PrintUnformatted(group);
    assert_string_equal(text, "{\"weights\":{\"a\":-3,\"b\":0.5},\"optimizer.lr\":0.25,\"optimizer.clip\":7,"
                              "\"sample.every\":4,\"preview.rate\":12}");
    free(text);
    struct json_object object;
    assert_string_equal(json_root("state.json", group, &object).message, "");
    assert_string_equal(live_settings_read(&preset, &object, &read).message, "");
    assert_true(live_settings_equal(&preset, &settings, &read));
    cJSON_DeleteItemFromObject(group, "preview.rate");
    assert_string_equal(live_settings_read(&preset, &object, &read).message, "");
    assert_true(read.preview_rate == PREVIEW_RATE_LIMIT && read.sample_every == 4);
    cJSON_ReplaceItemInObject(group, "sample.every", cJSON_CreateNumber(1.5));
    assert_non_null(
        strstr(live_settings_read(&preset, &object, &read).message, "sample.every: expected a whole number"));
    cJSON_DeleteItemFromObject(group, "optimizer.lr");
    assert_non_null(strstr(live_settings_read(&preset, &object, &read).message, "optimizer.lr"));
    cJSON_Delete(group);
    preset_clear(&preset);
}

/* What methods there are is said; one that is known elsewhere is none. */
static void methods_that_are_not_there_are_refused(void **state)
{
    (void)state;
    static const char *const methods[] = {"ddpo", "refl", "drtune", "", "Full"};
    struct text known = {0};
    for (int i = 0; i < BACKPROP_METHOD_COUNT; i++)
        text_append(&known, "%s\"%s\"", i ? ", " : "one of ", backprop_method_name(i));
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        char text[300];
        snprintf(text, sizeof text, "{\"schema\":1,\"name\":\"x\",\"backprop\":{\"method\":\"%s\"}," PROMPTS "}",
                 methods[i]);
        assert_wrong(text, known.data);
    }
    text_clear(&known);
}

static void unknown_keys_are_warnings_with_the_nearest(void **state)
{
    (void)state;
    struct preset preset;
    struct preset_warnings warnings = {0};
    const char *text =
        "{\"schema\":1,\"name\":\"x\"," PROMPTS
        ",\"sampler\":{\"guidence\":3},\"lr\":1,\"xyzzy\":{\"a\":1},\"rewards\":[{\"name\":\"a\",\"wieght\":1}]}";
    assert_string_equal(read_preset(text, NULL, 0, &preset, &warnings).message, "");
    assert_int_equal(warnings.count, 4);
    assert_string_equal(warnings.lines[0],
                        "x.json: unknown key \"sampler.guidence\"; did you mean \"sampler.guidance\"?");
    assert_string_equal(warnings.lines[1], "x.json: unknown key \"lr\"; did you mean \"optimizer.lr\"?");
    assert_string_equal(warnings.lines[2], "x.json: unknown key \"xyzzy\"");
    assert_string_equal(warnings.lines[3], "x.json: unknown key \"rewards[0].wieght\"; did you mean \"weight\"?");
    preset_warnings_clear(&warnings);
    preset_clear(&preset);
}

static void settings_win_over_the_preset(void **state)
{
    (void)state;
    struct preset preset;
    const char *const settings[] = {"steps=7",
                                    "seed=9",
                                    "sampler.name=euler",
                                    "rewards.small.weight=0.5",
                                    "notes=5",
                                    "sampler.eta=0.5",
                                    "prompts.train=a cat",
                                    "rewards.small.params.quality=80",
                                    "lora.targets=[\"attention\",\"convolution\"]"};
    const char *text =
        "{\"schema\":1,\"name\":\"x\",\"steps\":3," PROMPTS ",\"rewards\":[{\"name\":\"jpeg\",\"id\":\"small\"}]}";
    assert_string_equal(read_preset(text, settings, 9, &preset, NULL).message, "");
    assert_int_equal(preset.steps, 7);
    assert_true(preset.seed == 9);
    assert_string_equal(preset.sampler, "euler");
    assert_true(preset.rewards[0].weight == 0.5);
    assert_true(cJSON_GetObjectItemCaseSensitive(preset.rewards[0].params, "quality")->valuedouble == 80);
    assert_string_equal(preset.notes, "5");
    assert_int_equal(preset.train.count, 1);
    assert_string_equal(preset.train.texts[0], "a cat");
    assert_int_equal(preset.targets, 5);
    assert_string_equal(cJSON_GetObjectItemCaseSensitive(preset.sources, "steps")->valuestring, "--set");
    assert_true(preset_value(&preset, "rewards.small.weight")->valuedouble == 0.5);
    assert_null(preset_value(&preset, "rewards.nothing.weight"));
    preset_clear(&preset);
}

static void wrong_settings_are_refused(void **state)
{
    (void)state;
    const struct {
        const char *setting;
        enum status_code code;
        const char *message;
    } cases[] = {
        {"steps", STATUS_USAGE, "KEY=VALUE"},
        {"=3", STATUS_USAGE, "KEY=VALUE"},
        {"stpes=3", STATUS_USAGE, "did you mean \"steps\""},
        {"optimizer.rate=3", STATUS_USAGE, "unknown key"},
        {"rewards.clip.weight=1", STATUS_USAGE, "one of: jpeg"},
        {"rewards.jpeg.wight=1", STATUS_USAGE, "rewards.ID.weight"},
        {"steps=many", STATUS_BAD_INPUT, "--set: steps: expected a whole number from 1 to 1000000, found \"many\""},
        {"backprop.max=50", STATUS_BAD_INPUT, "--set: backprop.max"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct preset preset;
        const char *text = "{\"schema\":1,\"name\":\"x\"," PROMPTS ",\"rewards\":[{\"name\":\"jpeg\"}]}";
        status result = read_preset(text, &cases[i].setting, 1, &preset, NULL);
        assert_int_equal(result.code, cases[i].code);
        if (!strstr(result.message, cases[i].message))
            fail_msg("expected \"%s\" in: %s", cases[i].message, result.message);
    }
}

static void held_out_prompts_are_split_off_and_stay_there(void **state)
{
    (void)state;
    struct text text = {0};
    text_append(&text, "{\"schema\":1,\"name\":\"x\",\"prompts\":{\"train\":[");
    for (int i = 0; i < 64; i++) text_append(&text, "%s\"prompt %d\"", i ? "," : "", i);
    text_append(&text, "]}}");
    struct preset preset;
    assert_string_equal(read_preset(text.data, NULL, 0, &preset, NULL).message, "");
    assert_int_equal(preset.train.count + preset.evaluation.count, 64);
    assert_in_range(preset.evaluation.count, 2, 20);
    for (int i = 0; i < preset.evaluation.count; i++) {
        for (int j = 0; j < preset.train.count; j++) {
            assert_string_not_equal(preset.evaluation.texts[i], preset.train.texts[j]);
        }
    }
    preset_clear(&preset);
    text_clear(&text);
}

static void schema_0_is_migrated(void **state)
{
    (void)state;
    struct preset preset;
    struct preset_warnings warnings = {0};
    const char *text = "{\"schema\":0,\"name\":\"x\",\"seed\":7,\"adamw\":{\"lr\":0.01}," PROMPTS "}";
    assert_string_equal(read_preset(text, NULL, 0, &preset, &warnings).message, "");
    assert_int_equal(warnings.count, 0);
    assert_true(preset.seed == 7);
    assert_true(preset.learning_rate == 0.01);
    assert_true(cJSON_GetObjectItemCaseSensitive(preset.resolved, "schema")->valuedouble == PRESET_SCHEMA);
    preset_clear(&preset);
}

/* Every row of the table has a default that its own check accepts. */
static void the_table_agrees_with_itself(void **state)
{
    (void)state;
    int count;
    const struct preset_key *keys = preset_keys(&count);
    struct preset preset = {0};
    for (int i = 0; i < count; i++) {
        assert_true(strlen(keys[i].meaning) > 0);
        bool list = keys[i].kind == KEY_PROMPTS || keys[i].kind == KEY_REWARDS || keys[i].kind == KEY_SCHEMA;
        assert_int_equal(keys[i].group == NULL, list);
        assert_true(!keys[i].live || keys[i].kind == KEY_NUMBER || keys[i].kind == KEY_INTEGER);
        for (int other = 0; other < i; other++) {
            assert_string_not_equal(keys[i].path, keys[other].path);
            if (keys[i].offset > 0) assert_int_not_equal(keys[i].offset, keys[other].offset);
        }
        if (!keys[i].fallback) continue;
        cJSON *value = cJSON_Parse(keys[i].fallback);
        assert_non_null(value);
        assert_string_equal(preset_key_read(&keys[i], "table", value, &preset).message, "");
        cJSON_Delete(value);
    }
    preset_clear(&preset);
}

/* Every name that a key chooses from is read, as what it is, and differs from the others. */
static void every_choice_is_read(void **state)
{
    (void)state;
    int count, checked = 0;
    const struct preset_key *keys = preset_keys(&count);
    struct preset preset = {0};
    for (int i = 0; i < count; i++) {
        assert_int_equal(keys[i].choice != NULL,
                         keys[i].kind == KEY_CHOICE || keys[i].kind == KEY_SAMPLER || keys[i].kind == KEY_TARGETS);
        for (int c = 0; keys[i].choice && keys[i].choice(c); c++, checked++) {
            const char *name = keys[i].choice(c);
            assert_true(strlen(name) > 0);
            for (int other = 0; other < c; other++) assert_string_not_equal(name, keys[i].choice(other));
            cJSON *value = keys[i].kind == KEY_TARGETS ? cJSON_CreateStringArray(&name, 1) : cJSON_CreateString(name);
            assert_string_equal(preset_key_read(&keys[i], "table", value, &preset).message, "");
            cJSON_Delete(value);
            const char *field = (const char *)&preset + keys[i].offset;
            if (keys[i].kind == KEY_SAMPLER) assert_string_equal(*(const char *const *)field, name);
            if (keys[i].kind == KEY_CHOICE) assert_string_equal(keys[i].choice(*(const int *)field), name);
            if (keys[i].kind == KEY_TARGETS) assert_string_equal(adapter_target_name(*(const unsigned *)field), name);
        }
    }
    assert_true(checked >= 4 + 2 + 2 + 4 + 4);
    preset_clear(&preset);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_fill_what_is_absent),
        cmocka_unit_test(the_resolved_preset_reads_back_the_same),
        cmocka_unit_test(wrong_values_name_key_and_range),
        cmocka_unit_test(held_out_prompts_that_are_trained_on_are_told),
        cmocka_unit_test(paths_are_relative_to_the_presets_file),
        cmocka_unit_test(a_run_begins_with_its_presets_settings),
        cmocka_unit_test(a_live_key_has_one_range),
        cmocka_unit_test(settings_come_back_from_a_checkpoint),
        cmocka_unit_test(methods_that_are_not_there_are_refused),
        cmocka_unit_test(unknown_keys_are_warnings_with_the_nearest),
        cmocka_unit_test(settings_win_over_the_preset),
        cmocka_unit_test(wrong_settings_are_refused),
        cmocka_unit_test(held_out_prompts_are_split_off_and_stay_there),
        cmocka_unit_test(schema_0_is_migrated),
        cmocka_unit_test(the_table_agrees_with_itself),
        cmocka_unit_test(every_choice_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
