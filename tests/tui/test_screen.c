/* Layout, curves, text, the link's levels, frames of the protocol: what needs no terminal. */
#include "tests/tui/frames.h"
#include "tui/pictures/encode.h"
#include "tui/pictures/maker.h"
#include "tui/run/run.h"
#include "tui/screen/field.h"
#include "tui/screen/layout.h"
#include "tui/screen/plot.h"
#include "tui/screen/text.h"
#include "tui/terminal/link.h"
#include "tui/terminal/still.h"
#include "tui/views/weight.h"

#include <locale.h>
#include <math.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void add(struct area *all, int *count, struct area area)
{
    if (!area_empty(area)) all[(*count)++] = area;
}

static void complaint_12_nothing_overlaps_at_any_size(void **state)
{
    (void)state;
    for (int rows = LEAST_ROWS; rows <= 80; rows++) {
        for (int columns = LEAST_COLUMNS; columns <= 260; columns += 3) {
            struct frame_layout frame = layout_frame(rows, columns);
            for (int rewards = 1; rewards <= 6; rewards++) {
                for (int side = 0; side < 2; side++) {
                    double square = 1.5 + (rows + columns) % 5 * 0.25; /* cells of several shapes */
                    struct tune_layout layout = layout_tune(frame.body, rewards, side, square);
                    struct area all[24];
                    int count = 0;
                    for (int i = 0; i < layout.picture_count; i++) {
                        add(all, &count, layout.pictures[i]);
                        add(all, &count, layout.captions[i]);
                    }
                    add(all, &count, layout.progress);
                    add(all, &count, layout.curves);
                    add(all, &count, layout.small_curves);
                    add(all, &count, layout.rewards);
                    add(all, &count, layout.drift);
                    add(all, &count, layout.table);
                    for (int left = 0; left < count; left++) {
                        struct area area = all[left];
                        bool inside = area.row >= frame.body.row && area.column >= frame.body.column &&
                                      area.row + area.rows <= frame.body.row + frame.body.rows &&
                                      area.column + area.columns <= frame.body.column + frame.body.columns;
                        if (!inside)
                            fail_msg("%dx%d rewards %d side %d: part %d leaves the body", columns, rows, rewards, side,
                                     left);
                        for (int right = left + 1; right < count; right++)
                            if (area_overlap(area, all[right]))
                                fail_msg("%dx%d rewards %d side %d: parts %d and %d overlap", columns, rows, rewards,
                                         side, left, right);
                    }
                }
            }
        }
    }
}

static void a_picture_of_32x16_cells_fits_the_smallest_screen(void **state)
{
    (void)state;
    struct tune_layout layout = layout_tune(layout_frame(24, 80).body, 2, false, 2);
    assert_int_equal(layout.picture_count, 1);
    assert_true(layout.pictures[0].rows >= 16);
    assert_true(layout.pictures[0].columns >= 32);
    assert_true(layout.pictures[0].row + layout.pictures[0].rows <= 24 - 2);
    assert_int_equal(layout_tune(layout_frame(60, 200).body, 2, false, 2).picture_count, 4);
    assert_false(area_empty(layout_tune(layout_frame(60, 200).body, 2, false, 2).small_curves));
    assert_true(layout_frame(23, 80).too_small);
    assert_true(layout_frame(24, 79).too_small);
    assert_false(layout_frame(24, 80).too_small);
}

static void curves_are_drawn_where_their_values_are(void **state)
{
    (void)state;
    double x[] = {0, 1, 2, 3}, y[] = {0, 1, NAN, 1};
    struct plot_series series = {x, y, 4, STYLE_TEXT};
    wchar_t cells[4 * 8];
    int owner[4 * 8];
    plot_render(&series, 1, (struct plot_range){0, 3}, (struct plot_range){0, 1}, 4, 8, true, cells, owner);
    assert_true(cells[3 * 8] >= 0x2800); /* (0, 0): lower left */
    assert_int_equal(owner[3 * 8], 0);
    assert_true(cells[7] >= 0x2800);                                            /* (3, 1): upper right */
    assert_int_equal(cells[3 * 8 + 7], 0);                                      /* nothing at the lower right */
    for (int row = 0; row < 4; row++) assert_int_equal(owner[row * 8 + 5], -1); /* the gap at x = 2 */
    plot_render(&series, 1, (struct plot_range){0, 3}, (struct plot_range){0, 1}, 4, 8, false, cells, owner);
    for (int cell = 0; cell < 32; cell++) assert_true(cells[cell] < 127);
    struct plot_range range = plot_range_of(&series, 1);
    assert_true(range.low < 0 && range.low > -0.2 && range.high > 1 && range.high < 1.2);
    struct plot_range empty = plot_range_of(&series, 0);
    assert_true(empty.low == 0 && empty.high == 1);
}

