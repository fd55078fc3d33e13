/* What the names in an adapter file say: which network and which module of it a tensor changes, and as what.
 *
 * A name is made of a prefix for the network, the module's path and an ending for the tensor's part in the update. The
 * three vary independently between the programs that write such files:
 *   kohya (sd-scripts, LyCORIS)   lora_unet_ / lora_te_ / lora_te1_, '_' for '.', .lora_down.weight .lora_up.weight
 * .alpha OneTrainer, OMI               lora_unet. / unet. / lora_te. / clip_l., dots, kohya's endings peft
 * base_model.model., .lora_A.weight or .lora_A.NAME.weight diffusers                     unet. / text_encoder., peft's
 * endings, before them .lora.down.weight, .lora_linear_layer.down.weight and .processor.to_q_lora.down.weight Paths are
 * those of diffusers, or of the original Stable Diffusion checkpoints. */
#ifndef ALIGNPROP_MODEL_ADAPTER_NAMES_H
#define ALIGNPROP_MODEL_ADAPTER_NAMES_H

#include <stdbool.h>
#include <stddef.h>

enum adapter_network {
    ADAPTER_NETWORK_UNET,
    ADAPTER_NETWORK_TEXT, /* the first text encoder */
    ADAPTER_NETWORK_OTHER /* one that the supported models have not: a second text encoder, a transformer... */
};

enum adapter_role { ADAPTER_ROLE_DOWN, ADAPTER_ROLE_UP, ADAPTER_ROLE_MIDDLE, ADAPTER_ROLE_ALPHA, ADAPTER_ROLE_COUNT };

enum { ADAPTER_MODULE_SIZE = 140, ADAPTER_KEY_SIZE = 160 };

struct adapter_tensor_name {
    enum adapter_network network;
    enum adapter_role role;           /* where the network is another: of no meaning */
    bool dotted;                      /* the path is told with its dots */
    char module[ADAPTER_MODULE_SIZE]; /* path in the network, as the file writes it; older names of attention as
                                         today's */
    const char *written_module;       /* in the name that was split: the path with the network's prefix... */
    size_t written_length;            /* ...and its length */
};

/* False where the name is no part of a LoRA update that can be applied; `*kind` then says whose it is ("DoRA"), or is
 * NULL where that is unknown. */
bool adapter_name_split(const char *name, struct adapter_tensor_name *split, const char **kind);

/* "lora_unet_..." or "lora_te_...", kohya's name of a module: the same for all ways to write it. */
void adapter_key(enum adapter_network network, const char *module, char key[ADAPTER_KEY_SIZE]);

#endif
