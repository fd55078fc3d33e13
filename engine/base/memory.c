/* Small allocations that end the process with a message when there is no memory. */
#include "engine/base/memory.h"

#include "kernels/status.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* There is one terminal, and whoever runs out of memory knows of no object to ask for it. */
static _Atomic(void (*)(void)) last_hook;

void memory_on_exhaustion(void (*hook)(void))
{
    atomic_store(&last_hook, hook);
}

/* Neither a stream nor exit: both take memory, and other threads are at work. */
void memory_exhausted(size_t bytes)
{
    void (*hook)(void) = atomic_exchange(&last_hook, NULL);
    if (hook) hook();
    char message[120];
    int length = snprintf(message, sizeof message, "alignprop: out of memory (%zu bytes more were needed)\n", bytes);
    if (length > 0) {
        ssize_t written = write(STDERR_FILENO, message, (size_t)length);
        (void)written; /* there is nobody else to tell */
    }
    _exit(STATUS_FAILED);
}

void *memory_take(size_t count, size_t size)
{
    void *memory = calloc(count ? count : 1, size);
    if (!memory) memory_exhausted(size && count > SIZE_MAX / size ? SIZE_MAX : count * size);
    return memory;
}

void *memory_resize(void *memory, size_t count, size_t size)
{
    void *moved = reallocarray(memory, count ? count : 1, size);
    if (!moved) memory_exhausted(size && count > SIZE_MAX / size ? SIZE_MAX : count * size);
    return moved;
}

void *memory_grow(void *list, int count, int *capacity, size_t size)
{
    enum { FIRST = 16 };
    if (count < *capacity) return list;
    *capacity = *capacity ? *capacity * 2 : FIRST;
    return memory_resize(list, (size_t)*capacity, size);
}

char *memory_copy_part(const char *text, size_t length)
{
    size_t used = strnlen(text, length);
    char *copy = memory_take(used + 1, 1);
    memcpy(copy, text, used);
    return copy;
}

char *memory_copy_text(const char *text)
{
    return memory_copy_part(text, strlen(text));
}
