/* Adapter files of other programs: the updates that diffusers and peft make of them (tests/golden/adapters), the names
 * of their tensors, and what is refused. Usage: test_adapters GOLDENS */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/base/json.h"
#include "engine/model/adapter_config.h"
#include "engine/model/adapter_pattern.h"
#include "engine/model/adapter_set.h"
#include "engine/model/config_keys.h"
#include "engine/model/safetensors.h"

static const char *goldens;
static char folder[] = "/tmp/alignprop-adapters-XXXXXX";

static const char *path_in(const char *name)
{
    static char path[PATH_SIZE];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void must(status result)
{
    if (result.code != STATUS_OK) fail_msg("%s", result.message);
}

static void assert_refused(status result, const char *message)
{
    assert_int_equal(result.code, STATUS_BAD_INPUT);
    if (!strstr(result.message, message)) fail_msg("expected \"%s\" in: %s", message, result.message);
}

/* ---- what the reference libraries make of the same file ---- */

enum { FIGURES = 3 };

/* Sums of (alpha / rank) up down with two patterns, and its norm, as make_adapter_goldens.py takes them. */
static void figures_of(const struct adapter_factors *factors, double figures[FIGURES])
{
    int64_t rank = factors->down_shape.dimension[0], rows = factors->up_shape.dimension[0];
    int64_t columns = shape_elements(&factors->down_shape) / rank;
    double squares = 0;
    figures[0] = figures[1] = 0;
    for (int64_t i = 0; i < rows * columns; i++) {
        double value = 0;
        for (int64_t r = 0; r < rank; r++)
            value += (double)factors->up[i / columns * rank + r] * factors->down[r * columns + i % columns];
        value *= factors->alpha / (double)rank;
        figures[0] += value * cos(0.37 * (double)i);
        figures[1] += value * sin(0.11 * (double)i + 1);
        squares += value * value;
    }
    figures[2] = sqrt(squares);
}

static void check_module(const char *form, const struct adapter_factors *factors, const cJSON *expected)
{
    double figures[FIGURES];
    if (!expected) fail_msg("%s: the reference has no module %s", form, factors->kohya);
    figures_of(factors, figures);
    double norm = cJSON_GetArrayItem(expected, FIGURES - 1)->valuedouble;
    for (int i = 0; i < FIGURES; i++) {
        double error = fabs(figures[i] - cJSON_GetArrayItem(expected, i)->valuedouble);
        if (!(error <= 3e-5 * norm)) fail_msg("%s: %s: figure %d differs by %g", form, factors->kohya, i, error);
    }
}

static void check_form(const cJSON *form)
{
    char path[PATH_SIZE];
    struct adapter_set set;
    bool peft = strcmp(form->string, "peft-folder") == 0;
    snprintf(path, sizeof path, "%s/adapters/%s%s", goldens, form->string, peft ? "" : ".safetensors");
    must(adapter_file_read(path, &set));
    assert_int_equal(set.count, cJSON_GetArraySize(form));
    for (int i = 0; i < set.count; i++)
        check_module(form->string, &set.modules[i], cJSON_GetObjectItemCaseSensitive(form, set.modules[i].kohya));
    bool zero = strcmp(form->string, "kohya-zero-alpha") == 0;
    if (set.warnings.count != (zero ? 1 : 0))
        fail_msg("%s: %d warnings: %s", path, set.warnings.count, set.warnings.lines[0]);
    assert_true(adapter_is_at(path));
    adapter_set_clear(&set);
}

static void updates_are_the_reference_libraries(void **state)
{
    (void)state;
    char path[PATH_SIZE];
    cJSON *updates;
    const cJSON *form;
    snprintf(path, sizeof path, "%s/adapters/updates.json", goldens);
    must(json_read_file(path, 1 << 20, &updates));
    assert_int_equal(cJSON_GetArraySize(updates), 14);
    cJSON_ArrayForEach(form, updates) check_form(form);
    cJSON_Delete(updates);
}

/* ---- names ---- */

static void every_naming_leads_to_the_module(void **state)
{
    (void)state;
    static const char query[] = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q";
    static const char out[] = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_out_0";
    static const char text[] = "lora_te_text_model_encoder_layers_0_self_attn_q_proj";
    static const char text_out[] = "lora_te_text_model_encoder_layers_0_self_attn_out_proj";
    static const char inner[] = "lora_te_text_model_encoder_layers_0_mlp_fc1";
    static const char original[] = "lora_unet_input_blocks_1_1_transformer_blocks_0_attn1_to_q";
#define QUERY "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"
#define LAYER "encoder.layers.0.self_attn"
    static const struct {
        const char *name, *key;
        enum adapter_role role;
    } cases[] = {
        {"lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q.lora_down.weight", query,
         ADAPTER_ROLE_DOWN},
        {"lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q.alpha", query, ADAPTER_ROLE_ALPHA},
        {"lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q.lora_A.weight", query,
         ADAPTER_ROLE_DOWN},
        {"lora_unet." QUERY ".lora_up.weight", query, ADAPTER_ROLE_UP},
        {"unet." QUERY ".lora_up.weight", query, ADAPTER_ROLE_UP},
        {"unet." QUERY ".lora_mid.weight", query, ADAPTER_ROLE_MIDDLE},
        {"unet." QUERY ".lora_A.weight", query, ADAPTER_ROLE_DOWN},
        {"unet." QUERY ".lora_B.default.weight", query, ADAPTER_ROLE_UP},
        {"unet." QUERY ".lora_B.my-style_2.weight", query, ADAPTER_ROLE_UP},
        {"base_model.model." QUERY ".lora_A.weight", query, ADAPTER_ROLE_DOWN},
        {"base_model.model.unet." QUERY ".lora_A.default.weight", query, ADAPTER_ROLE_DOWN},
        {QUERY ".lora_A.weight", query, ADAPTER_ROLE_DOWN},
        {"unet." QUERY ".lora.down.weight", query, ADAPTER_ROLE_DOWN},
        {"unet." QUERY ".lora_linear_layer.up.weight", query, ADAPTER_ROLE_UP},
        {"unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.processor.to_q_lora.down.weight", query,
         ADAPTER_ROLE_DOWN},
        {"down_blocks.0.attentions.0.transformer_blocks.0.attn1.processor.to_q_lora.up.weight", query, ADAPTER_ROLE_UP},
        {"unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.processor.to_q_lora.alpha", query,
         ADAPTER_ROLE_ALPHA},
        {"unet." QUERY ".alpha", query, ADAPTER_ROLE_ALPHA},
        {"unet.mid_block.attentions.0.transformer_blocks.0.attn2.processor.to_out_lora.up.weight", out,
         ADAPTER_ROLE_UP},
        {"unet.mid_block.attentions.0.transformer_blocks.0.attn2.to_out.0.lora.up.weight", out, ADAPTER_ROLE_UP},
        {"lora_te_text_model_encoder_layers_0_self_attn_q_proj.lora_up.weight", text, ADAPTER_ROLE_UP},
        {"lora_te1_text_model_encoder_layers_0_self_attn_q_proj.lora_up.weight", text, ADAPTER_ROLE_UP},
        {"lora_te.text_model." LAYER ".q_proj.lora_down.weight", text, ADAPTER_ROLE_DOWN},
        {"clip_l.text_model." LAYER ".q_proj.lora_down.weight", text, ADAPTER_ROLE_DOWN},
        {"text_encoder.text_model." LAYER ".q_proj.lora_A.weight", text, ADAPTER_ROLE_DOWN},
        {"text_encoder." LAYER ".q_proj.lora_A.weight", text, ADAPTER_ROLE_DOWN},
        {"base_model.model.text_model." LAYER ".q_proj.lora_A.weight", text, ADAPTER_ROLE_DOWN},
        {"text_encoder.text_model." LAYER ".q_proj.lora_linear_layer.down.weight", text, ADAPTER_ROLE_DOWN},
        {"text_encoder.text_model." LAYER ".to_q_lora.down.weight", text, ADAPTER_ROLE_DOWN},
        {"text_encoder.text_model." LAYER ".to_out_lora.up.weight", text_out, ADAPTER_ROLE_UP},
        {"text_encoder.text_model.encoder.layers.0.mlp.fc1.lora_linear_layer.up.weight", inner, ADAPTER_ROLE_UP},
        {"lora_unet_input_blocks_1_1_transformer_blocks_0_attn1_to_q.lora_up.weight", original, ADAPTER_ROLE_UP},
        {"diffusion_model.input_blocks.1.1.transformer_blocks.0.attn1.to_q.lora_up.weight", original, ADAPTER_ROLE_UP},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct adapter_tensor_name name;
        char key[ADAPTER_KEY_SIZE];
        const char *kind;
        if (!adapter_name_split(cases[i].name, &name, &kind)) fail_msg("%s is not known", cases[i].name);
        adapter_key(name.network, name.module, key);
        assert_string_equal(key, cases[i].key);
        assert_int_equal(name.role, cases[i].role);
    }
}

static void other_networks_are_told(void **state)
{
    (void)state;
    static const char *const names[] = {"lora_te2_text_model_encoder_layers_0_mlp_fc1.lora_up.weight",
                                        "text_encoder_2.text_model.encoder.layers.0.mlp.fc1.lora_B.weight",
                                        "transformer.transformer_blocks.0.attn.to_q.lora_A.weight",
                                        "bundle_emb.word.string_to_param.*"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct adapter_tensor_name name;
        const char *kind;
        assert_true(adapter_name_split(names[i], &name, &kind));
        assert_int_equal(name.network, ADAPTER_NETWORK_OTHER);
    }
}

/* ---- files of one module ---- */

static const float down[] = {1, 2, 3, 4, 5, 6}, up[] = {0.5F, -1, 2, 0.25F};

static struct safetensors_item item(const char *name, int rank, int64_t first, int64_t second, const float *values)
{
    return (struct safetensors_item){name, SAFETENSORS_F32, rank, {first, second}, values};
}

enum { MOST_ITEMS = 6 };

struct small_file {
    struct safetensors_item items[MOST_ITEMS];
    size_t count;
    const char *metadata; /* lora_adapter_metadata, or NULL */
};

/* A file with both factors of rank 2 of a module "x.to_q". */
static struct small_file small_file(void)
{
    return (struct small_file){
        .items = {item("unet.x.to_q.lora_A.weight", 2, 2, 3, down), item("unet.x.to_q.lora_B.weight", 2, 2, 2, up)},
        .count = 2};
}

static status read_small(const struct small_file *file, struct adapter_set *set)
{
    const struct safetensors_text metadata = {"lora_adapter_metadata", file->metadata};
    char path[PATH_SIZE];
    snprintf(path, sizeof path, "%s", path_in("small.safetensors"));
    must(safetensors_write(path, file->items, file->count, &metadata, file->metadata ? 1 : 0));
    return adapter_file_read(path, set);
}

static void assert_file_refused(const struct small_file *file, const char *message)
{
    struct adapter_set set;
    status result = read_small(file, &set);
    assert_refused(result, message);
    assert_non_null(strstr(result.message, "small.safetensors"));
}

static void values_that_are_no_numbers_are_refused(void **state)
{
    (void)state;
    static const float bad_down[] = {1, 2, 3, 4, NAN, 6}, bad_up[] = {0.5F, -INFINITY, 2, 0.25F}, bad_alpha = NAN;
    struct small_file file = small_file();
    file.items[0].bytes = bad_down;
    assert_file_refused(&file, "tensor unet.x.to_q.lora_A.weight holds an infinity or NaN, at element 4");
    file = small_file();
    file.items[1].bytes = bad_up;
    assert_file_refused(&file, "tensor unet.x.to_q.lora_B.weight holds an infinity or NaN, at element 1");
    file = small_file();
    file.items[file.count++] = item("unet.x.to_q.alpha", 0, 0, 0, &bad_alpha);
    assert_file_refused(&file, "tensor unet.x.to_q.alpha holds an infinity or NaN");
}

static void types_that_cannot_be_read_name_file_and_tensor(void **state)
{
    (void)state;
    struct small_file file = small_file();
    file.items[0].type = SAFETENSORS_F8_E4M3;
    assert_file_refused(&file, "unet.x.to_q.lora_A.weight is of type F8_E4M3");
}

static void a_module_in_two_namings_is_refused(void **state)
{
    (void)state;
    struct small_file file = small_file();
    file.items[file.count++] = item("lora_unet_x_to_q.lora_down.weight", 2, 2, 3, down);
    file.items[file.count++] = item("lora_unet_x_to_q.lora_up.weight", 2, 2, 2, up);
    assert_file_refused(&file, "lora_unet_x_to_q.lora_down.weight and unet.x.to_q.lora_A.weight are the same part");
    file = small_file();
    file.items[file.count++] = item("unet.x.to_q.lora_A.second.weight", 2, 2, 3, down);
    assert_file_refused(&file, "are the same part of one module");
}

static void other_kinds_of_adapters_are_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *ending, *kind;
    } cases[] = {{".dora_scale", "DoRA"},
                 {".lora_magnitude_vector", "DoRA"},
                 {".lora_magnitude_vector.default.weight", "DoRA"},
                 {".hada_w1_a", "LoHa"},
                 {".lokr_w2_b", "LoKr"},
                 {".oft_blocks", "OFT"},
                 {".diff", "full weight differences"},
                 {".diff_b", "full weight differences"},
                 {".lora_B.bias", "trained biases"},
                 {".lora_embedding_A", "LoRA on an embedding"},
                 {".scalar", "trained scalar"},
                 {".something", "is no part of a LoRA adapter"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct small_file file = small_file();
        char name[100];
        snprintf(name, sizeof name, "lora_unet_x_to_q%s", cases[i].ending);
        file.items[file.count++] = item(name, 1, 4, 0, up);
        assert_file_refused(&file, cases[i].kind);
    }
}

