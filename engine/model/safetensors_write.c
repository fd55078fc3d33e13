/* Writes safetensors files: sorted names, aligned data, the header before it, whole or not at all. */
#include <stdlib.h>
#include <string.h>

#include "engine/base/files.h"
#include "engine/base/memory.h"
#include "engine/base/text.h"
#include "engine/model/safetensors.h"

enum { LENGTH_BYTES = 8, ALIGNMENT = 8 };

static int compare_strings(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Fails where one of `count` strings, `stride` bytes apart from the first, stands twice or is no UTF-8. */
static status check_names(const char *path, const void *first, size_t count, size_t stride)
{
    if (count == 0) return status_ok();
    const char **sorted = memory_take(count, sizeof sorted[0]);
    status result = status_ok();
    for (size_t i = 0; i < count; i++) {
        memcpy(&sorted[i], (const char *)first + i * stride, sizeof sorted[i]);
        if (!text_is_utf8(sorted[i], strlen(sorted[i]), NULL))
            result = status_error(STATUS_BAD_INPUT, "%s: a name to be written is not valid UTF-8", path);
    }
    qsort(sorted, count, sizeof sorted[0], compare_strings);
    for (size_t i = 1; i < count && result.code == STATUS_OK; i++)
        if (strcmp(sorted[i - 1], sorted[i]) == 0)
            result = status_error(STATUS_BAD_INPUT, "%s: was to be written with the name %s twice", path, sorted[i]);
    free(sorted);
    return result;
}

static status check_arguments(const char *path, const struct safetensors_item *items, size_t item_count,
                              const struct safetensors_text *metadata, size_t metadata_count)
{
    if (item_count) TRY(check_names(path, &items[0].name, item_count, sizeof items[0]));
    if (metadata_count) TRY(check_names(path, &metadata[0].key, metadata_count, sizeof metadata[0]));
    for (size_t i = 0; i < item_count; i++)
        if (strcmp(items[i].name, "__metadata__") == 0)
            return status_error(STATUS_BAD_INPUT, "%s: no tensor can be named __metadata__", path);
    for (size_t i = 0; i < metadata_count; i++)
        if (!text_is_utf8(metadata[i].value, strlen(metadata[i].value), NULL))
            return status_error(STATUS_BAD_INPUT, "%s: the metadata of key %s is not valid UTF-8", path,
                                metadata[i].key);
    return status_ok();
}

static size_t item_bytes(const struct safetensors_item *item)
{
    size_t bytes = safetensors_type_size(item->type);
    for (int i = 0; i < item->rank; i++) bytes *= (size_t)item->dimension[i];
    return bytes;
}

static void append_metadata(struct text *text, const struct safetensors_text *metadata, size_t count)
{
    text_append(text, "\"__metadata__\":{");
    for (size_t i = 0; i < count; i++) {
        if (i) text_append(text, ",");
        text_append_json_string(text, metadata[i].key);
        text_append(text, ":");
        text_append_json_string(text, metadata[i].value);
    }
    text_append(text, "}");
}

static void append_item(struct text *text, const struct safetensors_item *item, size_t offset)
{
    text_append_json_string(text, item->name);
    text_append(text, ":{\"dtype\":\"%s\",\"shape\":[", safetensors_type_name(item->type));
    for (int i = 0; i < item->rank; i++) text_append(text, "%s%lld", i ? "," : "", (long long)item->dimension[i]);
    text_append(text, "],\"data_offsets\":[%zu,%zu]}", offset, offset + item_bytes(item));
}

/* The header's length and the header, padded so that the tensors' bytes begin aligned. */
static status make_header(const char *path, const struct safetensors_item *items, size_t item_count,
                          const struct safetensors_text *metadata, size_t metadata_count, struct text *header)
{
    size_t offset = 0;
    text_append_bytes(header, "\0\0\0\0\0\0\0\0", LENGTH_BYTES);
    text_append(header, "{");
    if (metadata_count) append_metadata(header, metadata, metadata_count);
    for (size_t i = 0; i < item_count; i++) {
        if (i || metadata_count) text_append(header, ",");
        append_item(header, &items[i], offset);
        offset += item_bytes(&items[i]);
    }
    text_append(header, "}");
    while (header->length % ALIGNMENT) text_append(header, " ");
    uint64_t length = header->length - LENGTH_BYTES;
    if (length > SAFETENSORS_MAXIMUM_HEADER)
        return status_error(STATUS_BAD_INPUT, "%s: its header would have %llu bytes; at most %d are allowed", path,
                            (unsigned long long)length, SAFETENSORS_MAXIMUM_HEADER);
    for (int i = 0; i < LENGTH_BYTES; i++) header->data[i] = (char)(length >> (8 * i));
    return status_ok();
}

static status write_parts(struct file_writer *writer, const struct text *header, const struct safetensors_item *items,
                          size_t item_count)
{
    TRY(file_writer_write(writer, header->data, header->length));
    for (size_t i = 0; i < item_count; i++)
        if (item_bytes(&items[i])) TRY(file_writer_write(writer, items[i].bytes, item_bytes(&items[i])));
    return file_writer_commit(writer);
}

status safetensors_write(const char *path, const struct safetensors_item *items, size_t item_count,
                         const struct safetensors_text *metadata, size_t metadata_count)
{
    TRY(check_arguments(path, items, item_count, metadata, metadata_count));
    struct text header = {0};
    status result = make_header(path, items, item_count, metadata, metadata_count, &header);
    struct file_writer writer;
    if (result.code == STATUS_OK) result = file_writer_open(&writer, path);
    if (result.code == STATUS_OK) {
        result = write_parts(&writer, &header, items, item_count);
        if (result.code != STATUS_OK) file_writer_abandon(&writer);
    }
    text_clear(&header);
    return result;
}
