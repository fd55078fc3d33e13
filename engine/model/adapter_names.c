/* The namings of kohya, diffusers, peft, LyCORIS and OneTrainer, taken apart into network, module and part. */
#include "engine/model/adapter_names.h"

#include <stdio.h>
#include <string.h>

struct prefix {
    const char *text;
    enum adapter_network network;
    bool dotted;
};

/* The first that fits counts. */
static const struct prefix prefixes[] = {
    {"lora_unet_", ADAPTER_NETWORK_UNET, false},
    {"lora_unet.", ADAPTER_NETWORK_UNET, true},
    {"unet.", ADAPTER_NETWORK_UNET, true},
    {"model.diffusion_model.", ADAPTER_NETWORK_UNET, true},
    {"diffusion_model.", ADAPTER_NETWORK_UNET, true},
    {"lora_te_", ADAPTER_NETWORK_TEXT, false},
    {"lora_te1_", ADAPTER_NETWORK_TEXT, false},
    {"lora_te.", ADAPTER_NETWORK_TEXT, true},
    {"lora_te1.", ADAPTER_NETWORK_TEXT, true},
    {"te.", ADAPTER_NETWORK_TEXT, true},
    {"te1.", ADAPTER_NETWORK_TEXT, true},
    {"clip_l.", ADAPTER_NETWORK_TEXT, true},
    {"text_encoder.", ADAPTER_NETWORK_TEXT, true},
    {"text_encoders.clip_l.transformer.", ADAPTER_NETWORK_TEXT, true},
    {"cond_stage_model.transformer.", ADAPTER_NETWORK_TEXT, true},
    {"lora_te2_", ADAPTER_NETWORK_OTHER, false},
    {"lora_te2.", ADAPTER_NETWORK_OTHER, true},
    {"lora_te3_", ADAPTER_NETWORK_OTHER, false},
    {"lora_te3.", ADAPTER_NETWORK_OTHER, true},
    {"te2.", ADAPTER_NETWORK_OTHER, true},
    {"te3.", ADAPTER_NETWORK_OTHER, true},
    {"clip_g.", ADAPTER_NETWORK_OTHER, true},
    {"t5.", ADAPTER_NETWORK_OTHER, true},
    {"t5xxl.", ADAPTER_NETWORK_OTHER, true},
    {"text_encoder_2.", ADAPTER_NETWORK_OTHER, true},
    {"text_encoder_3.", ADAPTER_NETWORK_OTHER, true},
    {"text_encoders.", ADAPTER_NETWORK_OTHER, true},
    {"image_encoder.", ADAPTER_NETWORK_OTHER, true},
    {"transformer.", ADAPTER_NETWORK_OTHER, true},
    {"lora_transformer_", ADAPTER_NETWORK_OTHER, false},
    {"lora_transformer.", ADAPTER_NETWORK_OTHER, true},
    {"prior.", ADAPTER_NETWORK_OTHER, true},
    {"lora_prior_", ADAPTER_NETWORK_OTHER, false},
    {"vae.", ADAPTER_NETWORK_OTHER, true},
    {"lora_vae_", ADAPTER_NETWORK_OTHER, false},
    {"controlnet.", ADAPTER_NETWORK_OTHER, true},
    {"bundle_emb.", ADAPTER_NETWORK_OTHER, true},
};

/* How a text encoder's paths begin: transformers 5 has left out the first component. */
static const char text_root[] = "text_model";
static const char *const text_beginnings[] = {"text_model.", "encoder.layers."};

struct ending {
    const char *text; /* '*' stands for a name without dots */
    enum adapter_role role;
    bool attention; /* the path ends in an attention's older names: to_out for to_out.0, to_q for q_proj */
};

