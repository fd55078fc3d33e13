#include "engine/model/torch_archive.h"

#include "engine/base/files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A part of the file. */
struct span {
    const unsigned char *at;
    size_t size;
};

static uint32_t little(const unsigned char *bytes, int count)
{
    uint32_t value = 0;
    for (int i = 0; i < count; i++) value |= (uint32_t)bytes[i] << (8 * i);
    return value;
}

static status wrong(const char *label, const char *what)
{
    return status_error(STATUS_BAD_INPUT, "%.250s: %s", label, what);
}

/* ---- zip: APPNOTE.TXT of PKWARE, sections 4.3.7, 4.3.12 and 4.3.16 ---- */

enum { END_SIZE = 22, ENTRY_SIZE = 46, LOCAL_SIZE = 30, MAXIMUM_COMMENT = 65535 };

/* The end of the central directory; NULL where there is none. */
static const unsigned char *find_end(struct span file)
{
    for (size_t back = END_SIZE; back <= file.size && back <= END_SIZE + MAXIMUM_COMMENT; back++) {
        const unsigned char *at = file.at + file.size - back;
        if (memcmp(at, "PK\5\6", 4) == 0 && little(at + 20, 2) == back - END_SIZE) return at;
    }
    return NULL;
}

/* The stored bytes of the member whose central directory entry stands at `entry`. */
static status member_bytes(struct span file, const char *label, const unsigned char *entry, struct span *member)
{
    uint32_t flags = little(entry + 8, 2), method = little(entry + 10, 2);
    size_t packed = little(entry + 20, 4), size = little(entry + 24, 4), local = little(entry + 42, 4);
    if (flags & 1) return wrong(label, "the archive is encrypted");
    if (method != 0 || packed != size) return wrong(label, "the archive is compressed; torch.save stores its members");
    if (local > file.size || file.size - local < LOCAL_SIZE || memcmp(file.at + local, "PK\3\4", 4) != 0)
        return wrong(label, "the archive's directory points to no member; the file is damaged or truncated");
    size_t start = local + LOCAL_SIZE + little(file.at + local + 26, 2) + little(file.at + local + 28, 2);
    if (start > file.size || file.size - start < size)
        return wrong(label, "a member of the archive ends beyond the file; the file is truncated");
    *member = (struct span){file.at + start, size};
    return status_ok();
}

static bool ends_with(const unsigned char *name, size_t length, const char *ending)
{
    size_t size = strlen(ending);
    return length >= size && memcmp(name + length - size, ending, size) == 0;
}

/* The member whose name is one folder and then `name`, such as "archive/data.pkl". */
static status find_member(struct span file, const char *label, const char *name, struct span *member)
{
    const unsigned char *end = find_end(file);
    if (end == NULL)
        return wrong(label,
                     "not a zip archive as torch.save writes it (no end of central directory); older formats and "
                     "bare pickles are not read");
    size_t count = little(end + 10, 2), size = little(end + 12, 4), start = little(end + 16, 4);
    if (start > (size_t)(end - file.at) || (size_t)(end - file.at) - start < size)
        return wrong(label, "the archive's directory lies outside the file");
    char ending[80];
    snprintf(ending, sizeof ending, "/%s", name);
    const unsigned char *entry = file.at + start, *stop = entry + size;
    for (size_t i = 0; i < count; i++) {
        if (stop - entry < ENTRY_SIZE || memcmp(entry, "PK\1\2", 4) != 0)
            return wrong(label, "the archive's directory is damaged");
        size_t name_length = little(entry + 28, 2);
        size_t whole = ENTRY_SIZE + name_length + little(entry + 30, 2) + little(entry + 32, 2);
        if ((size_t)(stop - entry) < whole) return wrong(label, "the archive's directory is damaged");
        const unsigned char *entry_name = entry + ENTRY_SIZE;
        /* "data/0" holds a slash itself; what stands before the ending must hold none. */
        bool below_one_folder =
            name_length > strlen(ending) && memchr(entry_name, '/', name_length - strlen(ending)) == NULL;
        if (below_one_folder && ends_with(entry_name, name_length, ending))
            return member_bytes(file, label, entry, member);
        entry += whole;
    }
    return status_error(STATUS_BAD_INPUT, "%.250s: the archive has no member %s", label, name);
}

