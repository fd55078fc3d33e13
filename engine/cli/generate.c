/* The man page and the shells' completions, from the table of commands. */
#include "engine/base/version.h"
#include "engine/cli/command.h"

#include <stdio.h>
#include <string.h>

/* ---- man page ---- */

/* roff reads '-' as a hyphen and a leading '.' as a request. */
static void print_roff(const char *text)
{
    for (const char *p = text; *p; p++) {
        if (*p == '-') {
            fputs("\\-", stdout);
        } else if (*p == '\\') {
            fputs("\\e", stdout);
        } else if ((*p == '.' || *p == '\'') && (p == text || p[-1] == '\n')) {
            printf("\\&%c", *p);
        } else {
            putchar(*p);
        }
    }
}

static void print_man_option(const struct option *option)
{
    puts(".TP");
    fputs(".B ", stdout);
    if (option->letter) printf("\\-%c, ", option->letter);
    fputs("\\-\\-", stdout);
    print_roff(option->name);
    if (option->value) {
        fputs(" \\fI", stdout);
        print_roff(option->value);
        fputs("\\fR", stdout);
    }
    putchar('\n');
    print_roff(option->help);
    struct text choices = {0};
    option_list_choices(option, &choices);
    if (choices.data) printf(" (%s)", choices.data);
    text_clear(&choices);
    putchar('\n');
}

static void print_man_command(const struct command *command)
{
    printf(".SS ");
    print_roff(command->name);
    putchar(' ');
    print_roff(command->arguments);
    putchar('\n');
    print_roff(command->summary);
    puts(".");
    if (command->details) {
        print_roff(command->details);
        putchar('\n');
    }
    const struct option *options[OPTION_LIMIT];
    int count = command_options(command, options);
    for (int i = 0; i < count; i++) print_man_option(options[i]);
}

static void print_man(void)
{
    puts(".TH ALIGNPROP 1 \"\" \"AlignProp Studio " ALIGNPROP_VERSION "\"");
    puts(".SH NAME\nalignprop \\- tune text\\-to\\-image models toward rewards");
    puts(".SH SYNOPSIS\n.B alignprop\n.RI [ OPTIONS ]\n.br\n.B alignprop\n.I COMMAND\n.RI [ OPTIONS ]");
    puts(".SH DESCRIPTION");
    puts("Tunes diffusion models by backpropagating the gradient of rewards through the denoising chain into LoRA\n"
         "adapters. Without a command the studio opens.");
    puts(".SH COMMANDS");
    for (const struct command *command = commands; command->name; command++) {
        if (!(command->groups & GROUP_HIDDEN)) print_man_command(command);
    }
    puts(".SH EXIT STATUS");
    puts("0 done, 1 failed, 2 wrong usage, 3 bad input, 4 does not fit in memory, 130 interrupted after saving.");
    puts(".SH FILES");
    puts("Own presets: $XDG_CONFIG_HOME/alignprop/presets. Models: $XDG_DATA_HOME/alignprop/models. Runs:\n"
         "$XDG_DATA_HOME/alignprop/runs. The Hugging Face cache is read, never written.");
}

/* ---- completions ---- */

static bool is_shown(const struct command *command)
{
    return !(command->groups & GROUP_HIDDEN);
}

static void print_command_names(void)
{
    for (const struct command *command = commands; command->name; command++) {
        if (is_shown(command)) printf("%s%s", command == commands ? "" : " ", command->name);
    }
}

