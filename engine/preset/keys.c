/* The table of preset keys, and the check of a value against its row. */
#include "engine/preset/keys.h"

#include "engine/base/memory.h"
#include "engine/model/adapter.h"
#include "engine/sampling/schedule.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *sampler_choice(int index)
{
    const struct sampler *sampler = sampler_at(index);
    return sampler ? sampler->name : NULL;
}

static const char *target_choice(int index)
{
    return adapter_target_name(1u << index);
}

/* A row: what every key has, then in any order where it lies and what only some have. */
/* clang-format off */
#define ROW(path_, group_, kind_, fallback_, meaning_, ...)                                                            \
    {                                                                                                                  \
        .path = (path_), .group = (group_), .kind = (kind_), .fallback = (fallback_), .meaning = (meaning_),           \
        __VA_ARGS__                                                                                                    \
    }
/* clang-format on */
#define FIELD(name) .offset = offsetof(struct preset, name)
#define NO_FIELD .offset = 0
#define NO_FORM NULL
#define REQUIRED NULL
#define RANGE(least, most) .low = (least), .high = (most)
#define LIVE(name) .live = true, .live_offset = offsetof(struct live_settings, name)

static const struct preset_key keys[] = {
    ROW("schema", NO_FORM, KEY_SCHEMA, "1", "version of this format", NO_FIELD, RANGE(1, 1)),
    ROW("name", "Preset", KEY_NAME, REQUIRED, "what presets and runs are called by", FIELD(name)),
    ROW("notes", "Preset", KEY_TEXT, "\"\"", "what it is for, in a sentence", FIELD(notes), RANGE(0, 4000)),
    ROW("model", "Model", KEY_MODEL, "\"emoji\"",
        "the diffusion model to tune: a name that `models` lists, or a folder or file", FIELD(model)),
    ROW("prompts.train", NO_FORM, KEY_PROMPTS, "[]", "prompts to tune with", NO_FIELD),
    ROW("prompts.train_file", "Prompts", KEY_FILE, "null",
        "file of more prompts to tune with; without any prompt, the default model's list", NO_FIELD,
        .label = "training file"),
    ROW("prompts.eval", NO_FORM, KEY_PROMPTS, "[]", "held-out prompts, only looked at", NO_FIELD),
    ROW("prompts.eval_file", "Prompts", KEY_FILE, "null",
        "file of more held-out prompts; without any, one in eight of the training prompts is held out", NO_FIELD,
        .label = "held-out file"),
    ROW("prompts.negative", "Prompts", KEY_TEXT, "\"\"", "what pictures should not show; guidance leads away from it",
        FIELD(negative), RANGE(0, 4000)),
    ROW("rewards", NO_FORM, KEY_REWARDS, "[{\"name\": \"jpeg\"}]",
        "what to reward, each with a weight; higher is better", NO_FIELD),
    ROW("lora.rank", "LoRA", KEY_INTEGER, "4", "width of the adapter: more can change more", FIELD(rank),
        RANGE(1, 1024)),
    ROW("lora.alpha", "LoRA", KEY_NUMBER, "null",
        "the adapter's product is scaled by alpha / rank; by default alpha is the rank", FIELD(alpha),
        RANGE(0.0001, 100000), .logarithmic = true),
    ROW("lora.targets", "LoRA", KEY_TARGETS, "[\"attention\"]", "which layers carry an adapter", FIELD(targets),
        .choice = target_choice),
    ROW("sampler.name", "Sampler", KEY_SAMPLER, "\"ddim\"", "how noise becomes a picture", FIELD(sampler),
        .choice = sampler_choice),
    ROW("sampler.steps", "Sampler", KEY_INTEGER, "20", "denoising steps a picture", FIELD(sampler_steps),
        RANGE(1, 1000)),
    ROW("sampler.guidance", "Sampler", KEY_NUMBER, "5",
        "how strongly the prompt leads: 1 is without guidance, 0 without prompt", FIELD(guidance), RANGE(0, 100)),
    ROW("sampler.eta", "Sampler", KEY_NUMBER, "0", "fresh noise a step; 0 is deterministic", FIELD(eta), RANGE(0, 1)),
    ROW("sampler.width", "Sampler", KEY_SIZE, "null",
        "picture width in pixels; by default the model's own; most models need multiples of 8", FIELD(width),
        RANGE(8, 4096), .unit = "pixels"),
    ROW("sampler.height", "Sampler", KEY_SIZE, "null",
        "picture height in pixels; by default the model's own; most models need multiples of 8", FIELD(height),
        RANGE(8, 4096), .unit = "pixels"),
    ROW("backprop.method", "Backprop", KEY_CHOICE, "\"alignprop\"", "how far back the reward's gradient goes",
        FIELD(method), .choice = backprop_method_name),
    ROW("backprop.draw", "Backprop", KEY_CHOICE, "\"uniform\"",
        "alignprop: how the number K of steps to go back is drawn", FIELD(draw), .choice = truncation_draw_name),
    ROW("backprop.min", "Backprop", KEY_INTEGER, "1", "alignprop, uniform: smallest K", FIELD(draw_minimum),
        RANGE(1, 1000), .label = "least K", .unit = "steps"),
    ROW("backprop.max", "Backprop", KEY_INTEGER, "null", "alignprop, uniform: largest K; by default all steps",
        FIELD(draw_maximum), RANGE(1, 1000), .label = "most K", .unit = "steps"),
    ROW("backprop.mean", "Backprop", KEY_NUMBER, "9", "alignprop, gaussian: mean of K", FIELD(draw_mean),
        RANGE(1, 1000), .label = "mean of K", .unit = "steps"),
    ROW("backprop.sd", "Backprop", KEY_NUMBER, "5", "alignprop, gaussian: standard deviation of K",
        FIELD(draw_deviation), RANGE(0, 1000), .label = "spread of K", .unit = "steps"),
    ROW("backprop.k", "Backprop", KEY_INTEGER, "1", "last-k, low-variance: steps to go back", FIELD(k), RANGE(1, 1000),
        .label = "K", .unit = "steps"),
    ROW("backprop.n", "Backprop", KEY_INTEGER, "2", "low-variance: noises averaged over", FIELD(n), RANGE(1, 64),
        .label = "noises"),
    ROW("optimizer.lr", "Optimizer", KEY_NUMBER, "0.001", "learning rate of AdamW", FIELD(learning_rate), RANGE(0, 1),
        .label = "learning rate", .logarithmic = true, LIVE(learning_rate)),
    ROW("optimizer.beta1", "Optimizer", KEY_NUMBER, "0.9", "decay of AdamW's mean", FIELD(beta1), RANGE(0, 0.9999999)),
    ROW("optimizer.beta2", "Optimizer", KEY_NUMBER, "0.999", "decay of AdamW's variance", FIELD(beta2),
        RANGE(0, 0.9999999)),
    ROW("optimizer.eps", "Optimizer", KEY_NUMBER, "1e-8", "AdamW's guard against division by 0", FIELD(epsilon),
        RANGE(1e-30, 1), .label = "epsilon", .logarithmic = true),
    ROW("optimizer.weight_decay", "Optimizer", KEY_NUMBER, "0.0001", "pull of the adapter toward 0",
        FIELD(weight_decay), RANGE(0, 10), .label = "weight decay", .logarithmic = true),
    ROW("optimizer.clip", "Optimizer", KEY_NUMBER, "1", "largest norm of the gradient", FIELD(clip), RANGE(1e-9, 1e9),
        .label = "gradient clip", .logarithmic = true, LIVE(clip)),
    ROW("precision", "Model", KEY_CHOICE, "\"auto\"", "number format of the model on a GPU; a CPU computes in fp32",
        FIELD(precision), .choice = precision_name),
    ROW("memory.limit", "Model", KEY_BYTES, "null",
        "most memory to use, in bytes or as \"8 GiB\"; null is what is free", FIELD(memory_limit),
        .label = "memory limit"),
    ROW("memory.keep_steps", "Model", KEY_AUTO_INTEGER, "\"auto\"",
        "denoising steps whose activations are kept instead of recomputed", FIELD(keep_steps), RANGE(0, 1000),
        .label = "kept steps"),
    ROW("batch", "Batch", KEY_INTEGER, "4", "pictures at once", FIELD(batch), RANGE(1, 1024)),
    ROW("accumulate", "Batch", KEY_INTEGER, "1", "batches a step of the optimiser", FIELD(accumulate), RANGE(1, 1024)),
    ROW("steps", "Batch", KEY_INTEGER, "100", "steps of the optimiser", FIELD(steps), RANGE(1, 1000000)),
    ROW("seed", "Batch", KEY_SEED, "\"42\"", "all noise and all draws follow from it", FIELD(seed)),
    ROW("checkpoint.every", "Output", KEY_INTEGER, "10", "steps between checkpoints; 0: only at the end",
        FIELD(checkpoint_every), RANGE(0, 1000000), .label = "checkpoint every", .unit = "steps"),
    ROW("checkpoint.keep", "Output", KEY_INTEGER, "5", "checkpoints kept", FIELD(checkpoint_keep), RANGE(1, 100000),
        .label = "checkpoints kept"),
    ROW("sample.every", "Output", KEY_INTEGER, "5", "steps between pictures of the held-out prompts; 0: never",
        FIELD(sample_every), RANGE(0, 1000000), .label = "pictures every", .unit = "steps", LIVE(sample_every)),
    ROW("sample.count", "Output", KEY_INTEGER, "4", "pictures each time", FIELD(sample_count), RANGE(1, 256),
        .label = "pictures"),
};