static void shapes_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    struct small_file file = small_file();
    file.count = 1;
    assert_file_refused(&file, "the up factor is missing");
    file = small_file();
    file.items[1] = item("unet.x.to_q.lora_B.weight", 2, 4, 1, up);
    assert_file_refused(&file, "ranks differ: down has 2, up has 1");
    file = small_file();
    file.items[0] = item("unet.x.to_q.lora_A.weight", 1, 6, 0, down);
    assert_file_refused(&file, "2 or 4 dimensions, found 1");
    file = small_file();
    file.items[file.count++] = item("unet.x.to_q.alpha", 1, 4, 0, up);
    assert_file_refused(&file, "expected one number, found 4");
}

/* ---- strength ---- */

static void assert_alpha(const struct small_file *file, double alpha)
{
    struct adapter_set set;
    must(read_small(file, &set));
    assert_true(fabs(set.modules[0].alpha - alpha) < 1e-12 * fabs(alpha));
    adapter_set_clear(&set);
}

static void metadata_tells_the_strength(void **state)
{
    (void)state;
    struct small_file file = small_file();
    assert_alpha(&file, 2);
    file.metadata = "{\"unet.r\":2,\"unet.lora_alpha\":5}";
    assert_alpha(&file, 5);
    file.metadata = "{\"unet.r\":2,\"unet.lora_alpha\":5,\"unet.use_rslora\":true}";
    assert_alpha(&file, 5 * sqrt(2));
    file.metadata = "{\"unet.r\":9,\"unet.lora_alpha\":5,\"unet.rank_pattern\":{\"to_k\":3,\"x.to_q\":2},"
                    "\"unet.alpha_pattern\":{\"(y|x).to_[qk]\":7,\"to_q\":1}}";
    assert_alpha(&file, 7);
    file.metadata = "{\"r\":2,\"lora_alpha\":3}"; /* of one network alone */
    assert_alpha(&file, 3);
    file.metadata = "{\"text_encoder.r\":4,\"text_encoder.lora_alpha\":3}";
    assert_alpha(&file, 2);
}