static void print_bash_values(const char *pattern, enum completion completion, const char *choices)
{
    if (choices) {
        printf("        %s) COMPREPLY=($(compgen -W \"%s\" -- \"$cur\")); return;;\n", pattern, choices);
        return;
    }
    switch (completion) {
    case COMPLETE_PRESET:
        printf("        %s) COMPREPLY=($(compgen -W \"$(alignprop presets list --quiet 2>/dev/null | cut -f1)\" -f -- "
               "\"$cur\")); return;;\n",
               pattern);
        break;
    case COMPLETE_RUN:
        printf(
            "        %s) COMPREPLY=($(compgen -W \"$(alignprop runs --quiet 2>/dev/null | cut -f1)\" -f -- \"$cur\")); "
            "return;;\n",
            pattern);
        break;
    case COMPLETE_DEVICE:
        printf("        %s) COMPREPLY=($(compgen -W \"auto cpu cuda\" -- \"$cur\")); return;;\n", pattern);
        break;
    case COMPLETE_FOLDER: printf("        %s) COMPREPLY=($(compgen -d -- \"$cur\")); return;;\n", pattern); break;
    case COMPLETE_FILE: printf("        %s) COMPREPLY=($(compgen -f -- \"$cur\")); return;;\n", pattern); break;
    case COMPLETE_SAMPLER:
    case COMPLETE_NOTHING: break;
    }
}

static void print_bash_command(const struct command *command)
{
    const struct option *options[OPTION_LIMIT];
    int count = command_options(command, options);
    printf("    %s)\n        case \"$prev\" in\n", command->name);
    for (int i = 0; i < count; i++) {
        char pattern[80];
        snprintf(pattern, sizeof pattern, "--%s", options[i]->name);
        struct text choices = {0};
        option_list_choices(options[i], &choices);
        if (options[i]->value) print_bash_values(pattern, options[i]->completion, choices.data);
        text_clear(&choices);
    }
    printf("        esac\n        case \"$cur\" in\n        -*) COMPREPLY=($(compgen -W \"");
    for (int i = 0; i < count; i++) printf("%s--%s", i ? " " : "", options[i]->name);
    printf("\" -- \"$cur\")); return;;\n");
    print_bash_values("*", command->argument, NULL);
    printf("        esac;;\n");
}

static void print_bash(void)
{
    puts("# bash completion for alignprop\n_alignprop() {");
    puts("    local cur=\"${COMP_WORDS[COMP_CWORD]}\" prev=\"${COMP_WORDS[COMP_CWORD-1]}\"");
    puts("    COMPREPLY=()\n    if [ \"$COMP_CWORD\" -eq 1 ]; then");
    fputs("        COMPREPLY=($(compgen -W \"", stdout);
    print_command_names();
    puts(" --help --version\" -- \"$cur\"))\n        return\n    fi\n    case \"${COMP_WORDS[1]}\" in");
    for (const struct command *command = commands; command->name; command++) {
        if (is_shown(command)) print_bash_command(command);
    }
    puts("    esac\n}\ncomplete -F _alignprop alignprop");
}

/* Within single quotes, for zsh specifications and fish. */
static void print_quoted(const char *text, bool zsh)
{
    for (const char *p = text; *p; p++) {
        if (*p == '\'') {
            fputs("'\\''", stdout);
        } else if (zsh && (*p == ':' || *p == '[' || *p == ']')) {
            printf("\\%c", *p);
        } else {
            putchar(*p == '\n' ? ' ' : *p);
        }
    }
}

static const char *zsh_action(enum completion completion)
{
    switch (completion) {
    case COMPLETE_PRESET: return "{_alignprop_presets}";
    case COMPLETE_RUN: return "{_alignprop_runs}";
    case COMPLETE_DEVICE: return "(auto cpu cuda)";
    case COMPLETE_FOLDER: return "_files -/";
    case COMPLETE_FILE: return "_files";
    case COMPLETE_SAMPLER:
    case COMPLETE_NOTHING: return " ";
    }
    return " ";
}

static void print_zsh_option(const struct option *option)
{
    printf(" \\\n            '*--%s[", option->name);
    print_quoted(option->help, true);
    printf("]");
    if (option->value) {
        fputs(":", stdout);
        print_quoted(option->value, true);
        struct text choices = {0};
        option_list_choices(option, &choices);
        if (choices.data) {
            printf(":(%s)", choices.data);
        } else {
            printf(":%s", zsh_action(option->completion));
        }
        text_clear(&choices);
    }
    fputs("'", stdout);
}

