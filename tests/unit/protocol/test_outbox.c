/* Order, drops and gaps of a client's queue. */
#include "engine/protocol/outbox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char filling[1 << 16];

static bool push(struct outbox *outbox, enum frame_buffer_kind kind, uint64_t sequence, size_t bytes, int64_t replaces)
{
    memset(filling, (int)('a' + sequence % 26), bytes);
    struct frame_buffer *frame_buffer =
        frame_buffer_create(kind, kind == FRAME_BUFFER_PICTURE ? FRAME_PICTURE : FRAME_JSON, filling, bytes, NULL, 0);
    assert_non_null(frame_buffer);
    frame_buffer->sequence = sequence;
    frame_buffer->replaces = replaces;
    bool pushed = outbox_push(outbox, frame_buffer);
    frame_buffer_release(frame_buffer);
    return pushed;
}

/* Sends everything; returns how many frame buffers, and the sequences in the order sent. */
static int drain(struct outbox *outbox, uint64_t *sequences)
{
    int count = 0;
    size_t sent;
    for (struct frame_buffer *frame_buffer; (frame_buffer = outbox_take(outbox, &sent)) != NULL; count++) {
        if (sequences) sequences[count] = frame_buffer->sequence;
        size_t rest = frame_buffer->bytes - sent;
        frame_buffer_release(frame_buffer);
        outbox_sent(outbox, rest);
    }
    return count;
}

static void keeps_the_order(void **state)
{
    (void)state;
    struct outbox outbox;
    outbox_init(&outbox, 1000);
    for (uint64_t i = 1; i <= 5; i++) assert_true(push(&outbox, FRAME_BUFFER_MESSAGE, i, 10, -1));
    uint64_t sequences[5];
    assert_int_equal(drain(&outbox, sequences), 5);
    for (uint64_t i = 0; i < 5; i++) assert_int_equal(sequences[i], i + 1);
    assert_int_equal(outbox.bytes, 0);
    uint64_t from, to;
    assert_false(outbox_take_gap(&outbox, &from, &to));
    outbox_clear(&outbox);
}

static void pictures_drop_before_messages_and_the_oldest_first(void **state)
{
    (void)state;
    struct outbox outbox;
    outbox_init(&outbox, 1000);
    for (uint64_t i = 1; i <= 3; i++) push(&outbox, FRAME_BUFFER_PICTURE, i, 300, -1);
    push(&outbox, FRAME_BUFFER_PICTURE, 4, 300, -1); /* 1 goes */
    push(&outbox, FRAME_BUFFER_MESSAGE, 5, 300, -1); /* 2 goes */
    assert_int_equal(outbox.pictures_dropped, 2);
    uint64_t sequences[5];
    assert_int_equal(drain(&outbox, sequences), 3);
    assert_int_equal(sequences[0], 3);
    assert_int_equal(sequences[1], 4);
    assert_int_equal(sequences[2], 5);
    assert_false(outbox.gap);
    outbox_clear(&outbox);
}

static void a_full_queue_of_messages_becomes_one_gap(void **state)
{
    (void)state;
    struct outbox outbox;
    outbox_init(&outbox, 1000);
    assert_true(push(&outbox, FRAME_BUFFER_CONTROL, 0, 100, -1));
    for (uint64_t i = 7; i <= 30; i++) assert_true(push(&outbox, FRAME_BUFFER_MESSAGE, i, 100, -1));
    push(&outbox, FRAME_BUFFER_PICTURE, 31, 100, -1);
    uint64_t from, to;
    assert_false(outbox_take_gap(&outbox, &from, &to)); /* not before the rest is sent */
    uint64_t sequences[30];
    assert_int_equal(drain(&outbox, sequences), 1); /* the reply alone was kept */
    assert_int_equal(sequences[0], 0);
    assert_true(outbox_take_gap(&outbox, &from, &to));
    assert_int_equal(from, 7);
    assert_int_equal(to, 30);
    assert_false(outbox_take_gap(&outbox, &from, &to));
    push(&outbox, FRAME_BUFFER_MESSAGE, 31, 100, -1);
    assert_int_equal(drain(&outbox, sequences), 1);
    outbox_clear(&outbox);
}

static void what_is_partly_sent_stays(void **state)
{
    (void)state;
    struct outbox outbox;
    outbox_init(&outbox, 1000);
    push(&outbox, FRAME_BUFFER_PICTURE, 1, 600, -1);
    size_t sent;
    struct frame_buffer *frame_buffer = outbox_take(&outbox, &sent);
    push(&outbox, FRAME_BUFFER_MESSAGE, 2, 600, -1); /* does not fit beside the one in hand: a gap */
    assert_true(outbox.gap);
    frame_buffer_release(frame_buffer);
    outbox_sent(&outbox, 10);
    frame_buffer = outbox_take(&outbox, &sent);
    assert_int_equal(sent, 10);
    assert_int_equal(frame_buffer->sequence, 1);
    outbox_sent(&outbox, frame_buffer->bytes - 10);
    frame_buffer_release(frame_buffer);
    assert_true(outbox_empty(&outbox));
    outbox_clear(&outbox);
}

static void a_newer_preview_takes_the_place_of_a_waiting_one(void **state)
{
    (void)state;
    struct outbox outbox;
    outbox_init(&outbox, 10000);
    push(&outbox, FRAME_BUFFER_MESSAGE, 1, 10, -1);
    push(&outbox, FRAME_BUFFER_PICTURE, 2, 50, 7);
    push(&outbox, FRAME_BUFFER_PICTURE, 3, 50, 8);
    push(&outbox, FRAME_BUFFER_PICTURE, 4, 50, 7);
    uint64_t sequences[4];
    assert_int_equal(drain(&outbox, sequences), 3);
    assert_int_equal(sequences[1], 4);
    assert_int_equal(sequences[2], 3);
    assert_int_equal(outbox.bytes, 0);
    outbox_clear(&outbox);
}

static void one_large_picture_passes_an_empty_queue(void **state)
{
    (void)state;
    struct outbox outbox;
    outbox_init(&outbox, 1000);
    push(&outbox, FRAME_BUFFER_PICTURE, 1, 5000, -1);
    assert_int_equal(drain(&outbox, NULL), 1);
    outbox_clear(&outbox);
}

static void replies_alone_over_the_limit_end_the_client(void **state)
{
    (void)state;
    struct outbox outbox;
    outbox_init(&outbox, 1000);
    bool all = true;
    for (uint64_t i = 0; i < 20; i++) all = push(&outbox, FRAME_BUFFER_CONTROL, i, 100, -1) && all;
    assert_false(all);
    assert_true(outbox.bytes <= 1000);
    outbox_clear(&outbox);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_the_order),
        cmocka_unit_test(pictures_drop_before_messages_and_the_oldest_first),
        cmocka_unit_test(a_full_queue_of_messages_becomes_one_gap),
        cmocka_unit_test(what_is_partly_sent_stays),
        cmocka_unit_test(a_newer_preview_takes_the_place_of_a_waiting_one),
        cmocka_unit_test(one_large_picture_passes_an_empty_queue),
        cmocka_unit_test(replies_alone_over_the_limit_end_the_client),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
