/* Where an adapter's factors and config are. */
#include <stdio.h>
#include <string.h>

#include "engine/base/text.h"
#include "engine/model/adapter_set.h"
#include "engine/model/safetensors.h"

static const char peft_factors[] = "adapter_model.safetensors", peft_config[] = "adapter_config.json";
static const char diffusers_factors[] = "pytorch_lora_weights.safetensors";

/* The only safetensors file of a folder. */
static status find_only(const char *folder, char factors[PATH_SIZE])
{
    struct name_list list;
    TRY(directory_list(folder, &list));
    const char *only = NULL;
    int found = 0;
    for (int i = 0; i < list.count; i++) {
        if (!text_ends_with(list.names[i], ".safetensors")) continue;
        only = list.names[i];
        found++;
    }
    status result = found == 1 ? path_format(factors, "%s/%s", folder, only)
                               : status_error(STATUS_BAD_INPUT,
                                              "%s: expected an adapter's folder with %s, %s or one other .safetensors "
                                              "file; found %d of these",
                                              folder, peft_factors, diffusers_factors, found);
    name_list_clear(&list);
    return result;
}

static status refuse_pickle(const char *path)
{
    return status_error(STATUS_BAD_INPUT,
                        "%s: pickled weights are programs and are not read; expected a .safetensors file", path);
}

static status find_in_folder(const char *folder, char factors[PATH_SIZE])
{
    if (path_holds_file(folder, peft_factors)) return path_format(factors, "%s/%s", folder, peft_factors);
    if (path_holds_file(folder, "adapter_model.bin")) {
        char pickle[PATH_SIZE];
        TRY(path_format(pickle, "%s/adapter_model.bin", folder));
        return refuse_pickle(pickle);
    }
    if (path_holds_file(folder, diffusers_factors)) return path_format(factors, "%s/%s", folder, diffusers_factors);
    return find_only(folder, factors);
}

/* peft's config lies beside its factors and tells their strength. */
static status find_config(const char *factors, char config[PATH_SIZE])
{
    config[0] = '\0';
    const char *slash = strrchr(factors, '/'), *name = slash ? slash + 1 : factors;
    if (strcmp(name, peft_factors) != 0) return status_ok();
    TRY(path_format(config, "%.*s%s", (int)(name - factors), factors, peft_config));
    if (!path_is_file(config)) config[0] = '\0';
    return status_ok();
}

static bool is_pickle(const char *path)
{
    return text_ends_with(path, ".bin") || text_ends_with(path, ".pt") || text_ends_with(path, ".pth") ||
           text_ends_with(path, ".ckpt");
}

status adapter_files_find(const char *path, struct adapter_files *files)
{
    if (path_is_directory(path)) {
        TRY(find_in_folder(path, files->factors));
    } else {
        if (is_pickle(path)) return refuse_pickle(path);
        TRY(path_format(files->factors, "%s", path));
    }
    return find_config(files->factors, files->config);
}

/* An adapter's names are told by the first tensor: no model's tensors are named so. */
static bool holds_factors(const char *path)
{
    struct safetensors *file;
    if (!text_ends_with(path, ".safetensors") || safetensors_open(path, &file).code != STATUS_OK) return false;
    bool adapter = false;
    for (size_t i = 0; i < safetensors_count(file) && !adapter; i++) {
        const char *name = safetensors_entry_at(file, i)->name;
        struct adapter_tensor_name split;
        const char *kind;
        adapter = strstr(name, "lora_") || (adapter_name_split(name, &split, &kind) && strstr(name, "lora"));
    }
    safetensors_close(file);
    return adapter;
}

bool adapter_is_at(const char *path)
{
    struct adapter_files files;
    if (!path_is_directory(path)) return holds_factors(path);
    if (path_holds_file(path, peft_config) || path_holds_file(path, peft_factors) ||
        path_holds_file(path, diffusers_factors))
        return true;
    if (path_holds_file(path, "model_index.json") || path_holds_file(path, "config.json")) return false;
    return adapter_files_find(path, &files).code == STATUS_OK && holds_factors(files.factors);
}
