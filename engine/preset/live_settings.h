/* Settings that may change while a run goes on: one struct, reached by key.
 *
 * Which there are, where each lies and what it may be is said by the rows of keys.c; weights of rewards are
 * "rewards.ID.weight", ID being that of one of the preset's rewards. Session, tuner, checkpoint and server go over them
 * with live_setting_at and know none by name but those they work with. */
#ifndef ALIGNPROP_PRESET_LIVE_SETTINGS_H
#define ALIGNPROP_PRESET_LIVE_SETTINGS_H

#include "engine/base/json.h"
#include "engine/preset/preset.h"

struct live_settings {
    double weights[MAXIMUM_REWARDS]; /* in the preset's order */
    double learning_rate, clip;
    int sample_every;    /* steps; 0: never */
    double preview_rate; /* denoising pictures a second that the run makes; each watcher may take fewer */
};

struct preset_key;

struct live_setting {
    const struct preset_key *row; /* range, kind */
    char key[80];                 /* "rewards.ID.weight", "optimizer.lr" */
    const char *reward;           /* the ID of the preset's reward whose weight it is; NULL: no weight */
    size_t offset;                /* in struct live_settings */
};

/* Setting number `index` of a run of the preset, from 0: the weights, then the rows of keys.c. False past the last. */
bool live_setting_at(const struct preset *preset, int index, struct live_setting *setting);
bool live_setting_find(const struct preset *preset, const char *key, struct live_setting *setting);

double live_setting_get(const struct live_setting *setting, const struct live_settings *settings);
/* `value` was checked. */
void live_setting_set(const struct live_setting *setting, struct live_settings *settings, double value);

/* What a run of the preset begins with. */
struct live_settings live_settings_of(const struct preset *preset);
bool live_settings_equal(const struct preset *preset, const struct live_settings *a, const struct live_settings *b);

/* Whether `key` may be set to `value` while the preset's run goes on. STATUS_BAD_INPUT for a key that is unknown or
 * fixed while a run goes on, and for a value out of its range. */
status live_settings_check(const struct preset *preset, const char *key, double value);

/* As a checkpoint's state.json holds them: {"weights": {"ID": 1}, "optimizer.lr": 0.001, ...}. Reading fills all of
 * `settings`; STATUS_BAD_INPUT names the key. */
void live_settings_write(const struct preset *preset, const struct live_settings *settings, cJSON *group);
status live_settings_read(const struct preset *preset, const struct json_object *group, struct live_settings *settings);

#endif
