/* A studio in a pseudo terminal that answers as a terminal does, and reads what it writes. */
#include "pseudo_terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utmp.h>

enum { RING = 1 << 20 };

static const char *need(const char *name)
{
    const char *value = getenv(name);
    if (!value) {
        fprintf(stderr, "%s must name a file\n", name);
        exit(1);
    }
    return value;
}

void session_prepare(struct session *session)
{
    memset(session, 0, sizeof *session);
    snprintf(session->folder, sizeof session->folder, "/tmp/studio-test-XXXXXX");
    if (!mkdtemp(session->folder)) exit(1);
    snprintf(session->socket_path, sizeof session->socket_path, "%s/engine.sock", session->folder);
    snprintf(session->run, sizeof session->run, "%s/run", session->folder);
    snprintf(session->request_log, sizeof session->request_log, "%s/requests", session->folder);
    session->arriving = malloc(RING * sizeof *session->arriving);
    session->leaving = malloc(RING * sizeof *session->leaving);
}

void session_open(struct session *session, const char *const *engine_words)
{
    session_prepare(session);
    session->engine = fork();
    if (session->engine == 0) {
        const char *words[24] = {
            need("FAKE_ENGINE"), need("FAKE_CATALOGUE"), session->socket_path, session->run, "--log",
            session->request_log};
        for (int at = 0; engine_words && engine_words[at] && at < 16; at++) words[6 + at] = engine_words[at];
        execv(words[0], (char *const *)words);
        _exit(127);
    }
    for (int tries = 0; tries < 500 && access(session->socket_path, F_OK) != 0; tries++) usleep(10000);
}

void session_start_program(struct session *session, int rows, int columns, const char *term, const char *const *words)
{
    struct winsize size = {.ws_row = (unsigned short)rows,
                           .ws_col = (unsigned short)columns,
                           .ws_xpixel = (unsigned short)(columns * 8),
                           .ws_ypixel = (unsigned short)(rows * 16)};
    if (session->master > 0) close(session->master);
    if (session->slave > 0) close(session->slave);
    if (openpty(&session->master, &session->slave, NULL, NULL, &size) != 0) exit(1);
    fcntl(session->master, F_SETFD, FD_CLOEXEC);
    tcgetattr(session->slave, &session->before);
    session->studio = fork();
    if (session->studio == 0) {
        setenv("TERM", term, 1);
        setenv("ALIGNPROP_CLOCK", "1795424500", 1);
        setenv("LC_ALL", "C.UTF-8", 1);
        unsetenv("TMUX");
        login_tty(session->slave);
        execv(words[0], (char *const *)words);
        _exit(127);
    }
    fcntl(session->master, F_SETFL, O_NONBLOCK);
}

void session_start_studio(struct session *session, int rows, int columns, bool attach, const char *term)
{
    const char *words[] = {
        need("STUDIO_DRIVER"), "studio", "--engine", session->socket_path, attach ? "--socket" : NULL,
        session->socket_path,  NULL};
    session_start_program(session, rows, columns, term, words);
}

static void push(struct delayed *ring, size_t first, size_t *count, unsigned char byte, int64_t due)
{
    if (*count == RING) return;
    ring[(first + (*count)++) % RING] = (struct delayed){due, byte};
}

static void answer_text(struct session *session, const char *text, int64_t now)
{
    for (const char *at = text; *at; at++)
        push(session->leaving, session->leaving_first, &session->leaving_count, (unsigned char)*at,
             now + session->delay);
}

static void answer_background(struct session *session, int64_t now)
{
    answer_text(session, "\033]11;", now);
    answer_text(session, session->background, now);
    answer_text(session, "\033\\", now);
}

/* Answers the questions that have come in whole. */
static void answer_questions(struct session *session, int64_t now)
{
    while (session->answered + 4 <= session->output.length && !session->silent) {
        const char *at = session->output.data + session->answered;
        if (memcmp(at, "\033[5n", 4) == 0)
            answer_text(session, "\033[0n", now);
        else if (memcmp(at, "\033[c", 3) == 0)
            answer_text(session, session->sixel ? "\033[?62;4;22c" : "\033[?62;22c", now);
        else if (memcmp(at, "\033]11", 4) == 0 && session->background)
            answer_background(session, now);
        session->answered++;
    }
}