/* ---- the pickle, as data: byte codes of protocol 2 (pickletools' names in the comments) ---- */

enum { MAXIMUM_NUMBERS = 8, TEXT_SIZE = 64, MEMO_SIZE = 1024 };

/* What was read since the last tensor began. */
struct pickle_state {
    struct span rest;
    char texts[2][TEXT_SIZE]; /* the last two; the older first */
    char name[TEXT_SIZE];     /* the text before "storage" */
    char storage[TEXT_SIZE];  /* key of the member that holds the tensor's numbers */
    bool in_storage;          /* between the text "storage" and BINPERSID */
    bool in_tensor;           /* between BINPERSID and the end of the tensor's tuple of strides */
    bool storage_type_known;
    int text_in_storage;
    int64_t numbers[MAXIMUM_NUMBERS];
    int number_count;
    int tuples;
    int rank;
    struct span last;            /* the text just read; NULL after anything else */
    struct span memo[MEMO_SIZE]; /* texts that were put aside for later use; NULL where something else was */
};

/* The next `size` bytes of the pickle; NULL where it has fewer. */
static const unsigned char *take(struct pickle_state *state, size_t size)
{
    if (state->rest.size < size) return NULL;
    const unsigned char *bytes = state->rest.at;
    state->rest.at += size;
    state->rest.size -= size;
    return bytes;
}

static status ends_early(const char *label)
{
    return wrong(label, "data.pkl ends too early");
}

/* GLOBAL: two lines, module and name. Nothing is looked up or called; only the names of a dictionary of fp32 tensors
 * are let through. */
static status read_global(struct pickle_state *state, const char *label)
{
    char line[2][TEXT_SIZE];
    for (int i = 0; i < 2; i++) {
        const unsigned char *end = memchr(state->rest.at, '\n', state->rest.size);
        size_t length = end == NULL ? TEXT_SIZE : (size_t)(end - state->rest.at);
        if (length >= TEXT_SIZE) return wrong(label, "data.pkl names a class with too long a name");
        const unsigned char *bytes = take(state, length + 1);
        if (bytes == NULL) return ends_early(label);
        memcpy(line[i], bytes, length);
        line[i][length] = '\0';
    }
    char full[2 * TEXT_SIZE];
    snprintf(full, sizeof full, "%s.%s", line[0], line[1]);
    if (strcmp(full, "torch.FloatStorage") == 0) {
        state->storage_type_known = true;
        return status_ok();
    }
    if (strcmp(full, "collections.OrderedDict") == 0 || strcmp(full, "torch._utils._rebuild_tensor_v2") == 0)
        return status_ok();
    return status_error(STATUS_BAD_INPUT,
                        "%.250s: data.pkl holds a %s; only a dictionary of fp32 tensors (torch.FloatStorage) is read",
                        label, full);
}

/* A text, read here or fetched from the memo. */
static status see_text(struct pickle_state *state, const char *label, struct span text)
{
    if (text.size >= TEXT_SIZE) return wrong(label, "data.pkl holds a name of more than 63 bytes");
    if (memchr(text.at, '\0', text.size) != NULL) return wrong(label, "data.pkl holds a name with a NUL byte");
    memcpy(state->texts[0], state->texts[1], TEXT_SIZE);
    memcpy(state->texts[1], text.at, text.size);
    state->texts[1][text.size] = '\0';
    if (strcmp(state->texts[1], "storage") == 0) {
        memcpy(state->name, state->texts[0], TEXT_SIZE);
        state->in_storage = true;
        state->text_in_storage = 0;
    } else if (state->in_storage && state->text_in_storage++ == 0) {
        memcpy(state->storage, state->texts[1], TEXT_SIZE);
    }
    return status_ok();
}

