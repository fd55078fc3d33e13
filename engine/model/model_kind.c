/* Tells a model's kind from the class in its config or the names of its tensors. */
#include "engine/model/model_kind.h"
#include "engine/base/text.h"

#include "engine/base/files.h"
#include "engine/model/aesthetic_head.h"
#include "engine/model/clip_model.h"
#include "engine/model/config.h"
#include "engine/model/internal.h"
#include "engine/model/owlvit_model.h"

#include <string.h>

const char *model_kind_description(enum model_kind kind)
{
    static const char *const descriptions[MODEL_KIND_COUNT] = {
        [MODEL_KIND_DIFFUSION] = "text-to-image model",
        [MODEL_KIND_CLIP] = "CLIP model",
        [MODEL_KIND_DETECTOR] = "object detector",
        [MODEL_KIND_AESTHETIC] = "aesthetic predictor",
    };
    return descriptions[kind];
}

static bool kind_of_config(const struct config *config, enum model_kind *kind)
{
    const cJSON *type = config_find(config, "model_type");
    if (model_class_matches(&clip_model_class, config))
        *kind = MODEL_KIND_CLIP;
    else if (model_class_matches(&owlvit_model_class, config))
        *kind = MODEL_KIND_DETECTOR;
    else if (cJSON_IsString(type) && strcmp(type->valuestring, "aesthetic-predictor") == 0)
        *kind = MODEL_KIND_AESTHETIC;
    else
        return false;
    return true;
}

static bool kind_of_folder(const char *path, enum model_kind *kind)
{
    char file[PATH_SIZE];
    struct config config;
    if (path_holds_file(path, "model_index.json")) {
        *kind = MODEL_KIND_DIFFUSION;
        return true;
    }
    if (path_format(file, "%s/config.json", path).code != STATUS_OK || !path_is_file(file)) return false;
    if (config_open(file, &config).code != STATUS_OK) return false;
    bool known = kind_of_config(&config, kind);
    config_close(&config);
    return known;
}

static bool has_beginning(const struct safetensors *file, const char *beginning)
{
    for (size_t i = 0; i < safetensors_count(file); i++)
        if (strncmp(safetensors_entry_at(file, i)->name, beginning, strlen(beginning)) == 0) return true;
    return false;
}

/* A whole checkpoint in the original layout, of whatever family: U-Net, decoder and text encoder. */
static bool is_checkpoint(const struct safetensors *file)
{
    return safetensors_find(file, "model.diffusion_model.input_blocks.0.0.weight") &&
           (has_beginning(file, "first_stage_model.") || has_beginning(file, "vae.")) &&
           (has_beginning(file, "cond_stage_model.") || has_beginning(file, "conditioner."));
}

static bool kind_of_safetensors(const char *path, enum model_kind *kind)
{
    struct safetensors *file;
    if (safetensors_open(path, &file).code != STATUS_OK) return false;
    bool diffusion = is_checkpoint(file), aesthetic = safetensors_find(file, "layers.0.weight") != NULL;
    safetensors_close(file);
    if (!diffusion && !aesthetic && !aesthetic_head_recognised(path)) return false;
    *kind = diffusion ? MODEL_KIND_DIFFUSION : MODEL_KIND_AESTHETIC;
    return true;
}

static bool kind_of_file(const char *path, enum model_kind *kind)
{
    if (text_ends_with(path, ".safetensors")) return kind_of_safetensors(path, kind);
    if ((!text_ends_with(path, ".pth") && !text_ends_with(path, ".pt")) || !aesthetic_head_recognised(path))
        return false;
    *kind = MODEL_KIND_AESTHETIC;
    return true;
}

bool model_kind_of(const char *path, enum model_kind *kind)
{
    return path_is_directory(path) ? kind_of_folder(path, kind) : kind_of_file(path, kind);
}
