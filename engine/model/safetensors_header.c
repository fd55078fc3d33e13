/* A safetensors header, read strictly: names, types, shapes, offsets, metadata. */
#include "engine/model/safetensors_header.h"

#include "engine/base/json.h"
#include "engine/base/json_syntax.h"

#include <stdlib.h>
#include <string.h>

struct cursor {
    const char *begin, *at;
    const char *label;
    char *pool; /* where the next decoded string goes; a string never grows by decoding, so the text's length is room
                   enough for all */
};

static const char *const type_names[SAFETENSORS_TYPE_COUNT] = {
    [SAFETENSORS_F64] = "F64",   [SAFETENSORS_F32] = "F32",         [SAFETENSORS_F16] = "F16",
    [SAFETENSORS_BF16] = "BF16", [SAFETENSORS_I64] = "I64",         [SAFETENSORS_I32] = "I32",
    [SAFETENSORS_I16] = "I16",   [SAFETENSORS_I8] = "I8",           [SAFETENSORS_U64] = "U64",
    [SAFETENSORS_U32] = "U32",   [SAFETENSORS_U16] = "U16",         [SAFETENSORS_U8] = "U8",
    [SAFETENSORS_BOOL] = "BOOL", [SAFETENSORS_F8_E4M3] = "F8_E4M3", [SAFETENSORS_F8_E5M2] = "F8_E5M2",
};

const char *safetensors_type_name(enum safetensors_type type)
{
    return type_names[type];
}

/* The text is JSON by now: what is wrong is that another value was expected. */
static status malformed(const struct cursor *cursor, const char *expected)
{
    return status_error(STATUS_BAD_INPUT, "%s: header byte %zu is 0x%02x; expected %s", cursor->label,
                        (size_t)(cursor->at - cursor->begin), (unsigned)(unsigned char)*cursor->at, expected);
}

static void skip_space(struct cursor *cursor)
{
    while (*cursor->at == ' ' || *cursor->at == '\t' || *cursor->at == '\n' || *cursor->at == '\r') cursor->at++;
}

/* Whether the next token is `character`; takes it if so. */
static bool take(struct cursor *cursor, char character)
{
    skip_space(cursor);
    if (*cursor->at != character) return false;
    cursor->at++;
    return true;
}

static status expect(struct cursor *cursor, char character, const char *expected)
{
    return take(cursor, character) ? status_ok() : malformed(cursor, expected);
}

/* A string, decoded into the pool and ended with a NUL. */
static status parse_string(struct cursor *cursor, const char *expected, const char **string)
{
    skip_space(cursor);
    if (*cursor->at != '"') return malformed(cursor, expected);
    *string = cursor->pool;
    cursor->at = json_decode_string(cursor->at, cursor->pool);
    cursor->pool += strlen(cursor->pool) + 1;
    return status_ok();
}

static status parse_integer(struct cursor *cursor, int64_t *value)
{
    skip_space(cursor);
    if (*cursor->at < '0' || *cursor->at > '9') return malformed(cursor, "a non-negative integer");
    *value = 0;
    for (; *cursor->at >= '0' && *cursor->at <= '9'; cursor->at++)
        if (__builtin_mul_overflow(*value, 10, value) || __builtin_add_overflow(*value, *cursor->at - '0', value))
            return malformed(cursor, "an integer below 2^63");
    return status_ok();
}

static status parse_shape(struct cursor *cursor, struct header_tensor *tensor)
{
    TRY(expect(cursor, '[', "'[' of a shape"));
    tensor->rank = 0;
    if (take(cursor, ']')) return status_ok();
    do {
        if (tensor->rank == SAFETENSORS_MAXIMUM_RANK)
            return status_error(STATUS_BAD_INPUT, "%s: tensor %s has more than %d dimensions", cursor->label,
                                tensor->name, SAFETENSORS_MAXIMUM_RANK);
        TRY(parse_integer(cursor, &tensor->dimension[tensor->rank++]));
    } while (take(cursor, ','));
    return expect(cursor, ']', "',' or ']' in a shape");
}

static status parse_offsets(struct cursor *cursor, struct header_tensor *tensor)
{
    TRY(expect(cursor, '[', "'[' of data_offsets"));
    TRY(parse_integer(cursor, &tensor->begin));
    TRY(expect(cursor, ',', "',' between two data_offsets"));
    TRY(parse_integer(cursor, &tensor->end));
    return expect(cursor, ']', "']' after two data_offsets");
}

static status parse_type(struct cursor *cursor, struct header_tensor *tensor)
{
    const char *name;
    TRY(parse_string(cursor, "the name of a dtype", &name));
    for (int type = 0; type < SAFETENSORS_TYPE_COUNT; type++)
        if (strcmp(name, type_names[type]) == 0) {
            tensor->type = (enum safetensors_type)type;
            return status_ok();
        }
    return status_error(STATUS_BAD_INPUT,
                        "%s: tensor %s has the unknown dtype \"%.20s\"; known are F32, F16, BF16, "
                        "F64, BOOL, F8_* and the integers",
                        cursor->label, tensor->name, name);
}

