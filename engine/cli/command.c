/* Parses a command line by the table of commands, and gives the options' values with their ranges checked. */
#include "engine/cli/command.h"

#include "engine/base/json.h"
#include "engine/base/memory.h"
#include "engine/sampling/schedule.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct option common[] = {
    {"help", 'h', NULL, "print this help", COMPLETE_NOTHING, NULL},
    {"quiet", 'q', NULL, "no words and no progress on stderr", COMPLETE_NOTHING, NULL},
};
static const struct option json_options[] = {
    {"json", 0, NULL, "results as JSON on stdout", COMPLETE_NOTHING, NULL},
};
static const struct option device_options[] = {
    {"device", 0, "DEVICE", "auto, cpu, cuda or cuda:N", COMPLETE_DEVICE, NULL},
    {"threads", 0, "N", "threads of the CPU engine; 0 takes all cores", COMPLETE_NOTHING, NULL},
};
static const struct option set_options[] = {
    {"set", 0, "KEY=VALUE", "change a preset's key, such as sampler.steps=30 or rewards.jpeg.weight=0.5 (repeatable)",
     COMPLETE_NOTHING, NULL},
};
static const struct option model_options[] = {
    {"model-path", 0, "DIR", "a folder with more models (repeatable)", COMPLETE_FOLDER, NULL},
};

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

static int add(const struct option *options[OPTION_LIMIT], int count, const struct option *from, int from_count)
{
    for (int i = 0; i < from_count && count < OPTION_LIMIT; i++) options[count++] = &from[i];
    return count;
}

int command_options(const struct command *command, const struct option *options[OPTION_LIMIT])
{
    int own = 0;
    while (command->options && command->options[own].name) own++;
    int count = add(options, 0, command->options, own);
    if (command->groups & GROUP_SET) count = add(options, count, set_options, COUNT(set_options));
    if (command->groups & GROUP_DEVICE) count = add(options, count, device_options, COUNT(device_options));
    if (command->groups & GROUP_MODELS) count = add(options, count, model_options, COUNT(model_options));
    if (command->groups & GROUP_JSON) count = add(options, count, json_options, COUNT(json_options));
    return add(options, count, common, COUNT(common));
}

const struct command *command_find(const char *name)
{
    for (const struct command *command = commands; command->name; command++) {
        if (strcmp(command->name, name) == 0) return command;
    }
    return NULL;
}

/* ---- parsing ---- */

static const struct option *find_long(const struct command *command, const char *name, size_t length)
{
    const struct option *options[OPTION_LIMIT];
    int count = command_options(command, options);
    for (int i = 0; i < count; i++) {
        if (strlen(options[i]->name) == length && strncmp(options[i]->name, name, length) == 0) return options[i];
    }
    return NULL;
}

static const struct option *find_letter(const struct command *command, char letter)
{
    const struct option *options[OPTION_LIMIT];
    int count = command_options(command, options);
    for (int i = 0; i < count; i++) {
        if (options[i]->letter == letter) return options[i];
    }
    return NULL;
}

static status unknown_option(const struct command *command, const char *word)
{
    const struct option *options[OPTION_LIMIT];
    const char *names[OPTION_LIMIT];
    int count = command_options(command, options);
    for (int i = 0; i < count; i++) names[i] = options[i]->name;
    char name[80];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(word + strspn(word, "-"), "="), word + strspn(word, "-"));
    const char *nearest = text_nearest(name, names, count);
    if (nearest) return status_error(STATUS_USAGE, "%.80s: unknown option; did you mean --%s?", word, nearest);
    return status_error(STATUS_USAGE, "%.80s: unknown option; `alignprop %s --help` lists them", word, command->name);
}

static void note(struct invocation *invocation, const struct option *option, const char *value)
{
    invocation->given[invocation->given_count++] = (struct given_option){option, value};
}

/* One word that begins with a dash; `*index` moves over the value it takes. */
static status parse_option(struct invocation *invocation, int count, char **message, int *index)
{
    const char *word = message[*index];
    bool is_long = word[1] == '-';
    size_t length = is_long ? strcspn(word + 2, "=") : 1;
    const struct option *option =
        is_long ? find_long(invocation->command, word + 2, length) : find_letter(invocation->command, word[1]);
    if (!option) return unknown_option(invocation->command, word);
    const char *attached = is_long ? (word[2 + length] == '=' ? word + 3 + length : NULL) : (word[2] ? word + 2 : NULL);
    if (!option->value) {
        if (attached) return status_error(STATUS_USAGE, "--%s takes no value", option->name);
        note(invocation, option, "");
        return status_ok();
    }
    if (!attached) {
        if (*index + 1 >= count)
            return status_error(STATUS_USAGE, "--%s: expected %s after it", option->name, option->value);
        attached = message[++*index];
    }
    note(invocation, option, attached);
    return status_ok();
}

