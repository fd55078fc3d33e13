/* The one table of settings: each key's path, label, unit, group, kind, range, default, meaning, where it lies and
 * whether it may change while a run goes on. It gives presets their defaults and checks, and `presets show`, --set, the
 * studio's forms, changes during a run and checkpoints what they know of a key. A new key is a row, and a field in
 * struct preset; one that may change while a run goes on also a field in struct live_settings. */
#ifndef ALIGNPROP_PRESET_KEYS_H
#define ALIGNPROP_PRESET_KEYS_H

#include "engine/base/json.h"
#include "engine/preset/live_settings.h"

enum preset_kind {
    KEY_NUMBER,       /* -> double */
    KEY_INTEGER,      /* -> int */
    KEY_CHOICE,       /* -> an enum of choices.h, by its place */
    KEY_SAMPLER,      /* -> const char *, the name in the table of samplers */
    KEY_NAME,         /* -> char[128]: letters, digits and -_. */
    KEY_TEXT,         /* -> char * */
    KEY_MODEL,        /* -> char[4096] */
    KEY_SEED,         /* a text of digits -> uint64_t */
    KEY_PROMPTS,      /* list of texts; read in with the files afterwards */
    KEY_FILE,         /* path or null; read in afterwards */
    KEY_TARGETS,      /* list of choices -> unsigned bits */
    KEY_REWARDS,      /* list of objects */
    KEY_SIZE,         /* picture side; null: the model's own -> int, 0 */
    KEY_BYTES,        /* null, a number of bytes or a text such as "8 GiB" -> size_t, 0 */
    KEY_AUTO_INTEGER, /* "auto" or a number -> int, -1 */
    KEY_SCHEMA
};

struct preset_key {
    const char *path;  /* dotted */
    const char *label; /* in a form; NULL: the path's last part */
    const char *unit;  /* NULL: none */
    const char *group; /* of a form; NULL: in no form */
    bool logarithmic;  /* how a slider goes from low to high */
    enum preset_kind kind;
    double low, high;                 /* numbers: both allowed */
    const char *fallback;             /* JSON text of the default; "null": follows from other keys, as `meaning` says */
    const char *(*choice)(int index); /* the names it chooses from, NULL past the last; NULL where there are none */
    size_t offset;                    /* of the field in struct preset */
    bool live;                        /* may change while a run goes on */
    size_t live_offset;               /* of the field in struct live_settings, where it may */
    bool of_runs_only;                /* no preset has it */
    bool added_later;                 /* checkpoints of earlier programs do without it */
    const char *meaning;              /* one line for people */
};

/* The keys of presets, in the order of their files. */
const struct preset_key *preset_keys(int *count);
/* NULL if there is none. */
const struct preset_key *preset_key_find(const char *path);
/* "number", "integer", "choice" and so on, for the catalogue. */
const char *preset_kind_name(enum preset_kind kind);

/* The nearest known key to a wrong one, by its whole path or by its last part; NULL if none is near. */
const char *preset_key_nearest(const char *path);

/* Checks `value` (not NULL) against the row and stores it in the preset's field where the row has a simple one. */
status preset_key_read(const struct preset_key *key, const char *origin, const cJSON *value, struct preset *preset);

/* The row of "rewards.ID.weight", ID being a reward's. */
const struct preset_key *preset_weight_key(void);
/* Row number `index`, from 0, of what else may change while a run goes on; NULL past the last. */
const struct preset_key *preset_live_key(int index);

/* Denoising pictures a second: a run makes as many as the limit, a watcher is sent the default unless it asks. */
#define PREVIEW_RATE_KEY "preview.rate"
#define PREVIEW_RATE_DEFAULT 20
#define PREVIEW_RATE_LIMIT 30

#endif