static void text_never_holds_control_bytes(void **state)
{
    (void)state;
    style_set_unicode(true);
    assert_int_equal(text_width("abc"), 3);
    assert_int_equal(text_width("猫"), 2);
    assert_int_equal(text_width("e\xcc\x81"), 1); /* combining accent */
    assert_int_equal(text_width("a\xe2\x80\xae"
                                "b"),
                     2);                         /* the direction override is left out */
    assert_int_equal(text_width("\033[2J"), 4);  /* Esc becomes a visible replacement */
    assert_int_equal(text_width("\xff\xfe"), 2); /* broken UTF-8: one replacement each */
    uint32_t code = 0;
    assert_int_equal(text_decode("\xe2\x82", &code), 2);
    assert_int_equal(code, 0xfffd);
}

static void numbers_are_read_whole(void **state)
{
    (void)state;
    static const char *const wrong[] = {"", " ", "x", "0.5x", "1 2", "inf", "nan", "1e999", "0,5"};
    double value = 0;
    assert_true(text_number("0.5", &value) && value == 0.5);
    assert_true(text_number(" -1e-3 ", &value) && value == -0.001);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) assert_false(text_number(wrong[i], &value));
}

static void fields_edit_characters_not_bytes(void **state)
{
    (void)state;
    struct field field;
    field_set(&field, "猫");
    struct input_event key = {.kind = INPUT_KEY, .key = KEY_CODE_BACKSPACE};
    assert_true(field_key(&field, &key));
    assert_string_equal(field.text, "");
    for (const char *at = "two cats"; *at; at++) {
        key.key = (uint32_t)*at;
        assert_true(field_key(&field, &key));
    }
    key.key = 23; /* Ctrl-W */
    field_key(&field, &key);
    assert_string_equal(field.text, "two ");
    key.key = KEY_CODE_HOME;
    field_key(&field, &key);
    key.key = 0xe9;
    field_key(&field, &key);
    assert_string_equal(field.text, "étwo ");
    key.key = KEY_CODE_ENTER;
    assert_false(field_key(&field, &key));
    key.key = 'x';
    for (int i = 0; i < FIELD_CAPACITY + 10; i++) field_key(&field, &key);
    assert_true(field.length < FIELD_CAPACITY);
    assert_int_equal(strlen(field.text), field.length);
}

/* A link of `rate` bytes a second and `round_trip` milliseconds, in steps of one frame. */
static void run_link(struct link *link, int64_t *now, double rate, double round_trip, size_t frame, int seconds,
                     double *worst)
{
    int64_t until = *now + seconds * 1000;
    *worst = 0;
    while (*now < until) {
        if (link_question_due(link, *now)) {
            link_mark(link, 4, *now);
            *now += (int64_t)round_trip;
            link_answer(link, *now);
            continue;
        }
        size_t room = link_room(link, *now);
        size_t bytes = room < frame ? room : frame;
        if (bytes == 0) bytes = 1;
        link_mark(link, bytes, *now);
        double queued = (double)bytes / rate * 1000;
        if (queued > *worst) *worst = queued;
        int64_t answered = *now + (int64_t)(round_trip + queued);
        for (int left = link_watch(link, *now); left > 0 && *now + left < answered; left = link_watch(link, *now))
            *now += left;
        *now = answered;
        link_answer(link, *now);
    }
}

