#include "engine/preset/keys.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const method_names[] = {"alignprop", "full", "last-k", "low-variance", NULL};
static const char *const draw_names[] = {"uniform", "gaussian", NULL};
static const char *const sampler_names[] = {"ddim", "euler", NULL};
static const char *const precision_names[] = {"auto", "fp32", "bf16", "fp16", NULL};
/* In the order of the adapter_target bits of engine/model/adapter.h. */
static const char *const target_names[] = {"attention", "feed-forward", "convolution", "prompt", NULL};

#define FIELD(name) offsetof(struct preset, name)
#define NO_FIELD 0

static const struct preset_key keys[] = {
    {"schema", KEY_SCHEMA, 1, 1, "1", NULL, false, NO_FIELD, "version of this format"},
    {"name", KEY_NAME, 0, 0, NULL, NULL, false, FIELD(name), "what presets and runs are called by"},
    {"notes", KEY_TEXT, 0, 4000, "\"\"", NULL, false, FIELD(notes), "what it is for, in a sentence"},
    {"model", KEY_MODEL, 0, 0, "\"emoji\"", NULL, false, FIELD(model),
     "the diffusion model to tune: a name that `models` lists, or a folder or file"},
    {"prompts.train", KEY_PROMPTS, 0, 0, "[]", NULL, false, NO_FIELD, "prompts to tune with"},
    {"prompts.train_file", KEY_FILE, 0, 0, "null", NULL, false, NO_FIELD,
     "file of more prompts to tune with; without any prompt, the default model's list"},
    {"prompts.eval", KEY_PROMPTS, 0, 0, "[]", NULL, false, NO_FIELD, "held-out prompts, only looked at"},
    {"prompts.eval_file", KEY_FILE, 0, 0, "null", NULL, false, NO_FIELD,
     "file of more held-out prompts; without any, one in eight of the training prompts is held out"},
    {"prompts.negative", KEY_TEXT, 0, 4000, "\"\"", NULL, false, FIELD(negative),
     "what pictures should not show; guidance leads away from it"},
    {"rewards", KEY_REWARDS, 0, 0, "[{\"name\": \"jpeg\"}]", NULL, false, NO_FIELD,
     "what to reward, each with a weight; higher is better"},
    {"lora.rank", KEY_INTEGER, 1, 1024, "4", NULL, false, FIELD(rank), "width of the adapter: more can change more"},
    {"lora.alpha", KEY_NUMBER, 0.0001, 100000, "null", NULL, false, FIELD(alpha),
     "the adapter's product is scaled by alpha / rank; by default alpha is the rank"},
    {"lora.targets", KEY_TARGETS, 0, 0, "[\"attention\"]", target_names, false, FIELD(targets),
     "which layers carry an adapter"},
    {"sampler.name", KEY_CHOICE, 0, 0, "\"ddim\"", sampler_names, false, FIELD(sampler), "how noise becomes a picture"},
    {"sampler.steps", KEY_INTEGER, 1, 1000, "20", NULL, false, FIELD(sampler_steps), "denoising steps a picture"},
    {"sampler.guidance", KEY_NUMBER, 0, 100, "5", NULL, false, FIELD(guidance),
     "how strongly the prompt leads: 1 is without guidance, 0 without prompt"},
    {"sampler.eta", KEY_NUMBER, 0, 1, "0", NULL, false, FIELD(eta), "fresh noise a step; 0 is deterministic"},
    {"sampler.width", KEY_SIZE, 8, 4096, "null", NULL, false, FIELD(width),
     "picture width in pixels; by default the model's own; most models need multiples of 8"},
    {"sampler.height", KEY_SIZE, 8, 4096, "null", NULL, false, FIELD(height),
     "picture height in pixels; by default the model's own; most models need multiples of 8"},
    {"backprop.method", KEY_CHOICE, 0, 0, "\"alignprop\"", method_names, false, FIELD(method),
     "how far back the reward's gradient goes"},
    {"backprop.draw", KEY_CHOICE, 0, 0, "\"uniform\"", draw_names, false, FIELD(draw),
     "alignprop: how the number K of steps to go back is drawn"},
    {"backprop.min", KEY_INTEGER, 1, 1000, "1", NULL, false, FIELD(draw_minimum), "alignprop, uniform: smallest K"},
    {"backprop.max", KEY_INTEGER, 1, 1000, "null", NULL, false, FIELD(draw_maximum),
     "alignprop, uniform: largest K; by default all steps"},
    {"backprop.mean", KEY_NUMBER, 1, 1000, "9", NULL, false, FIELD(draw_mean), "alignprop, gaussian: mean of K"},
    {"backprop.sd", KEY_NUMBER, 0, 1000, "5", NULL, false, FIELD(draw_deviation),
     "alignprop, gaussian: standard deviation of K"},
    {"backprop.k", KEY_INTEGER, 1, 1000, "1", NULL, false, FIELD(k), "last-k, low-variance: steps to go back"},
    {"backprop.n", KEY_INTEGER, 1, 64, "2", NULL, false, FIELD(n), "low-variance: noises averaged over"},
    {"optimizer.lr", KEY_NUMBER, 0, 1, "0.001", NULL, true, FIELD(learning_rate), "learning rate of AdamW"},
    {"optimizer.beta1", KEY_NUMBER, 0, 0.9999999, "0.9", NULL, false, FIELD(beta1), "decay of AdamW's mean"},
    {"optimizer.beta2", KEY_NUMBER, 0, 0.9999999, "0.999", NULL, false, FIELD(beta2), "decay of AdamW's variance"},
    {"optimizer.eps", KEY_NUMBER, 1e-30, 1, "1e-8", NULL, false, FIELD(epsilon), "AdamW's guard against division by 0"},
    {"optimizer.weight_decay", KEY_NUMBER, 0, 10, "0.0001", NULL, false, FIELD(weight_decay),
     "pull of the adapter toward 0"},
    {"optimizer.clip", KEY_NUMBER, 1e-9, 1e9, "1", NULL, true, FIELD(clip), "largest norm of the gradient"},
    {"precision", KEY_CHOICE, 0, 0, "\"auto\"", precision_names, false, FIELD(precision),
     "number format of the model on a GPU; a CPU computes in fp32"},
    {"memory.limit", KEY_BYTES, 0, 0, "null", NULL, false, FIELD(memory_limit),
     "most memory to use, in bytes or as \"8 GiB\"; null is what is free"},
    {"memory.keep_steps", KEY_AUTO_INTEGER, 0, 1000, "\"auto\"", NULL, false, FIELD(keep_steps),
     "denoising steps whose activations are kept instead of recomputed"},
    {"batch", KEY_INTEGER, 1, 1024, "4", NULL, false, FIELD(batch), "pictures at once"},
    {"accumulate", KEY_INTEGER, 1, 1024, "1", NULL, false, FIELD(accumulate), "batches a step of the optimiser"},
    {"steps", KEY_INTEGER, 1, 1000000, "100", NULL, false, FIELD(steps), "steps of the optimiser"},
    {"seed", KEY_SEED, 0, 0, "\"42\"", NULL, false, FIELD(seed), "all noise and all draws follow from it"},
    {"checkpoint.every", KEY_INTEGER, 0, 1000000, "10", NULL, false, FIELD(checkpoint_every),
     "steps between checkpoints; 0: only at the end"},
    {"checkpoint.keep", KEY_INTEGER, 1, 100000, "5", NULL, false, FIELD(checkpoint_keep), "checkpoints kept"},
    {"sample.every", KEY_INTEGER, 0, 1000000, "5", NULL, true, FIELD(sample_every),
     "steps between pictures of the held-out prompts; 0: never"},
    {"sample.count", KEY_INTEGER, 1, 256, "4", NULL, false, FIELD(sample_count), "pictures each time"},
};

