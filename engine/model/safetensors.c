/* Opens safetensors files: checks that header and data fit together, then reads and converts tensors. */
#include "engine/model/safetensors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/input_file.h"
#include "engine/base/memory.h"
#include "engine/model/file_format.h"
#include "engine/model/safetensors_header.h"
#include "kernels/convert.h"

enum { LENGTH_BYTES = 8 };

struct safetensors {
    char *path;
    struct input_file input;     /* closed where the bytes are the caller's */
    const unsigned char *memory; /* the caller's bytes; NULL: those of `input` */
    struct safetensors_header header;
    struct safetensors_entry *entries; /* sorted by name */
};

size_t safetensors_type_size(enum safetensors_type type)
{
    switch (type) {
    case SAFETENSORS_F64:
    case SAFETENSORS_I64:
    case SAFETENSORS_U64: return 8;
    case SAFETENSORS_F32:
    case SAFETENSORS_I32:
    case SAFETENSORS_U32: return 4;
    case SAFETENSORS_F16:
    case SAFETENSORS_BF16:
    case SAFETENSORS_I16:
    case SAFETENSORS_U16: return 2;
    default: return 1;
    }
}

char *safetensors_shape_text(int rank, const int64_t *dimension, char *text, size_t size)
{
    size_t used = (size_t)snprintf(text, size, "[");
    for (int i = 0; i < rank && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%lld", i ? ", " : "", (long long)dimension[i]);
    if (used < size) snprintf(text + used, size - used, "]");
    return text;
}

static int compare_tensor_names(const void *a, const void *b)
{
    return strcmp(((const struct header_tensor *)a)->name, ((const struct header_tensor *)b)->name);
}

static int compare_tensor_offsets(const void *a, const void *b)
{
    const struct header_tensor *first = a, *second = b;
    if (first->begin != second->begin) return first->begin < second->begin ? -1 : 1;
    return first->end < second->end ? -1 : first->end > second->end;
}

/* Bytes that the tensor's shape and type need; fails where the product leaves int64. */
static status tensor_bytes(const char *path, const struct header_tensor *tensor, int64_t *elements, int64_t *bytes)
{
    int64_t product = 1;
    bool overflow = false;
    /* A zero makes the product zero in any order, so it must not hide an overflow of the others. */
    for (int i = 0; i < tensor->rank; i++)
        if (tensor->dimension[i] != 0) overflow |= __builtin_mul_overflow(product, tensor->dimension[i], &product);
    overflow |= __builtin_mul_overflow(product, (int64_t)safetensors_type_size(tensor->type), bytes);
    if (overflow) {
        char shape[200];
        return status_error(STATUS_BAD_INPUT, "%s: the size of tensor %s, shape %s, is beyond 2^63 bytes", path,
                            tensor->name, safetensors_shape_text(tensor->rank, tensor->dimension, shape, sizeof shape));
    }
    for (int i = 0; i < tensor->rank; i++)
        if (tensor->dimension[i] == 0) product = 0;
    *elements = product;
    *bytes = product * (int64_t)safetensors_type_size(tensor->type);
    return status_ok();
}

/* Every tensor has the bytes it needs, and together they tile [0, data_bytes). Leaves the tensors in file order. */
static status check_tiling(const char *path, struct safetensors_header *header, uint64_t data_bytes)
{
    if (header->tensor_count)
        if (header->tensor_count > 1)
            qsort(header->tensors, header->tensor_count, sizeof header->tensors[0], compare_tensor_offsets);
    int64_t end = 0;
    for (size_t i = 0; i < header->tensor_count; i++) {
        const struct header_tensor *tensor = &header->tensors[i];
        int64_t elements, bytes;
        TRY(tensor_bytes(path, tensor, &elements, &bytes));
        if (tensor->end < tensor->begin || tensor->end - tensor->begin != bytes) {
            char shape[200];
            return status_error(STATUS_BAD_INPUT,
                                "%s: tensor %s, shape %s of %s, needs %lld bytes; its data_offsets "
                                "are [%lld, %lld]",
                                path, tensor->name,
                                safetensors_shape_text(tensor->rank, tensor->dimension, shape, sizeof shape),
                                safetensors_type_name(tensor->type), (long long)bytes, (long long)tensor->begin,
                                (long long)tensor->end);
        }
        if (tensor->begin != end)
            return status_error(STATUS_BAD_INPUT, "%s: tensor %s begins at data byte %lld; expected %lld (%s)", path,
                                tensor->name, (long long)tensor->begin, (long long)end,
                                tensor->begin < end ? "it overlaps the tensor before it" : "a hole lies before it");
        end = tensor->end;
    }
    if ((uint64_t)end != data_bytes)
        return status_error(STATUS_BAD_INPUT, "%s: the tensors end at data byte %lld; the file has %llu data bytes%s",
                            path, (long long)end, (unsigned long long)data_bytes,
                            (uint64_t)end > data_bytes ? " (truncated?)" : "");
    return status_ok();
}

static status fill_entries(struct safetensors *file, uint64_t data)
{
    const struct safetensors_header *header = &file->header;
    file->entries = calloc(header->tensor_count + 1, sizeof file->entries[0]);
    if (!file->entries) return status_error(STATUS_NO_MEMORY, "%s: no memory for its tensor list", file->path);
    if (header->tensor_count > 1)
        qsort(header->tensors, header->tensor_count, sizeof header->tensors[0], compare_tensor_names);
    for (size_t i = 0; i < header->tensor_count; i++) {
        const struct header_tensor *tensor = &header->tensors[i];
        struct safetensors_entry *entry = &file->entries[i];
        int64_t bytes;
        if (i > 0 && compare_tensor_names(tensor - 1, tensor) == 0)
            return status_error(STATUS_BAD_INPUT, "%s: duplicate key %s in the header", file->path, tensor->name);
        TRY(tensor_bytes(file->path, tensor, &entry->elements, &bytes));
        entry->name = tensor->name;
        entry->type = tensor->type;
        entry->rank = tensor->rank;
        memcpy(entry->dimension, tensor->dimension, sizeof entry->dimension);
        entry->file = file;
        entry->offset = data + (uint64_t)tensor->begin;
    }
    return status_ok();
}

/* `count` bytes from `offset` on, which lie inside the file. */
static status read_range(const struct safetensors *file, uint64_t offset, void *bytes, size_t count)
{
    if (!file->memory) return input_file_read_at(&file->input, offset, bytes, count);
    if (count) memcpy(bytes, file->memory + offset, count);
    return status_ok();
}

/* What the file is instead, if that can be told; else `result`, which says what is wrong with it. */
static status say_what_it_is(const struct safetensors *file, uint64_t size, status result)
{
    unsigned char bytes[FILE_FORMAT_BYTES];
    size_t count = size < sizeof bytes ? (size_t)size : sizeof bytes;
    if (result.code != STATUS_BAD_INPUT || read_range(file, 0, bytes, count).code != STATUS_OK) return result;
    const struct file_format *format = file_format_of(bytes, count);
    return format ? file_format_refused(file->path, format) : result;
}

static status header_length(const struct safetensors *file, uint64_t size, uint64_t *length)
{
    unsigned char bytes[LENGTH_BYTES];
    if (size == 0) return status_error(STATUS_BAD_INPUT, "%s: is empty; expected a safetensors file", file->path);
    if (size < LENGTH_BYTES)
        return status_error(STATUS_BAD_INPUT,
                            "%s: has %llu bytes; a safetensors file begins with 8 bytes of header length", file->path,
                            (unsigned long long)size);
    TRY(read_range(file, 0, bytes, LENGTH_BYTES));
    *length = 0;
    for (int i = LENGTH_BYTES - 1; i >= 0; i--) *length = *length << 8 | bytes[i];
    if (*length > SAFETENSORS_MAXIMUM_HEADER)
        return status_error(STATUS_BAD_INPUT,
                            "%s: says its header has %llu bytes; at most %d are allowed (is it a safetensors file?)",
                            file->path, (unsigned long long)*length, SAFETENSORS_MAXIMUM_HEADER);
    if (*length > size - LENGTH_BYTES)
        return status_error(STATUS_BAD_INPUT, "%s: says its header has %llu bytes; the file has only %llu (truncated?)",
                            file->path, (unsigned long long)*length, (unsigned long long)size);
    return status_ok();
}

static status parse_header(struct safetensors *file, uint64_t length)
{
    char *text = malloc((size_t)length + 1);
    if (!text)
        return status_error(STATUS_NO_MEMORY, "%s: no memory for %llu bytes of header", file->path,
                            (unsigned long long)length);
    status result = read_range(file, LENGTH_BYTES, text, (size_t)length);
    if (result.code == STATUS_OK) result = safetensors_header_parse(text, (size_t)length, file->path, &file->header);
    free(text);
    return result;
}

static status parse_file(struct safetensors *file, uint64_t size)
{
    uint64_t length = 0;
    status result = header_length(file, size, &length);
    if (result.code == STATUS_OK) result = parse_header(file, length);
    if (result.code != STATUS_OK) return say_what_it_is(file, size, result);
    TRY(check_tiling(file->path, &file->header, size - LENGTH_BYTES - length));
    return fill_entries(file, LENGTH_BYTES + length);
}

static struct safetensors *new_file(const char *path)
{
    struct safetensors *file = memory_take(1, sizeof *file);
    file->input.descriptor = -1;
    file->path = memory_copy_text(path);
    return file;
}

static status finish_opening(status result, struct safetensors **file)
{
    if (result.code == STATUS_OK) return result;
    safetensors_close(*file);
    *file = NULL;
    return result;
}

status safetensors_parse(const void *bytes, size_t size, const char *label, struct safetensors **file)
{
    *file = new_file(label);
    (*file)->memory = bytes;
    return finish_opening(parse_file(*file, size), file);
}

status safetensors_open(const char *path, struct safetensors **file)
{
    *file = new_file(path);
    status result = input_file_open((*file)->path, &(*file)->input);
    if (result.code == STATUS_OK) result = parse_file(*file, (*file)->input.size);
    return finish_opening(result, file);
}

void safetensors_close(struct safetensors *file)
{
    if (!file) return;
    input_file_close(&file->input);
    safetensors_header_clear(&file->header);
    free(file->entries);
    free(file->path);
    free(file);
}

const char *safetensors_path(const struct safetensors *file)
{
    return file->path;
}

size_t safetensors_count(const struct safetensors *file)
{
    return file->header.tensor_count;
}

const struct safetensors_entry *safetensors_entry_at(const struct safetensors *file, size_t index)
{
    return &file->entries[index];
}

static int compare_key_with_entry(const void *key, const void *entry)
{
    return strcmp(key, ((const struct safetensors_entry *)entry)->name);
}

const struct safetensors_entry *safetensors_find(const struct safetensors *file, const char *name)
{
    return bsearch(name, file->entries, file->header.tensor_count, sizeof file->entries[0], compare_key_with_entry);
}

static int compare_key_with_pair(const void *key, const void *pair)
{
    return strcmp(key, ((const struct safetensors_text *)pair)->key);
}

const char *safetensors_metadata(const struct safetensors *file, const char *key)
{
    if (file->header.metadata_count == 0) return NULL;
    const struct safetensors_text *pair = bsearch(key, file->header.metadata, file->header.metadata_count,
                                                  sizeof file->header.metadata[0], compare_key_with_pair);
    return pair ? pair->value : NULL;
}

size_t safetensors_metadata_count(const struct safetensors *file)
{
    return file->header.metadata_count;
}

void safetensors_metadata_at(const struct safetensors *file, size_t index, const char **key, const char **value)
{
    *key = file->header.metadata[index].key;
    *value = file->header.metadata[index].value;
}

/* ---- elements ---- */

/* Elements first .. first + count - 1 as the file has them. */
static status read_elements(const struct safetensors_entry *entry, int64_t first, int64_t count, void *bytes)
{
    size_t size = safetensors_type_size(entry->type);
    return read_range(entry->file, entry->offset + (uint64_t)first * size, bytes, (size_t)count * size);
}

status safetensors_read_bytes(const struct safetensors_entry *entry, void *bytes)
{
    return read_elements(entry, 0, entry->elements, bytes);
}

/* Converts numbers of one C type, read without assuming alignment. */
#define CONVERT_NUMBERS(type)                                                                                          \
    do {                                                                                                               \
        for (int64_t i = 0; i < count; i++) {                                                                          \
            type number;                                                                                               \
            memcpy(&number, bytes + (size_t)i * sizeof number, sizeof number);                                         \
            values[i] = (float)number;                                                                                 \
        }                                                                                                              \
    } while (0)

/* Elements as the file has them to fp32; false for a type that cannot be read. */
static bool convert(enum safetensors_type type, const unsigned char *bytes, int64_t count, float *values)
{
    switch (type) {
    case SAFETENSORS_F32: memcpy(values, bytes, (size_t)count * sizeof values[0]); break;
    case SAFETENSORS_F16: convert_to_float(ELEMENT_F16, values, bytes, count); break;
    case SAFETENSORS_BF16: convert_to_float(ELEMENT_BF16, values, bytes, count); break;
    case SAFETENSORS_F64: CONVERT_NUMBERS(double); break;
    case SAFETENSORS_I64: CONVERT_NUMBERS(int64_t); break;
    case SAFETENSORS_I32: CONVERT_NUMBERS(int32_t); break;
    case SAFETENSORS_I16: CONVERT_NUMBERS(int16_t); break;
    case SAFETENSORS_I8: CONVERT_NUMBERS(int8_t); break;
    case SAFETENSORS_U64: CONVERT_NUMBERS(uint64_t); break;
    case SAFETENSORS_U32: CONVERT_NUMBERS(uint32_t); break;
    case SAFETENSORS_U16: CONVERT_NUMBERS(uint16_t); break;
    case SAFETENSORS_U8:
    case SAFETENSORS_BOOL: CONVERT_NUMBERS(uint8_t); break;
    default: return false;
    }
    return true;
}

enum { PIECE_ELEMENTS = 2048 };

/* Elements first .. first + count - 1 as fp32. */
static status read_floats(const void *context, int64_t first, int64_t count, void *elements)
{
    const struct safetensors_entry *entry = context;
    unsigned char piece[PIECE_ELEMENTS * 8];
    float *values = elements;
    for (int64_t at = 0; at < count; at += PIECE_ELEMENTS) {
        int64_t length = count - at < PIECE_ELEMENTS ? count - at : PIECE_ELEMENTS;
        TRY(read_elements(entry, first + at, length, piece));
        if (!convert(entry->type, piece, length, values + at))
            return status_error(STATUS_BAD_INPUT,
                                "tensor %s is of type %s; only F64, F32, F16, BF16 and integers can be read",
                                entry->name, safetensors_type_name(entry->type));
    }
    return status_ok();
}

status safetensors_convert(const struct safetensors_entry *entry, float *values)
{
    TRY(read_floats(entry, 0, entry->elements, values));
    int64_t wrong = convert_find_not_finite(ELEMENT_F32, values, entry->elements);
    if (wrong < 0) return status_ok();
    return status_error(STATUS_BAD_INPUT,
                        "tensor %s holds an infinity or NaN, at element %lld; expected finite numbers", entry->name,
                        (long long)wrong);
}

static status read_as_they_are(const void *context, int64_t first, int64_t count, void *elements)
{
    return read_elements(context, first, count, elements);
}

status safetensors_give(const struct safetensors_entry *entry, struct weight_sink sink)
{
    static const struct {
        enum safetensors_type type;
        enum element_type element;
    } taken[] = {{SAFETENSORS_F32, ELEMENT_F32}, {SAFETENSORS_F16, ELEMENT_F16}, {SAFETENSORS_BF16, ELEMENT_BF16}};
    struct weight_elements elements = {ELEMENT_F32, read_floats, entry};
    for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++)
        if (taken[i].type == entry->type)
            elements = (struct weight_elements){taken[i].element, read_as_they_are, entry};
    return sink.take(sink.context, &elements);
}

