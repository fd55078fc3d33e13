/* Writes zip archives of stored members, right ones and wrong ones. */
#ifndef ALIGNPROP_TESTS_ZIP_WRITER_H
#define ALIGNPROP_TESTS_ZIP_WRITER_H

#include <stdbool.h>
#include <stddef.h>

struct zip_member {
    char name[80];
    char *bytes;
    size_t size;
    char local_name[80];   /* in the header before the bytes; empty: the same */
    bool wrong_checksum;   /* in both headers */
    bool wrong_local_size; /* in the header before the bytes */
};

/* The archive, which the caller frees. */
char *zip_write(const struct zip_member *members, int count, size_t *size);
/* Lets the directory's entry for `name` point to the header that the bytes of member `outer` begin with. */
void zip_move_entry(char *archive, size_t size, const char *name, const char *outer);

#endif
