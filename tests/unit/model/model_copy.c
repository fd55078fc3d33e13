/* Copies of golden models for a test to change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "model_copy.h"
#include "model_runner.h"

enum { PATHS = 8, LARGEST_FILE = 1 << 26 };

static char folder[] = "/tmp/alignprop-models-XXXXXX";

int make_copies(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

int remove_copies(void **state)
{
    (void)state;
    return (int)directory_remove(folder).code;
}

const char *copy_path(const char *name)
{
    static char paths[PATHS][PATH_SIZE];
    static int next;
    char *path = paths[next++ % PATHS];
    assert_success(path_format(path, "%s/%s", folder, name));
    return path;
}

void copy_file(const char *from, const char *to)
{
    char *data;
    size_t length;
    assert_success(file_read(from, LARGEST_FILE, &data, &length));
    assert_success(file_write_atomic(to, data, length));
    free(data);
}

void copy_folder(const char *from, const char *to)
{
    struct name_list names;
    assert_success(directory_make(to));
    assert_success(directory_list(from, &names));
    for (int i = 0; i < names.count; i++) {
        char source[PATH_SIZE], target[PATH_SIZE];
        assert_success(path_format(source, "%s/%s", from, names.names[i]));
        assert_success(path_format(target, "%s/%s", to, names.names[i]));
        if (path_is_directory(source))
            copy_folder(source, target);
        else
            copy_file(source, target);
    }
    name_list_clear(&names);
}
