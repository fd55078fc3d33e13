/* Files that torch.save wrote: the members of a zip archive and the pickle that says which tensors they are. */
#include "engine/model/torch_archive.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/input_file.h"
#include "engine/base/memory.h"
#include "engine/base/range.h"
#include "engine/model/file_format.h"
#include "engine/model/stored_zip.h"

static const char pickle_name[] = "data.pkl";

/* The folder that all members lie in, by that of its one data.pkl; its length without the slash. */
static status find_folder(const struct stored_zip *zip, const char *label, const char **folder, int *length)
{
    *folder = NULL;
    *length = 0;
    for (int i = 0; i < zip->count; i++) {
        const char *name = zip->members[i].name, *slash = strchr(name, '/');
        if (!slash || strcmp(slash + 1, pickle_name) != 0) continue;
        if (*folder)
            return status_error(STATUS_BAD_INPUT, "%.250s: the archive has two members %s, %s and %s/%s", label,
                                pickle_name, name, *folder, pickle_name);
        *folder = name;
        *length = (int)(slash - name);
    }
    if (*folder) return status_ok();
    return status_error(STATUS_BAD_INPUT, "%.250s: the archive has no member %s", label, pickle_name);
}

static const struct stored_member *find_member(const struct stored_zip *zip, const char *folder, int length,
                                               const char *name)
{
    char whole[STORED_ZIP_NAME_SIZE];
    int size = snprintf(whole, sizeof whole, "%.*s/%s", length, folder, name);
    return size < (int)sizeof whole ? stored_zip_find(zip, whole) : NULL;
}

/* Absent in older files, which are little-endian. */
static status check_byte_order(const struct stored_member *member, const char *label)
{
    static const char expected[] = "little";
    if (!member || (member->size == sizeof expected - 1 && memcmp(member->bytes, expected, member->size) == 0))
        return status_ok();
    return status_error(STATUS_BAD_INPUT, "%.250s: its member byteorder says \"%.*s\"; expected \"%s\"", label,
                        (int)min_size(member->size, 20), (const char *)member->bytes, expected);
}

static status add_tensor(struct torch_archive *archive, const struct stored_zip *zip, const char *folder, int length,
                         const char *label, const struct pickled_tensor *pickled)
{
    char name[TENSOR_PICKLE_NAME_SIZE + 8];
    snprintf(name, sizeof name, "data/%s", pickled->storage);
    const struct stored_member *member = find_member(zip, folder, length, name);
    size_t size = safetensors_type_size(pickled->type);
    if (!member)
        return status_error(STATUS_BAD_INPUT, "%.250s: the archive has no member %s, which holds %s", label, name,
                            pickled->name);
    if (member->size != (size_t)pickled->storage_elements * size)
        return status_error(STATUS_BAD_INPUT, "%.250s: %s needs %lld bytes, but %s has %zu", label, pickled->name,
                            (long long)pickled->storage_elements * (long long)size, name, member->size);
    archive->tensors[archive->count++] = (struct torch_tensor){.name = pickled->name,
                                                               .type = pickled->type,
                                                               .rank = pickled->rank,
                                                               .dimension = pickled->dimension,
                                                               .elements = pickled->elements,
                                                               .bytes = member->bytes + (size_t)pickled->offset * size};
    return status_ok();
}

static status read_members(const struct stored_zip *zip, const char *label, struct torch_archive *archive)
{
    const char *folder;
    int length;
    TRY(find_folder(zip, label, &folder, &length));
    TRY(check_byte_order(find_member(zip, folder, length, "byteorder"), label));
    const struct stored_member *pickle = find_member(zip, folder, length, pickle_name);
    TRY(tensor_pickle_parse(pickle->bytes, pickle->size, label, archive->pickle));
    for (int i = 0; i < archive->pickle->count; i++)
        TRY(add_tensor(archive, zip, folder, length, label, &archive->pickle->tensors[i]));
    return status_ok();
}

static status read_archive(size_t size, const char *label, struct torch_archive *archive)
{
    struct stored_zip *zip = memory_take(1, sizeof *zip);
    archive->pickle = memory_take(1, sizeof *archive->pickle);
    status result = stored_zip_parse(archive->data, size, label, zip);
    if (result.code == STATUS_OK) result = read_members(zip, label, archive);
    free(zip);
    return result;
}

/* What begins as a zip archive does is one; of anything else is said what it is, if that can be told. */
static status finish(status result, size_t size, const char *label, struct torch_archive *archive)
{
    if (result.code == STATUS_OK) return result;
    const struct file_format *format = file_format_of(archive->data, min_size(size, FILE_FORMAT_BYTES));
    bool is_zip = size >= 4 && memcmp(archive->data, "PK\3\4", 4) == 0;
    if (result.code == STATUS_BAD_INPUT && format && !is_zip) result = file_format_refused(label, format);
    torch_archive_close(archive);
    return result;
}

status torch_archive_parse(const void *bytes, size_t size, const char *label, struct torch_archive *archive)
{
    *archive = (struct torch_archive){.data = malloc(size + 1)};
    if (archive->data == NULL) return status_error(STATUS_NO_MEMORY, "no memory to read %.250s", label);
    memcpy(archive->data, bytes, size);
    return finish(read_archive(size, label, archive), size, label, archive);
}

status torch_archive_open(const char *path, struct torch_archive *archive)
{
    size_t size;
    *archive = (struct torch_archive){0};
    TRY(file_read(path, TORCH_ARCHIVE_MAXIMUM_BYTES, &archive->data, &size));
    return finish(read_archive(size, path, archive), size, path, archive);
}

void torch_archive_close(struct torch_archive *archive)
{
    free(archive->data);
    free(archive->pickle);
    *archive = (struct torch_archive){0};
}
