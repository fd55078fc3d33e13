/* What every screen is made of: lists, sliders, fields. They are drawn on a terminal that nobody sees, whose cells are
 * looked at. */
#include "tui/screen/field.h"
#include "tui/screen/list.h"
#include "tui/screen/slider.h"
#include "tui/screen/text.h"

#include <curses.h>
#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ROWS = 24, COLUMNS = 80, MOST_NAMES = 400 };

struct names {
    const char *all[MOST_NAMES], *shown[MOST_NAMES];
    int count;
    struct list_items items;
};

static uint64_t identity_of_name(const void *names, int place)
{
    return list_identity(((const struct names *)names)->shown[place]);
}

static struct list_items *items_of(struct names *names, const char *filter)
{
    names->items =
        (struct list_items){.all = names->count, .filter = filter, .of = names, .identity = identity_of_name};
    for (int i = 0; i < names->count; i++)
        if (list_match(names->all[i], filter)) names->shown[names->items.count++] = names->all[i];
    return &names->items;
}

static const char *chosen(struct list *list, struct names *names, const char *filter)
{
    int place = list_follow(list, items_of(names, filter));
    return place < 0 ? "" : names->shown[place];
}

static void the_cursor_follows_its_item(void **state)
{
    (void)state;
    struct list list = {0};
    struct names names = {.all = {"ant", "bee", "cat", "dog"}, .count = 4};
    list_move(&list, items_of(&names, ""), COMMAND_DOWN);
    list_move(&list, items_of(&names, ""), COMMAND_DOWN);
    assert_string_equal(chosen(&list, &names, ""), "cat");
    struct names added = {.all = {"new", "ant", "bee", "cat", "dog"}, .count = 5};
    assert_string_equal(chosen(&list, &added, ""), "cat");
    assert_int_equal(list.cursor, 3);
    struct names reordered = {.all = {"cat", "dog", "ant", "bee"}, .count = 4};
    assert_string_equal(chosen(&list, &reordered, ""), "cat");
    assert_int_equal(list.cursor, 0);
    struct names shorter = {.all = {"bee", "cat"}, .count = 2};
    assert_string_equal(chosen(&list, &shorter, ""), "cat");
    struct names without = {.all = {"bee", "dog"}, .count = 2}; /* what has come into its place */
    assert_string_equal(chosen(&list, &without, ""), "dog");
    struct names none = {.count = 0};
    assert_string_equal(chosen(&list, &none, ""), "");
    assert_string_equal(chosen(&list, &names, ""), "dog"); /* as it was before there were none */
}

static void the_cursor_follows_its_item_through_a_filter(void **state)
{
    (void)state;
    struct list list = {0};
    struct names names = {.all = {"two ants", "two cats", "three cats", "a dog"}, .count = 4};
    list_put(&list, 2);
    assert_string_equal(chosen(&list, &names, ""), "three cats");
    assert_string_equal(chosen(&list, &names, "CATS"), "three cats");
    assert_int_equal(list.cursor, 1);
    assert_string_equal(chosen(&list, &names, "cats?"), ""); /* nothing matches: it is not forgotten */
    assert_string_equal(chosen(&list, &names, "cat"), "three cats");
    assert_string_equal(chosen(&list, &names, ""), "three cats");
    assert_int_equal(list.cursor, 2);
    assert_string_equal(chosen(&list, &names, "two"), "two ants"); /* out of sight: the first that matches */
    struct names alike = {.all = {"a", "b", "a", "b", "a"}, .count = 5};
    list = (struct list){0};
    list_put(&list, 2);
    chosen(&list, &alike, "");
    assert_int_equal((list_follow(&list, items_of(&alike, "")), list.cursor), 2); /* the nearest of several alike */
}

