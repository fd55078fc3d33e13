/* Seconds that the weights of models take from their files, in the page cache, to a backend in bf16: what stands
 * between the start and the first step beside the device's own work. The CPU backend's upload is a copy.
 *
 * usage: bench_load FILE.safetensors ...   every tensor of each file, as a run would load it */
#include "engine/base/clock.h"
#include "engine/graph/weights.h"
#include "engine/model/safetensors.h"

#include <stdio.h>
#include <stdlib.h>

enum { RUNS = 3 };

static void expect(status result)
{
    if (result.code == STATUS_OK) return;
    fprintf(stderr, "%s\n", result.message);
    exit(1);
}

/* Loads all tensors of `files` but those of more dimensions than a weight has; the bytes read. */
static double load(struct tensor_files *files, struct backend *backend)
{
    struct weight_set *set;
    double bytes = 0;
    set = weight_set_create(backend, tensor_files_source(files));
    for (size_t i = 0; i < tensor_files_count(files); i++) {
        const struct safetensors_entry *entry = tensor_files_entry_at(files, i);
        struct shape shape = {.rank = entry->rank > 0 ? entry->rank : 1, .dimension = {1}};
        void *memory;
        if (entry->rank > MAXIMUM_RANK) continue;
        for (int d = 0; d < entry->rank; d++) shape.dimension[d] = entry->dimension[d];
        expect(weight_set_get(set, entry->name, &shape, ELEMENT_BF16, &memory));
        bytes += (double)entry->elements * (double)safetensors_type_size(entry->type);
    }
    weight_set_destroy(set);
    return bytes;
}

int main(int count, char **message)
{
    struct backend *backend;
    double whole = 0;
    expect(backend_cpu_create(1, &backend));
    for (int word = 1; word < count; word++) {
        double best = 0, bytes = 0;
        for (int run = 0; run < RUNS; run++) {
            struct tensor_files *files;
            double start = clock_steady();
            expect(tensor_files_open(message[word], &files));
            bytes = load(files, backend);
            double seconds = clock_steady() - start;
            tensor_files_close(files);
            if (run == 0 || seconds < best) best = seconds;
        }
        printf("%6.2f s  %6.2f GB/s  %s\n", best, bytes / best * 1e-9, message[word]);
        whole += best;
    }
    printf("%6.2f s  together\n", whole);
    backend->interface->destroy(backend);
    return 0;
}
