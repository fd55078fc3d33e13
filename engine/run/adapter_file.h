/* Adapter files: LoRA factors as other programs read them.
 *
 *   kohya: "lora_unet_" + module with '_' for '.' + ".lora_down.weight", ".lora_up.weight", ".alpha": what A1111,
 * ComfyUI, stable-diffusion.cpp, InvokeAI and diffusers load peft:  "unet." + module + ".lora_A.weight",
 * ".lora_B.weight"; has no alpha, so alpha / rank is folded into B
 *
 * Metadata: ss_* and modelspec keys, the whole preset under "alignprop.preset", and the modules' diffusers names, which
 * the kohya form does not tell, under "alignprop.modules". */
#ifndef ALIGNPROP_RUN_ADAPTER_FILE_H
#define ALIGNPROP_RUN_ADAPTER_FILE_H

#include "engine/base/status.h"
#include "engine/preset/preset.h"
#include "engine/tuning/tuner.h"

enum adapter_format { ADAPTER_KOHYA, ADAPTER_PEFT };

/* One adapted module with its two factors, fp32. */
struct adapter_factors {
    char module[140]; /* diffusers name, or "" when only the kohya name is known (files of others) */
    char kohya[160];  /* "lora_unet_..." */
    struct shape down_shape, up_shape;
    float *down, *up; /* owned */
    double alpha;     /* the product is scaled by alpha / rank */
    bool folded;      /* that scale is in the up factor already: alpha is the rank (peft files) */
};

struct adapter_set {
    struct adapter_factors *modules;
    int count;
};
void adapter_set_clear(struct adapter_set *set);

/* What the metadata says beside the preset. */
struct adapter_facts {
    const char *architecture; /* "stable-diffusion-v1"; NULL: that */
    const char *prediction;   /* "epsilon", "v"; NULL: unknown */
    const char *run_id;
    int step;
    double started, finished; /* seconds since 1970 */
};

/* Writes the factors whole or not at all. `scale` multiplies the product (folded into the up factor). */
status adapter_file_write(const char *path, const struct adapter_set *set, enum adapter_format format, double scale,
                          const struct preset *preset, const struct adapter_facts *facts);

/* Reads a file in either format. STATUS_BAD_INPUT names file and tensor: a factor without its partner, ranks that do
 * not fit, a tensor that belongs to no adapter. */
status adapter_file_read(const char *path, struct adapter_set *set);

/* The tuner's present factors, borrowed: `set->modules[i].down` and `up` point into the tuner and must not be freed by
 * adapter_set_clear; use adapter_set_release. */
status adapter_set_of_tuner(const struct tuner *tuner, double alpha, struct adapter_set *set);
void adapter_set_release(struct adapter_set *set);

/* The factor of a tuner's tensor, "MODULE.lora_down" or "MODULE.lora_up" by its diffusers name; NULL when the set has
 * none of that shape. */
const float *adapter_set_find(const struct adapter_set *set, const char *name, const struct shape *shape);

/* "lora_unet_..." for a module's diffusers name. */
void adapter_kohya_name(const char *module, char name[160]);

/* Compares what a written file holds with `set` (scale and format taken into account): how many tensors match of how
 * many. */
status adapter_file_verify(const char *path, const struct adapter_set *set, double scale, int *matching, int *total);

#endif