static status parse_tensor(struct cursor *cursor, struct header_tensor *tensor)
{
    static const char *const keys[] = {"dtype", "shape", "data_offsets"};
    static status (*const parsers[])(struct cursor *, struct header_tensor *) = {parse_type, parse_shape,
                                                                                 parse_offsets};
    bool seen[3] = {false, false, false};
    TRY(expect(cursor, '{', "'{' of a tensor"));
    do {
        const char *key;
        TRY(parse_string(cursor, "\"dtype\", \"shape\" or \"data_offsets\"", &key));
        int which = 0;
        while (which < 3 && strcmp(key, keys[which]) != 0) which++;
        if (which == 3)
            return status_error(STATUS_BAD_INPUT,
                                "%s: tensor %s has the key \"%.40s\"; only dtype, shape and "
                                "data_offsets are known",
                                cursor->label, tensor->name, key);
        if (seen[which])
            return status_error(STATUS_BAD_INPUT, "%s: tensor %s: duplicate key %s", cursor->label, tensor->name,
                                keys[which]);
        seen[which] = true;
        TRY(expect(cursor, ':', "':'"));
        TRY(parsers[which](cursor, tensor));
    } while (take(cursor, ','));
    TRY(expect(cursor, '}', "',' or '}' in a tensor"));
    for (int i = 0; i < 3; i++)
        if (!seen[i])
            return status_error(STATUS_BAD_INPUT, "%s: tensor %s has no %s", cursor->label, tensor->name, keys[i]);
    return status_ok();
}

/* Room for one more element of `size` bytes in a growing array. */
static status grow(void **array, size_t count, size_t *room, size_t size)
{
    if (count < *room) return status_ok();
    size_t larger = *room ? *room * 2 : 64;
    void *memory = realloc(*array, larger * size);
    if (!memory) return status_error(STATUS_NO_MEMORY, "no memory for %zu header entries", larger);
    *array = memory;
    *room = larger;
    return status_ok();
}

static status parse_metadata(struct cursor *cursor, struct safetensors_header *header)
{
    TRY(expect(cursor, '{', "'{' of __metadata__"));
    if (take(cursor, '}')) return status_ok();
    do {
        void *array = header->metadata;
        TRY(grow(&array, header->metadata_count, &header->metadata_room, sizeof header->metadata[0]));
        header->metadata = array;
        struct safetensors_text *pair = &header->metadata[header->metadata_count++];
        TRY(parse_string(cursor, "a key of __metadata__", &pair->key));
        TRY(expect(cursor, ':', "':'"));
        TRY(parse_string(cursor, "a string (__metadata__ holds only strings)", &pair->value));
    } while (take(cursor, ','));
    return expect(cursor, '}', "',' or '}' in __metadata__");
}

static status check_name(const struct cursor *cursor, const char *name)
{
    size_t length = strlen(name);
    if (length > SAFETENSORS_MAXIMUM_NAME)
        return status_error(STATUS_BAD_INPUT, "%s: tensor name %.40s... has %zu bytes; at most %d are allowed",
                            cursor->label, name, length, SAFETENSORS_MAXIMUM_NAME);
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)name[i] < 0x20 || name[i] == 0x7F)
            return status_error(STATUS_BAD_INPUT, "%s: the tensor name that begins \"%.*s\" holds a control character",
                                cursor->label, (int)(i < 40 ? i : 40), name);
    return status_ok();
}

static status parse_members(struct cursor *cursor, struct safetensors_header *header)
{
    bool metadata_seen = false;
    TRY(expect(cursor, '{', "'{'"));
    if (take(cursor, '}')) return status_ok();
    do {
        const char *name;
        TRY(parse_string(cursor, "a tensor name", &name));
        TRY(check_name(cursor, name));
        TRY(expect(cursor, ':', "':'"));
        if (strcmp(name, "__metadata__") == 0) {
            if (metadata_seen) return status_error(STATUS_BAD_INPUT, "%s: duplicate key __metadata__", cursor->label);
            metadata_seen = true;
            TRY(parse_metadata(cursor, header));
            continue;
        }
        void *array = header->tensors;
        TRY(grow(&array, header->tensor_count, &header->tensor_room, sizeof header->tensors[0]));
        header->tensors = array;
        struct header_tensor *tensor = &header->tensors[header->tensor_count++];
        memset(tensor, 0, sizeof *tensor);
        tensor->name = name;
        TRY(parse_tensor(cursor, tensor));
    } while (take(cursor, ','));
    return expect(cursor, '}', "',' or '}'");
}

static int compare_pairs(const void *a, const void *b)
{
    return strcmp(((const struct safetensors_text *)a)->key, ((const struct safetensors_text *)b)->key);
}

static status sort_metadata(struct safetensors_header *header, const char *label)
{
    if (header->metadata_count == 0) return status_ok();
    if (header->metadata_count > 1)
        qsort(header->metadata, header->metadata_count, sizeof header->metadata[0], compare_pairs);
    for (size_t i = 1; i < header->metadata_count; i++)
        if (compare_pairs(&header->metadata[i - 1], &header->metadata[i]) == 0)
            return status_error(STATUS_BAD_INPUT, "%s: __metadata__: duplicate key \"%.60s\"", label,
                                header->metadata[i].key);
    return status_ok();
}

static status parse_whole(const char *text, struct cursor *cursor, size_t length, struct safetensors_header *header)
{
    if (length == 0 || text[0] != '{')
        return status_error(STATUS_BAD_INPUT, "%s: the header has no '{' as the first byte", cursor->label);
    TRY(json_check(text, length, cursor->label));
    TRY(parse_members(cursor, header));
    return sort_metadata(header, cursor->label);
}

status safetensors_header_parse(const char *text, size_t length, const char *label, struct safetensors_header *header)
{
    memset(header, 0, sizeof *header);
    header->names = malloc(length + 1);
    if (!header->names) return status_error(STATUS_NO_MEMORY, "%s: no memory for %zu bytes of header", label, length);
    struct cursor cursor = {.begin = text, .at = text, .label = label, .pool = header->names};
    status result = parse_whole(text, &cursor, length, header);
    if (result.code != STATUS_OK) safetensors_header_clear(header);
    return result;
}

void safetensors_header_clear(struct safetensors_header *header)
{
    free(header->names);
    free(header->tensors);
    free(header->metadata);
    memset(header, 0, sizeof *header);
}
