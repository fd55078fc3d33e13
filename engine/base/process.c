/* Children that nobody waits for. */
#include "engine/base/process.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/wait.h>

static void *wait_for(void *argument)
{
    pid_t child = (pid_t)(intptr_t)argument;
    while (waitpid(child, NULL, 0) < 0 && errno == EINTR) continue;
    return NULL;
}

/* A thread that only waits: SIGCHLD would have to be shared with everything else in the process. Without a thread the
 * child is left to the end of this process, which is all that a lack of threads can cost. */
void process_collect(pid_t child)
{
    if (waitpid(child, NULL, WNOHANG) != 0) return;
    pthread_attr_t attributes;
    sigset_t all, before;
    pthread_t thread;
    if (pthread_attr_init(&attributes) != 0) return;
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    (void)!pthread_create(&thread, &attributes, wait_for, (void *)(intptr_t)child);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
}
