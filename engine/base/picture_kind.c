/* The names of the kinds of pictures. */
#include "engine/base/picture_kind.h"

#include <string.h>

const char *picture_kind_name(enum picture_kind kind)
{
#define KIND(identifier, name) name,
    static const char *const names[] = {PICTURE_KINDS(KIND)};
#undef KIND
    return names[kind];
}

enum picture_kind picture_kind_find(const char *name)
{
    enum picture_kind kind = 0;
    while (kind < PICTURE_KIND_COUNT && strcmp(name, picture_kind_name(kind)) != 0) kind++;
    return kind;
}
