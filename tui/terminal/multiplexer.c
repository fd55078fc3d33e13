/* Asks tmux by its own command, in a process of its own, and reads the answer. */
#include "tui/terminal/multiplexer.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char question[] = "#{pane_left} #{pane_top} #{allow-passthrough} #{status} #{status-position}";

void multiplexer_init(struct multiplexer *multiplexer)
{
    *multiplexer = (struct multiplexer){.descriptor = -1};
}

bool multiplexer_present(void)
{
    const char *server = getenv("TMUX");
    return server && server[0] != '\0';
}

static pid_t spawn_question(int output)
{
    const char *pane = getenv("TMUX_PANE");
    const char *arguments[] = {"tmux", "display-message", "-p", "-t", pane ? pane : "", question, NULL};
    posix_spawn_file_actions_t actions;
    if (posix_spawn_file_actions_init(&actions) != 0) return -1;
    pid_t process = -1;
    bool ready = posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO) == 0 &&
                 posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0) == 0 &&
                 posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0) == 0;
    if (!ready || posix_spawnp(&process, arguments[0], &actions, NULL, (char *const *)arguments, environ) != 0)
        process = -1;
    posix_spawn_file_actions_destroy(&actions);
    return process;
}

bool multiplexer_ask(struct multiplexer *multiplexer)
{
    if (multiplexer->descriptor >= 0) return true;
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return false;
    multiplexer->process = spawn_question(ends[1]);
    close(ends[1]);
    if (multiplexer->process < 0) {
        close(ends[0]);
        return false;
    }
    multiplexer->descriptor = ends[0];
    multiplexer->length = 0;
    return true;
}

void multiplexer_close(struct multiplexer *multiplexer)
{
    if (multiplexer->descriptor < 0) return;
    close(multiplexer->descriptor);
    multiplexer->descriptor = -1;
    while (waitpid(multiplexer->process, NULL, 0) < 0 && errno == EINTR) continue;
}

bool multiplexer_read(struct multiplexer *multiplexer)
{
    size_t room = sizeof multiplexer->answer - 1 - multiplexer->length;
    ssize_t got = read(multiplexer->descriptor, multiplexer->answer + multiplexer->length, room);
    if (got < 0 && errno == EINTR) return false;
    if (got > 0) {
        multiplexer->length += (size_t)got;
        if (multiplexer->length + 1 < sizeof multiplexer->answer) return false;
    }
    multiplexer->answer[multiplexer->length] = '\0';
    multiplexer_close(multiplexer);
    return multiplexer_parse(multiplexer, multiplexer->answer);
}

bool multiplexer_parse(struct multiplexer *multiplexer, const char *answer)
{
    int column = 0, row = 0;
    char passes[16], status[16], place[16];
    if (sscanf(answer, "%d %d %15s %15s %15s", &column, &row, passes, status, place) != 5) return false;
    multiplexer->known = true;
    multiplexer->passes_through = strcmp(passes, "0") != 0 && strcmp(passes, "off") != 0;
    bool on_top = strcmp(place, "top") == 0;
    int status_rows = strcmp(status, "on") == 0 ? 1 : atoi(status); /* off, on, or the number of rows from 2 on */
    multiplexer->row = row + (on_top ? status_rows : 0);
    multiplexer->column = column;
    return true;
}