/* The first that fits counts: longer ones first. */
static const struct ending endings[] = {
    {"_lora.down.weight.alpha", ADAPTER_ROLE_ALPHA, true},
    {".lora.down.weight.alpha", ADAPTER_ROLE_ALPHA, false},
    {".lora_linear_layer.down.weight.alpha", ADAPTER_ROLE_ALPHA, false},
    {"_lora.alpha", ADAPTER_ROLE_ALPHA, true},
    {".lora.alpha", ADAPTER_ROLE_ALPHA, false},
    {".lora_linear_layer.alpha", ADAPTER_ROLE_ALPHA, false},
    {".alpha", ADAPTER_ROLE_ALPHA, false},
    {".lora_down.weight", ADAPTER_ROLE_DOWN, false},
    {".lora_up.weight", ADAPTER_ROLE_UP, false},
    {".lora_mid.weight", ADAPTER_ROLE_MIDDLE, false},
    {".lora_A.weight", ADAPTER_ROLE_DOWN, false},
    {".lora_B.weight", ADAPTER_ROLE_UP, false},
    {".lora_A.*.weight", ADAPTER_ROLE_DOWN, false},
    {".lora_B.*.weight", ADAPTER_ROLE_UP, false},
    {".lora.down.weight", ADAPTER_ROLE_DOWN, false},
    {".lora.up.weight", ADAPTER_ROLE_UP, false},
    {".lora_linear_layer.down.weight", ADAPTER_ROLE_DOWN, false},
    {".lora_linear_layer.up.weight", ADAPTER_ROLE_UP, false},
    {"_lora.down.weight", ADAPTER_ROLE_DOWN, true},
    {"_lora.up.weight", ADAPTER_ROLE_UP, true},
};

/* What else such files hold, by a piece of the name; the first that fits counts. */
static const struct {
    const char *piece, *kind;
} others[] = {
    {".dora_scale", "DoRA (weight-decomposed LoRA)"},
    {".lora_magnitude_vector", "DoRA (weight-decomposed LoRA)"},
    {".hada_", "LoHa (Hadamard product)"},
    {".lokr_", "LoKr (Kronecker product)"},
    {".oft_", "OFT (orthogonal finetuning)"},
    {".boft_", "BOFT (orthogonal finetuning)"},
    {".a1.weight", "GLoRA"},
    {".a2.weight", "GLoRA"},
    {".b1.weight", "GLoRA"},
    {".b2.weight", "GLoRA"},
    {".ia3_", "IA3"},
    {".on_input", "IA3"},
    {".vera_", "VeRA"},
    {".lora_E", "AdaLoRA"},
    {".lora_embedding_", "LoRA on an embedding"},
    {".trainable_tokens_", "trained tokens"},
    {".string_to_param", "textual inversion"},
    {"emb_params", "textual inversion"},
    {".modules_to_save", "whole modules (peft's modules_to_save)"},
    {".w_norm", "trained norms"},
    {".b_norm", "trained norms"},
    {".diff", "full weight differences"},
    {".set_weight", "full weights"},
    {".reshape_weight", "reshaped weights"},
    {".scalar", "LyCORIS with a trained scalar"},
    {".bias", "trained biases"},
};

/* How long the end of `name` is that `pattern` fits, 0 where it does not. */
static size_t match_ending(const char *name, size_t length, const char *pattern)
{
    const char *star = strchr(pattern, '*');
    size_t tail = star ? strlen(star + 1) : strlen(pattern);
    const char *tail_text = star ? star + 1 : pattern;
    if (length <= tail || memcmp(name + length - tail, tail_text, tail) != 0) return 0;
    if (!star) return tail;
    size_t head = (size_t)(star - pattern), at = length - tail, end = at;
    while (at > 0 && name[at - 1] != '.') at--;
    if (at == end || at <= head || memcmp(name + at - head, pattern, head) != 0) return 0;
    return length - (at - head);
}

static const struct ending *find_ending(const char *name, size_t *length)
{
    size_t whole = strlen(name);
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        *length = match_ending(name, whole, endings[i].text);
        if (*length > 0 && *length < whole) return &endings[i];
    }
    return NULL;
}

/* Whether the piece is there as whole words: ".diff" is no part of ".diffusion_model". */
static bool has_piece(const char *name, const char *piece)
{
    const char *found = strstr(name, piece);
    if (!found) return false;
    char next = found[strlen(piece)];
    return piece[strlen(piece) - 1] == '_' || next == '\0' || next == '.' || next == '_';
}