static status parse_arguments(struct invocation *invocation, int count, char **message)
{
    bool options_end = false;
    for (int i = 0; i < count; i++) {
        if (!options_end && strcmp(message[i], "--") == 0) {
            options_end = true;
        } else if (!options_end && message[i][0] == '-' && message[i][1]) {
            TRY(parse_option(invocation, count, message, &i));
        } else {
            invocation->arguments[invocation->argument_count++] = message[i];
        }
    }
    return status_ok();
}

static status check_arguments(const struct invocation *invocation)
{
    const struct command *command = invocation->command;
    if (option_given(invocation, "help")) return status_ok();
    int count = invocation->argument_count;
    if (count < command->minimum) {
        return status_error(STATUS_USAGE, "alignprop %s: expected %s", command->name, command->arguments);
    }
    if (command->maximum >= 0 && count > command->maximum) {
        return status_error(STATUS_USAGE, "alignprop %s: \"%.80s\" is one argument too many%s%s", command->name,
                            invocation->arguments[command->maximum], *command->arguments ? "; expected " : "",
                            command->arguments);
    }
    return status_ok();
}

status invocation_parse(const struct command *command, int count, char **message, struct invocation *invocation)
{
    const char *program = invocation->program;
    *invocation = (struct invocation){.command = command, .program = program};
    invocation->given = memory_take((size_t)count + 1, sizeof *invocation->given);
    invocation->arguments = memory_take((size_t)count + 1, sizeof *invocation->arguments);
    TRY(parse_arguments(invocation, count, message));
    invocation->json = option_given(invocation, "json");
    invocation->quiet = option_given(invocation, "quiet");
    return check_arguments(invocation);
}

void invocation_clear(struct invocation *invocation)
{
    free(invocation->given);
    free(invocation->arguments);
    *invocation = (struct invocation){0};
}

/* ---- values ---- */

const char *option_value(const struct invocation *invocation, const char *name)
{
    for (int i = invocation->given_count - 1; i >= 0; i--) {
        if (strcmp(invocation->given[i].option->name, name) == 0) return invocation->given[i].value;
    }
    return NULL;
}

bool option_given(const struct invocation *invocation, const char *name)
{
    return option_value(invocation, name) != NULL;
}

const char **option_values(const struct invocation *invocation, const char *name, int *count)
{
    const char **values = memory_take((size_t)invocation->given_count, sizeof *values);
    *count = 0;
    for (int i = 0; i < invocation->given_count; i++) {
        if (strcmp(invocation->given[i].option->name, name) == 0) values[(*count)++] = invocation->given[i].value;
    }
    return values;
}

status option_int(const struct invocation *invocation, const char *name, int low, int high, int fallback, int *value)
{
    *value = fallback;
    const char *given = option_value(invocation, name);
    int64_t parsed;
    if (!given) return status_ok();
    if (!text_to_int64(given, &parsed) || parsed < low || parsed > high) {
        return status_error(STATUS_USAGE, "--%s: expected a whole number from %d to %d, found \"%.80s\"", name, low,
                            high, given);
    }
    *value = (int)parsed;
    return status_ok();
}

status option_number(const struct invocation *invocation, const char *name, double low, double high, double fallback,
                     double *value)
{
    *value = fallback;
    const char *given = option_value(invocation, name);
    double parsed;
    if (!given) return status_ok();
    if (!text_to_double(given, &parsed) || parsed < low || parsed > high) {
        return status_error(STATUS_USAGE, "--%s: expected a number from %g to %g, found \"%.80s\"", name, low, high,
                            given);
    }
    *value = parsed;
    return status_ok();
}

status option_seed(const struct invocation *invocation, const char *name, uint64_t fallback, uint64_t *value)
{
    *value = fallback;
    const char *given = option_value(invocation, name);
    if (!given || text_to_uint64(given, value)) return status_ok();
    return status_error(STATUS_USAGE, "--%s: expected a number from 0 to 18446744073709551615, found \"%.80s\"", name,
                        given);
}

void say(const struct invocation *invocation, const char *format, ...)
{
    if (invocation->quiet) return;
    va_list arguments;
    va_start(arguments, format);
    tell_list(format, arguments);
    va_end(arguments);
}

void print_json(const struct cJSON *value)
{
    char *text = json_print(value, false);
    puts(text);
    free(text);
    fflush(stdout);
}

void option_list_choices(const struct option *option, struct text *message)
{
    if (option->choices) text_append(message, "%s", option->choices);
    if (option->completion == COMPLETE_SAMPLER) sampler_list(message, " ", " ");
}
