/* LoRA adapters: which modules of the U-Net carry one, and how its two factors enter the graph.
 *
 * For a linear module: y = W x + b + (alpha / rank) * up (down x), down [rank, in], up [out, rank].
 * For a convolution:   down [rank, in, k, k] with the module's stride and padding, up [out, rank, 1, 1].
 * Factors are exact tensors named "MODULE.lora_down" and "MODULE.lora_up" (MODULE is the diffusers name, such as
 * "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"). */
#ifndef ALIGNPROP_MODEL_ADAPTER_H
#define ALIGNPROP_MODEL_ADAPTER_H

#include "engine/graph/graph.h"

enum adapter_target {
    ADAPTER_TARGET_ATTENTION = 1,    /* to_q, to_k, to_v, to_out.0 of every attention: the default */
    ADAPTER_TARGET_FEED_FORWARD = 2, /* ff.net.0.proj, ff.net.2 */
    ADAPTER_TARGET_CONVOLUTION = 4,  /* conv1, conv2, conv_shortcut, samplers' conv, proj_in, proj_out */
    ADAPTER_TARGET_PROMPT = 8,       /* to_k, to_v of cross-attention (attn2) alone: how the prompt is read */
    ADAPTER_TARGET_REST = 16,        /* every other layer: time embeddings, conv_in, conv_out. Never tuned here, but
                                        other programs' adapters change them */
    ADAPTER_TARGET_ALL = 31
};

struct adapter_module {
    char name[140];
    int64_t inputs, outputs;
    int kernel; /* 0: linear; else side of the convolution's window */
};

/* How a model builder treats adapters while it writes the U-Net's graph. */
struct adapter_plan {
    int rank;                       /* 1.. */
    double alpha;                   /* the factors' product is scaled by alpha / rank */
    unsigned targets;               /* adapter_target bits */
    bool attach;                    /* true: factors become parameters of the graph; false: only list the modules */
    struct adapter_module *modules; /* filled by the builder in building order; grown with realloc, freed by
                                       adapter_plan_clear */
    int module_count;
};
void adapter_plan_clear(struct adapter_plan *plan);

/* What presets call a kind of layers that can be tuned, one bit of the above: "attention". NULL for other values. */
const char *adapter_target_name(unsigned target);

/* The kinds that the linear layer or convolution `module_name` is of: ADAPTER_TARGET_ bits. */
unsigned adapter_target_of(const char *module_name);

#endif
