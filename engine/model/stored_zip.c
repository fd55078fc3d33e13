/* Reading zip archives of stored members: APPNOTE.TXT of PKWARE, sections 4.3.7, 4.3.9, 4.3.12 and 4.3.14 to 4.3.16. */
#include "engine/model/stored_zip.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

enum {
    END_SIZE = 22,
    END64_SIZE = 56,
    LOCATOR_SIZE = 20,
    ENTRY_SIZE = 46,
    LOCAL_SIZE = 30,
    DESCRIPTOR_SIZE = 16,
    DESCRIPTOR64_SIZE = 24,
    MAXIMUM_COMMENT = 65535,
    FLAG_ENCRYPTED = 1,
    FLAG_DESCRIPTOR = 8 /* the local header has no sizes; they follow the bytes */
};

struct file {
    const unsigned char *at;
    size_t size;
    const char *label;
};

/* The central directory. */
struct directory {
    size_t begin, end, count;
};

static uint64_t little(const unsigned char *bytes, int count)
{
    uint64_t value = 0;
    for (int i = 0; i < count; i++) value |= (uint64_t)bytes[i] << (8 * i);
    return value;
}

static status wrong(const struct file *file, const char *what)
{
    return status_error(STATUS_BAD_INPUT, "%.250s: %s", file->label, what);
}

static status wrong_member(const struct file *file, const struct stored_member *member, const char *what)
{
    return status_error(STATUS_BAD_INPUT, "%.250s: member %s of the archive %s", file->label, member->name, what);
}

/* Offset of the end record; false where there is none. Nothing but its comment may follow it. */
static bool find_end(const struct file *file, size_t *offset)
{
    for (size_t back = END_SIZE; back <= file->size && back <= END_SIZE + MAXIMUM_COMMENT; back++) {
        const unsigned char *at = file->at + file->size - back;
        if (memcmp(at, "PK\5\6", 4) != 0 || little(at + 20, 2) != back - END_SIZE) continue;
        *offset = file->size - back;
        return true;
    }
    return false;
}

/* Newer versions of torch write a zip64 end record before the other one, which then must say the same. */
static bool find_end64(const struct file *file, size_t end, const unsigned char **record)
{
    *record = NULL;
    if (end < LOCATOR_SIZE || memcmp(file->at + end - LOCATOR_SIZE, "PK\6\7", 4) != 0) return true;
    uint64_t offset = little(file->at + end - LOCATOR_SIZE + 8, 8);
    if (end - LOCATOR_SIZE < END64_SIZE || offset != end - LOCATOR_SIZE - END64_SIZE) return false;
    *record = file->at + offset;
    return memcmp(*record, "PK\6\6", 4) == 0;
}

static status find_directory(const struct file *file, struct directory *directory)
{
    size_t end;
    const unsigned char *record64;
    if (!find_end(file, &end))
        return wrong(file, "not a zip archive as torch.save writes it (no end of central directory); it is truncated, "
                           "or of an older format or a bare pickle, which are not read");
    const unsigned char *record = file->at + end;
    if (!find_end64(file, end, &record64)) return wrong(file, "the archive's zip64 end record is damaged");
    uint64_t count = little(record + 10, 2), size = little(record + 12, 4), begin = little(record + 16, 4);
    bool one_disk = little(record + 4, 2) == 0 && little(record + 6, 2) == 0 && little(record + 8, 2) == count;
    if (record64) {
        one_disk = one_disk && little(record64 + 24, 8) == count && little(record64 + 32, 8) == count &&
                   little(record64 + 40, 8) == size && little(record64 + 48, 8) == begin;
        end = (size_t)(record64 - file->at);
    }
    if (!one_disk) return wrong(file, "the archive's end records contradict each other or name several disks");
    if (begin > end || end - begin != size) return wrong(file, "the archive's directory lies outside the file");
    *directory = (struct directory){(size_t)begin, end, (size_t)count};
    return status_ok();
}

/* What follows the bytes of a member says the same as its entry. */
static bool descriptor_agrees(const unsigned char *at, const unsigned char *entry, int size_bytes)
{
    return memcmp(at, "PK\7\10", 4) == 0 && little(at + 4, 4) == little(entry + 16, 4) &&
           little(at + 8, size_bytes) == little(entry + 20, 4) &&
           little(at + 8 + size_bytes, size_bytes) == little(entry + 24, 4);
}

static status check_descriptor(const struct file *file, const unsigned char *entry, const struct directory *directory,
                               struct stored_member *member)
{
    size_t room = directory->begin - member->end;
    const unsigned char *at = file->at + member->end;
    if (room >= DESCRIPTOR_SIZE && descriptor_agrees(at, entry, 4))
        member->end += DESCRIPTOR_SIZE;
    else if (room >= DESCRIPTOR64_SIZE && descriptor_agrees(at, entry, 8))
        member->end += DESCRIPTOR64_SIZE;
    else
        return wrong_member(file, member, "is followed by a size or checksum other than the directory's");
    return status_ok();
}

