/* Telling parts of models, adapters and foreign files from their names. */
#include "engine/model/recognise.h"

#include <stdio.h>
#include <string.h>

#include "engine/base/files.h"
#include "engine/model/config.h"
#include "engine/model/file_format.h"
#include "engine/model/safetensors.h"

static const char into_unet[] =
    "put it into unet/ of a copy of the folder of the model that it was made from, and name that folder";
static const char into_vae[] = "put it into vae/ of a copy of a model's folder, and name that folder";
static const char into_text_encoder[] = "put it into text_encoder/ of a copy of a model's folder, and name that folder";
static const char into_checkpoint[] = "it is read as a part of a whole checkpoint (U-Net, VAE and text encoder in one "
                                      "file), or converted to diffusers' layout";
static const char supported_families[] = "Stable Diffusion 1.x and 2.x are supported";

/* ---- files, by their tensors ---- */

enum place { AT_BEGINNING, AT_END };

/* A kind of file has all of the tensors of its row that are named and none whose name begins with `without`. */
struct tensor_rule {
    struct {
        enum place place;
        const char *name;
    } with[2];
    const char *without;
    const char *kind, *description, *advice;
    bool usable;
};

/* The first row that fits counts. The names of families are those that diffusers' single_file_utils looks for. */
static const struct tensor_rule rules[] = {
    /* What adapters are called and how they are read is told in run/adapter_read.c. */
    {.with = {{AT_END, ".lora_down.weight"}},
     .kind = "LoRA adapter",
     .description = "an adapter (LoRA, as kohya names it)",
     .advice = "use it with --lora",
     .usable = true},
    {.with = {{AT_END, ".lora_A.weight"}},
     .kind = "LoRA adapter",
     .description = "an adapter (LoRA, as PEFT names it)",
     .advice = "use it with --lora",
     .usable = true},
    {.with = {{AT_END, ".lora_A.default.weight"}},
     .kind = "LoRA adapter",
     .description = "an adapter (LoRA, as PEFT names it)",
     .advice = "use it with --lora",
     .usable = true},
    {.with = {{AT_END, "lora.down.weight"}},
     .kind = "LoRA adapter",
     .description = "an adapter (LoRA, as diffusers named it)",
     .advice = "use it with --lora",
     .usable = true},
    {.with = {{AT_END, "_lora_down.weight"}},
     .kind = "LoRA adapter",
     .description = "an adapter (LoRA, as diffusers named it)",
     .advice = "use it with --lora",
     .usable = true},
    {.with = {{AT_END, ".hada_w1_a"}},
     .kind = "adapter",
     .description = "an adapter of LyCORIS (LoHa)",
     .advice = "only LoRA is read"},
    {.with = {{AT_END, ".lokr_w1"}},
     .kind = "adapter",
     .description = "an adapter of LyCORIS (LoKr)",
     .advice = "only LoRA is read"},
    {.with = {{AT_END, ".oft_blocks"}},
     .kind = "adapter",
     .description = "an adapter (OFT)",
     .advice = "only LoRA is read"},
    {.with = {{AT_BEGINNING, "emb_params"}},
     .kind = "textual inversion",
     .description = "a textual inversion (an embedding)",
     .advice = "it belongs to a model's tokenizer and text encoder; no command takes it by itself"},
    {.with = {{AT_BEGINNING, "string_to_param"}},
     .kind = "textual inversion",
     .description = "a textual inversion (an embedding)",
     .advice = "it belongs to a model's tokenizer and text encoder; no command takes it by itself"},
    {.with = {{AT_BEGINNING, "control_model."}},
     .kind = "ControlNet",
     .description = "a ControlNet",
     .advice = supported_families},
    {.with = {{AT_BEGINNING, "controlnet_cond_embedding."}},
     .kind = "ControlNet",
     .description = "a ControlNet",
     .advice = supported_families},
    {.with = {{AT_BEGINNING, "model_ema."}},
     .without = "model.diffusion_model.",
     .kind = "EMA weights",
     .description = "a file of averaged (EMA) weights alone, as trainers keep them",
     .advice = "save them under the names of the U-Net (model.diffusion_model.), with the rest of the model"},
    {.with = {{AT_BEGINNING, "model.diffusion_model.joint_blocks."}},
     .kind = "Stable Diffusion 3",
     .description = "a Stable Diffusion 3 model",
     .advice = supported_families},
    {.with = {{AT_BEGINNING, "joint_blocks."}},
     .kind = "Stable Diffusion 3",
     .description = "a Stable Diffusion 3 model",
     .advice = supported_families},
    {.with = {{AT_BEGINNING, "model.diffusion_model.double_blocks."}},
     .kind = "Flux",
     .description = "a Flux model",
     .advice = supported_families},
    {.with = {{AT_BEGINNING, "double_blocks."}},
     .kind = "Flux",
     .description = "a Flux model",
     .advice = supported_families},
    {.with = {{AT_BEGINNING, "model.diffusion_model.input_blocks."}, {AT_BEGINNING, "first_stage_model."}},
     .kind = "U-Net and VAE",
     .description = "a U-Net and a VAE without a text encoder",
     .advice = into_checkpoint},
    {.with = {{AT_BEGINNING, "model.diffusion_model.input_blocks."}},
     .kind = "U-Net",
     .description = "a U-Net alone, in the original layout",
     .advice = into_checkpoint},
    {.with = {{AT_BEGINNING, "input_blocks."}, {AT_BEGINNING, "time_embed."}},
     .kind = "U-Net",
     .description = "a U-Net alone, in the original layout",
     .advice = into_checkpoint},
    {.with = {{AT_BEGINNING, "down_blocks.0."}, {AT_BEGINNING, "time_embedding."}},
     .kind = "U-Net",
     .description = "a U-Net alone, in diffusers' layout",
     .advice = into_unet},
    {.with = {{AT_BEGINNING, "first_stage_model.decoder."}},
     .kind = "VAE",
     .description = "a VAE alone, in the original layout",
     .advice = into_checkpoint},
    {.with = {{AT_BEGINNING, "decoder.conv_in."}, {AT_BEGINNING, "decoder.up_blocks."}},
     .kind = "VAE",
     .description = "a VAE alone, in diffusers' layout",
     .advice = into_vae},
    {.with = {{AT_BEGINNING, "decoder.conv_in."}, {AT_BEGINNING, "decoder.up."}},
     .kind = "VAE",
     .description = "a VAE alone, in the original layout",
     .advice = into_checkpoint},
    {.with = {{AT_BEGINNING, "text_model."}, {AT_BEGINNING, "vision_model."}},
     .kind = "CLIP weights",
     .description = "the weights of a CLIP model without its config",
     .advice = "name its folder, with config.json in it"},
    {.with = {{AT_BEGINNING, "text_model."}},
     .kind = "text encoder",
     .description = "a text encoder alone (CLIP)",
     .advice = into_text_encoder},
    {.with = {{AT_BEGINNING, "cond_stage_model."}},
     .kind = "text encoder",
     .description = "a text encoder alone",
     .advice = into_checkpoint},
    {.with = {{AT_BEGINNING, "encoder.block.0."}},
     .kind = "text encoder",
     .description = "a T5 text encoder",
     .advice = supported_families},
};

