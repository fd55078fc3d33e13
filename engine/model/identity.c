/* Hashing samples of a model's weight files. */
#include "engine/model/identity.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/memory.h"
#include "engine/base/sha256.h"
#include "engine/model/aesthetic_head.h"
#include "engine/model/internal.h"
#include "engine/model/model_kind.h"
#include "engine/model/reward_model_folder.h"

enum { BLOCKS = 64, BLOCK_SIZE = 4096, LENGTH_SIZE = 8, DIGITS = 64 };

/* ---- one file ---- */

static void add_number(struct sha256 *hash, uint64_t number)
{
    unsigned char bytes[LENGTH_SIZE];
    for (int i = 0; i < LENGTH_SIZE; i++) bytes[i] = (unsigned char)(number >> (8 * i));
    sha256_add(hash, bytes, sizeof bytes);
}

static status add_bytes(struct sha256 *hash, const struct input_file *file, uint64_t begin, uint64_t end)
{
    unsigned char block[BLOCK_SIZE];
    while (begin < end) {
        size_t count = end - begin < BLOCK_SIZE ? (size_t)(end - begin) : BLOCK_SIZE;
        TRY(input_file_read_at(file, begin, block, count));
        sha256_add(hash, block, count);
        begin += count;
    }
    return status_ok();
}

/* Where the header of a safetensors file ends; 0 for a file of another format. */
static status header_end(const struct input_file *file, uint64_t *end)
{
    unsigned char bytes[LENGTH_SIZE];
    uint64_t length = 0;
    *end = 0;
    if (file->size < LENGTH_SIZE) return status_ok();
    TRY(input_file_read_at(file, 0, bytes, sizeof bytes));
    for (int i = LENGTH_SIZE - 1; i >= 0; i--) length = length << 8 | bytes[i];
    if (length <= SAFETENSORS_MAXIMUM_HEADER && length <= file->size - LENGTH_SIZE) *end = LENGTH_SIZE + length;
    return status_ok();
}

static status add_samples(struct sha256 *hash, const struct input_file *file)
{
    uint64_t header;
    add_number(hash, file->size);
    TRY(header_end(file, &header));
    TRY(add_bytes(hash, file, 0, header));
    if (file->size <= (uint64_t)BLOCKS * BLOCK_SIZE) return add_bytes(hash, file, 0, file->size);
    for (uint64_t i = 0; i < BLOCKS; i++) {
        uint64_t begin = (file->size - BLOCK_SIZE) * i / (BLOCKS - 1);
        TRY(add_bytes(hash, file, begin, begin + BLOCK_SIZE));
    }
    return status_ok();
}

static status hash_file(const char *path, char digits[DIGITS + 1])
{
    struct input_file file;
    struct sha256 hash;
    sha256_begin(&hash);
    TRY(input_file_open(path, &file));
    status result = add_samples(&hash, &file);
    input_file_close(&file);
    if (result.code == STATUS_OK) sha256_end(&hash, digits);
    return result;
}

/* ---- the files of a model ---- */

static int compare_hashes(const void *a, const void *b)
{
    return memcmp(a, b, DIGITS);
}

static status add_file(struct sha256 *model, const char *path)
{
    char digits[DIGITS + 1];
    TRY(hash_file(path, digits));
    sha256_add(model, digits, DIGITS);
    return status_ok();
}

static status add_files(struct sha256 *model, const struct tensor_files *files)
{
    size_t count = tensor_files_shard_count(files);
    char(*digits)[DIGITS + 1] = memory_take(count, sizeof *digits);
    status result = status_ok();
    for (size_t i = 0; i < count && result.code == STATUS_OK; i++)
        result = hash_file(tensor_files_shard_path(files, i), digits[i]);
    if (result.code == STATUS_OK) {
        qsort(digits, count, sizeof *digits, compare_hashes);
        for (size_t i = 0; i < count; i++) sha256_add(model, digits[i], DIGITS);
    }
    free(digits);
    return result;
}

static status add_diffusion_model(struct sha256 *hash, const char *path)
{
    struct model *model;
    TRY(model_open_without_weights(path, &model));
    status result = status_ok();
    for (int part = 0; part < MODEL_PART_COUNT && result.code == STATUS_OK; part++)
        if (model->files[part]) result = add_files(hash, model->files[part]);
    model_close(model);
    return result;
}

static status add_reward_model(struct sha256 *hash, const char *path)
{
    struct tensor_files *files;
    TRY(reward_model_weights_open(path, &files));
    status result = add_files(hash, files);
    tensor_files_close(files);
    return result;
}

static status add_aesthetic_head(struct sha256 *hash, const char *path)
{
    char file[PATH_SIZE];
    TRY(aesthetic_head_find(path, file));
    return add_file(hash, file);
}

status model_identity(const char *path, char digits[65])
{
    static status (*const adders[MODEL_KIND_COUNT])(struct sha256 *, const char *) = {
        [MODEL_KIND_DIFFUSION] = add_diffusion_model,
        [MODEL_KIND_CLIP] = add_reward_model,
        [MODEL_KIND_DETECTOR] = add_reward_model,
        [MODEL_KIND_AESTHETIC] = add_aesthetic_head,
    };
    enum model_kind kind = MODEL_KIND_DIFFUSION;
    struct sha256 hash;
    sha256_begin(&hash);
    /* Opening what is not recognised says why. */
    if (!model_kind_of(path, &kind)) kind = MODEL_KIND_DIFFUSION;
    TRY(adders[kind](&hash, path));
    sha256_end(&hash, digits);
    return status_ok();
}
