/* What libFuzzer and the runner call. A target returns 0; it fails by crashing, by a sanitizer, or by abort(). */
#ifndef ALIGNPROP_TESTS_FUZZ_TARGET_H
#define ALIGNPROP_TESTS_FUZZ_TARGET_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