static void strengths_that_contradict_are_refused(void **state)
{
    (void)state;
    static const float alpha = 4;
    struct small_file file = small_file();
    file.metadata = "{\"unet.r\":4,\"unet.lora_alpha\":5}";
    assert_file_refused(&file, "unet.x.to_q: expected factors of rank 4, as the config says, found 2");
    file.metadata = "{\"unet.r\":2,\"unet.lora_alpha\":5}";
    file.items[file.count++] = item("unet.x.to_q.alpha", 0, 0, 0, &alpha);
    assert_file_refused(&file, "alpha is 4 by unet.x.to_q.alpha and 5 by");
    file.metadata = "{\"unet.r\":2,\"unet.lora_alpha\":4}";
    assert_alpha(&file, 4);
    file = small_file();
    file.items[0].name = "lora_unet_x_to_q.lora_down.weight";
    file.items[1].name = "lora_unet_x_to_q.lora_up.weight";
    file.metadata = "{\"unet.r\":2,\"unet.lora_alpha\":4,\"unet.alpha_pattern\":{\"to_q\":1}}";
    assert_file_refused(&file, "written without dots");
}

static void configs_are_refused_by_key(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } cases[] = {{"{\"unet.peft_type\":\"LOHA\"}", "unet.peft_type: expected \"LORA\""},
                 {"{\"unet.use_dora\":true}", "unet.use_dora: expected"},
                 {"{\"unet.bias\":\"all\"}", "unet.bias: expected \"none\""},
                 {"{\"unet.init_lora_weights\":\"pissa\"}", "unet.init_lora_weights: expected"},
                 {"{\"unet.modules_to_save\":[\"conv_in\"]}", "unet.modules_to_save: expected"},
                 {"{\"unet.fan_in_fan_out\":true}", "unet.fan_in_fan_out: expected"},
                 {"{\"unet.lora_alpha\":\"8\"}", "unet.lora_alpha: expected a number"},
                 {"{\"unet.r\":0}", "unet.r: expected a rank"},
                 {"{\"unet.rank_pattern\":{\"to_q\":1.5}}", "unet.rank_pattern.to_q: expected a rank"},
                 {"{\"unet.alpha_pattern\":{\"(?=x)\":1}}", "'(?=x)' has a group with '(?'"},
                 {"{\"unet.r\":", "lora_adapter_metadata"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct small_file file = small_file();
        file.metadata = cases[i].text;
        assert_file_refused(&file, cases[i].message);
    }
}

