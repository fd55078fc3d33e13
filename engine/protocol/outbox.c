/* A client's queue: drops pictures first, then messages, for which one gap stands. */
#include "engine/protocol/outbox.h"

#include "engine/base/memory.h"

#include <stdlib.h>
#include <string.h>

struct outbox_entry {
    struct outbox_entry *next;
    struct parcel *parcel;
};

struct parcel *parcel_create(enum parcel_kind kind, enum frame_type type, const void *first, size_t first_bytes,
                             const void *second, size_t second_bytes)
{
    size_t payload_bytes = first_bytes + second_bytes;
    struct parcel *parcel = malloc(sizeof *parcel + FRAME_HEADER_BYTES + payload_bytes);
    if (!parcel) return NULL;
    atomic_init(&parcel->references, 1);
    parcel->kind = kind;
    parcel->sequence = 0;
    parcel->replaces = -1;
    parcel->bytes = FRAME_HEADER_BYTES + payload_bytes;
    frame_write_header(parcel->frame, type, payload_bytes);
    if (first_bytes) memcpy(parcel->frame + FRAME_HEADER_BYTES, first, first_bytes);
    if (second_bytes) memcpy(parcel->frame + FRAME_HEADER_BYTES + first_bytes, second, second_bytes);
    return parcel;
}

struct parcel *parcel_keep(struct parcel *parcel)
{
    atomic_fetch_add_explicit(&parcel->references, 1, memory_order_relaxed);
    return parcel;
}

void parcel_release(struct parcel *parcel)
{
    if (parcel && atomic_fetch_sub_explicit(&parcel->references, 1, memory_order_acq_rel) == 1) free(parcel);
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
    outbox->bytes -= entry->parcel->bytes;
    parcel_release(entry->parcel);
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

static bool fits(const struct outbox *outbox, const struct parcel *parcel)
{
    return !outbox->first || outbox->bytes + parcel->bytes <= outbox->limit;
}

static void drop_pictures_until_fits(struct outbox *outbox, const struct parcel *parcel)
{
    struct outbox_entry *before = last_untouchable(outbox);
    while (!fits(outbox, parcel) && entry_after(outbox, before)) {
        if (entry_after(outbox, before)->parcel->kind == PARCEL_PICTURE) {
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
        if (entry->parcel->kind == PARCEL_MESSAGE) {
            note_gap(outbox, entry->parcel->sequence);
            remove_after(outbox, before);
        } else {
            before = entry;
        }
    }
}

static void append(struct outbox *outbox, struct parcel *parcel)
{
    struct outbox_entry *entry = memory_take(1, sizeof *entry);
    *entry = (struct outbox_entry){.next = NULL, .parcel = parcel_keep(parcel)};
    if (outbox->last)
        outbox->last->next = entry;
    else
        outbox->first = entry;
    outbox->last = entry;
    outbox->bytes += parcel->bytes;
}

static bool replace_waiting_picture(struct outbox *outbox, struct parcel *parcel)
{
    if (parcel->replaces < 0) return false;
    struct outbox_entry *before = last_untouchable(outbox);
    for (struct outbox_entry *entry = entry_after(outbox, before); entry; entry = entry->next) {
        if (entry->parcel->kind != PARCEL_PICTURE || entry->parcel->replaces != parcel->replaces) continue;
        outbox->bytes = outbox->bytes - entry->parcel->bytes + parcel->bytes;
        parcel_release(entry->parcel);
        entry->parcel = parcel_keep(parcel);
        outbox->pictures_dropped++;
        return true;
    }
    return false;
}

static void push_picture(struct outbox *outbox, struct parcel *parcel)
{
    if (outbox->gap) {
        outbox->pictures_dropped++;
        return;
    }
    if (replace_waiting_picture(outbox, parcel)) return;
    drop_pictures_until_fits(outbox, parcel);
    if (fits(outbox, parcel))
        append(outbox, parcel);
    else
        outbox->pictures_dropped++;
}

bool outbox_push(struct outbox *outbox, struct parcel *parcel)
{
    if (parcel->kind == PARCEL_PICTURE) {
        push_picture(outbox, parcel);
        return true;
    }
    if (parcel->kind == PARCEL_MESSAGE && outbox->gap) {
        note_gap(outbox, parcel->sequence);
        return true;
    }
    drop_pictures_until_fits(outbox, parcel);
    if (!fits(outbox, parcel)) drop_messages(outbox);
    if (parcel->kind == PARCEL_MESSAGE && (outbox->gap || !fits(outbox, parcel))) {
        note_gap(outbox, parcel->sequence);
        return true;
    }
    if (!fits(outbox, parcel)) return false;
    append(outbox, parcel);
    return true;
}

bool outbox_empty(const struct outbox *outbox)
{
    return !outbox->first;
}

struct parcel *outbox_take(struct outbox *outbox, size_t *sent)
{
    if (!outbox->first) return NULL;
    outbox->first_in_hand = true;
    *sent = outbox->sent;
    return parcel_keep(outbox->first->parcel);
}

void outbox_sent(struct outbox *outbox, size_t count)
{
    outbox->first_in_hand = false;
    outbox->sent += count;
    if (outbox->sent < outbox->first->parcel->bytes) return;
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