static void what_is_put_at_a_place_stays_there(void **state)
{
    (void)state;
    struct list list = {0};
    struct names names = {.all = {"a", "b", "c"}, .count = 3}, moved = {.all = {"b", "c", "a"}, .count = 3};
    assert_string_equal(chosen(&list, &names, ""), "a");
    list_put(&list, list.cursor);
    assert_string_equal(chosen(&list, &moved, ""), "b");
    assert_true(list_click(&list, items_of(&moved, ""), 0));
    assert_false(list_click(&list, items_of(&moved, ""), 2));
    assert_string_equal(chosen(&list, &moved, ""), "a");
    assert_false(list_click(&list, items_of(&moved, ""), 3)); /* below the last */
    assert_string_equal(chosen(&list, &moved, ""), "a");
}

static void make_names(struct names *names, int count)
{
    static char texts[MOST_NAMES][16];
    names->count = count;
    for (int i = 0; i < count; i++) {
        snprintf(texts[i], sizeof texts[i], "item %d", i);
        names->all[i] = texts[i];
    }
}

static wchar_t cell(int row, int column)
{
    cchar_t found;
    wchar_t characters[CCHARW_MAX + 1] = {0};
    attr_t attributes;
    short pair;
    mvin_wch(row, column, &found);
    getcchar(&found, characters, &attributes, &pair, NULL);
    return characters[0];
}

static bool underlined(int row, int column)
{
    chtype found = mvinch(row, column);
    return (found & A_UNDERLINE) != 0;
}

/* Draws the list into rows 2 to 11 and columns 1 to 40, whose bar is in column 41. */
static void show(struct list *list, struct names *names, const char *filter)
{
    erase();
    struct list_rows rows = list_show(list, items_of(names, filter), (struct area){2, 1, 10, 40}, true);
    while (list_next(&rows)) list_searched(&rows, 2, 30, STYLE_TEXT, names->shown[rows.place]);
}

static int knob(int *first)
{
    int length = 0;
    *first = -1;
    for (int row = 2; row < 12; row++) {
        wchar_t found = cell(row, 41);
        if (found == L'\u2503' && length++ == 0)
            *first = row - 2;
        else if (found != L'\u2503')
            assert_int_equal(found, L'\u2502');
    }
    return length;
}

static void pages_and_the_wheel_move_by_what_is_in_sight(void **state)
{
    (void)state;
    struct list list = {0};
    struct names names;
    make_names(&names, 340);
    show(&list, &names, "");
    list_move(&list, items_of(&names, ""), COMMAND_PAGE_DOWN);
    assert_int_equal(list.cursor, 9);
    list_move(&list, items_of(&names, ""), COMMAND_LAST);
    assert_int_equal(list.cursor, 339);
    list_move(&list, items_of(&names, ""), COMMAND_DOWN);
    assert_int_equal(list.cursor, 339);
    show(&list, &names, "");
    assert_int_equal(list.top, 330);
    list_scroll(&list, -3); /* the window goes, the cursor only as far as it has to */
    show(&list, &names, "");
    assert_int_equal(list.top, 327);
    assert_int_equal(list.cursor, 336);
    list_move(&list, items_of(&names, ""), COMMAND_FIRST);
    list_move(&list, items_of(&names, ""), COMMAND_UP);
    show(&list, &names, "");
    list_scroll(&list, 3);
    show(&list, &names, "");
    assert_int_equal(list.top, 3);
    assert_int_equal(list.cursor, 3);
    names.count = 5; /* all have room: the wheel moves the cursor */
    list = (struct list){0};
    show(&list, &names, "");
    list_scroll(&list, 3);
    assert_int_equal(list.cursor, 1);
    assert_int_equal(list.top, 0);
}

static void the_scroll_bar_says_where_the_window_is(void **state)
{
    (void)state;
    struct list list = {0};
    struct names names;
    int first = 0;
    make_names(&names, 10);
    show(&list, &names, "");
    assert_false(list_has_bar(&list));
    assert_int_equal(cell(2, 41), L' ');
    names.count = 20;
    make_names(&names, 20);
    show(&list, &names, "");
    assert_int_equal(knob(&first), 5);
    assert_int_equal(first, 0);
    list_put(&list, 10); /* the window begins one item below the top: the knob has left the end */
    show(&list, &names, "");
    assert_int_equal(list.top, 1);
    assert_int_equal((knob(&first), first), 1);
    list_put(&list, 18);
    show(&list, &names, "");
    assert_int_equal(list.top, 9);
    assert_int_equal((knob(&first), first), 4);
    list_put(&list, 19);
    show(&list, &names, "");
    assert_int_equal((knob(&first), first), 5);
    make_names(&names, 400);
    show(&list, &names, "");
    assert_int_equal(knob(&first), 1);
    assert_int_equal(list_place_at(&list, 0), 0);
    assert_int_equal(list_place_at(&list, 0.5), 200);
    assert_int_equal(list_place_at(&list, 1.2), 399);
}

