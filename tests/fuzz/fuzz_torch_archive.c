/* What torch.save writes: the whole archive, and its pickle alone, which the archive's checksums would keep from view.
 * Every tensor that is accepted must lie inside the archive. */
#include "engine/model/torch_archive.h"
#include "tests/fuzz/target.h"

#include <stdlib.h>

static void read_archive(const uint8_t *data, size_t size)
{
    struct torch_archive archive;
    if (torch_archive_parse(data, size, "fuzz", &archive).code != STATUS_OK) return;
    volatile uint8_t sum = 0;
    for (int i = 0; i < archive.count; i++) {
        const struct torch_tensor *tensor = &archive.tensors[i];
        size_t length = (size_t)tensor->elements * safetensors_type_size(tensor->type);
        if (length > size) abort();
        for (size_t at = 0; at < length; at++) sum = (uint8_t)(sum + tensor->bytes[at]);
    }
    torch_archive_close(&archive);
}

static void read_pickle(const uint8_t *data, size_t size)
{
    static struct tensor_pickle pickle;
    if (tensor_pickle_parse(data, size, "fuzz", &pickle).code != STATUS_OK) return;
    for (int i = 0; i < pickle.count; i++) {
        const struct pickled_tensor *tensor = &pickle.tensors[i];
        if (tensor->offset < 0 || tensor->elements < 1 || tensor->elements > tensor->storage_elements - tensor->offset)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_archive(data, size);
    read_pickle(data, size);
    return 0;
}