static void complaint_18_levels_follow_the_link(void **state)
{
    (void)state;
    struct link link;
    int64_t now = 1000;
    double worst = 0;
    link_init(&link);
    run_link(&link, &now, 20e6, 300, 80000, 5, &worst);
    assert_int_equal(link.level, LINK_FULL);
    run_link(&link, &now, 250e3, 300, 80000, 10, &worst); /* 2 Mbit/s */
    assert_int_equal(link.level, LINK_MEDIUM);
    run_link(&link, &now, 250e3, 300, 80000, 5, &worst);
    assert_true(worst < 100);                           /* a key waits no longer behind a picture */
    run_link(&link, &now, 7e3, 300, 80000, 10, &worst); /* 56 kbit/s */
    assert_int_equal(link.level, LINK_SYMBOLS);
    run_link(&link, &now, 7e3, 300, 80000, 5, &worst);
    assert_true(worst < 250);
    run_link(&link, &now, 20e6, 300, 80000, 10, &worst);
    assert_true(link.level >= LINK_MEDIUM);
}

/* The program stays, its terminal is another one, further away: the round trip is measured anew. */
static void levels_follow_another_route(void **state)
{
    (void)state;
    struct link link;
    int64_t now = 1000;
    double worst = 0;
    link_init(&link);
    run_link(&link, &now, 20e6, 1, 80000, 5, &worst);
    assert_int_equal(link.level, LINK_FULL);
    run_link(&link, &now, 250e3, 300, 80000, 20, &worst);
    assert_int_equal(link.level, LINK_MEDIUM);
    run_link(&link, &now, 20e6, 1, 80000, 10, &worst);
    assert_int_equal(link.level, LINK_FULL);
}

static void a_busy_terminal_is_no_slow_link(void **state)
{
    (void)state;
    struct link link;
    int64_t now = 1000;
    link_init(&link);
    for (int i = 0; i < 200; i++) {
        size_t bytes = i % 20 == 0 ? 40000 : 500;
        link_mark(&link, bytes, now);
        now += i % 3 == 0 ? 60 : 15; /* late because the machine is busy, not because of the bytes */
        if (bytes > 2000) now -= 20;
        link_answer(&link, now);
    }
    assert_int_equal(link.level, LINK_FULL);
}

/* On a machine that is busy for seconds every piece is late, whatever its size: pictures stay, and what is under way is
 * no more than is read from a pseudo terminal at once. */
static void a_busy_machine_is_no_slow_link(void **state)
{
    (void)state;
    struct link link;
    int64_t now = 1000;
    unsigned seed = 3;
    double worst;
    link_init(&link);
    link_note_round_trip(&link, 1, now);
    run_link(&link, &now, 20e6, 1, 4000, 3, &worst);
    for (int i = 0; i < 300; i++) {
        size_t bytes = i % 3 == 0 ? 4000 : 600;
        link_mark(&link, bytes, now);
        now += 20 + rand_r(&seed) % 150;
        link_answer(&link, now);
        assert_int_equal(link.level, LINK_FULL);
    }
    assert_true(link_room(&link, now) <= 4 << 10);
}

/* A piece that stays under way for a second lowers the level before it is answered, and nothing follows it. */
static void complaint_18_a_stall_lowers_the_level_at_once(void **state)
{
    (void)state;
    struct link link;
    int64_t now = 1000;
    double worst;
    link_init(&link);
    link_note_round_trip(&link, 300, now);
    run_link(&link, &now, 250e3, 300, 4000, 20, &worst);
    assert_int_equal(link.level, LINK_MEDIUM);
    size_t bytes = link_room(&link, now);
    link_mark(&link, bytes, now);
    for (int64_t until = now + 1500; now < until;) {
        int left = link_watch(&link, now);
        assert_true(left > 0);
        now += left;
    }
    assert_int_equal(link.level, LINK_SYMBOLS);
    assert_int_equal(link_room(&link, now), 0);
}

/* One answer never comes, as when a key is typed into the middle of it: what follows is sent all the same, and not
 * taken for late. */
static void a_lost_answer_is_got_over(void **state)
{
    (void)state;
    for (int near = 0; near < 2; near++) {
        struct link link;
        int64_t now = 1000;
        double worst, round_trip = near ? 1 : 200;
        link_init(&link);
        link_note_round_trip(&link, round_trip, now);
        run_link(&link, &now, 20e6, round_trip, 4000, 8, &worst);
        assert_int_equal(link.level, LINK_FULL);
        link_mark(&link, 500, now);
        int64_t until = now + 4000;
        while (now < until) {
            int left = link_watch(&link, now);
            if (left < 0) break;
            now += left;
        }
        assert_true(now < until);
        assert_true(link_room(&link, now) > 0);
        run_link(&link, &now, 20e6, round_trip, 4000, 10, &worst);
        assert_int_equal(link.level, LINK_FULL);
    }
}

