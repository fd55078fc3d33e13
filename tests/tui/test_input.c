/* Keys, mouse, paste and late replies; complaints 5, 8 and 10 of the list of what terminal programs get wrong. */
#include "tui/state.h"
#include "tui/terminal/input.h"
#include "tui/terminal/multiplexer.h"
#include "tui/terminal/probe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct collected {
    char typed[256];
    int typed_length;
    struct input_event events[64];
    int count;
};

static void drain(struct input_parser *parser, struct collected *all)
{
    struct input_event event;
    while (input_parser_next(parser, &event)) {
        assert_true(all->count < 64);
        all->events[all->count++] = event;
        bool text = event.kind == INPUT_KEY && event.key >= 32 && event.key < 127 && event.modifiers == 0;
        if (text) all->typed[all->typed_length++] = (char)event.key;
    }
}

static struct collected feed(const char *bytes, size_t length, int64_t gap, bool expecting)
{
    struct input_parser parser;
    struct collected all = {0};
    int64_t now = 1000;
    input_parser_init(&parser);
    parser.replies_expected = expecting;
    for (size_t i = 0; i < length; i++) {
        input_parser_feed(&parser, (unsigned char)bytes[i], now);
        drain(&parser, &all);
        now += gap;
        input_parser_tick(&parser, now);
        drain(&parser, &all);
    }
    input_parser_tick(&parser, now + 20000);
    drain(&parser, &all);
    return all;
}

static void keys_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        uint32_t key;
        unsigned modifiers;
    } cases[] = {{"\033[A", KEY_CODE_UP, 0},
                 {"\033OA", KEY_CODE_UP, 0},
                 {"\033[1;2C", KEY_CODE_RIGHT, MODIFIER_SHIFT},
                 {"\033[5~", KEY_CODE_PAGE_UP, 0},
                 {"\033[3~", KEY_CODE_DELETE, 0},
                 {"\033[Z", KEY_CODE_BACK_TAB, 0},
                 {"\r", KEY_CODE_ENTER, 0},
                 {"\t", KEY_CODE_TAB, 0},
                 {"\xc3\xa9", 0xe9, 0},
                 {"\xe7\x8c\xab", 0x732b, 0},
                 {"\xf0\x9f\x90\xb1", 0x1f431, 0},
                 {"\033x", 'x', MODIFIER_ALT}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct collected all = feed(cases[i].bytes, strlen(cases[i].bytes), 0, false);
        assert_int_equal(all.count, 1);
        assert_int_equal(all.events[0].kind, INPUT_KEY);
        assert_int_equal(all.events[0].key, cases[i].key);
        assert_int_equal(all.events[0].modifiers, cases[i].modifiers);
    }
}

static void complaint_08_escape_comes_at_once(void **state)
{
    (void)state;
    struct input_parser parser;
    struct input_event event;
    input_parser_init(&parser);
    input_parser_feed(&parser, 27, 1000);
    assert_false(input_parser_next(&parser, &event));
    assert_in_range(input_parser_deadline(&parser, 1000), 1, 30);
    input_parser_tick(&parser, 1030);
    assert_true(input_parser_next(&parser, &event));
    assert_int_equal(event.key, KEY_CODE_ESCAPE);
}

static const char replies[] = "\033P>|XTerm(379)\033\\\033_Gi=31;OK\033\\\033[6;19;10t\033[4;456;800t\033[?2026;2$y"
                              "\033[?1;0;256S\033[?2;0;480;312S\033]11;rgb:ffff/ffff/dddd\033\\\033[?62;4;22c";

static void complaint_05_no_reply_is_typed(void **state)
{
    (void)state;
    static const int64_t gaps[] = {0, 1, 20, 60, 120};
    for (size_t i = 0; i < sizeof gaps / sizeof *gaps; i++) {
        struct collected all = feed(replies, sizeof replies - 1, gaps[i], true);
        assert_int_equal(all.typed_length, 0);
        assert_int_equal(all.count, 9);
        for (int at = 0; at < all.count; at++) assert_int_equal(all.events[at].kind, INPUT_REPLY);
        assert_int_equal(all.events[8].reply, REPLY_DEVICE_ATTRIBUTES);
        assert_int_equal(all.events[8].numbers[1], 4);
    }
}

