/* What is no whole model is said to be what it is, by `models check` and by whatever opens it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "engine/model/check.h"
#include "engine/model/library.h"
#include "model_copy.h"
#include "model_runner.h"

static const char *golden_folder;
static const float ones[4] = {1, 1, 1, 1};

static void write_tensors(const char *name, const char *const *tensors)
{
    struct safetensors_item items[4];
    size_t count = 0;
    for (; tensors[count]; count++)
        items[count] = (struct safetensors_item){tensors[count], SAFETENSORS_F32, 2, {2, 2}, ones};
    assert_success(safetensors_write(copy_path(name), items, count, NULL, 0));
}

static void write_text(const char *name, const char *bytes, size_t size)
{
    assert_success(file_write_atomic(copy_path(name), bytes, size));
}

/* The report's kind and its only problem; `words` NULL: there is none. */
static void check_report(const char *name, const char *kind, const char *description)
{
    struct model_report report;
    assert_success(model_check(copy_path(name), &report));
    if (strcmp(report.kind_description, kind) != 0)
        fail_msg("%s is a \"%s\"; expected \"%s\"", name, report.kind_description, kind);
    if (report.problem_count != (description ? 1 : 0))
        fail_msg("%s has %d problems: %s", name, report.problem_count, report.problems[0]);
    if (description && (!strstr(report.problems[0], description) || !strstr(report.problems[0], name)))
        fail_msg("%s: \"%s\"; expected \"%s\"", name, report.problems[0], description);
    model_report_clear(&report);
}

/* Opening it as a model says the same. */
static void check_opening(const char *name, const char *description)
{
    struct model *model;
    status result = model_open(copy_path(name), &model);
    if (result.code != STATUS_BAD_INPUT || !strstr(result.message, description))
        fail_msg("%s: code %d, \"%s\"; expected \"%s\"", name, result.code, result.message, description);
}