static void a_silent_terminal_is_not_waited_for(void **state)
{
    (void)state;
    struct link link;
    link_init(&link);
    link_mark(&link, 1 << 20, 1000);
    assert_int_equal(link_room(&link, 1001), 0);
    assert_true(link_room(&link, 20000) > 0);
}

/* A weight that began small is moved in small steps and shown with the decimals it has. */
static void weights_are_moved_in_units_of_their_own(void **state)
{
    (void)state;
    char text[24];
    assert_float_equal(weight_moved(1, 1, 1, false), 1.05, 1e-6);
    assert_float_equal(weight_moved(1, 1, -1, true), 0.75, 1e-6);
    assert_float_equal(weight_moved(0.02, 0.02, 1, false), 0.025, 1e-6);
    assert_float_equal(weight_moved(-0.005, -0.005, -1, true), -0.0075, 1e-6);
    assert_float_equal(weight_moved(0, 0, 1, false), 0.05, 1e-6);
    assert_float_equal(weight_moved(0.05, 0.2, -1, false), 0, 1e-6);
    assert_string_equal(weight_text(text, sizeof text, 1), "1.00");
    assert_string_equal(weight_text(text, sizeof text, 0.005), "0.005");
    assert_string_equal(weight_text(text, sizeof text, -12.25), "-12.25");
    assert_string_equal(weight_text(text, sizeof text, 1.0 / 3), "0.333333");
}

static void totals_follow_the_present_weights(void **state)
{
    (void)state;
    struct run *run = run_new();
    const char text[] = "{\"type\":\"state\",\"phase\":\"running\",\"run\":{\"path\":\"/"
                        "nowhere\",\"name\":\"r\"},\"step\":2,\"steps\":10,"
                        "\"preset\":{\"rewards\":[{\"name\":\"count\",\"id\":\"two\",\"weight\":1},{\"name\":\"jpeg\","
                        "\"weight\":0.5}]}}";
    cJSON *message = message_object(text, sizeof text - 1);
    run_take_state(run, message);
    cJSON_Delete(message);
    assert_int_equal(run->reward_count, 2);
    static const char *const lines[] = {
        "{\"event\":\"evaluation\",\"step\":0,\"eval_reward\":{\"two\":0.2,\"jpeg\":-4}}",
        "{\"step\":1,\"reward\":{\"two\":0.1,\"jpeg\":-4},\"eval_reward\":{\"two\":0.9,\"jpeg\":-6}}",
        "{\"step\":2,\"reward\":{\"two\":0.2,\"jpeg\":-2},\"eval_reward\":{\"two\":0.5,\"jpeg\":-3}}",
        "{\"step\":2,\"reward\":{\"two\":0.3,\"jpeg\":-2},\"eval_reward\":{\"two\":0.5,\"jpeg\":-3}}", /* a later line
                                                                                                          counts */
        "{\"step\":\"no number\"}",
        "{\"step\":-5}",
        "{\"step\":1e300,\"reward\":{}}"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        cJSON *line = message_object(lines[i], strlen(lines[i]));
        run_take_line(run, line);
        cJSON_Delete(line);
    }
    assert_int_equal(run->history_count, 3);
    assert_true(fabs(run->history[2].reward[0] - 0.3) < 1e-9);
    assert_int_equal(run_best(run)->step, 2); /* 0.5 - 1.5 beats 0.9 - 3 and 0.2 - 2 */
    run->rewards[1].weight = 0;
    assert_int_equal(run_best(run)->step, 1); /* without jpeg 0.9 is best */
    const char event[] = "{\"event\":\"rollback\",\"step\":2,\"to\":1}";
    cJSON *line = message_object(event, sizeof event - 1);
    run_take_line(run, line);
    cJSON_Delete(line);
    assert_int_equal(run->history_count, 2);
    assert_int_equal(run->step, 1);
    const char resumed[] = "{\"event\":\"resume\",\"step\":1}"; /* step 1 comes again */
    line = message_object(resumed, sizeof resumed - 1);
    run_take_line(run, line);
    cJSON_Delete(line);
    assert_int_equal(run->history_count, 1);
    char name[64];
    assert_string_equal(run_short_name("two-cats-20261127-194532", name, sizeof name), "two-cats");
    assert_string_equal(run_short_name("two-cats-20261127-194532-2", name, sizeof name), "two-cats");
    assert_string_equal(run_short_name("run-2026-1", name, sizeof name), "run-2026-1");
    run_free(run);
}

