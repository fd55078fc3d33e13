/* LoRA adapters as files hold them: each module's two factors and the strength of their product.
 *
 * Read are safetensors files in every naming of adapter_names.h, and folders as peft and diffusers save them
 * (adapter_model.safetensors with adapter_config.json, pytorch_lora_weights.safetensors). The update of a module is
 * (alpha / rank) * up down; alpha comes from a tensor, from peft's config or from diffusers' metadata
 * (adapter_config.h), and is the rank where none of them says it. An alpha of 0 makes the update nothing, as it does in
 * diffusers. */
#ifndef ALIGNPROP_MODEL_ADAPTER_SET_H
#define ALIGNPROP_MODEL_ADAPTER_SET_H

#include "engine/base/files.h"
#include "engine/model/adapter_names.h"
#include "engine/model/adapter_warnings.h"
#include "kernels/operations.h"

/* One adapted module with its two factors, fp32. */
struct adapter_factors {
    enum adapter_network network;      /* UNET or TEXT */
    char module[ADAPTER_MODULE_SIZE];  /* dotted path, or "" when only the next is known (files of others) */
    char kohya[ADAPTER_KEY_SIZE];      /* "lora_unet_..." or "lora_te_..." */
    struct shape down_shape, up_shape; /* [rank, in] or [rank, in, k, k]; [out, rank] or [out, rank, 1, 1] */
    float *down, *up;                  /* owned, finite */
    double alpha;                      /* the product is scaled by alpha / rank */
    bool folded;                       /* no alpha was told: it is the rank */
};

struct adapter_set {
    struct adapter_factors *modules;
    int count;
    int foreign_count;              /* tensors of networks that no supported model has; they are not read */
    char foreign[ADAPTER_KEY_SIZE]; /* the first of them */
    struct adapter_warnings warnings;
};
void adapter_set_clear(struct adapter_set *set);

/* The files of the adapter at `path`, a file or a folder: where the factors are, and the config beside them or "". */
struct adapter_files {
    char factors[PATH_SIZE], config[PATH_SIZE];
};
status adapter_files_find(const char *path, struct adapter_files *files);

/* STATUS_BAD_INPUT names file and tensor or key: a factor without its partner, ranks that do not fit, a value that is
 * not a finite number, two tensors that are the same part of one module, a tensor that belongs to no LoRA, a config
 * that is not supported. */
status adapter_file_read(const char *path, struct adapter_set *set);
/* The same over the `size` bytes of one file in memory; `label` stands for the path in messages. */
status adapter_parse(const void *bytes, size_t size, const char *label, struct adapter_set *set);

/* The module of that key ("lora_unet_..."), or NULL. */
const struct adapter_factors *adapter_set_module(const struct adapter_set *set, const char *key);

/* Whether the file or folder is named or filled like an adapter, by names alone. */
bool adapter_is_at(const char *path);
/* "LoRA adapter for U-Net and text encoder, rank 4, strength (alpha / rank) 2": what the set is, in one line. */
void adapter_set_describe(const struct adapter_set *set, char *description, size_t size);

#endif
