/* Which case of a long row runs now, and what ends one that hangs. */
#include "tests/cuda/position.h"

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t under_way_length;
static char under_way[300];

static bool take_number(const char *text, int *number)
{
    char *end;
    long value = strtol(text, &end, 10);
    *number = (int)value;
    return *text && !*end && value >= 0 && value < INT_MAX;
}

static bool take(struct position *position, const char *option, const char *value)
{
    if (strcmp(option, "--from") == 0) return take_number(value, &position->from);
    if (strcmp(option, "--to") == 0) return take_number(value, &position->to);
    if (strcmp(option, "--limit") == 0) return take_number(value, &position->limit);
    position->file = value;
    return strcmp(option, "--position") == 0;
}

static bool is_own(const char *argument)
{
    static const char *const options[] = {"--from", "--to", "--limit", "--position"};
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        if (strcmp(argument, options[i]) == 0) return true;
    return false;
}

bool position_read(int *count, char **arguments, struct position *position)
{
    int kept = 1;
    *position = (struct position){.from = 1, .to = INT_MAX};
    for (int i = 1; i < *count; i++) {
        if (!is_own(arguments[i])) {
            arguments[kept++] = arguments[i];
            continue;
        }
        if (i + 1 == *count || !take(position, arguments[i], arguments[i + 1])) return false;
        i++;
    }
    *count = kept;
    return true;
}

/* Only what a signal handler may do. */
static void tell_and_leave(int signal)
{
    static const char message[] = " hangs\n";
    (void)signal;
    bool told = write(STDOUT_FILENO, under_way, (size_t)under_way_length) > 0 &&
                write(STDOUT_FILENO, message, sizeof message - 1) > 0;
    _exit(told ? EXIT_HANGS : EXIT_FAILURE);
}

static void write_position(const struct position *position)
{
    FILE *file = position->file ? fopen(position->file, "w") : NULL;
    if (!file) return;
    fprintf(file, "%s\n", under_way);
    fclose(file);
}

bool position_next(struct position *position, const char *name)
{
    position->number++;
    if (position->number < position->from || position->number > position->to) return false;
    snprintf(under_way, sizeof under_way, "%d %s", position->number, name);
    under_way_length = (sig_atomic_t)strlen(under_way);
    write_position(position);
    fflush(NULL);
    if (position->limit > 0) {
        signal(SIGALRM, tell_and_leave);
        alarm((unsigned)position->limit);
    }
    return true;
}

void position_end(struct position *position)
{
    alarm(0);
    if (position->file) remove(position->file);
}
