/* What tests read of a run that another process works on. Failures end the calling cmocka test. */
#ifndef ALIGNPROP_TESTS_E2E_RUN_FILES_H
#define ALIGNPROP_TESTS_E2E_RUN_FILES_H

#include "engine/run/run_folder.h"

/* The tensors of the folder's adapter, `bytes` of them: the file behind its header, which has times in it. The caller
 * frees them. */
char *adapter_tensors(const char *folder, size_t *bytes);

/* Fails the test where the folder's adapter has other tensors than these, as adapter_tensors gave them. */
void adapter_must_equal(const char *folder, const char *tensors, size_t bytes);

/* Whether an engine holds the run and its socket is there; *facts is filled in then. */
bool engine_is_alive(const char *path, struct engine_facts *facts);

#endif
