/* Commands and their options: one table (commands.c) gives parsing, --help, the man page and the shell completions. */
#ifndef ALIGNPROP_CLI_COMMAND_H
#define ALIGNPROP_CLI_COMMAND_H

#include "engine/base/text.h"
#include "engine/cli/output.h"
#include "kernels/status.h"

#include <stddef.h>
#include <stdint.h>

/* What a shell may complete a value with. */
enum completion {
    COMPLETE_NOTHING,
    COMPLETE_FILE,
    COMPLETE_FOLDER,
    COMPLETE_PRESET,
    COMPLETE_RUN,
    COMPLETE_DEVICE,
    COMPLETE_SAMPLER
};

struct option {
    const char *name;  /* without dashes */
    char letter;       /* short form, or 0 */
    const char *value; /* what the value is called in the help; NULL: a flag */
    const char *help;
    enum completion completion;
    const char *choices; /* "auto kitty sixel", or NULL */
};

struct invocation;

enum option_group { GROUP_JSON = 1, GROUP_DEVICE = 2, GROUP_SET = 4, GROUP_MODELS = 8, GROUP_HIDDEN = 16 };

struct command {
    const char *name;
    const char *arguments; /* "PRESET", "IMAGE...", "" */
    const char *summary;   /* one line */
    const char *details;   /* further lines of the help; NULL: none */
    int minimum, maximum;  /* of positional arguments; maximum -1: any number */
    enum completion argument;
    unsigned groups; /* option_group bits: options shared with other commands, --help and --quiet are everybody's */
    const struct option *options; /* ends with a NULL name; NULL: none of its own */
    status (*run)(const struct invocation *invocation);
};

/* The table; ends with a NULL name. */
extern const struct command commands[];
const struct command *command_find(const char *name);

/* The options of a command: its own, then those of its groups. Returns the number; `options` has OPTION_LIMIT places.
 */
enum { OPTION_LIMIT = 32 };
int command_options(const struct command *command, const struct option *options[OPTION_LIMIT]);

struct given_option {
    const struct option *option;
    const char *value;
};

struct invocation {
    const struct command *command;
    const char *program; /* path of this binary */
    struct given_option *given;
    int given_count;
    const char **arguments;
    int argument_count;
    bool json, quiet;
};

/* Reads the words after the command's name. STATUS_USAGE names what is wrong and the nearest option. */
status invocation_parse(const struct command *command, int count, char **message, struct invocation *invocation);
void invocation_clear(struct invocation *invocation);

bool option_given(const struct invocation *invocation, const char *name);
/* The last value given; NULL if none. */
const char *option_value(const struct invocation *invocation, const char *name);
/* All values given, `*count` of them, in order. The caller frees the list. */
const char **option_values(const struct invocation *invocation, const char *name, int *count);
/* A whole number; `fallback` when not given. STATUS_USAGE names range and what was found. */
status option_int(const struct invocation *invocation, const char *name, int low, int high, int fallback, int *value);
status option_number(const struct invocation *invocation, const char *name, double low, double high, double fallback,
                     double *value);
status option_seed(const struct invocation *invocation, const char *name, uint64_t fallback, uint64_t *value);

/* What the option's value is one of, separated by blanks; nothing where it may be anything. */
void option_list_choices(const struct option *option, struct text *message);

/* ---- help.c ---- */

void print_overview(void);
void print_command_help(const struct command *command);

/* ---- words on stderr, unless --quiet ---- */

void say(const struct invocation *invocation, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* One line of JSON on stdout. */
struct cJSON;
void print_json(const struct cJSON *value);

/* The commands themselves, one a file. */
status command_tune(const struct invocation *invocation);
status command_resume(const struct invocation *invocation);
status command_runs(const struct invocation *invocation);
status command_stop(const struct invocation *invocation);
status command_pause(const struct invocation *invocation);
status command_continue(const struct invocation *invocation);
status command_attach(const struct invocation *invocation);
status command_sample(const struct invocation *invocation);
status command_score(const struct invocation *invocation);
status command_show(const struct invocation *invocation);
status command_export(const struct invocation *invocation);
status command_models(const struct invocation *invocation);
status command_presets(const struct invocation *invocation);
status command_plan(const struct invocation *invocation);
status command_gradcheck(const struct invocation *invocation);
status command_bench(const struct invocation *invocation);
status command_doctor(const struct invocation *invocation);
status command_engine(const struct invocation *invocation);
status command_generate(const struct invocation *invocation);
status command_studio(const struct invocation *invocation); /* also without a command */

#endif