/* BINUNICODE */
static status read_text(struct pickle_state *state, const char *label)
{
    const unsigned char *size = take(state, 4);
    if (size == NULL) return ends_early(label);
    size_t length = little(size, 4);
    const unsigned char *bytes = take(state, length);
    if (bytes == NULL) return ends_early(label);
    state->last = (struct span){bytes, length};
    return see_text(state, label, state->last);
}

/* The place in the memo that the next byte or four name; NULL where the pickle ends or the memo is too small. */
static struct span *memo_place(struct pickle_state *state, int bytes_of_it)
{
    const unsigned char *bytes = take(state, (size_t)bytes_of_it);
    if (bytes == NULL) return NULL;
    uint32_t index = little(bytes, bytes_of_it);
    return index < MEMO_SIZE ? &state->memo[index] : NULL;
}

static status no_memo_place(const char *label)
{
    return wrong(label, "data.pkl ends too early or is too large for a dictionary of up to 64 tensors");
}

/* BINPUT: keeps what was just read, if it is a text. */
static status put_memo(struct pickle_state *state, const char *label, int bytes_of_it, struct span last)
{
    struct span *place = memo_place(state, bytes_of_it);
    if (place == NULL) return no_memo_place(label);
    *place = last;
    return status_ok();
}

/* BINGET */
static status get_memo(struct pickle_state *state, const char *label, int bytes_of_it)
{
    const struct span *place = memo_place(state, bytes_of_it);
    if (place == NULL) return no_memo_place(label);
    return place->at == NULL ? status_ok() : see_text(state, label, *place);
}

static void begin_tensor(struct pickle_state *state)
{
    state->in_storage = false;
    state->in_tensor = true;
    state->number_count = state->tuples = state->rank = 0;
}

static status read_number(struct pickle_state *state, const char *label, int bytes_of_it)
{
    const unsigned char *bytes = take(state, (size_t)bytes_of_it);
    if (bytes == NULL) return ends_early(label);
    if (!state->in_tensor) return status_ok();
    if (state->number_count == MAXIMUM_NUMBERS) return wrong(label, "data.pkl holds a tensor of rank over 2");
    int64_t value = little(bytes, bytes_of_it);
    state->numbers[state->number_count++] = bytes_of_it == 4 ? (int64_t)(int32_t)value : value;
    return status_ok();
}

/* The numbers of a tensor are its offset in the storage, its sizes and its strides. */
static status add_tensor(struct pickle_state *state, struct span file, const char *label, struct torch_archive *archive)
{
    state->in_tensor = false;
    if (archive->count == TORCH_ARCHIVE_MAXIMUM_TENSORS) return wrong(label, "data.pkl holds more than 64 tensors");
    struct torch_tensor *tensor = &archive->tensors[archive->count];
    snprintf(tensor->name, sizeof tensor->name, "%s", state->name);
    tensor->rank = state->rank;
    const int64_t *sizes = state->numbers + 1, *strides = sizes + state->rank;
    if (state->number_count != 1 + 2 * state->rank || state->numbers[0] != 0)
        return status_error(STATUS_BAD_INPUT, "%.250s: %s does not start where its storage starts", label,
                            tensor->name);
    int64_t elements = 1;
    for (int i = state->rank - 1; i >= 0; i--) {
        if (sizes[i] < 1 || sizes[i] > 1 << 24 || (sizes[i] > 1 && strides[i] != elements))
            return status_error(STATUS_BAD_INPUT, "%.250s: %s is empty, too large or not row-major", label,
                                tensor->name);
        tensor->dimension[i] = sizes[i];
        elements *= sizes[i];
    }
    char member_name[TEXT_SIZE + 8];
    struct span member;
    snprintf(member_name, sizeof member_name, "data/%s", state->storage);
    TRY(find_member(file, label, member_name, &member));
    if (member.size != (size_t)elements * 4)
        return status_error(STATUS_BAD_INPUT, "%.250s: %s needs %lld bytes, but %s has %zu", label, tensor->name,
                            (long long)elements * 4, member_name, member.size);
    tensor->bytes = member.at;
    archive->count++;
    return status_ok();
}

