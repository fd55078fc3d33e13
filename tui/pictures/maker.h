/* Pictures made ready for the terminal in a thread of their own.
 *
 * Scaling, choosing a palette and encoding take milliseconds, and many times that where an engine has the processor:
 * a key must not wait for them. One picture is in the making at a time; what was made is taken when the descriptor says
 * that it is ready. */
#ifndef ALIGNPROP_TUI_PICTURES_MAKER_H
#define ALIGNPROP_TUI_PICTURES_MAKER_H

#include "tui/pictures/encode.h"
#include "tui/pictures/symbols.h"

struct maker;

/* What is to be made. The image is copied, so it need not outlive the call. */
struct making {
    unsigned long number; /* the caller's, to know the result by; not 0 */
    enum picture_protocol protocol;
    struct encode_request request;
    enum symbol_palette palette; /* symbols */
    bool unicode;                /* symbols */
};

/* What was made; its memory is the maker's until the next maker_start. */
struct made {
    unsigned long number;
    bool ready;                /* false: memory was short, or the picture cannot be encoded */
    struct encoded *encoded;   /* protocols of pixels; may be swapped for another one */
    struct symbol_cell *cells; /* symbols: rows * columns; NULL otherwise */
};

/* No thread is started before the first picture. NULL when the system has no descriptor left. */
struct maker *maker_new(void);
/* Waits for the picture in hand. */
void maker_free(struct maker *maker);
/* Readable while a made picture waits to be taken. */
int maker_descriptor(const struct maker *maker);
/* A picture is in the making, or made and not yet taken: no other can be started. */
bool maker_busy(const struct maker *maker);
/* False when it is busy, memory is short or no thread can be started. */
bool maker_start(struct maker *maker, const struct making *making);
/* Takes the made picture; false when none is ready. */
bool maker_take(struct maker *maker, struct made *made);

#endif