enum { KEY_COUNT = sizeof keys / sizeof *keys };

const struct preset_key *preset_keys(int *count)
{
    *count = KEY_COUNT;
    return keys;
}

const struct preset_key *preset_key_find(const char *path)
{
    for (int i = 0; i < KEY_COUNT; i++) {
        if (strcmp(keys[i].path, path) == 0) return &keys[i];
    }
    return NULL;
}

enum { PREVIEW_RATE_LIMIT = 60 };

static bool is_weight(const char *key)
{
    static const char first[] = "rewards.", last[] = ".weight";
    size_t length = strlen(key), ends = sizeof first + sizeof last - 2;
    return length > ends && strncmp(key, first, sizeof first - 1) == 0 &&
           strcmp(key + length - (sizeof last - 1), last) == 0;
}

struct key_range preset_live_range(const char *key)
{
    const struct preset_key *row = preset_key_find(key);
    if (row && row->live) return (struct key_range){row->low, row->high, row->kind == KEY_INTEGER};
    if (is_weight(key)) return (struct key_range){-REWARD_WEIGHT_LIMIT, REWARD_WEIGHT_LIMIT, false};
    if (strcmp(key, "preview.rate") == 0) return (struct key_range){0, PREVIEW_RATE_LIMIT, false};
    return (struct key_range){1, 0, false};
}

