/* A growing run of bytes. */
#ifndef ALIGNPROP_TUI_PICTURES_BYTES_H
#define ALIGNPROP_TUI_PICTURES_BYTES_H

#include <stdbool.h>
#include <stddef.h>

struct bytes {
    char *data;
    size_t length, capacity;
    bool failed; /* memory ran out: what came after is missing */
};

void bytes_add(struct bytes *bytes, const void *data, size_t length);
void bytes_add_text(struct bytes *bytes, const char *text);
void bytes_format(struct bytes *bytes, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Appends the base64 form of `data`. */
void bytes_add_base64(struct bytes *bytes, const unsigned char *data, size_t length);
/* Appends control strings as tmux hands them on to the terminal: wrapped, with every escape in them doubled. */
void bytes_add_passed_through(struct bytes *bytes, const char *data, size_t length);
void bytes_clear(struct bytes *bytes);
void bytes_free(struct bytes *bytes);

#endif
