/* Zip archives of stored members, as torch.save writes them, over bytes in memory. All of the archive is checked on
 * opening: every member lies inside the file and none over another, the two copies of its header agree, its name stands
 * once and its bytes have the checksum that is said of them. */
#ifndef ALIGNPROP_MODEL_STORED_ZIP_H
#define ALIGNPROP_MODEL_STORED_ZIP_H

#include "kernels/status.h"

#include <stddef.h>
#include <stdint.h>

enum { STORED_ZIP_MAXIMUM_MEMBERS = 256, STORED_ZIP_NAME_SIZE = 200 };

struct stored_member {
    char name[STORED_ZIP_NAME_SIZE];
    const unsigned char *bytes;
    size_t size;
    size_t begin, end; /* of header, bytes and what follows them, in the file */
};

struct stored_zip {
    struct stored_member members[STORED_ZIP_MAXIMUM_MEMBERS]; /* in the directory's order */
    int count;
};

/* `bytes` must outlive the archive, which owns nothing. `label` names the file in messages. STATUS_BAD_INPUT names file
 * and member. */
status stored_zip_parse(const void *bytes, size_t size, const char *label, struct stored_zip *zip);
/* NULL where there is none of that name. */
const struct stored_member *stored_zip_find(const struct stored_zip *zip, const char *name);

#endif
