/* What tests read in run folders: adapters compared to the byte, and whether an engine lives. */
#include "tests/e2e/run_files.h"

#include "engine/base/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

char *adapter_tensors(const char *folder, size_t *bytes)
{
    char path[PATH_SIZE], *data;
    assert_int_equal(path_format(path, "%s/lora.safetensors", folder).code, STATUS_OK);
    status got = file_read(path, (size_t)1 << 28, &data, bytes);
    if (got.code != STATUS_OK) fail_msg("%s", got.message);
    uint64_t header = 0;
    assert_true(*bytes > sizeof header);
    memcpy(&header, data, sizeof header);
    assert_true(header + sizeof header < *bytes);
    *bytes -= header + sizeof header;
    memmove(data, data + header + sizeof header, *bytes);
    return data;
}

void adapter_must_equal(const char *folder, const char *tensors, size_t bytes)
{
    size_t found_bytes;
    char *found = adapter_tensors(folder, &found_bytes);
    assert_int_equal(found_bytes, bytes);
    assert_memory_equal(found, tensors, bytes);
    free(found);
}

bool engine_is_alive(const char *path, struct engine_facts *facts)
{
    struct run_folder folder;
    return run_folder_open(path, &folder).code == STATUS_OK && run_folder_is_alive(&folder) &&
           run_folder_engine(&folder, facts).code == STATUS_OK && facts->socket_path[0] &&
           access(facts->socket_path, F_OK) == 0;
}
