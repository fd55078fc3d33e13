/* The program's entry: finds the command, runs it and turns its status into the exit status. */
#include "engine/base/json.h"
#include "engine/base/version.h"
#include "engine/cli/command.h"

#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static status unknown_command(const char *name)
{
    const char *names[64];
    int count = 0;
    for (const struct command *command = commands; command->name && count < 64; command++)
        names[count++] = command->name;
    const char *nearest = text_nearest(name, names, count);
    if (nearest) return status_error(STATUS_USAGE, "%.80s: unknown command; did you mean \"%s\"?", name, nearest);
    return status_error(STATUS_USAGE, "%.80s: unknown command; `alignprop --help` lists them", name);
}

static status run_command(const struct command *command, const char *program, int count, char **message)
{
    struct invocation invocation = {.program = program};
    status result = invocation_parse(command, count, message, &invocation);
    if (result.code == STATUS_OK) {
        if (option_given(&invocation, "help")) {
            print_command_help(command);
        } else {
            result = command->run(&invocation);
        }
    }
    invocation_clear(&invocation);
    return result;
}

static status dispatch(const char *program, int count, char **message)
{
    if (count > 0 && strcmp(message[0], "--version") == 0) {
        puts("alignprop " ALIGNPROP_VERSION);
        return status_ok();
    }
    bool help = count > 0 &&
                (strcmp(message[0], "--help") == 0 || strcmp(message[0], "-h") == 0 || strcmp(message[0], "help") == 0);
    if (help) {
        const struct command *command = count > 1 ? command_find(message[1]) : NULL;
        if (count > 1 && !command) return unknown_command(message[1]);
        if (command) {
            print_command_help(command);
        } else {
            print_overview();
        }
        return status_ok();
    }
    if (count == 0 || message[0][0] == '-') return run_command(command_find("studio"), program, count, message);
    const struct command *command = command_find(message[0]);
    return command ? run_command(command, program, count - 1, message + 1) : unknown_command(message[0]);
}

/* The path of this program, to start it again as an engine. */
static const char *own_path(char *buffer, size_t size, const char *fallback)
{
    ssize_t length = readlink("/proc/self/exe", buffer, size - 1);
    if (length < 0) return fallback;
    buffer[length] = '\0';
    return buffer;
}

int main(int argc, char **argv)
{
    static struct output results, message; /* exit still flushes the streams, when this frame is gone */
    char path[4096];
    output_reserve_descriptors();
    output_open(&results, STDOUT_FILENO, &stdout);
    output_open(&message, STDERR_FILENO, &stderr);
    setlocale(LC_CTYPE, "");
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    json_set_up();
    status result = dispatch(own_path(path, sizeof path, argv[0]), argc - 1, argv + 1);
    if (result.code != STATUS_OK && result.message[0]) tell("alignprop: %s", result.message);
    status written = output_finish(&results, stdout);
    if (written.code != STATUS_OK) tell("alignprop: %s", written.message);
    output_finish(&message, stderr); /* of words that nobody can be told, nobody can be told */
    return result.code != STATUS_OK ? result.code : written.code;
}