enum { KEY_COUNT = sizeof keys / sizeof *keys };

/* What a reward's weight may be, in a preset's list of rewards and while a run goes on. */
static const struct preset_key weight_key =
    ROW("rewards.ID.weight", NO_FORM, KEY_NUMBER, "1", "what a reward counts in the total", NO_FIELD,
        RANGE(-1000, 1000), LIVE(weights));

/* Settings of runs that no preset has. */
static const struct preset_key keys_of_runs[] = {
    ROW(PREVIEW_RATE_KEY, NO_FORM, KEY_NUMBER, NULL, "denoising pictures a second", NO_FIELD,
        RANGE(0, PREVIEW_RATE_LIMIT), LIVE(preview_rate), .of_runs_only = true, .added_later = true),
};

enum { RUN_KEY_COUNT = sizeof keys_of_runs / sizeof *keys_of_runs };

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

const struct preset_key *preset_weight_key(void)
{
    return &weight_key;
}

const struct preset_key *preset_live_key(int index)
{
    for (int i = 0; i < KEY_COUNT; i++)
        if (keys[i].live && index-- == 0) return &keys[i];
    return index < RUN_KEY_COUNT ? &keys_of_runs[index] : NULL;
}

const char *preset_kind_name(enum preset_kind kind)
{
    switch (kind) {
    case KEY_NUMBER: return "number";
    case KEY_INTEGER: return "integer";
    case KEY_CHOICE:
    case KEY_SAMPLER: return "choice";
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

static status expected(const struct reading *reading, const char *wanted)
{
    return json_wrong_value(reading->origin, reading->key->path, wanted, reading->value);
}

static status out_of_range(const struct reading *reading, const char *kind)
{
    char wanted[120];
    snprintf(wanted, sizeof wanted, "%s from %.12g to %.12g", kind, reading->key->low, reading->key->high);
    return expected(reading, wanted);
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
    enum { MOST_CHOICES = 64 };
    const char *choices[MOST_CHOICES], *given = cJSON_IsString(value) ? value->valuestring : NULL;
    int count = 0;
    while (count < MOST_CHOICES && (choices[count] = reading->key->choice(count))) count++;
    for (int i = 0; given && i < count; i++) {
        if (strcmp(given, choices[i]) != 0) continue;
        *index = i;
        return status_ok();
    }
    char wanted[300];
    int used = snprintf(wanted, sizeof wanted, "one of");
    for (int i = 0; i < count; i++) {
        used += snprintf(wanted + used, sizeof wanted - (size_t)used, "%s \"%s\"", i ? "," : "", choices[i]);
    }
    const char *nearest = given ? text_nearest(given, choices, count) : NULL;
    if (nearest) snprintf(wanted + used, sizeof wanted - (size_t)used, " (did you mean \"%s\"?)", nearest);
    return json_wrong_value(reading->origin, reading->key->path, wanted, value);
}

static status read_choice(const struct reading *reading)
{
    int index;
    TRY(choice_index(reading, reading->value, &index));
    *(int *)reading->field = index;
    return status_ok();
}

static status read_sampler(const struct reading *reading)
{
    int index;
    TRY(choice_index(reading, reading->value, &index));
    *(const char **)reading->field = reading->key->choice(index);
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
    free(*(char **)reading->field);
    *(char **)reading->field = memory_copy_text(text);
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
    case KEY_SAMPLER: return read_sampler(&reading);
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