static void the_count_is_of_places_or_of_matches(void **state)
{
    (void)state;
    struct list list = {0};
    struct names names;
    char text[40];
    make_names(&names, 340);
    list_put(&list, 11);
    show(&list, &names, "");
    assert_string_equal(list_count(&list, items_of(&names, ""), text, sizeof text), "12 of 340");
    show(&list, &names, "33");
    assert_string_equal(list_count(&list, items_of(&names, "33"), text, sizeof text), "13 of 340 match");
    show(&list, &names, "nothing");
    assert_string_equal(list_count(&list, items_of(&names, "nothing"), text, sizeof text), "0 of 340 match");
    names.count = 10;
    show(&list, &names, "");
    assert_string_equal(list_count(&list, items_of(&names, ""), text, sizeof text), "");
}

static void what_a_filter_matches_is_marked(void **state)
{
    (void)state;
    struct list list = {0};
    struct names names = {.all = {"\u732b cat and Cat", "no such", "a tomcat far to the right of its column"},
                          .count = 3};
    show(&list, &names, "cat");
    for (int column = 0; column < 40; column++) /* a wide character and a space stand before the first */
        assert_int_equal(underlined(2, 1 + column), (column >= 5 && column < 8) || (column >= 13 && column < 16));
    assert_true(underlined(3, 1 + 2 + 5) && underlined(3, 1 + 2 + 7));
    assert_false(underlined(3, 1 + 2 + 4) || underlined(3, 1 + 2 + 8));
    show(&list, &names, "column"); /* cut after 29 cells: nothing of it is in sight */
    for (int column = 0; column < COLUMNS; column++) assert_false(underlined(2, column));
    show(&list, &names, "");
    for (int column = 0; column < COLUMNS; column++) assert_false(underlined(2, column));
}

static int knob_of_slider(double value, struct slider_scale scale)
{
    erase();
    struct slider slider = {.scale = scale, .value = value, .mark = NAN};
    slider_draw(0, 0, 21, &slider);
    for (int column = 0; column < 21; column++)
        if (cell(0, column) == L'\u25cf') return column;
    return -1;
}

static void sliders_are_linear_or_logarithmic(void **state)
{
    (void)state;
    struct slider_scale linear = {.low = -1, .high = 1}, logarithmic = {.low = 1e-6, .high = 1e-2, .logarithmic = true};
    assert_int_equal(knob_of_slider(-1, linear), 0);
    assert_int_equal(knob_of_slider(0, linear), 10);
    assert_int_equal(knob_of_slider(7, linear), 20);
    assert_int_equal(knob_of_slider(NAN, linear), 0);
    assert_int_equal(knob_of_slider(1e-6, logarithmic), 0);
    assert_int_equal(knob_of_slider(1e-5, logarithmic), 5);
    assert_int_equal(knob_of_slider(1e-4, logarithmic), 10);
    assert_int_equal(knob_of_slider(1e-2, logarithmic), 20);
    assert_int_equal(knob_of_slider(0, logarithmic), 0);
    for (int column = 0; column < 21; column++) {
        assert_int_equal(knob_of_slider(slider_value_at(&linear, column, 21), linear), column);
        assert_int_equal(knob_of_slider(slider_value_at(&logarithmic, column, 21), logarithmic), column);
    }
    assert_true(fabs(slider_value_at(&logarithmic, 15, 21) - 1e-3) < 1e-9);
    assert_true(slider_value_at(&linear, -4, 21) == -1 && slider_value_at(&linear, 99, 21) == 1);
}

