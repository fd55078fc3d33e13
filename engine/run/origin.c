#include "engine/run/origin.h"

#include "engine/base/sha256.h"
#include "engine/run/adapter_file.h"
#include "engine/run/checkpoint.h"

#include <stdlib.h>

enum { ADAPTER_LIMIT = 1 << 30 };

static status origin_path(const struct run_folder *folder, char path[PATH_SIZE])
{
    return path_format(path, "%s/origin.safetensors", folder->path);
}

status origin_keep(const char *adapter_path, const struct run_folder *folder)
{
    char target[PATH_SIZE], *data;
    size_t length;
    TRY(origin_path(folder, target));
    TRY(file_read(adapter_path, ADAPTER_LIMIT, &data, &length));
    status result = file_write_atomic(target, data, length);
    free(data);
    return result;
}

status origin_hash(const struct run_folder *folder, char digits[65])
{
    char path[PATH_SIZE];
    digits[0] = '\0';
    TRY(origin_path(folder, path));
    return path_is_file(path) ? sha256_file(path, digits) : status_ok();
}

static const float *find(void *context, const char *name, const struct shape *shape)
{
    return adapter_set_find(context, name, shape);
}

status origin_apply(const struct run_folder *folder, struct tuner *tuner)
{
    char path[PATH_SIZE];
    struct adapter_set adapter;
    TRY(origin_path(folder, path));
    if (!path_is_file(path)) return status_ok();
    TRY(adapter_file_read(path, &adapter));
    status result = status_context(tuner_begin_with(tuner, find, &adapter), "%s", path);
    adapter_set_clear(&adapter);
    return result;
}