/* TUPLE1 or TUPLE2 inside a tensor: first its sizes, then its strides. */
static status end_tuple(struct pickle_state *state, struct span file, const char *label, int length,
                        struct torch_archive *archive)
{
    if (!state->in_tensor) return status_ok();
    if (++state->tuples == 1) state->rank = length;
    return state->tuples == 2 ? add_tensor(state, file, label, archive) : status_ok();
}

static status read_code(struct pickle_state *state, struct span file, const char *label, unsigned char code,
                        struct torch_archive *archive)
{
    struct span last = state->last;
    state->last = (struct span){NULL, 0};
    switch (code) {
    case 0x80: return take(state, 1) ? status_ok() : ends_early(label); /* PROTO */
    case 'q': return put_memo(state, label, 1, last);                   /* BINPUT */
    case 'r': return put_memo(state, label, 4, last);                   /* LONG_BINPUT */
    case 'h': return get_memo(state, label, 1);                         /* BINGET */
    case 'j': return get_memo(state, label, 4);                         /* LONG_BINGET */
    case 'c': return read_global(state, label);                         /* GLOBAL */
    case 'X': return read_text(state, label);                           /* BINUNICODE */
    case 'K': return read_number(state, label, 1);                      /* BININT1 */
    case 'M': return read_number(state, label, 2);                      /* BININT2 */
    case 'J': return read_number(state, label, 4);                      /* BININT */
    case 'Q': begin_tensor(state); return status_ok();                  /* BINPERSID */
    case 0x85: return end_tuple(state, file, label, 1, archive);        /* TUPLE1 */
    case 0x86: return end_tuple(state, file, label, 2, archive);        /* TUPLE2 */
    case '(':                                                           /* MARK */
    case ')':                                                           /* EMPTY_TUPLE */
    case '}':                                                           /* EMPTY_DICT */
    case 't':                                                           /* TUPLE */
    case 'R':                                                           /* REDUCE */
    case 'u':                                                           /* SETITEMS */
    case 's':                                                           /* SETITEM */
    case 'b':                                                           /* BUILD */
    case 0x88:                                                          /* NEWTRUE */
    case 0x89: return status_ok();                                      /* NEWFALSE */
    default:
        return status_error(STATUS_BAD_INPUT,
                            "%.250s: data.pkl has the byte code 0x%02x, which no flat dictionary of tensors has; save "
                            "the weights as safetensors instead",
                            label, code);
    }
}

static status read_pickle(struct span file, const char *label, struct torch_archive *archive)
{
    struct pickle_state state = {0};
    TRY(find_member(file, label, "data.pkl", &state.rest));
    for (;;) {
        const unsigned char *code = take(&state, 1);
        if (code == NULL) return ends_early(label);
        if (*code == '.') break; /* STOP */
        TRY(read_code(&state, file, label, *code, archive));
    }
    if (archive->count == 0 || !state.storage_type_known) return wrong(label, "the archive holds no fp32 tensors");
    return status_ok();
}

static status finish(status result, struct torch_archive *archive)
{
    if (result.code != STATUS_OK) torch_archive_close(archive);
    return result;
}

status torch_archive_parse(const void *bytes, size_t size, const char *label, struct torch_archive *archive)
{
    *archive = (struct torch_archive){.data = malloc(size + 1)};
    if (archive->data == NULL) return status_error(STATUS_NO_MEMORY, "no memory to read %.250s", label);
    memcpy(archive->data, bytes, size);
    struct span file = {(const unsigned char *)archive->data, size};
    return finish(read_pickle(file, label, archive), archive);
}

status torch_archive_open(const char *path, struct torch_archive *archive)
{
    size_t size;
    *archive = (struct torch_archive){0};
    TRY(file_read(path, TORCH_ARCHIVE_MAXIMUM_BYTES, &archive->data, &size));
    struct span file = {(const unsigned char *)archive->data, size};
    return finish(read_pickle(file, path, archive), archive);
}

void torch_archive_close(struct torch_archive *archive)
{
    free(archive->data);
    *archive = (struct torch_archive){0};
}