static void press(struct field *field, uint32_t key, unsigned modifiers)
{
    struct input_event event = {.kind = INPUT_KEY, .key = key, .modifiers = modifiers};
    assert_true(field_key(field, &event));
}

static void fields_move_by_characters_and_words(void **state)
{
    (void)state;
    struct field field;
    field_set(&field, "two e\u0301 \u732b\u732b");
    press(&field, KEY_CODE_LEFT, 0);
    assert_int_equal(field.cursor, strlen("two e\u0301 \u732b"));
    press(&field, KEY_CODE_LEFT, MODIFIER_CONTROL);
    assert_int_equal(field.cursor, strlen("two e\u0301 "));
    press(&field, KEY_CODE_LEFT, 0);
    press(&field, KEY_CODE_BACKSPACE, 0); /* the letter goes with its accent */
    assert_string_equal(field.text, "two  \u732b\u732b");
    press(&field, KEY_CODE_HOME, 0);
    press(&field, KEY_CODE_RIGHT, MODIFIER_CONTROL);
    press(&field, 'K' & 0x1f, 0);
    assert_string_equal(field.text, "two  ");
    press(&field, 'U' & 0x1f, 0);
    assert_string_equal(field.text, "");
}

/* Draws the field into columns 10 to 19 and returns the column of the terminal's cursor. */
static int cursor_of(const struct field *field)
{
    erase();
    field_draw(field, 1, 10, 10);
    return getcurx(stdscr);
}

static void fields_scroll_under_their_cursor(void **state)
{
    (void)state;
    struct field field;
    field_set(&field, "0123456789");
    assert_int_equal(cursor_of(&field), 19); /* behind the last, which is in sight */
    assert_int_equal(cell(1, 18), L'9');
    assert_int_equal(cell(1, 9), L' ');
    assert_int_equal(cell(1, 20), L' ');
    press(&field, KEY_CODE_HOME, 0);
    assert_int_equal(cursor_of(&field), 10);
    field_set(&field, "0123456789abcdef");
    for (int i = 0; i < 4; i++) press(&field, KEY_CODE_LEFT, 0);
    int column = cursor_of(&field); /* the character under the cursor is not the ellipsis */
    assert_int_equal(cell(1, column), L'c');
    field_set(&field, "a\u732b\u732b\u732b\u732b\u732b");
    for (field.cursor = 0;; press(&field, KEY_CODE_RIGHT, 0)) {
        column = cursor_of(&field);
        assert_in_range(column, 10, 19);
        if (field.cursor == field.length) break;
        assert_int_equal(cell(1, column), field.cursor == 0 ? L'a' : L'\u732b');
    }
}

static int open_screen(void **state)
{
    (void)state;
    setenv("LINES", "24", 1);
    setenv("COLUMNS", "80", 1);
    FILE *nowhere = fopen("/dev/null", "r+");
    if (!nowhere || !newterm("xterm-256color", nowhere, nowhere)) return -1;
    start_color();
    use_default_colors();
    style_set_unicode(true);
    style_setup(false, true);
    return LINES == ROWS && COLS == COLUMNS ? 0 : -1;
}

static int close_screen(void **state)
{
    (void)state;
    endwin();
    return 0;
}

int main(void)
{
    if (!setlocale(LC_CTYPE, "C.UTF-8")) setlocale(LC_CTYPE, "en_US.UTF-8");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_cursor_follows_its_item),
        cmocka_unit_test(the_cursor_follows_its_item_through_a_filter),
        cmocka_unit_test(what_is_put_at_a_place_stays_there),
        cmocka_unit_test(pages_and_the_wheel_move_by_what_is_in_sight),
        cmocka_unit_test(the_scroll_bar_says_where_the_window_is),
        cmocka_unit_test(the_count_is_of_places_or_of_matches),
        cmocka_unit_test(what_a_filter_matches_is_marked),
        cmocka_unit_test(sliders_are_linear_or_logarithmic),
        cmocka_unit_test(fields_move_by_characters_and_words),
        cmocka_unit_test(fields_scroll_under_their_cursor),
    };
    return cmocka_run_group_tests(tests, open_screen, close_screen);
}
