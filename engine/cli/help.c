/* --help of the program and of each command, from the table of commands. */
#include "engine/base/version.h"
#include "engine/cli/command.h"

#include <stdio.h>
#include <string.h>

void print_overview(void)
{
    puts("AlignProp Studio: tunes text-to-image models toward rewards.\n");
    puts("Usage: alignprop [OPTIONS]            open the studio (`alignprop studio --help`)");
    puts("       alignprop COMMAND [OPTIONS]    run one command\n");
    puts("Commands:");
    for (const struct command *command = commands; command->name; command++) {
        if (command->groups & GROUP_HIDDEN) continue;
        printf("  %-10s %s\n", command->name, command->summary);
    }
    puts("\nBegin with: alignprop tune emoji-two-cats --steps 30");
    puts("`alignprop COMMAND --help` says more. Exit status: 0 done, 1 failed, 2 wrong usage, 3 bad input,\n"
         "4 does not fit in memory, 130 interrupted after saving.");
}

static void print_option(const struct option *option)
{
    char left[80], letter[8] = "";
    if (option->letter) snprintf(letter, sizeof letter, "-%c, ", option->letter);
    snprintf(left, sizeof left, "%s--%s%s%s", letter, option->name, option->value ? " " : "",
             option->value ? option->value : "");
    printf("  %-30s %s", left, option->help);
    struct text choices = {0};
    option_list_choices(option, &choices);
    if (choices.data) printf(" (%s)", choices.data);
    text_clear(&choices);
    putchar('\n');
}

void print_command_help(const struct command *command)
{
    printf("Usage: alignprop %s%s%s [OPTIONS]\n\n%s\n", command->name, *command->arguments ? " " : "",
           command->arguments, command->summary);
    if (command->details) printf("\n%s\n", command->details);
    puts("\nOptions:");
    const struct option *options[OPTION_LIMIT];
    int count = command_options(command, options);
    for (int i = 0; i < count; i++) print_option(options[i]);
}