static bool has_name(enum place place, const char *name, const struct safetensors *file)
{
    size_t size = strlen(name);
    for (size_t i = 0; i < safetensors_count(file); i++) {
        const char *found = safetensors_entry_at(file, i)->name;
        size_t length = strlen(found);
        if (length < size) continue;
        if (memcmp(place == AT_END ? found + length - size : found, name, size) == 0) return true;
    }
    return false;
}

static bool fits(const struct tensor_rule *rule, const struct safetensors *file)
{
    for (int i = 0; i < 2; i++)
        if (rule->with[i].name && !has_name(rule->with[i].place, rule->with[i].name, file)) return false;
    return !rule->without || !has_name(AT_BEGINNING, rule->without, file);
}

static void fill(struct recognised *recognised, const char *kind, const char *description, const char *advice,
                 bool usable)
{
    snprintf(recognised->kind, sizeof recognised->kind, "%s", kind);
    snprintf(recognised->description, sizeof recognised->description, "%s", description);
    snprintf(recognised->advice, sizeof recognised->advice, "%s", advice);
    recognised->usable = usable;
}

static bool recognise_file(const char *path, struct recognised *recognised)
{
    struct safetensors *file;
    const struct file_format *format = file_format_at(path);
    if (format) {
        fill(recognised, "foreign file", format->description, format->advice, false);
        return true;
    }
    if (safetensors_open(path, &file).code != STATUS_OK) return false;
    const struct tensor_rule *found = NULL;
    for (size_t i = 0; !found && i < sizeof rules / sizeof rules[0]; i++)
        if (fits(&rules[i], file)) found = &rules[i];
    if (found) fill(recognised, found->kind, found->description, found->advice, found->usable);
    safetensors_close(file);
    return found != NULL;
}

