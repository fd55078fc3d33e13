/* Adapter files as they are written: LoRA factors as other programs read them (reading: engine/model/adapter_set.h).
 *
 *   kohya: "lora_unet_" + module with '_' for '.' + ".lora_down.weight", ".lora_up.weight", ".alpha": what A1111,
 * ComfyUI, stable-diffusion.cpp, InvokeAI and diffusers load peft:  "unet." + module + ".lora_A.weight",
 * ".lora_B.weight"; has no alpha, so alpha / rank is folded into B
 *
 * Metadata: ss_* and modelspec keys, the whole preset under "alignprop.preset", and the modules' diffusers names, which
 * the kohya form does not tell, under "alignprop.modules". */
#ifndef ALIGNPROP_RUN_ADAPTER_FILE_H
#define ALIGNPROP_RUN_ADAPTER_FILE_H

#include "engine/model/adapter_set.h"
#include "engine/preset/preset.h"
#include "engine/tuning/tuner.h"
#include "kernels/status.h"

enum adapter_format { ADAPTER_KOHYA, ADAPTER_PEFT };

/* What the metadata says beside the preset. */
struct adapter_facts {
    const char *architecture; /* "stable-diffusion-v1"; NULL: that */
    const char *prediction;   /* "epsilon", "v"; NULL: unknown */
    const char *run_id;
    int step;                 /* negative: unknown */
    double started, finished; /* seconds since 1970; 0: unknown */
};

/* Facts that a file of ours tells of itself; the texts lie in it. */
struct told_facts {
    struct adapter_facts facts;
    char architecture[64], prediction[16], run_id[100];
};
status adapter_file_facts(const char *path, struct told_facts *told);

/* Writes the factors whole or not at all. `scale` multiplies the product (folded into the up factor). */
status adapter_file_write(const char *path, const struct adapter_set *set, enum adapter_format format, double scale,
                          const struct preset *preset, const struct adapter_facts *facts);

/* The tuner's present factors, borrowed: `set->modules[i].down` and `up` point into the tuner and must not be freed by
 * adapter_set_clear; use adapter_set_release. */
status adapter_set_of_tuner(const struct tuner *tuner, double alpha, struct adapter_set *set);
void adapter_set_release(struct adapter_set *set);

/* The factor of a tuner's tensor, "MODULE.lora_down" or "MODULE.lora_up" by its diffusers name; NULL when the set has
 * none of that shape. */
const float *adapter_set_find(const struct adapter_set *set, const char *name, const struct shape *shape);

/* Compares what a written file holds with `set` (scale and format taken into account): how many tensors match of how
 * many. */
status adapter_file_verify(const char *path, const struct adapter_set *set, double scale, int *matching, int *total);

#endif
