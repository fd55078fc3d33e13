/* A recorded session's file, written and read, with the files beside it. */
#include "tests/tui/recording.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { RECORD_HEADER = 9 };

static bool complain(const char *path, const char *words)
{
    fprintf(stderr, "%s: %s\n", path, words);
    return false;
}

void recording_add(struct bytes *content, enum record_kind kind, double time, char type, const char *payload,
                   size_t length)
{
    unsigned char header[RECORD_HEADER] = {(unsigned char)kind};
    uint64_t bits;
    memcpy(&bits, &time, sizeof bits);
    for (int at = 0; at < 8; at++) header[1 + at] = (unsigned char)(bits >> (8 * at));
    bytes_add(content, header, sizeof header);
    frame_write(content, type, payload, length);
}

bool recording_write(const char *path, const struct bytes *content)
{
    gzFile file = gzopen(path, "wb9");
    if (!file) return complain(path, "cannot be written");
    bool whole = gzwrite(file, content->data, (unsigned)content->length) == (int)content->length;
    return gzclose(file) == Z_OK && whole ? true : complain(path, "cannot be written");
}

static bool inflate_file(const char *path, struct bytes *content)
{
    char part[1 << 16];
    int got;
    gzFile file = gzopen(path, "rb");
    if (!file) return complain(path, "cannot be read");
    while ((got = gzread(file, part, sizeof part)) > 0) bytes_add(content, part, (size_t)got);
    gzclose(file);
    return got == 0 && !content->failed ? true : complain(path, "cannot be read");
}

static uint64_t number_at(const char *bytes, int count)
{
    uint64_t number = 0;
    for (int at = count - 1; at >= 0; at--) number = number << 8 | (unsigned char)bytes[at];
    return number;
}

/* Reads the record at `*at` and moves behind it; false at the end and where the content is cut off. */
static bool next_record(const struct bytes *content, size_t *at, struct record *record)
{
    if (content->length - *at < RECORD_HEADER + FRAME_HEADER_BYTES) return false;
    const char *bytes = content->data + *at;
    uint64_t bits = number_at(bytes + 1, 8);
    size_t length = (size_t)number_at(bytes + RECORD_HEADER, 4);
    if (content->length - *at - RECORD_HEADER - FRAME_HEADER_BYTES < length) return false;
    record->kind = (enum record_kind)bytes[0];
    memcpy(&record->time, &bits, sizeof bits);
    record->frame =
        (struct frame){(enum frame_type)bytes[RECORD_HEADER + 4], bytes + RECORD_HEADER + FRAME_HEADER_BYTES, length};
    *at += RECORD_HEADER + FRAME_HEADER_BYTES + length;
    return true;
}

bool recording_read(const char *path, struct recording *recording)
{
    *recording = (struct recording){0};
    struct record record;
    size_t at = 0;
    if (!inflate_file(path, &recording->content)) return false;
    while (next_record(&recording->content, &at, &record)) recording->count++;
    recording->records = calloc((size_t)recording->count + 1, sizeof *recording->records);
    if (recording->count == 0 || at != recording->content.length || !recording->records)
        return complain(path, "is no whole recording");
    at = 0;
    for (int i = 0; i < recording->count; i++) {
        struct frame *frame = &recording->records[i].frame;
        if (!next_record(&recording->content, &at, &recording->records[i])) return false;
        char *payload = malloc(frame->bytes + 1); /* a frame's payload ends with a zero */
        if (!payload) return complain(path, "there is no memory for it");
        memcpy(payload, frame->payload, frame->bytes);
        payload[frame->bytes] = '\0';
        frame->payload = payload;
    }
    bytes_free(&recording->content);
    return true;
}

void recording_free(struct recording *recording)
{
    for (int i = 0; i < recording->count; i++) free((char *)recording->records[i].frame.payload);
    free(recording->records);
    bytes_free(&recording->content);
    *recording = (struct recording){0};
}

char *text_replaced(const char *text, const char *from, const char *to)
{
    struct bytes result = {0};
    size_t length = strlen(from);
    for (const char *found; length > 0 && (found = strstr(text, from)); text = found + length) {
        bytes_add(&result, text, (size_t)(found - text));
        bytes_add_text(&result, to);
    }
    bytes_add(&result, text, strlen(text) + 1);
    if (!result.failed) return result.data;
    bytes_free(&result);
    return NULL;
}