const char *preset_kind_name(enum preset_kind kind)
{
    switch (kind) {
    case KEY_NUMBER: return "number";
    case KEY_INTEGER: return "integer";
    case KEY_CHOICE: return "choice";
    case KEY_NAME: return "name";
    case KEY_TEXT: return "text";
    case KEY_MODEL: return "model";
    case KEY_SEED: return "seed";
    case KEY_PROMPTS: return "prompts";
    case KEY_FILE: return "file";
    case KEY_TARGETS: return "choices";
    case KEY_REWARDS: return "rewards";
    case KEY_SIZE: return "size";
    case KEY_BYTES: return "bytes";
    case KEY_AUTO_INTEGER: return "auto-integer";
    case KEY_SCHEMA: return "schema";
    }
    return "";
}

static const char *last_part(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot ? dot + 1 : path;
}

const char *preset_key_nearest(const char *path)
{
    const char *paths[KEY_COUNT], *parts[KEY_COUNT];
    for (int i = 0; i < KEY_COUNT; i++) {
        paths[i] = keys[i].path;
        parts[i] = last_part(keys[i].path);
    }
    const char *nearest = text_nearest(path, paths, KEY_COUNT);
    if (nearest) return nearest;
    nearest = text_nearest(last_part(path), parts, KEY_COUNT);
    for (int i = 0; nearest && i < KEY_COUNT; i++) {
        if (parts[i] == nearest) return paths[i];
    }
    return NULL;
}

/* ---- reading one value ---- */

struct reading {
    const struct preset_key *key;
    const char *origin;
    const cJSON *value;
    void *field;
};

static status expected(const struct reading *reading, const char *words)
{
    return json_wrong_value(reading->origin, reading->key->path, words, reading->value);
}

static status out_of_range(const struct reading *reading, const char *kind)
{
    char words[120];
    snprintf(words, sizeof words, "%s from %.12g to %.12g", kind, reading->key->low, reading->key->high);
    return expected(reading, words);
}

static bool in_range(const struct reading *reading)
{
    const cJSON *value = reading->value;
    return cJSON_IsNumber(value) && value->valuedouble >= reading->key->low && value->valuedouble <= reading->key->high;
}

static bool is_whole(const cJSON *value)
{
    return cJSON_IsNumber(value) && value->valuedouble == floor(value->valuedouble);
}

static status read_integer(const struct reading *reading)
{
    if (!in_range(reading) || !is_whole(reading->value)) return out_of_range(reading, "a whole number");
    *(int *)reading->field = (int)reading->value->valuedouble;
    return status_ok();
}

static status read_number(const struct reading *reading)
{
    if (!in_range(reading)) return out_of_range(reading, "a number");
    *(double *)reading->field = reading->value->valuedouble;
    return status_ok();
}

/* The place of the text among the row's choices. */
static status choice_index(const struct reading *reading, const cJSON *value, int *index)
{
    const char *const *choices = reading->key->choices;
    int count = 0;
    while (choices[count]) count++;
    const char *given = cJSON_IsString(value) ? value->valuestring : NULL;
    for (int i = 0; given && i < count; i++) {
        if (strcmp(given, choices[i]) != 0) continue;
        *index = i;
        return status_ok();
    }
    char words[300];
    int used = snprintf(words, sizeof words, "one of");
    for (int i = 0; i < count; i++) {
        used += snprintf(words + used, sizeof words - (size_t)used, "%s \"%s\"", i ? "," : "", choices[i]);
    }
    const char *nearest = given ? text_nearest(given, choices, count) : NULL;
    if (nearest) snprintf(words + used, sizeof words - (size_t)used, " (did you mean \"%s\"?)", nearest);
    return json_wrong_value(reading->origin, reading->key->path, words, value);
}

static status read_choice(const struct reading *reading)
{
    int index = 0;
    TRY(choice_index(reading, reading->value, &index));
    *(int *)reading->field = index;
    return status_ok();
}