static void print_zsh(void)
{
    puts("#compdef alignprop");
    puts("_alignprop_presets() { compadd -- ${(f)\"$(alignprop presets list --quiet 2>/dev/null | cut -f1)\"}; _files "
         "}");
    puts("_alignprop_runs() { compadd -- ${(f)\"$(alignprop runs --quiet 2>/dev/null | cut -f1)\"}; _files }");
    puts("_alignprop() {\n    local -a names\n    names=(");
    for (const struct command *command = commands; command->name; command++) {
        if (!is_shown(command)) continue;
        printf("        '%s:", command->name);
        print_quoted(command->summary, true);
        puts("'");
    }
    puts("    )\n    if (( CURRENT == 2 )); then _describe command names; return; fi\n    case $words[2] in");
    for (const struct command *command = commands; command->name; command++) {
        if (!is_shown(command)) continue;
        const struct option *options[OPTION_LIMIT];
        int count = command_options(command, options);
        printf("    %s) shift words; (( CURRENT-- )); _arguments", command->name);
        for (int i = 0; i < count; i++) print_zsh_option(options[i]);
        if (command->argument != COMPLETE_NOTHING)
            printf(" \\\n            '*:argument:%s'", zsh_action(command->argument));
        puts(";;");
    }
    puts("    esac\n}\n_alignprop \"$@\"");
}

static const char *fish_values(enum completion completion)
{
    switch (completion) {
    case COMPLETE_PRESET: return "(alignprop presets list --quiet 2>/dev/null | cut -f1)";
    case COMPLETE_RUN: return "(alignprop runs --quiet 2>/dev/null | cut -f1)";
    case COMPLETE_DEVICE: return "auto cpu cuda";
    default: return NULL;
    }
}

static void print_fish_option(const struct command *command, const struct option *option)
{
    printf("complete -c alignprop -n '__fish_seen_subcommand_from %s' -l %s", command->name, option->name);
    if (option->letter) printf(" -s %c", option->letter);
    struct text choices = {0};
    option_list_choices(option, &choices);
    const char *values = choices.data ? choices.data : fish_values(option->completion);
    if (option->value)
        fputs(option->completion == COMPLETE_FILE || option->completion == COMPLETE_FOLDER ? " -r" : " -x", stdout);
    if (option->value && values) printf(" -a '%s'", values);
    text_clear(&choices);
    fputs(" -d '", stdout);
    print_quoted(option->help, false);
    puts("'");
}

static void print_fish(void)
{
    puts("# fish completion for alignprop\ncomplete -c alignprop -n __fish_use_subcommand -f");
    for (const struct command *command = commands; command->name; command++) {
        if (!is_shown(command)) continue;
        printf("complete -c alignprop -n __fish_use_subcommand -a %s -d '", command->name);
        print_quoted(command->summary, false);
        puts("'");
        const char *values = fish_values(command->argument);
        if (values)
            printf("complete -c alignprop -n '__fish_seen_subcommand_from %s' -a '%s'\n", command->name, values);
        const struct option *options[OPTION_LIMIT];
        int count = command_options(command, options);
        for (int i = 0; i < count; i++) print_fish_option(command, options[i]);
    }
}

status command_generate(const struct invocation *invocation)
{
    static const struct {
        const char *name;
        void (*print)(void);
    } kinds[] = {{"man", print_man}, {"bash", print_bash}, {"zsh", print_zsh}, {"fish", print_fish}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(invocation->arguments[0], kinds[i].name) != 0) continue;
        kinds[i].print();
        return status_ok();
    }
    return status_error(STATUS_USAGE, "generate: expected man, bash, zsh or fish, found \"%.40s\"",
                        invocation->arguments[0]);
}