static void descriptions_lose_their_scrolling(void **state)
{
    (void)state;
    unsigned char description[32768];
    FILE *file = fopen("/lib/terminfo/x/xterm-256color", "rb");
    if (!file) file = fopen("/usr/share/terminfo/x/xterm-256color", "rb");
    if (!file) skip();
    size_t length = fread(description, 1, sizeof description, file);
    fclose(file);
    assert_true(still_strip(description, length) >= 8);
    assert_int_equal(still_strip(description, length), 0); /* nothing is left to take */
    assert_int_equal(still_strip(description, 5), -1);
    memset(description, 0xff, sizeof description);
    assert_int_equal(still_strip(description, sizeof description), -1);
}

static struct image test_image(int side)
{
    struct image image = {0};
    unsigned char *pixels = malloc((size_t)side * (size_t)side * 3);
    for (int at = 0; at < side * side * 3; at++) pixels[at] = (unsigned char)(at * 7 / side);
    image_set(&image, side, side, pixels);
    free(pixels);
    return image;
}

static void control_strings_are_whole_in_every_piece(void **state)
{
    (void)state;
    struct image image = test_image(128);
    for (int protocol = PROTOCOL_ITERM2; protocol <= PROTOCOL_KITTY; protocol++) {
        struct encoded encoded = {0};
        struct encode_request request = {.image = &image,
                                         .row = 2,
                                         .column = 3,
                                         .rows = 16,
                                         .columns = 32,
                                         .cell_width = 8,
                                         .cell_height = 16,
                                         .largest_side = 256,
                                         .colors = 64,
                                         .strip_rows = 5,
                                         .identity = 7};
        assert_true(encode_picture((enum picture_protocol)protocol, &request, &encoded));
        assert_true(encoded.count >= 1);
        size_t start = 0;
        for (int piece = 0; piece < encoded.count; piece++) {
            int open = 0;
            for (size_t at = start; at < encoded.ends[piece]; at++) {
                const char *text = encoded.bytes.data + at;
                bool last = at + 1 >= encoded.ends[piece];
                if (!last && text[0] == 27 && (text[1] == 'P' || text[1] == '_' || text[1] == ']')) open++;
                if (!last && text[0] == 27 && text[1] == '\\') open--;
                if (text[0] == 7) open--;
                assert_in_range(open, 0, 1);
            }
            assert_int_equal(open, 0);
            start = encoded.ends[piece];
        }
        assert_int_equal(start, encoded.bytes.length);
        encoded_free(&encoded);
    }
    image_free(&image);
}

static struct encode_request sixel_request(const struct image *image, int colors)
{
    return (struct encode_request){.image = image,
                                   .rows = 8,
                                   .columns = 16,
                                   .cell_width = 8,
                                   .cell_height = 16,
                                   .largest_side = 256,
                                   .colors = colors,
                                   .strip_rows = 1};
}

/* Every colour that a strip uses is defined in it, and none that it does not use. */
static void sixel_strips_define_what_they_use(void **state)
{
    (void)state;
    struct image image = test_image(128);
    struct encoded encoded = {0};
    struct encode_request request = sixel_request(&image, 256);
    assert_true(encode_sixel(&request, &encoded));
    assert_int_equal(encoded.count, 8);
    size_t at = 0;
    for (int piece = 0; piece < encoded.count; piece++) {
        bool defined[256] = {false}, used[256] = {false};
        for (; at < encoded.ends[piece]; at++) {
            if (encoded.bytes.data[at] != '#') continue;
            char *end = NULL;
            long color = strtol(encoded.bytes.data + at + 1, &end, 10);
            assert_in_range(color, 0, 255);
            *(*end == ';' ? &defined[color] : &used[color]) = true;
        }
        assert_memory_equal(defined, used, sizeof used);
    }
    encoded_free(&encoded);
    image_free(&image);
}

