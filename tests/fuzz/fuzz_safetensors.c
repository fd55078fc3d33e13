/* A safetensors file. Every entry that is accepted must lie inside the file. */
#include "engine/model/safetensors.h"
#include "tests/fuzz/target.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct safetensors *file;
    if (safetensors_parse(data, size, "fuzz", &file).code != STATUS_OK) return 0;
    volatile uint8_t sum = 0;
    for (size_t i = 0; i < safetensors_count(file); i++) {
        const struct safetensors_entry *entry = safetensors_entry_at(file, i);
        size_t length = (size_t)entry->elements * safetensors_type_size(entry->type);
        if (length > size || entry->offset > size - length) abort();
        uint8_t *bytes = malloc(length + 1);
        if (!bytes || safetensors_read_bytes(entry, bytes).code != STATUS_OK) abort();
        for (size_t at = 0; at < length; at++) sum = (uint8_t)(sum + bytes[at]);
        free(bytes);
    }
    safetensors_close(file);
    return 0;
}