static status read_targets(const struct reading *reading)
{
    if (!cJSON_IsArray(reading->value) || !reading->value->child) return expected(reading, "a list of layer kinds");
    unsigned bits = 0;
    const cJSON *element;
    cJSON_ArrayForEach(element, reading->value)
    {
        int index = 0;
        TRY(choice_index(reading, element, &index));
        bits |= 1u << index;
    }
    *(unsigned *)reading->field = bits;
    return status_ok();
}

static status read_name(const struct reading *reading)
{
    const char *name = cJSON_IsString(reading->value) ? reading->value->valuestring : "";
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
    size_t length = strlen(name);
    if (length == 0 || length >= 100 || name[0] == '.' || strspn(name, allowed) != length) {
        return expected(reading, "a name of up to 99 letters, digits, '-', '_' and '.', not beginning with '.'");
    }
    strcpy(reading->field, name);
    return status_ok();
}

static bool has_control_characters(const char *text)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7F) return true;
    }
    return false;
}

static status read_text(const struct reading *reading)
{
    if (!cJSON_IsString(reading->value)) return expected(reading, "a text");
    const char *text = reading->value->valuestring;
    if (strlen(text) > (size_t)reading->key->high) return out_of_range(reading, "a text with a length in bytes");
    if (has_control_characters(text)) return expected(reading, "a text without control characters");
    char *copy = strdup(text);
    if (!copy) return status_error(STATUS_NO_MEMORY, "no memory for a preset");
    free(*(char **)reading->field);
    *(char **)reading->field = copy;
    return status_ok();
}

static status read_model(const struct reading *reading)
{
    const char *text = cJSON_IsString(reading->value) ? reading->value->valuestring : "";
    if (!*text || strlen(text) >= 4096 || has_control_characters(text)) {
        return expected(reading, "the name of a model, or a path");
    }
    strcpy(reading->field, text);
    return status_ok();
}

static status read_seed(const struct reading *reading)
{
    if (!cJSON_IsString(reading->value) || !text_to_uint64(reading->value->valuestring, reading->field)) {
        return expected(reading, "a text of digits from \"0\" to \"18446744073709551615\"");
    }
    return status_ok();
}

static status read_prompts(const struct reading *reading)
{
    if (!cJSON_IsArray(reading->value)) return expected(reading, "a list of prompts");
    int index = 0;
    const cJSON *element;
    cJSON_ArrayForEach(element, reading->value)
    {
        char place[80];
        snprintf(place, sizeof place, "%s[%d]", reading->key->path, index++);
        if (!cJSON_IsString(element) || has_control_characters(element->valuestring)) {
            return json_wrong_value(reading->origin, place, "a prompt (a text without control characters)", element);
        }
    }
    return status_ok();
}

static status read_file(const struct reading *reading)
{
    if (cJSON_IsNull(reading->value)) return status_ok();
    const char *text = cJSON_IsString(reading->value) ? reading->value->valuestring : "";
    return *text && strlen(text) < 4096 ? status_ok() : expected(reading, "the path of a file, or null");
}

static status read_size(const struct reading *reading)
{
    *(int *)reading->field = 0;
    if (cJSON_IsNull(reading->value)) return status_ok();
    if (!in_range(reading) || !is_whole(reading->value)) return out_of_range(reading, "null or a whole number");
    *(int *)reading->field = (int)reading->value->valuedouble;
    return status_ok();
}

/* "8 GiB", "512MiB", "1.5 GB", "1000000" -> bytes; negative if it is none of these. */
static double bytes_of(const char *text)
{
    static const struct {
        const char *name;
        double factor;
    } units[] = {{"", 1},      {"B", 1},         {"KB", 1e3},         {"MB", 1e6},           {"GB", 1e9},
                 {"TB", 1e12}, {"KiB", 1024},    {"MiB", 1048576.0},  {"GiB", 1073741824.0}, {"TiB", 1099511627776.0},
                 {"K", 1024},  {"M", 1048576.0}, {"G", 1073741824.0}, {"T", 1099511627776.0}};
    char number[32];
    size_t digits = strspn(text, "0123456789.");
    if (digits == 0 || digits >= sizeof number) return -1;
    snprintf(number, sizeof number, "%.*s", (int)digits, text);
    double value;
    if (!text_to_double(number, &value)) return -1;
    const char *unit = text + digits + strspn(text + digits, " ");
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (strcmp(unit, units[i].name) == 0) return value * units[i].factor;
    }
    return -1;
}

