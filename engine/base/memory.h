/* Small pieces of memory: structs, names, lists, messages. None of these functions returns NULL: where the machine has
 * no more, the process ends with a message and exit status 1, since nothing sensible can be done without a few bytes.
 * What is on the disk is whole by then (files.h, checkpoints), so that no more than the step under way is lost.
 *
 * Arenas, weights, pictures, files and whatever else has a size that a file, a preset or a client chose are taken with
 * malloc and report lack of memory with a status. */
#ifndef ALIGNPROP_BASE_MEMORY_H
#define ALIGNPROP_BASE_MEMORY_H

#include <stddef.h>

/* `count` elements of `size` bytes, all zero. The caller frees them with free, as what all of these return. */
void *memory_take(size_t count, size_t size) __attribute__((returns_nonnull, warn_unused_result));
/* realloc to `count` elements of `size` bytes. */
void *memory_resize(void *memory, size_t count, size_t size) __attribute__((returns_nonnull, warn_unused_result));
/* `list` with room for one more than its `count` elements of `size` bytes; `*capacity` grows by doubling. */
void *memory_grow(void *list, int count, int *capacity, size_t size)
    __attribute__((returns_nonnull, warn_unused_result));
char *memory_copy_text(const char *text) __attribute__((returns_nonnull, warn_unused_result));
/* The first `length` bytes, or those before a NUL, with a NUL behind them. */
char *memory_copy_part(const char *text, size_t length) __attribute__((returns_nonnull, warn_unused_result));

/* What is to be done before the message is written: the studio gives the terminal back. The hook takes no memory and
 * runs in whatever thread was in want of it; NULL: none. */
void memory_on_exhaustion(void (*hook)(void));
/* Ends the process as said above; `bytes` is what was wanted. */
void memory_exhausted(size_t bytes) __attribute__((noreturn));

#endif
