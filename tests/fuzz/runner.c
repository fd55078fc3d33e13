/* Runs a fuzz target without libFuzzer: over every file of the corpus, then over mutations of them that follow from a
 * fixed seed, so that the suite does the same each time.
 *
 *   TARGET [--rounds N] [--seed S] FILE_OR_FOLDER... */
#include "engine/base/files.h"
#include "engine/base/text.h"
#include "tests/fuzz/target.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LARGEST_INPUT = 1 << 20, SEED_LIMIT = 1000 };

struct seed {
    unsigned char *bytes;
    size_t length;
};

struct corpus {
    struct seed seeds[SEED_LIMIT];
    int count;
};

static uint64_t random_state;

/* xorshift64* */
static uint64_t next_random(void)
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return random_state * 0x2545F4914F6CDD1Du;
}

static size_t below(size_t limit)
{
    return limit ? next_random() % limit : 0;
}

static status add_file(struct corpus *corpus, const char *path)
{
    char *data;
    size_t length;
    if (corpus->count == SEED_LIMIT) return status_ok();
    TRY(file_read(path, LARGEST_INPUT, &data, &length));
    corpus->seeds[corpus->count++] = (struct seed){(unsigned char *)data, length};
    return status_ok();
}

static status add_path(struct corpus *corpus, const char *path)
{
    if (!path_is_directory(path)) return add_file(corpus, path);
    struct name_list names;
    TRY(directory_list(path, &names));
    status result = status_ok();
    for (int i = 0; i < names.count && result.code == STATUS_OK; i++) {
        char inner[PATH_SIZE];
        result = path_format(inner, "%s/%s", path, names.names[i]);
        if (result.code == STATUS_OK && path_is_file(inner)) result = add_file(corpus, inner);
    }
    name_list_clear(&names);
    return result;
}

/* ---- mutations ---- */

static void change_byte(unsigned char *bytes, size_t length)
{
    static const unsigned char favourites[] = {0,   1,   0x20, '"', '{',  '[',  '\\', ',',
                                               ':', '9', '-',  'e', 0x7F, 0x80, 0xFF};
    if (length == 0) return;
    size_t at = below(length);
    bytes[at] = next_random() & 1 ? (unsigned char)next_random() : favourites[below(sizeof favourites)];
}

static size_t remove_range(unsigned char *bytes, size_t length)
{
    if (length == 0) return 0;
    size_t at = below(length), size = 1 + below(length - at > 16 ? 16 : length - at);
    if (at + size > length) size = length - at;
    memmove(bytes + at, bytes + at + size, length - at - size);
    return length - size;
}

static size_t insert_range(unsigned char *bytes, size_t length, const struct seed *from)
{
    if (from->length == 0) return length;
    size_t start = below(from->length), size = 1 + below(64), at = below(length + 1);
    if (size > from->length - start) size = from->length - start;
    if (length + size > LARGEST_INPUT) return length;
    memmove(bytes + at + size, bytes + at, length - at);
    memcpy(bytes + at, from->bytes + start, size);
    return length + size;
}

static size_t mutate(const struct corpus *corpus, unsigned char *bytes)
{
    const struct seed *seed = &corpus->seeds[below((size_t)corpus->count)];
    size_t length = seed->length;
    memcpy(bytes, seed->bytes, length);
    for (size_t i = 1 + below(6); i > 0; i--) {
        switch (below(4)) {
        case 0: length = remove_range(bytes, length); break;
        case 1: length = insert_range(bytes, length, &corpus->seeds[below((size_t)corpus->count)]); break;
        case 2: length = below(length + 1); break;
        default: change_byte(bytes, length); break;
        }
    }
    return length;
}

/* An exact allocation, so that a sanitizer sees a read past the end. */
static bool run_one(const unsigned char *bytes, size_t length)
{
    unsigned char *copy = malloc(length ? length : 1);
    if (!copy) return false;
    memcpy(copy, bytes, length);
    LLVMFuzzerTestOneInput(copy, length);
    free(copy);
    return true;
}

static bool run_all(const struct corpus *corpus, uint64_t rounds)
{
    unsigned char *bytes = malloc(LARGEST_INPUT);
    bool good = bytes != NULL;
    for (int i = 0; good && i < corpus->count; i++) good = run_one(corpus->seeds[i].bytes, corpus->seeds[i].length);
    for (uint64_t i = 0; good && corpus->count > 0 && i < rounds; i++) good = run_one(bytes, mutate(corpus, bytes));
    free(bytes);
    return good;
}

int main(int argc, char **argv)
{
    static struct corpus corpus;
    uint64_t rounds = 0, seed = 1;
    for (int i = 1; i < argc; i++) {
        bool number = strcmp(argv[i], "--rounds") == 0 || strcmp(argv[i], "--seed") == 0;
        if (number && (i + 1 >= argc || !text_to_uint64(argv[i + 1], strcmp(argv[i], "--seed") ? &rounds : &seed))) {
            fprintf(stderr, "%s: expected a number\n", argv[i]);
            return 2;
        }
        if (number) {
            i++;
            continue;
        }
        status result = add_path(&corpus, argv[i]);
        if (result.code != STATUS_OK) {
            fprintf(stderr, "%s\n", result.message);
            return 3;
        }
    }
    random_state = seed * 0x9E3779B97F4A7C15u + 1;
    bool good = corpus.count > 0 && run_all(&corpus, rounds);
    printf("%d files, %llu mutations\n", corpus.count, (unsigned long long)rounds);
    for (int i = 0; i < corpus.count; i++) free(corpus.seeds[i].bytes);
    return good ? 0 : 1;
}