static const char *find_other(const char *name)
{
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (has_piece(name, others[i].piece)) return others[i].kind;
    return NULL;
}

static const struct prefix *find_prefix(const char *name)
{
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
        if (strncmp(name, prefixes[i].text, strlen(prefixes[i].text)) == 0) return &prefixes[i];
    return NULL;
}

/* Removes the component ".processor", which older attention layers had before their factors. */
static void remove_processor(char *module)
{
    static const char processor[] = ".processor.";
    char *found = strstr(module, processor);
    if (found) memmove(found, found + sizeof processor - 2, strlen(found + sizeof processor - 2) + 1);
}

static bool begins_as_text_encoder(const char *path)
{
    for (size_t i = 0; i < sizeof text_beginnings / sizeof *text_beginnings; i++)
        if (strncmp(path, text_beginnings[i], strlen(text_beginnings[i])) == 0) return true;
    return false;
}

/* Puts the first component back where a text encoder's path lacks it. */
static bool complete_text_path(struct adapter_tensor_name *split)
{
    if (strncmp(split->module, text_root, sizeof text_root - 1) == 0) return true;
    char path[ADAPTER_MODULE_SIZE];
    memcpy(path, split->module, sizeof path);
    int length = snprintf(split->module, sizeof split->module, "%s%c%s", text_root, split->dotted ? '.' : '_', path);
    return length < (int)sizeof split->module;
}

/* Gives a path's last component, of older attention layers, its present name; false where it is none of theirs. */
static bool rename_attention(struct adapter_tensor_name *split)
{
    static const char *const rows[][3] = {/* older, U-Net, text encoder */
                                          {"to_q", "to_q", "q_proj"},
                                          {"to_k", "to_k", "k_proj"},
                                          {"to_v", "to_v", "v_proj"},
                                          {"to_out", "to_out.0", "out_proj"}};
    char *last = strrchr(split->module, '.');
    last = last ? last + 1 : split->module;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (strcmp(last, rows[i][0]) != 0) continue;
        size_t room = sizeof split->module - (size_t)(last - split->module);
        const char *name = rows[i][split->network == ADAPTER_NETWORK_TEXT ? 2 : 1];
        return (size_t)snprintf(last, room, "%s", name) < room;
    }
    return false;
}

bool adapter_name_split(const char *name, struct adapter_tensor_name *split, const char **kind)
{
    static const char wrapper[] = "base_model.model.";
    const char *start = name;
    if (strncmp(start, wrapper, sizeof wrapper - 1) == 0) start += sizeof wrapper - 1;
    const struct prefix *prefix = find_prefix(start);
    *split = (struct adapter_tensor_name){.network = ADAPTER_NETWORK_UNET, .dotted = true, .written_module = start};
    if (prefix) {
        split->network = prefix->network;
        split->dotted = prefix->dotted;
    } else if (begins_as_text_encoder(start)) {
        split->network = ADAPTER_NETWORK_TEXT;
    }
    *kind = NULL;
    size_t ending_length = 0;
    const struct ending *ending = find_ending(start, &ending_length);
    split->written_length = strlen(start) - (ending ? ending_length : 0);
    if (split->network == ADAPTER_NETWORK_OTHER) return true;
    if (!ending) {
        *kind = find_other(start);
        return false;
    }
    split->role = ending->role;
    const char *path = prefix ? start + strlen(prefix->text) : start;
    int length = (int)(start + split->written_length - path);
    if (length <= 0 || length >= (int)sizeof split->module) return false;
    snprintf(split->module, sizeof split->module, "%.*s", length, path);
    remove_processor(split->module);
    if (split->network == ADAPTER_NETWORK_TEXT && !complete_text_path(split)) return false;
    return !ending->attention || rename_attention(split);
}

void adapter_key(enum adapter_network network, const char *module, char key[ADAPTER_KEY_SIZE])
{
    snprintf(key, ADAPTER_KEY_SIZE, "%s%s", network == ADAPTER_NETWORK_TEXT ? "lora_te_" : "lora_unet_", module);
    for (char *p = key; *p; p++)
        if (*p == '.') *p = '_';
}
