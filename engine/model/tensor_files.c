/* The tensors of one file, of an index with its shards, or of a torch archive, under their names. */
#include <libgen.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/memory.h"
#include "engine/model/config.h"
#include "engine/model/safetensors.h"

struct located_tensor {
    const struct safetensors_entry *entry;
    const struct safetensors *shard;
};

struct tensor_files {
    char *path;
    struct safetensors **shards;
    size_t shard_count;
    struct located_tensor *tensors; /* sorted by name */
    size_t tensor_count;
};

static int compare_located(const void *a, const void *b)
{
    return strcmp(((const struct located_tensor *)a)->entry->name, ((const struct located_tensor *)b)->entry->name);
}

/* Fills the list of all tensors; fails where two shards have a tensor of the same name. */
static status collect(struct tensor_files *files)
{
    size_t count = 0, filled = 0;
    for (size_t i = 0; i < files->shard_count; i++) count += safetensors_count(files->shards[i]);
    files->tensors = calloc(count + 1, sizeof files->tensors[0]);
    if (!files->tensors) return status_error(STATUS_NO_MEMORY, "%s: no memory for %zu names", files->path, count);
    for (size_t i = 0; i < files->shard_count; i++)
        for (size_t j = 0; j < safetensors_count(files->shards[i]); j++)
            files->tensors[filled++] =
                (struct located_tensor){safetensors_entry_at(files->shards[i], j), files->shards[i]};
    files->tensor_count = count;
    qsort(files->tensors, count, sizeof files->tensors[0], compare_located);
    for (size_t i = 1; i < count; i++)
        if (compare_located(&files->tensors[i - 1], &files->tensors[i]) == 0)
            return status_error(STATUS_BAD_INPUT, "%s: tensor %s is in two shards: %s and %s", files->path,
                                files->tensors[i].entry->name, safetensors_path(files->tensors[i - 1].shard),
                                safetensors_path(files->tensors[i].shard));
    return status_ok();
}

static status add_shard(struct tensor_files *files, const char *path)
{
    /* An array of pointers. NOLINTNEXTLINE(bugprone-sizeof-expression) */
    files->shards = memory_resize(files->shards, files->shard_count + 1, sizeof files->shards[0]);
    TRY(safetensors_open(path, &files->shards[files->shard_count]));
    files->shard_count++;
    return status_ok();
}

static status shard_path(const struct config *index, const cJSON *tensor, char path[PATH_SIZE])
{
    const char *name = cJSON_IsString(tensor) ? tensor->valuestring : "";
    if (name[0] == '\0' || strchr(name, '/'))
        return status_error(STATUS_BAD_INPUT,
                            "%s: weight_map gives tensor %.100s the file \"%.100s\"; expected the "
                            "name of a file in the same folder",
                            index->path, tensor->string, name);
    char folder[PATH_SIZE];
    TRY(path_format(folder, "%s", index->path));
    return path_format(path, "%s/%s", dirname(folder), name);
}

static struct safetensors *opened_shard(const struct tensor_files *files, const char *path)
{
    for (size_t i = 0; i < files->shard_count; i++)
        if (strcmp(safetensors_path(files->shards[i]), path) == 0) return files->shards[i];
    return NULL;
}

static status open_indexed(struct tensor_files *files, const struct config *index)
{
    const cJSON *map = config_find(index, "weight_map"), *tensor;
    if (!cJSON_IsObject(map)) return config_wrong(index, "weight_map", "an object of tensor and file names");
    char path[PATH_SIZE];
    cJSON_ArrayForEach(tensor, map)
    {
        TRY(shard_path(index, tensor, path));
        if (!opened_shard(files, path)) TRY(add_shard(files, path));
        if (!safetensors_find(opened_shard(files, path), tensor->string))
            return status_error(STATUS_BAD_INPUT, "%s: has no tensor %s, though %s says so", path, tensor->string,
                                index->path);
    }
    return status_ok();
}

static bool is_index(const char *path)
{
    size_t length = strlen(path);
    return length >= 5 && strcmp(path + length - 5, ".json") == 0;
}

static status open_all(struct tensor_files *files)
{
    if (!is_index(files->path)) {
        TRY(add_shard(files, files->path));
    } else {
        struct config index;
        TRY(config_open(files->path, &index));
        status result = open_indexed(files, &index);
        config_close(&index);
        TRY(result);
    }
    return collect(files);
}

status tensor_files_open(const char *path, struct tensor_files **files)
{
    *files = memory_take(1, sizeof **files);
    (*files)->path = memory_copy_text(path);
    status result = open_all(*files);
    if (result.code != STATUS_OK) {
        tensor_files_close(*files);
        *files = NULL;
    }
    return result;
}

void tensor_files_close(struct tensor_files *files)
{
    if (!files) return;
    for (size_t i = 0; i < files->shard_count; i++) safetensors_close(files->shards[i]);
    free(files->shards);
    free(files->tensors);
    free(files->path);
    free(files);
}

const char *tensor_files_path(const struct tensor_files *files)
{
    return files->path;
}

size_t tensor_files_shard_count(const struct tensor_files *files)
{
    return files->shard_count;
}

const char *tensor_files_shard_path(const struct tensor_files *files, size_t index)
{
    return safetensors_path(files->shards[index]);
}

size_t tensor_files_count(const struct tensor_files *files)
{
    return files->tensor_count;
}

const struct safetensors_entry *tensor_files_entry_at(const struct tensor_files *files, size_t index)
{
    return files->tensors[index].entry;
}

static int compare_name_with_located(const void *name, const void *located)
{
    return strcmp(name, ((const struct located_tensor *)located)->entry->name);
}

static const struct located_tensor *locate(const struct tensor_files *files, const char *name)
{
    return bsearch(name, files->tensors, files->tensor_count, sizeof files->tensors[0], compare_name_with_located);
}

const struct safetensors_entry *tensor_files_find(const struct tensor_files *files, const char *name)
{
    const struct located_tensor *located = locate(files, name);
    return located ? located->entry : NULL;
}

const char *tensor_files_metadata(const struct tensor_files *files, const char *key)
{
    for (size_t i = 0; i < files->shard_count; i++) {
        const char *value = safetensors_metadata(files->shards[i], key);
        if (value) return value;
    }
    return NULL;
}

size_t tensor_files_index(const struct tensor_files *files, const char *name)
{
    return (size_t)(locate(files, name) - files->tensors);
}

static status read_from_files(void *context, const char *name, const struct shape *shape, struct weight_sink sink)
{
    const struct tensor_files *files = context;
    const struct located_tensor *located = locate(files, name);
    if (located) return safetensors_read_to(located->shard, name, shape, sink);
    char expected[200];
    return status_error(STATUS_BAD_INPUT, "%s: has no tensor %s; expected one of shape %s", files->path, name,
                        safetensors_shape_text(shape->rank, shape->dimension, expected, sizeof expected));
}

struct weight_source tensor_files_source(struct tensor_files *files)
{
    return (struct weight_source){.read = read_from_files, .context = files};
}
