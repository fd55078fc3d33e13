/* A preset in memory: schema 1 of the contract, checked and with every default filled in. */
#ifndef ALIGNPROP_PRESET_PRESET_H
#define ALIGNPROP_PRESET_PRESET_H

#include "engine/base/picture_size.h"
#include "engine/preset/choices.h"
#include "kernels/status.h"

#include <stddef.h>
#include <stdint.h>

struct cJSON;

struct prompt_list {
    char **texts; /* UTF-8, count of them */
    int count;
};

struct reward_setting {
    char name[64]; /* of the reward */
    char id[64];   /* key in metrics */
    double weight;
    struct cJSON *params; /* object, owned; never NULL */
};

enum { MAXIMUM_REWARDS = 16 };

/* The most bytes of a run's own preset: all that a preset's file and its prompt files may hold, each character escaped.
 */
#define RESOLVED_PRESET_LIMIT ((size_t)256 << 20)

struct preset {
    char name[128];
    char origin[4096]; /* names it in messages: its file, or words */
    char folder[4096]; /* absolute: what the paths in it are relative to; "": the current folder */
    char *notes;
    char model[4096];                 /* name or path; absolute once the paths are resolved */
    char model_path[4096];            /* resolved; empty until preset_resolve_model */
    const char *const *model_folders; /* where reward models are looked for by name, NULL-terminated; borrowed; NULL:
                                         only in the model's own folder */
    struct prompt_list train, evaluation;
    char *negative;
    struct reward_setting *rewards;
    int reward_count;
    int rank;
    double alpha;
    unsigned targets;                 /* adapter_target bits of engine/model/adapter.h */
    const char *sampler;              /* its name in the table of samplers */
    int sampler_steps, width, height; /* width, height 0: the model's own size, until preset_fill_size */
    double guidance, eta;
    enum backprop_method method;
    enum truncation_draw draw;
    int draw_minimum, draw_maximum;   /* K, alignprop uniform */
    double draw_mean, draw_deviation; /* K, alignprop gaussian */
    int k, n;                         /* last-k, low-variance */
    double learning_rate, beta1, beta2, epsilon, weight_decay, clip;
    enum precision_choice precision;
    size_t memory_limit; /* bytes; 0: none */
    int keep_steps;      /* -1: auto */
    int batch, accumulate, steps;
    uint64_t seed;
    int checkpoint_every, checkpoint_keep;
    int sample_every, sample_count;
    struct cJSON *written;  /* the object as written, with --set applied and defaults filled in */
    struct cJSON *sources;  /* object: dotted key -> where its value is from: "default", "preset", "--set" */
    struct cJSON *resolved; /* `written` with prompt files read in: what preset.json holds; loading it again
                               needs no other file */
};

/* What is odd but no error: unknown keys and the like, one line each. */
struct preset_warnings {
    char **lines;
    int count;
};
void preset_warnings_clear(struct preset_warnings *warnings);

/* Reads a preset by name (own presets, then the program's) or file. `settings` are `setting_count` texts "KEY=VALUE" of
 * the command line, KEY a dotted path, rewards by id ("rewards.jpeg.weight=0.3"). `warnings` may be NULL.
 * STATUS_BAD_INPUT names file, key, range and what was found; a wrong KEY is STATUS_USAGE naming the nearest. */
status preset_load(const char *name_or_path, const char *const *settings, int setting_count, struct preset *preset,
                   struct preset_warnings *warnings);

/* As preset_load for a tree in memory. `origin` names it in messages; the paths in it are relative to `folder` (NULL:
 * the current one). */
status preset_from_json(const struct cJSON *value, const char *origin, const char *folder, const char *const *settings,
                        int setting_count, struct preset *preset, struct preset_warnings *warnings);

/* Frees what the preset owns; harmless on a zeroed one. */
void preset_clear(struct preset *preset);

/* Gives a preset that leaves width or height open (0) the size the model was trained for, also in `resolved`. */
status preset_fill_size(struct preset *preset, struct picture_size size);

/* The value a dotted key has at present in `written`; NULL if there is none. Rewards by id. */
const struct cJSON *preset_value(const struct preset *preset, const char *key);

/* What the path `value` of a key means, absolute: relative to the preset's file, or, given on the command
 * line, to the current folder. False where nothing is there. */
bool preset_find_path(const struct preset *preset, const char *key, const char *value, char found[4096]);
/* The same with the two folders exchanged, for values that the right one does not have. Of one from the preset's file
 * `warnings` (may be NULL) says so. */
bool preset_find_path_elsewhere(const struct preset *preset, const char *key, const char *value, char found[4096],
                                struct preset_warnings *warnings);

/* Writes a preset object to `path` whole or not at all. */
status preset_save(const struct cJSON *value, const char *path);

#endif
