/* Writing zip archives: APPNOTE.TXT of PKWARE, sections 4.3.7, 4.3.12 and 4.3.16. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include "zip_writer.h"

enum { ROOM = 1 << 16, LOCAL_SIZE = 30, ENTRY_SIZE = 46, END_SIZE = 22 };

static void put(char *at, int count, uint32_t value)
{
    for (int i = 0; i < count; i++) at[i] = (char)(unsigned char)(value >> (8 * i));
}

static uint32_t get(const char *at, int count)
{
    uint32_t value = 0;
    for (int i = 0; i < count; i++) value |= (uint32_t)(unsigned char)at[i] << (8 * i);
    return value;
}

static uint32_t checksum(const struct zip_member *member)
{
    return (uint32_t)crc32(0, (const unsigned char *)member->bytes, (uInt)member->size) + member->wrong_checksum;
}

static char *put_member(char *at, const struct zip_member *member)
{
    const char *name = member->local_name[0] ? member->local_name : member->name;
    memset(at, 0, LOCAL_SIZE);
    memcpy(at, "PK\3\4", 4);
    put(at + 14, 4, checksum(member));
    put(at + 18, 4, (uint32_t)member->size + member->wrong_local_size);
    put(at + 22, 4, (uint32_t)member->size);
    put(at + 26, 2, (uint32_t)strlen(name));
    memcpy(at + LOCAL_SIZE, name, strlen(name));
    at += LOCAL_SIZE + strlen(name);
    memcpy(at, member->bytes, member->size);
    return at + member->size;
}

static char *put_entry(char *at, const struct zip_member *member, uint32_t offset)
{
    memset(at, 0, ENTRY_SIZE);
    memcpy(at, "PK\1\2", 4);
    put(at + 16, 4, checksum(member));
    put(at + 20, 4, (uint32_t)member->size);
    put(at + 24, 4, (uint32_t)member->size);
    put(at + 28, 2, (uint32_t)strlen(member->name));
    put(at + 42, 4, offset);
    memcpy(at + ENTRY_SIZE, member->name, strlen(member->name));
    return at + ENTRY_SIZE + strlen(member->name);
}

char *zip_write(const struct zip_member *members, int count, size_t *size)
{
    char *archive = calloc(1, ROOM);
    uint32_t offsets[64];
    assert_non_null(archive);
    assert_in_range(count, 1, 64);
    char *at = archive;
    for (int i = 0; i < count; i++) {
        assert_true((size_t)(at - archive) + members[i].size < ROOM / 2);
        offsets[i] = (uint32_t)(at - archive);
        at = put_member(at, &members[i]);
    }
    char *directory = at;
    for (int i = 0; i < count; i++) at = put_entry(at, &members[i], offsets[i]);
    char *end = at;
    memcpy(end, "PK\5\6", 4);
    put(end + 8, 2, (uint32_t)count);
    put(end + 10, 2, (uint32_t)count);
    put(end + 12, 4, (uint32_t)(end - directory));
    put(end + 16, 4, (uint32_t)(directory - archive));
    *size = (size_t)(end + END_SIZE - archive);
    return archive;
}

static char *find_entry(char *archive, size_t size, const char *name)
{
    char *end = archive + size - END_SIZE, *at = archive + get(end + 16, 4);
    while (at < end) {
        size_t length = get(at + 28, 2);
        if (length == strlen(name) && memcmp(at + ENTRY_SIZE, name, length) == 0) return at;
        at += ENTRY_SIZE + length;
    }
    fail_msg("no entry %s", name);
    return NULL;
}

void zip_move_entry(char *archive, size_t size, const char *name, const char *outer)
{
    uint32_t offset = get(find_entry(archive, size, outer) + 42, 4);
    put(find_entry(archive, size, name) + 42, 4, offset + LOCAL_SIZE + (uint32_t)strlen(outer));
}
