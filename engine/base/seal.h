/* A JSON object that tells when it was changed: its member "seal" is "sha256:" and the hash of the object's other
 * members as this program prints them on one line, so that blanks and line ends do not count. */
#ifndef ALIGNPROP_BASE_SEAL_H
#define ALIGNPROP_BASE_SEAL_H

#include "engine/base/json.h"

#define SEAL_MEMBER "seal"

/* Adds the member to an object that has none. */
void seal_add(cJSON *object);

/* Takes the member off. `*sealed` is false where there was none: files of programs before there were seals.
 * STATUS_BAD_INPUT naming `origin` when the object is another than was sealed. */
status seal_take(cJSON *object, const char *origin, bool *sealed);

#endif