static void test_files_of_tensors(void **state)
{
    (void)state;
    static const struct {
        const char *tensors[4];
        const char *kind, *description; /* NULL: nothing is wrong with it */
    } rows[] = {
        {{"lora_unet_x.lora_down.weight", "lora_unet_x.lora_up.weight"}, "LoRA adapter", NULL},
        {{"base_model.model.x.lora_A.weight", "base_model.model.x.lora_B.weight"}, "LoRA adapter", NULL},
        {{"unet.x.processor.to_q_lora.down.weight", "unet.x.processor.to_q_lora.up.weight"}, "LoRA adapter", NULL},
        {{"lora_unet_x.lora_down.weight"}, "LoRA adapter", "the up factor is missing"},
        {{"lora_unet_x.hada_w1_a"}, "LoRA adapter", "LoHa"},
        {{"conv_in.weight", "down_blocks.0.resnets.0.norm1.weight", "time_embedding.linear_1.weight"},
         "U-Net",
         "is a U-Net alone, in diffusers' layout; put it into unet/"},
        {{"model.diffusion_model.input_blocks.0.0.weight", "model.diffusion_model.time_embed.0.weight"},
         "U-Net",
         "is a U-Net alone, in the original layout"},
        {{"input_blocks.0.0.weight", "time_embed.0.weight"}, "U-Net", "is a U-Net alone, in the original layout"},
        {{"model.diffusion_model.input_blocks.0.0.weight", "first_stage_model.decoder.conv_in.weight"},
         "U-Net and VAE",
         "is a U-Net and a VAE without a text encoder"},
        {{"decoder.conv_in.weight", "decoder.up_blocks.0.resnets.0.norm1.weight"},
         "VAE",
         "is a VAE alone, in diffusers' layout; put it into vae/"},
        {{"decoder.conv_in.weight", "decoder.up.0.block.0.norm1.weight"}, "VAE", "is a VAE alone, in the original"},
        {{"first_stage_model.decoder.conv_in.weight"}, "VAE", "is a VAE alone, in the original layout"},
        {{"model_ema.diffusion_modelout2weight", "model_ema.decay"},
         "EMA weights",
         "is a file of averaged (EMA) weights alone"},
        {{"text_model.embeddings.token_embedding.weight"}, "text encoder", "is a text encoder alone (CLIP)"},
        {{"control_model.time_embed.0.weight"}, "ControlNet", "is a ControlNet"},
        {{"double_blocks.0.img_attn.qkv.weight"}, "Flux", "is a Flux model"},
        {{"emb_params"}, "textual inversion", "is a textual inversion"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        write_tensors("file.safetensors", rows[i].tensors);
        check_report("file.safetensors", rows[i].kind, rows[i].description);
        bool lora = strcmp(rows[i].kind, "LoRA adapter") == 0;
        check_opening("file.safetensors", lora ? "is an adapter" : rows[i].description);
    }
}

static void test_adapters_are_looked_through(void **state)
{
    (void)state;
    static const float broken[4] = {1, 1, 1, -INFINITY};
    const struct safetensors_item items[2] = {
        {"lora_unet_x.lora_down.weight", SAFETENSORS_F32, 2, {2, 2}, broken},
        {"lora_unet_x.lora_up.weight", SAFETENSORS_F32, 2, {2, 2}, broken},
    };
    assert_success(safetensors_write(copy_path("file.safetensors"), items, 2, NULL, 0));
    check_report("file.safetensors", "LoRA adapter",
                 "lora_unet_x.lora_down.weight holds an infinity or NaN, at element 3");
}

static void test_files_of_other_formats(void **state)
{
    (void)state;
#define ROW(name, bytes, description) name, bytes, sizeof(bytes) - 1, description
    static const struct {
        const char *name, *bytes;
        size_t size;
        const char *description;
    } rows[] = {
        {ROW("a.safetensors", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3438354725\n",
             "is a Git LFS pointer, not the file itself; fetch the file with `git lfs pull`")},
        {ROW("a.ckpt", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3438354725\n",
             "is a Git LFS pointer")},
        {ROW("a.safetensors", "<!DOCTYPE html>\n<html></html>", "is a web page (HTML)")},
        {ROW("a.safetensors", "\xef\xbb\xbf\n <HTML><head></head></html>", "is a web page (HTML)")},
        {ROW("a.safetensors", "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>", "is an XML text")},
        {ROW("a.safetensors", "{\"error\": \"not found\"}", "is a JSON text, not weights")},
        {ROW("a.safetensors", "PK\3\4 and so on", "is a zip archive, such as torch.save writes")},
        {ROW("a.ckpt", "PK\3\4 and so on", "pickled weights are programs and are not read")},
        {ROW("a.bin", "\x80\2}q\0.", "is a pickle")},
        {ROW("a.gguf", "GGUF\3\0\0\0\0\0\0\0", "is a GGUF file")},
        {ROW("a.onnx",
             "\x8\x7\x12\x7pytorch\x1a\x5"
             "1.13.1",
             "is an ONNX model")},
        {ROW("a.safetensors", "\x1f\x8b\x8\0\0\0\0\0\0", "is a gzip archive; unpack it first")},
        {ROW("a.h5", "\x89HDF\r\n\x1a\n\0\0", "is an HDF5 file")},
        {ROW("a.safetensors", "\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "is a PNG picture")},
    };
#undef ROW
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        write_text(rows[i].name, rows[i].bytes, rows[i].size);
        check_report(rows[i].name, "foreign file", rows[i].description);
        check_opening(rows[i].name, rows[i].description);
        assert_int_equal(unlink(copy_path(rows[i].name)), 0);
    }
    write_text("a.safetensors", "", 0);
    check_report("a.safetensors", "unknown", "is empty");
}

static void test_folders(void **state)
{
    (void)state;
    static const struct {
        const char *name, *file, *text, *kind, *description;
    } rows[] = {
        {"unet", "config.json", "{\"_class_name\":\"UNet2DConditionModel\"}", "U-Net", "is a U-Net alone"},
        {"vae", "config.json", "{\"_class_name\":\"AutoencoderKL\"}", "VAE", "is a VAE alone"},
        {"text", "config.json", "{\"architectures\":[\"CLIPTextModel\"]}", "text encoder", "is a text encoder alone"},
        {"bert", "config.json", "{\"architectures\":[\"BertModel\"]}", "other model", "is a BertModel"},
        {"peft", "adapter_config.json", "{}", "LoRA adapter", "expected an adapter's folder with"},
        {"pointer", "model.safetensors", "version https://git-lfs.github.com/spec/v1\n", "foreign file",
         "is a Git LFS pointer"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char file[PATH_SIZE];
        assert_success(directory_make(copy_path(rows[i].name)));
        assert_success(path_format(file, "%s/%s", copy_path(rows[i].name), rows[i].file));
        assert_success(file_write_atomic(file, rows[i].text, strlen(rows[i].text)));
        check_report(rows[i].name, rows[i].kind, rows[i].description);
        bool lora = strcmp(rows[i].kind, "LoRA adapter") == 0;
        check_opening(rows[i].name, lora ? "is the folder of an adapter" : rows[i].description);
    }
    /* A pointer inside a whole folder. */
    static const char pointer[] = "version https://git-lfs.github.com/spec/v1\n";
    char source[PATH_SIZE];
    assert_success(path_format(source, "%s/config/linear-v-prediction", golden_folder));
    copy_folder(source, copy_path("whole"));
    write_text("whole/vae/diffusion_pytorch_model.safetensors", pointer, sizeof pointer - 1);
    check_report("whole", "text-to-image model", "whole/vae/diffusion_pytorch_model.safetensors: is a Git LFS pointer");
}

/* ---- aesthetic heads ---- */

static void test_heads_are_models(void **state)
{
    (void)state;
    static const char *const heads[] = {"linear.pth", "linear.safetensors", "chain-fp16.pth", "chain-fp64.safetensors"};
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        char source[PATH_SIZE];
        assert_success(path_format(source, "%s/reward/heads/%s", golden_folder, heads[i]));
        copy_file(source, copy_path(heads[i]));
        check_report(heads[i], "aesthetic predictor", NULL);
    }
    char source[PATH_SIZE];
    assert_success(path_format(source, "%s/reward/heads/relu.pth", golden_folder));
    copy_file(source, copy_path("relu.pth"));
    check_report("relu.pth", "aesthetic predictor", "with ReLU between them");
}

/* ---- variants of weight files ---- */

static void check_variant(const char *unet, const char *vae, const char *text)
{
    char source[PATH_SIZE], digits[PATH_SIZE];
    struct model *model;
    assert_success(directory_remove(copy_path("variant")));
    assert_success(path_format(source, "%s/config/linear-v-prediction", golden_folder));
    copy_folder(source, copy_path("variant"));
    const struct {
        const char *folder, *from, *to;
    } moves[] = {{"unet", "diffusion_pytorch_model.safetensors", unet},
                 {"vae", "diffusion_pytorch_model.safetensors", vae},
                 {"text_encoder", "model.safetensors", text}};
    for (int i = 0; i < 3; i++) {
        assert_success(path_format(source, "%s/%s/%s", copy_path("variant"), moves[i].folder, moves[i].from));
        assert_success(path_format(digits, "%s/%s/%s", copy_path("variant"), moves[i].folder, moves[i].to));
        assert_int_equal(rename(source, digits), 0);
    }
    assert_success(model_open(copy_path("variant"), &model));
    model_close(model);
}

static void test_variants(void **state)
{
    (void)state;
    check_variant("diffusion_pytorch_model.bf16.safetensors", "diffusion_pytorch_model.fp16.safetensors",
                  "model.bf16.safetensors");
    check_variant("diffusion_pytorch_model.fp32.safetensors", "diffusion_pytorch_model.safetensors",
                  "model.fp16.safetensors");
    check_variant("diffusion_pytorch_model.non_ema.safetensors", "diffusion_pytorch_model.bf16.safetensors",
                  "model.safetensors");
    /* The default wins over variants beside it, which are not opened. */
    write_text("variant/text_encoder/model.bf16.safetensors", "x", 1);
    struct model *model;
    assert_success(model_open(copy_path("variant"), &model));
    model_close(model);
    write_text("variant/unet/diffusion_pytorch_model.ema.safetensors", "x", 1);
    check_opening("variant", "has 2 variants of diffusion_pytorch_model");
}

/* Names of the index and of the shards as diffusers and transformers give them to variants. */
static void test_sharded_variants(void **state)
{
    (void)state;
    static const char *const indices[] = {"diffusion_pytorch_model.safetensors.index.bf16.json",
                                          "diffusion_pytorch_model.bf16.safetensors.index.json"};
    for (int i = 0; i < 2; i++) {
        char source[PATH_SIZE], target[PATH_SIZE];
        struct model *model;
        assert_success(directory_remove(copy_path("sharded")));
        assert_success(path_format(source, "%s/config/deep-sharded", golden_folder));
        copy_folder(source, copy_path("sharded"));
        assert_success(
            path_format(source, "%s/unet/diffusion_pytorch_model.safetensors.index.json", copy_path("sharded")));
        assert_success(path_format(target, "%s/unet/%s", copy_path("sharded"), indices[i]));
        assert_int_equal(rename(source, target), 0);
        assert_success(model_open(copy_path("sharded"), &model));
        model_close(model);
    }
}

/* ---- what is no regular file ---- */

static void test_pipes_and_sockets(void **state)
{
    (void)state;
    struct model_library library;
    enum model_kind kind;
    char path[PATH_SIZE], digits[PATH_SIZE];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    assert_success(directory_make(copy_path("odd")));
    assert_int_equal(mkfifo(copy_path("odd/pipe.safetensors"), 0600), 0);
    assert_int_equal(mkfifo(copy_path("odd/head.pth"), 0600), 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", copy_path("odd/socket.safetensors"));
    int descriptor = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(descriptor, (struct sockaddr *)&address, sizeof address), 0);
    close(descriptor);
    assert_false(model_kind_of(copy_path("odd/pipe.safetensors"), &kind));
    check_opening("odd/pipe.safetensors", "is a pipe; expected a regular file");
    check_opening("odd/head.pth", "is a pipe; expected a regular file");
    check_opening("odd/socket.safetensors", "is a socket; expected a regular file");
    const char *const given[] = {copy_path("odd")};
    assert_success(model_library_open(given, 1, &library));
    status result = model_library_find(&library, copy_path("odd/pipe.safetensors"), MODEL_KIND_DIFFUSION, path);
    assert_int_equal(result.code, STATUS_BAD_INPUT);
    assert_non_null(strstr(result.message, "is a pipe"));
    model_library_close(&library);
    const char *const pipe_given[] = {copy_path("odd/pipe.safetensors")};
    assert_int_equal(model_library_open(pipe_given, 1, &library).code, STATUS_BAD_INPUT);
    /* A pipe in the place of each file of a folder. */
    static const char *const files[] = {"model_index.json",
                                        "unet/config.json",
                                        "unet/diffusion_pytorch_model.safetensors",
                                        "scheduler/scheduler_config.json",
                                        "tokenizer/merges.txt",
                                        "tokenizer/vocab.json",
                                        "tokenizer/tokenizer_config.json"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        struct model *model;
        assert_success(directory_remove(copy_path("piped")));
        assert_success(path_format(path, "%s/config/linear-v-prediction", golden_folder));
        copy_folder(path, copy_path("piped"));
        assert_success(path_format(digits, "%s/%s", copy_path("piped"), files[i]));
        assert_int_equal(unlink(digits), 0);
        assert_int_equal(mkfifo(digits, 0600), 0);
        result = model_open(copy_path("piped"), &model);
        if (result.code == STATUS_OK) fail_msg("%s is a pipe, and the model opens", files[i]);
        assert_int_equal(result.code, STATUS_BAD_INPUT);
    }
}

/* ---- a file that is cut while it is read ---- */

static void test_cut_while_read(void **state)
{
    (void)state;
    char source[PATH_SIZE];
    struct safetensors *file;
    static float values[1 << 16];
    assert_success(
        path_format(source, "%s/config/linear-v-prediction/unet/diffusion_pytorch_model.safetensors", golden_folder));
    copy_file(source, copy_path("cut.safetensors"));
    assert_success(safetensors_open(copy_path("cut.safetensors"), &file));
    const struct safetensors_entry *entry = safetensors_find(file, "conv_in.weight");
    assert_non_null(entry);
    assert_in_range(entry->elements, 1, sizeof values / sizeof *values);
    assert_success(safetensors_convert(entry, values));
    assert_int_equal(truncate(copy_path("cut.safetensors"), (off_t)entry->offset + 3), 0);
    status result = safetensors_convert(entry, values);
    assert_int_equal(result.code, STATUS_BAD_INPUT);
    assert_non_null(strstr(result.message, "cut.safetensors: ends at byte"));
    assert_non_null(strstr(result.message, "it was cut while it was read"));
    safetensors_close(file);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files_of_tensors),       cmocka_unit_test(test_adapters_are_looked_through),
        cmocka_unit_test(test_files_of_other_formats), cmocka_unit_test(test_folders),
        cmocka_unit_test(test_heads_are_models),       cmocka_unit_test(test_variants),
        cmocka_unit_test(test_sharded_variants),       cmocka_unit_test(test_pipes_and_sockets),
        cmocka_unit_test(test_cut_while_read),
    };
    if (argc != 2) return 2;
    golden_folder = argv[1];
    return cmocka_run_group_tests(tests, make_copies, remove_copies);
}