static status read_bytes(const struct reading *reading)
{
    *(size_t *)reading->field = 0;
    if (cJSON_IsNull(reading->value)) return status_ok();
    double bytes = cJSON_IsNumber(reading->value)   ? reading->value->valuedouble
                   : cJSON_IsString(reading->value) ? bytes_of(reading->value->valuestring)
                                                    : -1;
    if (!(bytes >= 1048576 && bytes <= 9e15)) {
        return expected(reading, "null, or at least 1 MiB as bytes or a text such as \"8 GiB\"");
    }
    *(size_t *)reading->field = (size_t)bytes;
    return status_ok();
}

static status read_auto_integer(const struct reading *reading)
{
    if (cJSON_IsString(reading->value) && strcmp(reading->value->valuestring, "auto") == 0) {
        *(int *)reading->field = -1;
        return status_ok();
    }
    if (!in_range(reading) || !is_whole(reading->value)) return out_of_range(reading, "\"auto\" or a whole number");
    *(int *)reading->field = (int)reading->value->valuedouble;
    return status_ok();
}

static status read_rewards(const struct reading *reading)
{
    return cJSON_IsArray(reading->value) && reading->value->child ? status_ok()
                                                                  : expected(reading, "a list of at least one reward");
}

/* A null stands for a default that follows from other keys; who reads the preset fills it in. */
static bool follows_from_others(const struct preset_key *key, const cJSON *value)
{
    return cJSON_IsNull(value) && key->fallback && strcmp(key->fallback, "null") == 0 &&
           (key->kind == KEY_NUMBER || key->kind == KEY_INTEGER);
}

status preset_key_read(const struct preset_key *key, const char *origin, const cJSON *value, struct preset *preset)
{
    if (follows_from_others(key, value)) return status_ok();
    struct reading reading = {key, origin, value, (char *)preset + key->offset};
    switch (key->kind) {
    case KEY_NUMBER: return read_number(&reading);
    case KEY_INTEGER: return read_integer(&reading);
    case KEY_CHOICE: return read_choice(&reading);
    case KEY_NAME: return read_name(&reading);
    case KEY_TEXT: return read_text(&reading);
    case KEY_MODEL: return read_model(&reading);
    case KEY_SEED: return read_seed(&reading);
    case KEY_PROMPTS: return read_prompts(&reading);
    case KEY_FILE: return read_file(&reading);
    case KEY_TARGETS: return read_targets(&reading);
    case KEY_REWARDS: return read_rewards(&reading);
    case KEY_SIZE: return read_size(&reading);
    case KEY_BYTES: return read_bytes(&reading);
    case KEY_AUTO_INTEGER: return read_auto_integer(&reading);
    case KEY_SCHEMA: return in_range(&reading) ? status_ok() : out_of_range(&reading, "a schema");
    }
    return status_error(STATUS_FAILED, "preset key %s has no reader", key->path);
}

static cJSON *describe_key(const struct preset_key *key)
{
    cJSON *row = cJSON_CreateObject();
    cJSON_AddStringToObject(row, "path", key->path);
    cJSON_AddStringToObject(row, "kind", preset_kind_name(key->kind));
    cJSON_AddItemToObject(row, "default", key->fallback ? cJSON_Parse(key->fallback) : cJSON_CreateNull());
    if (key->high > key->low && key->kind != KEY_TEXT) {
        cJSON_AddNumberToObject(row, "low", key->low);
        cJSON_AddNumberToObject(row, "high", key->high);
    }
    if (key->choices) {
        cJSON *choices = cJSON_AddArrayToObject(row, "choices");
        for (const char *const *choice = key->choices; *choice; choice++) {
            cJSON_AddItemToArray(choices, cJSON_CreateString(*choice));
        }
    }
    cJSON_AddBoolToObject(row, "live", key->live);
    cJSON_AddStringToObject(row, "meaning", key->meaning);
    return row;
}

cJSON *preset_catalogue(void)
{
    cJSON *rows = cJSON_CreateArray();
    for (int i = 0; i < KEY_COUNT; i++) cJSON_AddItemToArray(rows, describe_key(&keys[i]));
    return rows;
}
