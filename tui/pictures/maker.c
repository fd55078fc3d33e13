/* The thread that scales and encodes the next picture while the studio goes on. */
#include "tui/pictures/maker.h"

#include "engine/base/memory.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum state { STATE_FREE, STATE_ASKED, STATE_MADE, STATE_LEAVING };

struct maker {
    pthread_t thread;
    bool running;
    int descriptor;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    enum state state; /* guarded by the lock; all below belongs to the thread while ASKED, else to the owner */
    struct making making;
    struct image image;
    struct encoded encoded;
    struct symbol_cell *cells;
    size_t cell_count; /* room in cells */
    bool ready;
};

struct maker *maker_new(void)
{
    struct maker *maker = memory_take(1, sizeof *maker);
    maker->descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (maker->descriptor < 0) {
        free(maker);
        return NULL;
    }
    pthread_mutex_init(&maker->lock, NULL);
    pthread_cond_init(&maker->changed, NULL);
    return maker;
}

static bool make_cells(struct maker *maker)
{
    const struct encode_request *request = &maker->making.request;
    size_t count = (size_t)request->rows * (size_t)request->columns;
    if (count > maker->cell_count) {
        free(maker->cells);
        maker->cells = calloc(count, sizeof *maker->cells);
        maker->cell_count = maker->cells ? count : 0;
        if (!maker->cells) return false;
    }
    return symbols_render(request->image, request->rows, request->columns, request->cell_width, request->cell_height,
                          maker->making.palette, maker->making.unicode, maker->cells);
}

static bool make(struct maker *maker)
{
    if (maker->making.protocol == PROTOCOL_SYMBOLS) return make_cells(maker);
    encoded_clear(&maker->encoded);
    return encode_picture(maker->making.protocol, &maker->making.request, &maker->encoded);
}

static void *work(void *context)
{
    struct maker *maker = context;
    pthread_mutex_lock(&maker->lock);
    for (;;) {
        while (maker->state == STATE_FREE || maker->state == STATE_MADE)
            pthread_cond_wait(&maker->changed, &maker->lock);
        if (maker->state == STATE_LEAVING) break;
        pthread_mutex_unlock(&maker->lock);
        maker->ready = make(maker);
        pthread_mutex_lock(&maker->lock);
        if (maker->state == STATE_LEAVING) break;
        maker->state = STATE_MADE;
        eventfd_write(maker->descriptor, 1); /* cannot fail: the counter is 0 or 1 */
    }
    pthread_mutex_unlock(&maker->lock);
    return NULL;
}

/* Signals are for the loop's thread alone. */
static bool start_thread(struct maker *maker)
{
    sigset_t all, before;
    sigfillset(&all);
    if (pthread_sigmask(SIG_SETMASK, &all, &before) != 0) return false;
    maker->running = pthread_create(&maker->thread, NULL, work, maker) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return maker->running;
}

static void set_state(struct maker *maker, enum state state)
{
    pthread_mutex_lock(&maker->lock);
    maker->state = state;
    pthread_cond_signal(&maker->changed);
    pthread_mutex_unlock(&maker->lock);
}

static enum state state_of(const struct maker *maker)
{
    struct maker *lockable = (struct maker *)maker;
    pthread_mutex_lock(&lockable->lock);
    enum state state = maker->state;
    pthread_mutex_unlock(&lockable->lock);
    return state;
}

void maker_free(struct maker *maker)
{
    if (!maker) return;
    if (maker->running) {
        set_state(maker, STATE_LEAVING);
        pthread_join(maker->thread, NULL);
    }
    pthread_cond_destroy(&maker->changed);
    pthread_mutex_destroy(&maker->lock);
    close(maker->descriptor);
    image_free(&maker->image);
    encoded_free(&maker->encoded);
    free(maker->cells);
    free(maker);
}

int maker_descriptor(const struct maker *maker)
{
    return maker->descriptor;
}

bool maker_busy(const struct maker *maker)
{
    return state_of(maker) != STATE_FREE;
}

bool maker_start(struct maker *maker, const struct making *making)
{
    if (maker_busy(maker)) return false;
    const struct image *image = making->request.image;
    if (!image_copy(&maker->image, image)) return false;
    if (!maker->running && !start_thread(maker)) return false;
    maker->making = *making;
    maker->making.request.image = &maker->image;
    set_state(maker, STATE_ASKED);
    return true;
}

bool maker_take(struct maker *maker, struct made *made)
{
    if (state_of(maker) != STATE_MADE) return false;
    eventfd_t count;
    eventfd_read(maker->descriptor, &count); /* cannot fail: it was written under the lock, with the state */
    *made = (struct made){
        .number = maker->making.number,
        .ready = maker->ready,
        .encoded = &maker->encoded,
        .cells = maker->making.protocol == PROTOCOL_SYMBOLS ? maker->cells : NULL,
    };
    set_state(maker, STATE_FREE);
    return true;
}