static void complaint_05_typing_between_the_bytes_of_a_reply(void **state)
{
    (void)state;
    const char clean[] = "ab\033[?62;4;22cde";
    struct collected all = feed(clean, sizeof clean - 1, 100, true);
    assert_string_equal(all.typed, "abde");
    /* Letters that no reply holds are typing, even inside one. */
    const char inside[] = "\033[?6a2b;4z;2wc";
    all = feed(inside, sizeof inside - 1, 100, true);
    assert_string_equal(all.typed, "abzw");
    assert_int_equal(all.events[all.count - 1].reply, REPLY_DEVICE_ATTRIBUTES);
    assert_int_equal(all.events[all.count - 1].numbers[1], 4);
}

/* Esc of a status report, then a pause in which it is taken for the key: the rest is no typing. */
static void complaint_05_a_report_torn_after_its_first_byte(void **state)
{
    (void)state;
    static const struct {
        const char *bytes, *typed;
    } cases[] = {{"[0n", ""}, {"[3nx", "x"}, {"[", "["}, {"[5", "[5"}, {"[0x", "[0x"}, {"ab", "ab"}, {"[0\r", "[0\r"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct input_parser parser;
        struct input_event event;
        char typed[16] = {0};
        int64_t now = 1000;
        input_parser_init(&parser);
        parser.status_expected = true;
        input_parser_feed(&parser, 27, now);
        input_parser_tick(&parser, now += 100);
        assert_true(input_parser_next(&parser, &event));
        assert_int_equal(event.key, KEY_CODE_ESCAPE);
        for (const char *at = cases[i].bytes; *at; at++) input_parser_feed(&parser, (unsigned char)*at, now += 90);
        input_parser_tick(&parser, now + 1000);
        while (input_parser_next(&parser, &event))
            if (event.kind == INPUT_KEY) typed[strlen(typed)] = (char)event.key;
        assert_string_equal(typed, cases[i].typed);
        assert_true(input_parser_idle(&parser));
    }
    /* Without a report due, Esc and what follows are keys. */
    struct collected all = feed("\033[0n", 4, 300, false);
    assert_int_equal(all.events[0].key, KEY_CODE_ESCAPE);
    assert_string_equal(all.typed, "[0n");
}

static void pasting_is_text(void **state)
{
    (void)state;
    const char bytes[] = "\033[200~q\rx\033[201~q";
    struct collected all = feed(bytes, sizeof bytes - 1, 0, false);
    assert_int_equal(all.count, 4);
    for (int i = 0; i < 3; i++) assert_int_equal(all.events[i].kind, INPUT_PASTED);
    assert_int_equal(all.events[3].kind, INPUT_KEY);
}

static void the_mouse_is_read(void **state)
{
    (void)state;
    const char bytes[] = "\033[<0;12;5M\033[<0;12;5m\033[<65;1;1M\033[<32;300;200M";
    struct collected all = feed(bytes, sizeof bytes - 1, 0, false);
    assert_int_equal(all.count, 4);
    assert_int_equal(all.events[0].action, MOUSE_PRESS);
    assert_int_equal(all.events[0].column, 11);
    assert_int_equal(all.events[0].row, 4);
    assert_int_equal(all.events[1].action, MOUSE_RELEASE);
    assert_int_equal(all.events[2].action, MOUSE_WHEEL_DOWN);
    assert_int_equal(all.events[3].action, MOUSE_DRAG);
    assert_int_equal(all.events[3].column, 299);
}

static struct capabilities after(const char *bytes)
{
    struct capabilities capabilities;
    unsetenv("TERM_PROGRAM");
    unsetenv("TMUX");
    capabilities_init(&capabilities);
    struct collected all = feed(bytes, strlen(bytes), 0, true);
    for (int i = 0; i < all.count; i++) capabilities_apply(&capabilities, &all.events[i]);
    return capabilities;
}

static void terminals_are_told_apart(void **state)
{
    (void)state;
    static const struct {
        const char *replies;
        enum picture_protocol protocol;
    } cases[] = {
        {"\033P>|XTerm(379)\033\\\033[?64;1;2;6;9;15;22c", PROTOCOL_SYMBOLS},
        {"\033P>|XTerm(379)\033\\\033[?63;1;2;4;6;22c", PROTOCOL_SIXEL},
        {"\033P>|kitty(0.26.5)\033\\\033_Gi=31;OK\033\\\033[?62;c", PROTOCOL_KITTY},
        {"\033P>|Konsole 22.12.3\033\\\033_Gi=31;OK\033\\\033[?62;1;4c", PROTOCOL_KITTY},
        {"\033P>|Konsole 21.08\033\\\033[?62;1;4c", PROTOCOL_SYMBOLS},
        {"\033P>|WezTerm 20230712\033\\\033_Gi=31;OK\033\\\033[?65;4;6;18;22c", PROTOCOL_SIXEL},
        {"\033P>|iTerm2 3.5\033\\\033[?62;1c", PROTOCOL_ITERM2},
        {"\033P>|ghostty 1.0\033\\\033_Gi=31;OK\033\\\033[?62;22c", PROTOCOL_KITTY},
        {"\033[?62;22;52c", PROTOCOL_SYMBOLS}, /* no 4: neither 22 nor 52 is one */
        {"\033[?1;2c", PROTOCOL_SYMBOLS},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct capabilities capabilities = after(cases[i].replies);
        assert_true(capabilities.answered);
        assert_int_equal(capabilities_choose(&capabilities), cases[i].protocol);
    }
}

static void complaint_03_tmux_tells_where_its_pane_stands(void **state)
{
    (void)state;
    struct multiplexer tmux;
    multiplexer_init(&tmux);
    assert_false(tmux.known);
    assert_true(multiplexer_parse(&tmux, "0 0 0 on bottom\n"));
    assert_true(tmux.known && !tmux.passes_through);
    assert_int_equal(tmux.row, 0);
    assert_true(multiplexer_parse(&tmux, "41 12 1 on top\n"));
    assert_true(tmux.passes_through);
    assert_int_equal(tmux.row, 13);
    assert_int_equal(tmux.column, 41);
    assert_true(multiplexer_parse(&tmux, "0 3 all 2 top\n"));
    assert_int_equal(tmux.row, 5);
    assert_true(multiplexer_parse(&tmux, "0 3 off off top\n"));
    assert_false(tmux.passes_through);
    assert_int_equal(tmux.row, 3);
    assert_false(multiplexer_parse(&tmux, "no server running\n"));
    assert_false(multiplexer_parse(&tmux, ""));
}

static void complaint_06_cell_sizes(void **state)
{
    (void)state;
    struct capabilities none = after("\033[?62;4c");
    struct cell_size size = cell_size_choose(&none, 24, 80, 484, 316);
    assert_int_equal(size.width, 6); /* xterm's window has a border of two pixels */
    assert_int_equal(size.height, 13);
    size = cell_size_choose(&none, 24, 80, 0, 0);
    assert_int_equal(size.width, 10);
    assert_int_equal(size.height, 20);
    assert_false(size.measured);
    size = cell_size_choose(&none, 24, 80, 80, 24); /* a terminal that reports cells as pixels */
    assert_false(size.measured);
    struct capabilities told = after("\033[6;19;10t\033[?62;4c");
    size = cell_size_choose(&told, 24, 80, 484, 316);
    assert_int_equal(size.width, 10);
    assert_int_equal(size.height, 19);
    struct capabilities area = after("\033[?2;0;480;312S\033[?62;4c");
    size = cell_size_choose(&area, 24, 80, 0, 0);
    assert_int_equal(size.width, 6);
    assert_int_equal(size.height, 13);
}

static bool bound(enum screen_id screen, uint32_t key, enum command_id command)
{
    struct input_event event = {.kind = INPUT_KEY, .key = key};
    return command_of_key(screen, &event) == command;
}

static void complaint_10_vim_keys_everywhere(void **state)
{
    (void)state;
    for (int screen = 0; screen < SCREEN_COUNT; screen++) {
        if (screen != SCREEN_TIMELINE) assert_true(bound((enum screen_id)screen, 'j', COMMAND_DOWN));
        assert_true(bound((enum screen_id)screen, 'k', COMMAND_UP));
        struct input_event h = {.kind = INPUT_KEY, .key = 'h'}, left = {.kind = INPUT_KEY, .key = KEY_CODE_LEFT};
        assert_int_equal(command_of_key((enum screen_id)screen, &h), command_of_key((enum screen_id)screen, &left));
    }
}

/* Every screen has help, palette, leave and back, and the footer's words are those of the bound command. */
/* H and L are coarse steps to both sides, but on the one screen where L is a key of its own. */
static void capital_letters_are_coarse_steps(void **state)
{
    (void)state;
    static const enum screen_id screens[] = {SCREEN_EDIT, SCREEN_MIXER, SCREEN_REWARDS, SCREEN_TIMELINE};
    for (size_t i = 0; i < sizeof screens / sizeof *screens; i++) {
        struct input_event small = {.kind = INPUT_KEY, .key = 'l'}, capital = {.kind = INPUT_KEY, .key = 'L'};
        assert_int_not_equal(command_of_key(screens[i], &small), COMMAND_NONE);
        assert_int_equal(command_of_key(screens[i], &capital), command_of_key(screens[i], &small));
    }
    assert_true(bound(SCREEN_TUNE, 'L', COMMAND_LEARNING_RATE));
}

static void complaint_09_one_table_for_keys_and_words(void **state)
{
    (void)state;
    for (enum screen_id screen = 0; screen < SCREEN_COUNT; screen++) {
        assert_true(bound(screen, '?', COMMAND_HELP));
        assert_true(bound(screen, ':', COMMAND_PALETTE));
        assert_true(bound(screen, 'q', COMMAND_QUIT));
        assert_true(bound(screen, KEY_CODE_ESCAPE, COMMAND_BACK));
        for (int i = 0; i < screen_command_count(screen); i++) {
            const struct screen_command *command = screen_command_at(screen, i);
            if (!command->label) continue;
            char key[16];
            command_key_text(command, key, sizeof key);
            struct input_event event = {.kind = INPUT_KEY, .key = (uint32_t)key[0]};
            if (key[1] != '\0') continue; /* named keys are checked by the screens' tests */
            if (command_of_key(screen, &event) != command->id)
                fail_msg("%s: key %s is shown as \"%s\" and does something else", screen_of(screen)->name, key,
                         command->label);
        }
    }
}

static int rows_listed(enum screen_id screen, const char *keys)
{
    int listed = 0;
    for (int i = 0; i < screen_command_count(screen); i++)
        listed += strcmp(screen_command_at(screen, i)->keys, keys) == 0 && screen_command_listed(screen, i);
    return listed;
}

/* The help of a screen says one thing of each key, and all of it in 80 columns. */
static void help_says_one_thing_of_a_key(void **state)
{
    (void)state;
    enum { HELP_COLUMNS = 56 };
    for (enum screen_id screen = 0; screen < SCREEN_COUNT; screen++) {
        for (int i = 0; i < screen_command_count(screen); i++)
            if (strlen(screen_command_at(screen, i)->help) > HELP_COLUMNS)
                fail_msg("\"%s\" is cut at 80 columns", screen_command_at(screen, i)->help);
        assert_int_equal(rows_listed(screen, "Left h"), 1);
        assert_int_equal(rows_listed(screen, "Right l"), 1);
    }
    assert_int_equal(rows_listed(SCREEN_TIMELINE, "Down j"), 0); /* the next prompt's */
    assert_int_equal(rows_listed(SCREEN_GRID, "Down j"), 1);
}

static void complaint_07_no_function_key_is_needed(void **state)
{
    (void)state;
    for (enum screen_id screen = 0; screen < SCREEN_COUNT; screen++) {
        for (int i = 0; i < screen_command_count(screen); i++) {
            for (const char *at = screen_command_at(screen, i)->keys; at; at = strchr(at, ' ')) {
                if (*at == ' ') at++;
                bool function_key = at[0] == 'F' && at[1] >= '1' && at[1] <= '9';
                assert_false(function_key);
            }
        }
    }
}

static void the_palette_finds_by_a_few_letters(void **state)
{
    (void)state;
    assert_int_equal(fuzzy_score("xyz", "sample now"), 0);
    assert_true(fuzzy_score("sn", "sample now") > 0);
    assert_true(fuzzy_score("sam", "sample now") > fuzzy_score("sam", "base or tuned model"));
    assert_true(fuzzy_score("", "anything") > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_read),
        cmocka_unit_test(complaint_08_escape_comes_at_once),
        cmocka_unit_test(complaint_05_no_reply_is_typed),
        cmocka_unit_test(complaint_05_typing_between_the_bytes_of_a_reply),
        cmocka_unit_test(complaint_05_a_report_torn_after_its_first_byte),
        cmocka_unit_test(pasting_is_text),
        cmocka_unit_test(the_mouse_is_read),
        cmocka_unit_test(terminals_are_told_apart),
        cmocka_unit_test(complaint_03_tmux_tells_where_its_pane_stands),
        cmocka_unit_test(complaint_06_cell_sizes),
        cmocka_unit_test(complaint_10_vim_keys_everywhere),
        cmocka_unit_test(capital_letters_are_coarse_steps),
        cmocka_unit_test(complaint_09_one_table_for_keys_and_words),
        cmocka_unit_test(complaint_07_no_function_key_is_needed),
        cmocka_unit_test(help_says_one_thing_of_a_key),
        cmocka_unit_test(the_palette_finds_by_a_few_letters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