/* The header before the member's bytes says the same as its entry in the directory. */
static status check_local_header(const struct file *file, const unsigned char *entry, const unsigned char *local)
{
    struct stored_member name = {.name = "of the directory"};
    size_t length = (size_t)little(entry + 28, 2);
    memcpy(name.name, entry + ENTRY_SIZE, length);
    name.name[length] = '\0';
    uint64_t flags = little(entry + 8, 2);
    if (little(local + 26, 2) != length || memcmp(local + LOCAL_SIZE, entry + ENTRY_SIZE, length) != 0)
        return wrong_member(file, &name, "has another name in the header before its bytes");
    if (little(local + 6, 2) != flags || little(local + 8, 2) != little(entry + 10, 2))
        return wrong_member(file, &name, "has other flags or another method in the header before its bytes");
    bool same = memcmp(local + 14, entry + 16, 12) == 0;
    bool absent = (flags & FLAG_DESCRIPTOR) && memcmp(local + 14, "\0\0\0\0\0\0\0\0\0\0\0", 12) == 0;
    if (!same && !absent)
        return wrong_member(file, &name, "has another size or checksum in the header before its bytes");
    return status_ok();
}

static status read_member(const struct file *file, const struct directory *directory, const unsigned char *entry,
                          struct stored_member *member)
{
    size_t name_length = (size_t)little(entry + 28, 2);
    memcpy(member->name, entry + ENTRY_SIZE, name_length);
    member->name[name_length] = '\0';
    uint64_t flags = little(entry + 8, 2), packed = little(entry + 20, 4), size = little(entry + 24, 4);
    if (flags & FLAG_ENCRYPTED) return wrong_member(file, member, "is encrypted");
    if (little(entry + 10, 2) != 0 || packed != size)
        return wrong_member(file, member, "is compressed; torch.save stores its members");
    member->begin = (size_t)little(entry + 42, 4);
    if (member->begin > directory->begin || directory->begin - member->begin < LOCAL_SIZE ||
        memcmp(file->at + member->begin, "PK\3\4", 4) != 0)
        return wrong_member(file, member, "is not where the directory says; the file is damaged or truncated");
    const unsigned char *local = file->at + member->begin;
    size_t start = member->begin + LOCAL_SIZE + (size_t)little(local + 26, 2) + (size_t)little(local + 28, 2);
    if (start > directory->begin || directory->begin - start < size)
        return wrong_member(file, member, "ends beyond the place of the archive's directory; the file is truncated");
    TRY(check_local_header(file, entry, local));
    member->bytes = file->at + start;
    member->size = (size_t)size;
    member->end = start + (size_t)size;
    if (flags & FLAG_DESCRIPTOR) TRY(check_descriptor(file, entry, directory, member));
    if (crc32(0, member->bytes, (uInt)size) != little(entry + 16, 4))
        return wrong_member(file, member,
                            "does not have the checksum (CRC-32) that is said of it; the file is damaged");
    return status_ok();
}

static int compare_names(const void *a, const void *b)
{
    return strcmp((*(const struct stored_member *const *)a)->name, (*(const struct stored_member *const *)b)->name);
}

static int compare_places(const void *a, const void *b)
{
    const struct stored_member *first = *(const struct stored_member *const *)a;
    const struct stored_member *second = *(const struct stored_member *const *)b;
    return first->begin < second->begin ? -1 : first->begin > second->begin;
}

static status check_together(const struct file *file, const struct stored_zip *zip)
{
    const struct stored_member *sorted[STORED_ZIP_MAXIMUM_MEMBERS];
    size_t count = (size_t)zip->count;
    for (size_t i = 0; i < count; i++) sorted[i] = &zip->members[i];
    qsort(sorted, count, sizeof sorted[0], compare_names);
    for (size_t i = 1; i < count; i++)
        if (strcmp(sorted[i - 1]->name, sorted[i]->name) == 0) return wrong_member(file, sorted[i], "is there twice");
    qsort(sorted, count, sizeof sorted[0], compare_places);
    for (size_t i = 1; i < count; i++)
        if (sorted[i - 1]->end > sorted[i]->begin)
            return wrong_member(file, sorted[i], "overlaps the one before it in the file");
    return status_ok();
}

status stored_zip_parse(const void *bytes, size_t size, const char *label, struct stored_zip *zip)
{
    struct file file = {bytes, size, label};
    struct directory directory = {0};
    zip->count = 0;
    TRY(find_directory(&file, &directory));
    if (directory.count > STORED_ZIP_MAXIMUM_MEMBERS)
        return status_error(STATUS_BAD_INPUT, "%.250s: the archive has %zu members; expected at most %d", label,
                            directory.count, STORED_ZIP_MAXIMUM_MEMBERS);
    size_t at = directory.begin;
    for (size_t i = 0; i < directory.count; i++) {
        const unsigned char *entry = file.at + at;
        size_t room = directory.end - at;
        if (room < ENTRY_SIZE || memcmp(entry, "PK\1\2", 4) != 0)
            return wrong(&file, "the archive's directory is damaged");
        size_t name = (size_t)little(entry + 28, 2);
        size_t whole = ENTRY_SIZE + name + (size_t)little(entry + 30, 2) + (size_t)little(entry + 32, 2);
        if (room < whole) return wrong(&file, "the archive's directory is damaged");
        if (name >= STORED_ZIP_NAME_SIZE || memchr(entry + ENTRY_SIZE, '\0', name))
            return wrong(&file, "a member of the archive has too long a name or a NUL byte in it");
        TRY(read_member(&file, &directory, entry, &zip->members[zip->count]));
        zip->count++;
        at += whole;
    }
    if (at != directory.end) return wrong(&file, "the archive's directory has more entries than it says");
    return check_together(&file, zip);
}

const struct stored_member *stored_zip_find(const struct stored_zip *zip, const char *name)
{
    for (int i = 0; i < zip->count; i++)
        if (strcmp(zip->members[i].name, name) == 0) return &zip->members[i];
    return NULL;
}
