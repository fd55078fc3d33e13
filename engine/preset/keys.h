/* The one table of preset keys: path, kind, default, range, meaning. It gives defaults, checks, `presets show`, --set
 * and the studio's catalogue; a new key is a new row. */
#ifndef ALIGNPROP_PRESET_KEYS_H
#define ALIGNPROP_PRESET_KEYS_H

#include "engine/base/json.h"
#include "engine/preset/preset.h"

enum preset_kind {
    KEY_NUMBER,       /* -> double */
    KEY_INTEGER,      /* -> int */
    KEY_CHOICE,       /* -> an enum, by its place in `choices` */
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
    const char *path; /* dotted */
    enum preset_kind kind;
    double low, high;           /* numbers: both allowed */
    const char *fallback;       /* JSON text of the default; "null": follows from other keys, as `meaning` says */
    const char *const *choices; /* NULL-terminated; NULL where there are none */
    bool live;                  /* may change while a run goes on */
    size_t offset;              /* of the field in struct preset */
    const char *meaning;        /* one line for people */
};

const struct preset_key *preset_keys(int *count);
/* NULL if there is none. */
const struct preset_key *preset_key_find(const char *path);
/* "number", "integer", "choice" and so on, for the catalogue. */
const char *preset_kind_name(enum preset_kind kind);

/* The nearest known key to a wrong one, by its whole path or by its last part; NULL if none is near. */
const char *preset_key_nearest(const char *path);

/* Checks `value` (not NULL) against the row and stores it in the preset's field where the row has a simple one. */
status preset_key_read(const struct preset_key *key, const char *origin, const cJSON *value, struct preset *preset);

/* The table as JSON: [{"path","kind","default","low","high","choices","live","meaning"}]. The caller frees it. */
cJSON *preset_catalogue(void);

/* Range of a reward's weight. */
#define REWARD_WEIGHT_LIMIT 1000.0

/* The one range of a number that may change while a run goes on, both ends allowed: of a live key of the table, of
 * "rewards.ID.weight", or of "preview.rate" (denoising pictures a second that a run shows, which no preset has). */
struct key_range {
    double low, high;
    bool whole;
};
/* An empty range (low > high) for other keys. */
struct key_range preset_live_range(const char *key);

#endif