/* ---- folders, by their configs ---- */

/* Classes of diffusers ("_class_name") and transformers ("architectures"). */
static const struct {
    const char *class_name, *kind, *description, *advice;
} classes[] = {
    {"UNet2DConditionModel", "U-Net", "a U-Net alone, as diffusers saves it", into_unet},
    {"AutoencoderKL", "VAE", "a VAE alone, as diffusers saves it", into_vae},
    {"CLIPTextModel", "text encoder", "a text encoder alone, as transformers saves it", into_text_encoder},
    {"CLIPTextModelWithProjection", "text encoder", "a text encoder alone, as transformers saves it",
     into_text_encoder},
    {"ControlNetModel", "ControlNet", "a ControlNet, as diffusers saves it", supported_families},
};

static const char *class_of(const struct config *config)
{
    const cJSON *name = config_find(config, "_class_name");
    if (!cJSON_IsString(name)) name = cJSON_GetArrayItem(config_find(config, "architectures"), 0);
    return cJSON_IsString(name) ? name->valuestring : NULL;
}

static bool recognise_config(const struct config *config, struct recognised *recognised)
{
    const char *name = class_of(config);
    if (!name) return false;
    for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++)
        if (strcmp(name, classes[i].class_name) == 0) {
            fill(recognised, classes[i].kind, classes[i].description, classes[i].advice, false);
            return true;
        }
    char description[200];
    snprintf(description, sizeof description, "a %.100s, by its config.json", name);
    fill(recognised, "other model", description, "it is none of the models that are read here", false);
    return true;
}

static bool has(const char *folder, const char *name, char path[PATH_SIZE])
{
    return path_format(path, "%s/%s", folder, name).code == STATUS_OK && path_is_file(path);
}

static bool has_folder(const char *folder, const char *name)
{
    char path[PATH_SIZE];
    return path_format(path, "%s/%s", folder, name).code == STATUS_OK && path_is_directory(path);
}

/* The only weight file of a folder without a config; false where there is none or are several. */
static bool only_file(const char *folder, char path[PATH_SIZE])
{
    static const char ending[] = ".safetensors";
    struct name_list names;
    int count = 0;
    if (directory_list(folder, &names).code != STATUS_OK) return false;
    for (int i = 0; i < names.count; i++) {
        size_t length = strlen(names.names[i]);
        if (length < sizeof ending || strcmp(names.names[i] + length - sizeof ending + 1, ending) != 0) continue;
        if (path_format(path, "%s/%s", folder, names.names[i]).code == STATUS_OK) count++;
    }
    name_list_clear(&names);
    return count == 1;
}

static bool recognise_folder(const char *path, struct recognised *recognised)
{
    char file[PATH_SIZE];
    struct config config;
    if (has(path, "adapter_config.json", file)) {
        fill(recognised, "LoRA adapter", "the folder of an adapter (PEFT)", "use it with --lora", true);
        return true;
    }
    if (has(path, "config.json", file) && config_open(file, &config).code == STATUS_OK) {
        bool known = recognise_config(&config, recognised);
        config_close(&config);
        return known;
    }
    if (has_folder(path, "snapshots")) {
        fill(recognised, "repository", "a repository in the Hugging Face cache",
             "name the folder of a commit in its snapshots/, or the model as ORGANISATION/NAME", false);
        return true;
    }
    return only_file(path, file) && recognise_file(file, recognised);
}

bool model_recognise(const char *path, struct recognised *recognised)
{
    return path_is_directory(path) ? recognise_folder(path, recognised)
                                   : path_is_file(path) && recognise_file(path, recognised);
}

status recognised_refused(const char *path, const struct recognised *recognised)
{
    return status_error(STATUS_BAD_INPUT, "%.100s: is %s; %s", path, recognised->description, recognised->advice);
}