/* What the maker's thread makes is what encoding at once gives, also when the image has gone meanwhile. */
static void the_maker_makes_one_picture_at_a_time(void **state)
{
    (void)state;
    struct maker *maker = maker_new();
    assert_non_null(maker);
    for (unsigned long number = 1; number < 20; number++) {
        struct image image = test_image(64 + (int)number);
        struct encoded expected = {0};
        struct making making = {
            .number = number, .protocol = PROTOCOL_SIXEL, .request = sixel_request(&image, 64), .unicode = true};
        assert_true(encode_sixel(&making.request, &expected));
        assert_true(maker_start(maker, &making));
        assert_false(maker_start(maker, &making));
        image_free(&image);
        struct pollfd wait = {.fd = maker_descriptor(maker), .events = POLLIN};
        struct made made;
        assert_int_equal(poll(&wait, 1, 60000), 1);
        assert_true(maker_take(maker, &made));
        assert_false(maker_take(maker, &made));
        assert_true(made.ready && made.number == number && !made.cells);
        assert_int_equal(made.encoded->bytes.length, expected.bytes.length);
        assert_memory_equal(made.encoded->bytes.data, expected.bytes.data, expected.bytes.length);
        encoded_free(&expected);
    }
    struct image image = test_image(32);
    struct making making = {
        .number = 20, .protocol = PROTOCOL_SYMBOLS, .request = sixel_request(&image, 64), .palette = SYMBOLS_256};
    assert_true(maker_start(maker, &making));
    image_free(&image);
    maker_free(maker); /* with a picture in hand */
}

static void pictures_are_scaled_without_shift(void **state)
{
    (void)state;
    struct image flat = {0}, scaled = {0};
    unsigned char pixels[8 * 8 * 3];
    memset(pixels, 77, sizeof pixels);
    assert_true(image_set(&flat, 8, 8, pixels));
    assert_true(image_scale(&flat, 31, 5, &scaled));
    for (int at = 0; at < 31 * 5 * 3; at++) assert_int_equal(scaled.pixels[at], 77);
    int rows = 0, columns = 0;
    image_fit(128, 128, 17, 34, 8, 16, &rows, &columns);
    assert_int_equal(columns, 34);
    assert_int_equal(rows, 17);
    image_fit(512, 128, 17, 34, 8, 16, &rows, &columns);
    assert_int_equal(columns, 34);
    assert_in_range(rows, 4, 5);
    image_free(&flat);
    image_free(&scaled);
}

int main(void)
{
    if (!setlocale(LC_CTYPE, "C.UTF-8")) setlocale(LC_CTYPE, "en_US.UTF-8");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(complaint_12_nothing_overlaps_at_any_size),
        cmocka_unit_test(a_picture_of_32x16_cells_fits_the_smallest_screen),
        cmocka_unit_test(curves_are_drawn_where_their_values_are),
        cmocka_unit_test(text_never_holds_control_bytes),
        cmocka_unit_test(numbers_are_read_whole),
        cmocka_unit_test(fields_edit_characters_not_bytes),
        cmocka_unit_test(complaint_18_levels_follow_the_link),
        cmocka_unit_test(a_busy_terminal_is_no_slow_link),
        cmocka_unit_test(levels_follow_another_route),
        cmocka_unit_test(a_busy_machine_is_no_slow_link),
        cmocka_unit_test(complaint_18_a_stall_lowers_the_level_at_once),
        cmocka_unit_test(a_lost_answer_is_got_over),
        cmocka_unit_test(a_silent_terminal_is_not_waited_for),
        cmocka_unit_test(totals_follow_the_present_weights),
        cmocka_unit_test(weights_are_moved_in_units_of_their_own),
        cmocka_unit_test(descriptions_lose_their_scrolling),
        cmocka_unit_test(control_strings_are_whole_in_every_piece),
        cmocka_unit_test(sixel_strips_define_what_they_use),
        cmocka_unit_test(the_maker_makes_one_picture_at_a_time),
        cmocka_unit_test(pictures_are_scaled_without_shift),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
