/* Every key that the diffusers, transformers and peft libraries know of a model's and an adapter's files, and what
 * becomes of it here: a reader uses it, or only the value is taken that the builders write, or it changes nothing that
 * is computed here.
 *
 * One table a kind of file, in config_keys.c. tests/golden/config_keys.json has the libraries' own lists; a test holds
 * these tables against it. */
#ifndef ALIGNPROP_MODEL_CONFIG_KEYS_H
#define ALIGNPROP_MODEL_CONFIG_KEYS_H

#include "engine/model/config.h"

enum key_use {
    KEY_READ,           /* by the reader of that file, which checks the value too */
    KEY_ONLY,           /* refused unless absent, null or one of `only` */
    KEY_WITHOUT_EFFECT, /* on what is computed here */
};

struct config_key {
    const char *name;
    enum key_use use;
    const char *only; /* as config_is_one_of; "null" for what may not be set at all */
};

struct config_keys {
    const struct config_key *keys;
    int count;
    const struct config_keys *shared; /* keys of other kinds of files that may stand here too; or NULL */
    const char *ending;               /* keys that end so are read, whatever they begin with; or NULL */
};

extern const struct config_keys unet_keys, autoencoder_keys, text_tower_keys, vision_tower_keys, text_image_keys,
    scheduler_keys, picture_processor_keys, tokenizer_keys, tokenizer_model_keys, special_tokens_keys, lora_keys;

/* The row of a key, or NULL for one that nothing here knows. */
const struct config_key *config_key_find(const struct config_keys *keys, const char *name);

/* STATUS_BAD_INPUT names file, key, expected and found for a value that is not supported. Unknown keys are remarked on
 * (config->remarks). */
status config_check_keys(const struct config *config, const struct config_keys *keys);

#endif