static void read_studio(struct session *session, int64_t now)
{
    char data[4096];
    /* A slow link takes no more than it can send in a moment: what is beyond stays in the pseudo terminal. */
    while (session->rate <= 0 || session->link_free <= now + 20) {
        ssize_t got = read(session->master, data, session->rate > 0 ? 512 : sizeof data);
        if (got <= 0) return;
        for (ssize_t index = 0; index < got; index++) {
            int64_t start = session->link_free > now ? session->link_free : now;
            if (session->rate <= 0) start = now;
            push(session->arriving, session->arriving_first, &session->arriving_count, (unsigned char)data[index],
                 start + session->delay);
        }
        int64_t start = session->link_free > now ? session->link_free : now;
        if (session->rate > 0) session->link_free = start + (int64_t)((double)got / session->rate * 1000);
    }
}

static void deliver(struct session *session, int64_t now)
{
    while (session->arriving_count > 0 && session->arriving[session->arriving_first].due <= now) {
        bytes_add(&session->output, &session->arriving[session->arriving_first].byte, 1);
        session->arriving_first = (session->arriving_first + 1) % RING;
        session->arriving_count--;
    }
    answer_questions(session, now);
    /* What is due together arrives together, as from a terminal that answers with one write. */
    unsigned char bytes[256];
    size_t count = 0;
    for (; count < sizeof bytes && count < session->leaving_count; count++) {
        const struct delayed *next = &session->leaving[(session->leaving_first + count) % RING];
        if (next->due > now) break;
        bytes[count] = next->byte;
    }
    ssize_t written = count > 0 ? write(session->master, bytes, count) : 0;
    if (written <= 0) return;
    session->leaving_first = (session->leaving_first + (size_t)written) % RING;
    session->leaving_count -= (size_t)written;
}

void session_pump(struct session *session, int milliseconds)
{
    int64_t until = clock_milliseconds() + milliseconds;
    for (;;) {
        int64_t now = clock_milliseconds();
        read_studio(session, now);
        deliver(session, now);
        if (now >= until) return;
        struct pollfd wait = {.fd = session->master, .events = POLLIN};
        bool linked = session->rate > 0 || session->delay > 0;
        if (linked)
            usleep(1000);
        else
            poll(&wait, 1, until - now > 5 ? 5 : (int)(until - now));
    }
}

bool session_wait(struct session *session, size_t from, const char *text, int milliseconds)
{
    int64_t until = clock_milliseconds() + milliseconds;
    size_t length = strlen(text);
    for (;;) {
        if (session->output.length >= from + length &&
            memmem(session->output.data + from, session->output.length - from, text, length))
            return true;
        if (clock_milliseconds() >= until) return false;
        session_pump(session, 2);
    }
}

bool session_settle(struct session *session, int milliseconds)
{
    int64_t until = clock_milliseconds() + PATIENCE;
    size_t before;
    do {
        before = session->output.length;
        session_pump(session, milliseconds);
    } while (session->output.length != before && clock_milliseconds() < until);
    return session->output.length == before;
}

void session_forget(struct session *session)
{
    /* The last bytes may be the beginning of a question. */
    size_t keep = session->output.length - session->answered;
    memmove(session->output.data, session->output.data + session->answered, keep);
    session->output.length = keep;
    session->answered = 0;
}

void session_type(struct session *session, const char *keys)
{
    int64_t now = clock_milliseconds();
    for (const char *at = keys; *at; at++)
        push(session->leaving, session->leaving_first, &session->leaving_count, (unsigned char)*at,
             now + session->delay);
    deliver(session, now);
}

int session_end(struct session *session, int milliseconds)
{
    int64_t until = clock_milliseconds() + milliseconds;
    int result = 0;
    while (clock_milliseconds() < until) {
        session_pump(session, 10);
        if (waitpid(session->studio, &result, WNOHANG) == session->studio) {
            session->studio = 0;
            session_pump(session, 2 * session->delay + 20);
            return result;
        }
    }
    kill(session->studio, SIGKILL);
    waitpid(session->studio, NULL, 0);
    session->studio = 0;
    return -1;
}

void session_close(struct session *session)
{
    if (session->studio > 0) {
        kill(session->studio, SIGKILL);
        waitpid(session->studio, NULL, 0);
    }
    if (session->engine > 0) {
        kill(session->engine, SIGKILL);
        waitpid(session->engine, NULL, 0);
    }
    if (session->master > 0) close(session->master);
    if (session->slave > 0) close(session->slave);
    bytes_free(&session->output);
    free(session->arriving);
    free(session->leaving);
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", session->folder);
    if (system(command) != 0) fprintf(stderr, "%s stays\n", session->folder);
}

bool session_requested(const struct session *session, const char *text)
{
    FILE *file = fopen(session->request_log, "r");
    char line[8192];
    bool found = false;
    while (file && !found && fgets(line, sizeof line, file)) found = strstr(line, text);
    if (file) fclose(file);
    return found;
}
