/* SHA-256 (FIPS 180-4), for the hashes that model files carry and for telling whole checkpoints from damaged ones. */
#ifndef ALIGNPROP_BASE_SHA256_H
#define ALIGNPROP_BASE_SHA256_H

#include "kernels/status.h"

#include <stddef.h>
#include <stdint.h>

struct sha256 {
    uint32_t state[8];
    uint64_t length; /* bytes so far */
    unsigned char block[64];
};

void sha256_begin(struct sha256 *hash);
void sha256_add(struct sha256 *hash, const void *bytes, size_t length);
/* 64 lower-case hexadecimal digits and a NUL. */
void sha256_end(struct sha256 *hash, char digits[65]);

/* The hash of a whole file. */
status sha256_file(const char *path, char digits[65]);

#endif