static void unknown_keys_are_warned_of(void **state)
{
    (void)state;
    struct small_file file = small_file();
    struct adapter_set set;
    file.metadata = "{\"unet.r\":2,\"unet.lora_alpha\":5,\"unet.lora_omega\":1}";
    must(read_small(&file, &set));
    assert_int_equal(set.warnings.count, 1);
    assert_non_null(strstr(set.warnings.lines[0], "unet.lora_omega: unknown key"));
    assert_true(set.modules[0].alpha == 5);
    adapter_set_clear(&set);
}

/* ---- peft's own list of keys ---- */

static void every_key_of_peft_is_in_the_table(void **state)
{
    (void)state;
    char path[PATH_SIZE];
    cJSON *golden;
    const cJSON *member;
    struct json_object root;
    struct adapter_config config;
    struct adapter_warnings warnings = {.count = 0};
    snprintf(path, sizeof path, "%s/adapter-keys.json", goldens);
    must(json_read_file(path, 1 << 20, &golden));
    const cJSON *keys = cJSON_GetObjectItemCaseSensitive(golden, "keys");
    assert_true(cJSON_GetArraySize(keys) > 35);
    cJSON_ArrayForEach(member, keys)
    {
        if (config_key_find(&lora_keys, member->string) == NULL) fail_msg("%s is not in the table", member->string);
    }
    must(json_root("keys", keys, &root));
    must(adapter_config_read(&root, "", &config, &warnings)); /* peft's defaults change nothing */
    assert_int_equal(warnings.count, 0);
    cJSON_Delete(golden);
}