/* The shape agrees, rank for rank; one element may be written with any number of ones. */
static bool same_shape(const struct safetensors_entry *entry, const struct shape *shape)
{
    if (entry->elements == 1 && shape_elements(shape) == 1) return true;
    if (entry->rank != shape->rank) return false;
    for (int i = 0; i < entry->rank; i++)
        if (entry->dimension[i] != shape->dimension[i]) return false;
    return true;
}

static status find_entry(const struct safetensors *file, const char *name, const struct shape *shape,
                         const struct safetensors_entry **entry)
{
    char expected[200], found[200];
    *entry = safetensors_find(file, name);
    safetensors_shape_text(shape->rank, shape->dimension, expected, sizeof expected);
    if (!*entry)
        return status_error(STATUS_BAD_INPUT, "%s: has no tensor %s; expected one of shape %s", file->path, name,
                            expected);
    if (same_shape(*entry, shape)) return status_ok();
    return status_error(STATUS_BAD_INPUT, "%s: tensor %s has shape %s; expected %s", file->path, name,
                        safetensors_shape_text((*entry)->rank, (*entry)->dimension, found, sizeof found), expected);
}

status safetensors_read(const struct safetensors *file, const char *name, const struct shape *shape, float *values)
{
    const struct safetensors_entry *entry;
    TRY(find_entry(file, name, shape, &entry));
    return status_context(safetensors_convert(entry, values), "%s", file->path);
}

status safetensors_read_to(const struct safetensors *file, const char *name, const struct shape *shape,
                           struct weight_sink sink)
{
    const struct safetensors_entry *entry;
    TRY(find_entry(file, name, shape, &entry));
    return status_context(safetensors_give(entry, sink), "%s", file->path);
}
