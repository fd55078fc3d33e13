/* A client's queue: drops pictures first, then messages, for which one gap stands. */
#include "engine/protocol/outbox.h"

#include "engine/base/memory.h"

#include <stdlib.h>
#include <string.h>

struct outbox_entry {
    struct outbox_entry *next;
    struct frame_buffer *frame_buffer;
};

struct frame_buffer *frame_buffer_create(enum frame_buffer_kind kind, enum frame_type type, const void *first,
                                         size_t first_bytes, const void *second, size_t second_bytes)
{
    size_t payload_bytes = first_bytes + second_bytes;
    struct frame_buffer *frame_buffer = malloc(sizeof *frame_buffer + FRAME_HEADER_BYTES + payload_bytes);
    if (!frame_buffer) return NULL;
    atomic_init(&frame_buffer->references, 1);
    frame_buffer->kind = kind;
    frame_buffer->sequence = 0;
    frame_buffer->replaces = -1;
    frame_buffer->bytes = FRAME_HEADER_BYTES + payload_bytes;
    frame_write_header(frame_buffer->frame, type, payload_bytes);
    if (first_bytes) memcpy(frame_buffer->frame + FRAME_HEADER_BYTES, first, first_bytes);
    if (second_bytes) memcpy(frame_buffer->frame + FRAME_HEADER_BYTES + first_bytes, second, second_bytes);
    return frame_buffer;
}

struct frame_buffer *frame_buffer_keep(struct frame_buffer *frame_buffer)
{
    atomic_fetch_add_explicit(&frame_buffer->references, 1, memory_order_relaxed);
    return frame_buffer;
}

void frame_buffer_release(struct frame_buffer *frame_buffer)
{
    if (frame_buffer && atomic_fetch_sub_explicit(&frame_buffer->references, 1, memory_order_acq_rel) == 1)
        free(frame_buffer);
}

void outbox_init(struct outbox *outbox, size_t limit)
{
    memset(outbox, 0, sizeof *outbox);
    outbox->limit = limit;
}

static struct outbox_entry *entry_after(struct outbox *outbox, struct outbox_entry *before)
{
    return before ? before->next : outbox->first;
}

/* Takes the entry behind `before` (NULL: the first) out of the queue. */
static void remove_after(struct outbox *outbox, struct outbox_entry *before)
{
    struct outbox_entry *entry = entry_after(outbox, before);
    if (before)
        before->next = entry->next;
    else
        outbox->first = entry->next;
    if (outbox->last == entry) outbox->last = before;
    outbox->bytes -= entry->frame_buffer->bytes;
    frame_buffer_release(entry->frame_buffer);
    free(entry);
}

void outbox_clear(struct outbox *outbox)
{
    while (outbox->first) remove_after(outbox, NULL);
    outbox_init(outbox, outbox->limit);
}

/* The entry behind which things may be dropped: what is partly sent or in hand has to stay. */
static struct outbox_entry *last_untouchable(const struct outbox *outbox)
{
    return outbox->sent > 0 || outbox->first_in_hand ? outbox->first : NULL;
}

static bool fits(const struct outbox *outbox, const struct frame_buffer *frame_buffer)
{
    return !outbox->first || outbox->bytes + frame_buffer->bytes <= outbox->limit;
}

static void drop_pictures_until_fits(struct outbox *outbox, const struct frame_buffer *frame_buffer)
{
    struct outbox_entry *before = last_untouchable(outbox);
    while (!fits(outbox, frame_buffer) && entry_after(outbox, before)) {
        if (entry_after(outbox, before)->frame_buffer->kind == FRAME_BUFFER_PICTURE) {
            remove_after(outbox, before);
            outbox->pictures_dropped++;
        } else {
            before = entry_after(outbox, before);
        }
    }
}

static void note_gap(struct outbox *outbox, uint64_t sequence)
{
    if (!outbox->gap) outbox->gap_from = sequence;
    outbox->gap = true;
    outbox->gap_to = sequence;
}