/* Each line as Python's re.match(rf"(.*\.)?({pattern})$", path) answers. */
static void patterns_fit_as_in_python(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *path;
        bool fits;
    } cases[] = {
        {"to_q", "down_blocks.0.attn1.to_q", true},
        {"to_q", "to_q", true},
        {"o_q", "attn1.to_q", false},
        {"attn1.to_q", "down_blocks.0.attn1.to_q", true},
        {"attn1.to_q", "down_blocks.0.attn1xto_q", true},
        {"attn1.to_q", "attn1.to_q.x", false},
        {"attn\\d.to_q", "a.attn2.to_q", true},
        {"attn\\d\\.to_q", "a.attn2xto_q", false},
        {"^a.*to_q", "a.b.to_q", true},
        {"^b.*to_q", "a.b.to_q", false},
        {"to_(q|k)", "a.to_k", true},
        {"to_(?:q|k)", "a.to_v", false},
        {"to_[qk]", "a.to_k", true},
        {"to_[^qk]", "a.to_k", false},
        {"to_q|to_k", "a.to_k", true},
        {".*", "a.b", true},
        {"^a.to_k", "a.to_k", true},
        {"^to_k", "a.to_k", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool fits;
        must(adapter_pattern_fits(cases[i].pattern, cases[i].path, &fits));
        if (fits != cases[i].fits) fail_msg("'%s' and '%s'", cases[i].pattern, cases[i].path);
    }
    static const char *const refused[] = {"(?!x)", "a{2}", "(a)\\1", "\\bto_q", "a*+", "(", "[\\d]"};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        bool fits;
        assert_int_equal(adapter_pattern_fits(refused[i], "a.b", &fits).code, STATUS_BAD_INPUT);
    }
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return directory_remove(folder).code == STATUS_OK ? 0 : -1;
}

int main(int count, char **arguments)
{
    if (count != 2) return 2;
    goldens = arguments[1];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(updates_are_the_reference_libraries),
        cmocka_unit_test(every_naming_leads_to_the_module),
        cmocka_unit_test(other_networks_are_told),
        cmocka_unit_test(values_that_are_no_numbers_are_refused),
        cmocka_unit_test(types_that_cannot_be_read_name_file_and_tensor),
        cmocka_unit_test(a_module_in_two_namings_is_refused),
        cmocka_unit_test(other_kinds_of_adapters_are_refused_by_name),
        cmocka_unit_test(shapes_that_do_not_fit_are_refused),
        cmocka_unit_test(metadata_tells_the_strength),
        cmocka_unit_test(strengths_that_contradict_are_refused),
        cmocka_unit_test(configs_are_refused_by_key),
        cmocka_unit_test(unknown_keys_are_warned_of),
        cmocka_unit_test(every_key_of_peft_is_in_the_table),
        cmocka_unit_test(patterns_fit_as_in_python),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
