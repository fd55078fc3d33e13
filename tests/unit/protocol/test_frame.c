/* Frames from any portions of a stream, and their exact limits. */
#include "engine/protocol/frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void feed(struct frame_stream *reader, const uint8_t *bytes, size_t count, size_t portion)
{
    while (count > 0) {
        size_t room;
        uint8_t *target = frame_stream_room(reader, &room);
        assert_non_null(target);
        size_t now = portion < count ? portion : count;
        if (now > room) now = room;
        memcpy(target, bytes, now);
        frame_stream_received(reader, now);
        bytes += now;
        count -= now;
    }
}

static void header_is_little_endian(void **state)
{
    (void)state;
    uint8_t header[FRAME_HEADER_BYTES];
    frame_write_header(header, FRAME_PICTURE, 0x00010203);
    const uint8_t expected[] = {0x03, 0x02, 0x01, 0x00, 'P'};
    assert_memory_equal(header, expected, sizeof expected);
}

static void frames_come_whole_from_any_portions(void **state)
{
    (void)state;
    uint8_t stream[4096];
    size_t length = 0;
    const char *const payloads[] = {"{}", "", "{\"type\":\"a longer one\"}", "x"};
    const enum frame_type types[] = {FRAME_JSON, FRAME_JSON, FRAME_JSON, FRAME_PICTURE};
    for (int i = 0; i < 4; i++) {
        frame_write_header(stream + length, types[i], strlen(payloads[i]));
        memcpy(stream + length + FRAME_HEADER_BYTES, payloads[i], strlen(payloads[i]));
        length += FRAME_HEADER_BYTES + strlen(payloads[i]);
    }
    for (size_t portion = 1; portion <= length; portion++) {
        struct frame_stream reader;
        frame_stream_init(&reader, frame_limits_of_engine);
        int received = 0;
        for (size_t at = 0; at < length; at += portion) {
            feed(&reader, stream + at, portion < length - at ? portion : length - at, portion);
            struct frame frame;
            bool found;
            for (;;) {
                assert_int_equal(frame_stream_next(&reader, &frame, &found).code, STATUS_OK);
                if (!found) break;
                assert_int_equal(frame.type, types[received]);
                assert_int_equal(frame.bytes, strlen(payloads[received]));
                assert_string_equal((const char *)frame.payload, payloads[received]);
                received++;
            }
        }
        assert_int_equal(received, 4);
        frame_stream_clear(&reader);
    }
}

static void check_limit(struct frame_limits limits, enum frame_type type, size_t bytes, enum status_code expected)
{
    struct frame_stream reader;
    frame_stream_init(&reader, limits);
    uint8_t header[FRAME_HEADER_BYTES];
    frame_write_header(header, type, bytes);
    feed(&reader, header, sizeof header, sizeof header);
    struct frame frame;
    bool found;
    status next = frame_stream_next(&reader, &frame, &found);
    assert_int_equal(next.code, expected);
    assert_false(found && bytes > 0);
    frame_stream_clear(&reader);
}

static void limits_are_exact(void **state)
{
    (void)state;
    check_limit(frame_limits_of_client, FRAME_JSON, 65536, STATUS_OK);
    check_limit(frame_limits_of_client, FRAME_JSON, 65537, STATUS_BAD_INPUT);
    check_limit(frame_limits_of_client, FRAME_PICTURE, 1, STATUS_BAD_INPUT);
    check_limit(frame_limits_of_client, (enum frame_type)'X', 1, STATUS_BAD_INPUT);
    check_limit(frame_limits_of_client, FRAME_JSON, 0xffffffffu, STATUS_BAD_INPUT);
    check_limit(frame_limits_of_engine, FRAME_JSON, 1048576, STATUS_OK);
    check_limit(frame_limits_of_engine, FRAME_JSON, 1048577, STATUS_BAD_INPUT);
    check_limit(frame_limits_of_engine, FRAME_PICTURE, 16777216, STATUS_OK);
    check_limit(frame_limits_of_engine, FRAME_PICTURE, 16777217, STATUS_BAD_INPUT);
}

static void a_promised_length_takes_no_memory(void **state)
{
    (void)state;
    struct frame_stream reader;
    frame_stream_init(&reader, frame_limits_of_engine);
    uint8_t header[FRAME_HEADER_BYTES];
    frame_write_header(header, FRAME_PICTURE, 16777216);
    feed(&reader, header, sizeof header, sizeof header);
    size_t room;
    assert_non_null(frame_stream_room(&reader, &room));
    assert_true(reader.capacity < 1u << 20);
    frame_stream_clear(&reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(header_is_little_endian),
        cmocka_unit_test(frames_come_whole_from_any_portions),
        cmocka_unit_test(limits_are_exact),
        cmocka_unit_test(a_promised_length_takes_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
