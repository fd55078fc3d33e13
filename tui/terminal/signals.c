/* Signal handlers that write a byte to a pipe, and those that put the terminal back before the end. */
#include "tui/terminal/signals.h"

#include "engine/base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

/* A signal handler can reach nothing but file-level variables: these are the program's only ones. */
static int signal_pipe[2] = {-1, -1};
static int rescue_terminal = -1;
static struct termios rescue_termios;
static const char *rescue_text;
static size_t rescue_length;

static const int caught[] = {SIGWINCH, SIGTSTP, SIGCONT, SIGTERM, SIGHUP, SIGINT, SIGQUIT};
static const int fatal[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};

static void on_signal(int number)
{
    int saved = errno;
    unsigned char byte = (unsigned char)number;
    ssize_t written = write(signal_pipe[1], &byte, 1);
    (void)written; /* a full pipe already wakes the loop */
    errno = saved;
}

static void restore_terminal(void)
{
    if (rescue_terminal < 0) return;
    size_t done = 0;
    for (int tries = 0; done < rescue_length && tries < 1000; tries++) {
        ssize_t written = write(rescue_terminal, rescue_text + done, rescue_length - done);
        if (written > 0) done += (size_t)written;
    }
    tcsetattr(rescue_terminal, TCSANOW, &rescue_termios);
}

static void on_fatal(int number)
{
    restore_terminal();
    signal(number, SIG_DFL);
    raise(number);
}

static void install(int number, void (*handler)(int), int flags)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    sigemptyset(&action.sa_mask);
    sigaction(number, &action, NULL);
}

status signals_open(int *descriptor)
{
    if (pipe2(signal_pipe, O_NONBLOCK | O_CLOEXEC) != 0)
        return status_errno(STATUS_FAILED, errno, "could not make a pipe for signals");
    for (size_t i = 0; i < sizeof caught / sizeof *caught; i++) install(caught[i], on_signal, SA_RESTART);
    for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++)
        install(fatal[i], on_fatal, (int)SA_RESETHAND | SA_NODEFER);
    install(SIGPIPE, SIG_IGN, 0);
    memory_on_exhaustion(restore_terminal);
    *descriptor = signal_pipe[0];
    return status_ok();
}

void signals_close(void)
{
    memory_on_exhaustion(NULL);
    for (size_t i = 0; i < sizeof caught / sizeof *caught; i++) install(caught[i], SIG_DFL, 0);
    for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++) install(fatal[i], SIG_DFL, 0);
    rescue_terminal = -1;
    if (signal_pipe[0] >= 0) close(signal_pipe[0]);
    if (signal_pipe[1] >= 0) close(signal_pipe[1]);
    signal_pipe[0] = signal_pipe[1] = -1;
}

void signals_rescue(int terminal, const struct termios *saved, const char *text, size_t length)
{
    rescue_terminal = -1;
    rescue_termios = *saved;
    rescue_text = text;
    rescue_length = length;
    rescue_terminal = terminal;
}

void signals_stop_self(void)
{
    install(SIGTSTP, SIG_DFL, 0);
    kill(0, SIGTSTP);
    install(SIGTSTP, on_signal, SA_RESTART);
}