static void drop_messages(struct outbox *outbox)
{
    struct outbox_entry *before = last_untouchable(outbox);
    while (entry_after(outbox, before)) {
        struct outbox_entry *entry = entry_after(outbox, before);
        if (entry->frame_buffer->kind == FRAME_BUFFER_MESSAGE) {
            note_gap(outbox, entry->frame_buffer->sequence);
            remove_after(outbox, before);
        } else {
            before = entry;
        }
    }
}

static void append(struct outbox *outbox, struct frame_buffer *frame_buffer)
{
    struct outbox_entry *entry = memory_take(1, sizeof *entry);
    *entry = (struct outbox_entry){.next = NULL, .frame_buffer = frame_buffer_keep(frame_buffer)};
    if (outbox->last)
        outbox->last->next = entry;
    else
        outbox->first = entry;
    outbox->last = entry;
    outbox->bytes += frame_buffer->bytes;
}

static bool replace_waiting_picture(struct outbox *outbox, struct frame_buffer *frame_buffer)
{
    if (frame_buffer->replaces < 0) return false;
    struct outbox_entry *before = last_untouchable(outbox);
    for (struct outbox_entry *entry = entry_after(outbox, before); entry; entry = entry->next) {
        if (entry->frame_buffer->kind != FRAME_BUFFER_PICTURE ||
            entry->frame_buffer->replaces != frame_buffer->replaces)
            continue;
        outbox->bytes = outbox->bytes - entry->frame_buffer->bytes + frame_buffer->bytes;
        frame_buffer_release(entry->frame_buffer);
        entry->frame_buffer = frame_buffer_keep(frame_buffer);
        outbox->pictures_dropped++;
        return true;
    }
    return false;
}

static void push_picture(struct outbox *outbox, struct frame_buffer *frame_buffer)
{
    if (outbox->gap) {
        outbox->pictures_dropped++;
        return;
    }
    if (replace_waiting_picture(outbox, frame_buffer)) return;
    drop_pictures_until_fits(outbox, frame_buffer);
    if (fits(outbox, frame_buffer))
        append(outbox, frame_buffer);
    else
        outbox->pictures_dropped++;
}

bool outbox_push(struct outbox *outbox, struct frame_buffer *frame_buffer)
{
    if (frame_buffer->kind == FRAME_BUFFER_PICTURE) {
        push_picture(outbox, frame_buffer);
        return true;
    }
    if (frame_buffer->kind == FRAME_BUFFER_MESSAGE && outbox->gap) {
        note_gap(outbox, frame_buffer->sequence);
        return true;
    }
    drop_pictures_until_fits(outbox, frame_buffer);
    if (!fits(outbox, frame_buffer)) drop_messages(outbox);
    if (frame_buffer->kind == FRAME_BUFFER_MESSAGE && (outbox->gap || !fits(outbox, frame_buffer))) {
        note_gap(outbox, frame_buffer->sequence);
        return true;
    }
    if (!fits(outbox, frame_buffer)) return false;
    append(outbox, frame_buffer);
    return true;
}

bool outbox_empty(const struct outbox *outbox)
{
    return !outbox->first;
}

struct frame_buffer *outbox_take(struct outbox *outbox, size_t *sent)
{
    if (!outbox->first) return NULL;
    outbox->first_in_hand = true;
    *sent = outbox->sent;
    return frame_buffer_keep(outbox->first->frame_buffer);
}

void outbox_sent(struct outbox *outbox, size_t count)
{
    outbox->first_in_hand = false;
    outbox->sent += count;
    if (outbox->sent < outbox->first->frame_buffer->bytes) return;
    outbox->sent = 0;
    remove_after(outbox, NULL);
}

bool outbox_take_gap(struct outbox *outbox, uint64_t *from, uint64_t *to)
{
    if (!outbox->gap || outbox->first) return false;
    outbox->gap = false;
    *from = outbox->gap_from;
    *to = outbox->gap_to;
    return true;
}
