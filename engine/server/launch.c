/* Forks a run's process, becomes it, and waits until its socket answers or it has failed. */
#include "engine/server/launch.h"

#include "engine/base/files.h"
#include "engine/base/process.h"
#include "engine/run/origin.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PAUSE_MILLISECONDS = 20, LONGEST_WAIT_SECONDS = 20, LAST_LINE_SIZE = 4096, MOST_ARGUMENTS = 16 };

struct arguments {
    const char *values[MOST_ARGUMENTS];
    char threads[16], steps[16];
};

static void write_arguments(struct arguments *arguments, const struct run_folder *folder,
                            const struct launch_options *options)
{
    int count = 0;
    arguments->values[count++] = options->program;
    arguments->values[count++] = "resume";
    arguments->values[count++] = folder->path;
    if (options->device) {
        arguments->values[count++] = "--device";
        arguments->values[count++] = options->device;
    }
    if (options->threads > 0) {
        snprintf(arguments->threads, sizeof arguments->threads, "%d", options->threads);
        arguments->values[count++] = "--threads";
        arguments->values[count++] = arguments->threads;
    }
    if (options->steps > 0) {
        snprintf(arguments->steps, sizeof arguments->steps, "%d", options->steps);
        arguments->values[count++] = "--steps";
        arguments->values[count++] = arguments->steps;
    }
    if (options->other_weights) arguments->values[count++] = "--other-weights";
    if (!options->share) arguments->values[count++] = "--queue";
    arguments->values[count] = NULL;
}

/* In the new process, between fork and exec: only what is safe there. */
static void become_run(const struct arguments *arguments, int log, int nothing)
{
    signal(SIGHUP, SIG_IGN);
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setsid();
    bool ready = dup2(nothing, STDIN_FILENO) >= 0 && dup2(log, STDOUT_FILENO) >= 0 && dup2(log, STDERR_FILENO) >= 0;
    /* A folder of the starter must not stay in use. */
    if (ready && chdir("/") == 0) execv(arguments->values[0], (char *const *)arguments->values);
    _exit(127);
}

static status open_outputs(const struct run_folder *folder, int *log, int *nothing, off_t *log_start)
{
    char path[PATH_SIZE];
    TRY(path_format(path, "%s/engine.log", folder->path));
    *log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (*log < 0) return status_errno(STATUS_FAILED, errno, "cannot write %s", path);
    *log_start = lseek(*log, 0, SEEK_END);
    *nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (*nothing >= 0) return status_ok();
    close(*log);
    return status_errno(STATUS_FAILED, errno, "/dev/null");
}

/* What the process wrote last, on one line. */
static void read_last_line(const struct run_folder *folder, off_t from, char values[LAST_LINE_SIZE])
{
    values[0] = '\0';
    char path[PATH_SIZE];
    struct input_file log;
    if (path_format(path, "%s/engine.log", folder->path).code != STATUS_OK) return;
    if (input_file_open(path, &log).code != STATUS_OK) return;
    off_t size = (off_t)log.size;
    if (size > from) {
        off_t at = size - from > LAST_LINE_SIZE - 1 ? size - (LAST_LINE_SIZE - 1) : from;
        ssize_t length = pread(log.descriptor, values, LAST_LINE_SIZE - 1, at);
        values[length > 0 ? length : 0] = '\0';
    }
    input_file_close(&log);
    size_t end = strlen(values);
    while (end > 0 && strchr("\r\n ", values[end - 1])) values[--end] = '\0';
    static const char own_name[] = "alignprop: "; /* which a program says of itself on the way to a person */
    char *line = strrchr(values, '\n');
    const char *start = line ? line + 1 : values;
    if (strncmp(start, own_name, sizeof own_name - 1) == 0) start += sizeof own_name - 1;
    memmove(values, start, strlen(start) + 1);
}

static status failure_of(const struct run_folder *folder, int outcome, off_t log_start)
{
    char values[LAST_LINE_SIZE];
    read_last_line(folder, log_start, values);
    if (WIFSIGNALED(outcome))
        return status_error(STATUS_FAILED, "the run ended by signal %d before it began%s%.300s", WTERMSIG(outcome),
                            values[0] ? ": " : "", values);
    int code = WEXITSTATUS(outcome);
    if (code == 127 && !values[0]) return status_error(STATUS_FAILED, "the program could not be started");
    enum status_code known = code == STATUS_BAD_INPUT || code == STATUS_NO_MEMORY || code == STATUS_USAGE
                                 ? (enum status_code)code
                                 : STATUS_FAILED;
    if (!values[0]) return status_error(known, "the run ended before it began, with exit status %d", code);
    return status_error(known, "%.400s", values);
}

static bool answers(const struct run_folder *folder, pid_t pid, char socket[SOCKET_PATH_BYTES])
{
    struct engine_facts facts;
    if (run_folder_engine(folder, &facts).code != STATUS_OK || facts.pid != (long)pid) return false;
    if (!facts.socket_path[0] || strlen(facts.socket_path) >= SOCKET_PATH_BYTES) return false;
    int connection;
    if (endpoint_connect(facts.socket_path, &connection).code != STATUS_OK) return false;
    close(connection);
    memcpy(socket, facts.socket_path, strlen(facts.socket_path) + 1);
    return true;
}

static status wait_for_socket(const struct run_folder *folder, pid_t pid, off_t log_start,
                              char socket[SOCKET_PATH_BYTES])
{
    for (int waited = 0; waited < LONGEST_WAIT_SECONDS * 1000; waited += PAUSE_MILLISECONDS) {
        int outcome;
        if (waitpid(pid, &outcome, WNOHANG) == pid) return failure_of(folder, outcome, log_start);
        if (answers(folder, pid, socket)) {
            process_collect(pid);
            return status_ok();
        }
        nanosleep(&(struct timespec){.tv_nsec = PAUSE_MILLISECONDS * 1000000L}, NULL);
    }
    process_collect(pid);
    return status_error(STATUS_FAILED,
                        "the run was started (process %ld) but does not answer; its words are in %s/engine.log",
                        (long)pid, folder->path);
}

status launch_run(const struct run_folder *folder, const struct launch_options *options, struct launched *launched)
{
    if (run_folder_is_alive(folder))
        return status_error(STATUS_FAILED, "%s: another engine is already running this run", folder->path);
    struct arguments arguments;
    write_arguments(&arguments, folder, options);
    int log = -1, nothing = -1;
    off_t log_start = 0;
    TRY(open_outputs(folder, &log, &nothing, &log_start));
    pid_t pid = fork();
    if (pid == 0) become_run(&arguments, log, nothing);
    int error = errno;
    close(log);
    close(nothing);
    if (pid < 0) return status_errno(STATUS_FAILED, error, "cannot start a process for the run");
    launched->pid = pid;
    return wait_for_socket(folder, pid, log_start, launched->socket);
}

status launch_new_run(const char *path, const struct preset *preset, const struct launch_options *options,
                      struct run_folder *folder, struct launched *launched)
{
    TRY(run_folder_create(path, preset, options->device, options->threads, folder));
    run_folder_unlock(folder);
    status result = options->origin ? origin_keep(options->origin, folder) : status_ok();
    if (result.code == STATUS_OK) result = launch_run(folder, options, launched);
    if (result.code != STATUS_OK && !run_folder_is_alive(folder)) directory_remove(folder->path);
    return result;
}
