/* A queue of requests between the server's thread and a run's loop, and the senders to be answered. */
#include "engine/server/mailbox.h"

#include "engine/base/clock.h"
#include "engine/base/memory.h"

#include <pthread.h>
#include <stdlib.h>

struct entry {
    struct session_request request;
    uint64_t client;
    int64_t id;
};

struct mailbox {
    pthread_mutex_t lock;
    pthread_cond_t arrived;
    struct entry waiting[MAILBOX_ROOM];    /* oldest first */
    struct entry unanswered[MAILBOX_ROOM]; /* taken by the loop, not yet answered */
    int waiting_count, unanswered_count;
    unsigned long long last_token;
    bool nudged;
};

struct mailbox *mailbox_create(void)
{
    struct mailbox *mailbox = memory_take(1, sizeof *mailbox);
    pthread_mutex_init(&mailbox->lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&mailbox->arrived, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return mailbox;
}

void mailbox_destroy(struct mailbox *mailbox)
{
    if (!mailbox) return;
    pthread_cond_destroy(&mailbox->arrived);
    pthread_mutex_destroy(&mailbox->lock);
    free(mailbox);
}

bool mailbox_post(struct mailbox *mailbox, struct session_request request, uint64_t client, int64_t id)
{
    pthread_mutex_lock(&mailbox->lock);
    bool room = mailbox->waiting_count + mailbox->unanswered_count < MAILBOX_ROOM;
    if (room) {
        request.token = ++mailbox->last_token;
        mailbox->waiting[mailbox->waiting_count++] = (struct entry){.request = request, .client = client, .id = id};
        pthread_cond_signal(&mailbox->arrived);
    }
    pthread_mutex_unlock(&mailbox->lock);
    return room;
}

static struct entry remove_at(struct entry *letters, int *count, int index)
{
    struct entry removed = letters[index];
    for (int i = index + 1; i < *count; i++) letters[i - 1] = letters[i];
    (*count)--;
    return removed;
}

bool mailbox_take(struct mailbox *mailbox, struct session_request *request)
{
    pthread_mutex_lock(&mailbox->lock);
    bool found = mailbox->waiting_count > 0;
    if (found) {
        struct entry entry = remove_at(mailbox->waiting, &mailbox->waiting_count, 0);
        mailbox->unanswered[mailbox->unanswered_count++] = entry;
        *request = entry.request;
    }
    pthread_mutex_unlock(&mailbox->lock);
    return found;
}

void mailbox_wait(struct mailbox *mailbox, double seconds)
{
    struct timespec end = clock_deadline(seconds);
    pthread_mutex_lock(&mailbox->lock);
    int outcome = 0;
    while (mailbox->waiting_count == 0 && !mailbox->nudged && outcome == 0)
        outcome = pthread_cond_timedwait(&mailbox->arrived, &mailbox->lock, &end);
    mailbox->nudged = false;
    pthread_mutex_unlock(&mailbox->lock);
}

void mailbox_nudge(struct mailbox *mailbox)
{
    pthread_mutex_lock(&mailbox->lock);
    mailbox->nudged = true;
    pthread_cond_signal(&mailbox->arrived);
    pthread_mutex_unlock(&mailbox->lock);
}

bool mailbox_sender(struct mailbox *mailbox, unsigned long long token, uint64_t *client, int64_t *id)
{
    pthread_mutex_lock(&mailbox->lock);
    bool found = false;
    for (int i = 0; i < mailbox->unanswered_count && !found; i++) {
        if (mailbox->unanswered[i].request.token != token) continue;
        struct entry entry = remove_at(mailbox->unanswered, &mailbox->unanswered_count, i);
        *client = entry.client;
        *id = entry.id;
        found = true;
    }
    pthread_mutex_unlock(&mailbox->lock);
    return found;
}
