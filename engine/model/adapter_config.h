/* What an adapter's config says of its updates' strength: peft's LoraConfig, as adapter_config.json or, for each
 * network with a prefix, as the text that diffusers puts under "lora_adapter_metadata" in a file's metadata.
 *
 * A module's update is scaled by alpha / rank, or with use_rslora by alpha / sqrt(rank) (Kalajdzievski 2023). Every key
 * that LoraConfig has is in one table (lora_keys of config_keys.h): read, refused where its value changes what the
 * adapter does in a way that is not supported, or known to change nothing. */
#ifndef ALIGNPROP_MODEL_ADAPTER_CONFIG_H
#define ALIGNPROP_MODEL_ADAPTER_CONFIG_H

#include <stdint.h>

#include "engine/base/json.h"
#include "engine/model/adapter_warnings.h"

/* Of one network. */
struct adapter_config {
    bool given;       /* false: nothing is said of this network */
    char origin[300]; /* for messages */
    int64_t rank;     /* 0: not said */
    double alpha;
    bool rank_stabilized;                      /* use_rslora */
    const cJSON *rank_pattern, *alpha_pattern; /* borrowed from the tree that was read; NULL: none */
};

/* Reads the members of `object` whose keys begin with `prefix` ("unet.", or "" for those without a dot).
 * STATUS_BAD_INPUT names key and value of what cannot be supported; unknown keys are warned of. The config borrows from
 * `object`. */
status adapter_config_read(const struct json_object *object, const char *prefix, struct adapter_config *config,
                           struct adapter_warnings *warnings);

/* Alpha of a module whose factors have `rank` rows: the product is scaled by alpha / rank. `path` is the module's
 * dotted path in its network and `whole` the same with what the file writes before it; patterns may be meant for
 * either. STATUS_BAD_INPUT where the config says another rank. */
status adapter_config_alpha(const struct adapter_config *config, const char *path, const char *whole, int64_t rank,
                            double *alpha);
bool adapter_config_has_patterns(const struct adapter_config *config);

#endif
