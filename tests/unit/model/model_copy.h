/* Copies of golden models in a folder of the test's own, to be changed by it. */
#ifndef ALIGNPROP_TESTS_MODEL_COPY_H
#define ALIGNPROP_TESTS_MODEL_COPY_H

#include "engine/base/files.h"

/* cmocka group set-up and tear-down: the folder that copies lie in. */
int make_copies(void **state);
int remove_copies(void **state);
/* "FOLDER/name"; valid until the next call but seven. */
const char *copy_path(const char *name);
void copy_file(const char *from, const char *to);
void copy_folder(const char *from, const char *to);

#endif
