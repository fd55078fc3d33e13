/* The studio used without a pause by a random hand while a run goes on, session after session, until the time is up.
 * studio_hour SECONDS [SEED]; the studio is what STUDIO_DRIVER names: the program, or a script that starts it under
 * valgrind. A session that ends with another status than 0 is a failure; a hand that happens to leave begins anew. */
#include "tests/tui/walk.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SESSION_SECONDS = 1200, PAUSE = 120, CLOSING = 120000 };

/* Walks until `until` or until the studio is gone, which leaves its wait status in `result`; the number of steps. */
static int walk(struct session *session, unsigned *seed, int64_t until, int *result)
{
    int steps = 0;
    while (clock_milliseconds() < until) {
        if (waitpid(session->studio, result, WNOHANG) == session->studio) {
            session->studio = 0;
            return steps;
        }
        walk_step(session, seed);
        session_pump(session, PAUSE);
        session_forget(session);
        steps++;
    }
    return steps;
}

/* The termination signal always leaves, whatever field or popup is open. The studio's wait status. */
static int leave(struct session *session)
{
    walk_resize(session, 24, 80);
    kill(session->studio, SIGTERM);
    return session_end(session, CLOSING);
}

static int run_session(unsigned *seed, int64_t until)
{
    static const char *const message[] = {"--every", "2000", "--steps", "100000", NULL};
    struct session session;
    session_open(&session, message);
    session.sixel = true;
    session_start_studio(&session, 40, 120, true, "xterm-256color");
    bool opened = session_wait(&session, 0, "step 4", 60000);
    int result = -1, steps = opened ? walk(&session, seed, until, &result) : 0;
    bool left = opened && session.studio == 0;
    if (opened && !left) result = leave(&session);
    printf("session of %d steps, wait status %x%s\n", steps, (unsigned)result, left ? ", left by hand" : "");
    fflush(stdout);
    session_close(&session);
    return result;
}

int main(int count, char **message)
{
    int64_t seconds = count > 1 ? atoi(message[1]) : 3600;
    unsigned seed = count > 2 ? (unsigned)atoi(message[2]) : 1;
    int64_t start = clock_milliseconds(), end = start + seconds * 1000;
    while (clock_milliseconds() < end) {
        int64_t until = clock_milliseconds() + SESSION_SECONDS * 1000;
        if (run_session(&seed, until < end ? until : end) != 0) return 1;
    }
    printf("%d seconds\n", (int)((clock_milliseconds() - start) / 1000));
    return 0;
}
