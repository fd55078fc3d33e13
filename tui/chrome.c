#include "tui/chrome.h"
#include "tui/screen/layout.h"
#include "tui/screen/text.h"

#include <curses.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *const level_words[LINK_LEVEL_COUNT] = {"slow link: symbols", "slow link: small pictures",
                                                          "slow link: fewer pictures", ""};

static void remember_button(struct studio *studio, struct button button)
{
    if (studio->button_count < BUTTONS) studio->buttons[studio->button_count++] = button;
}

const struct button *chrome_button_at(const struct studio *studio, int row, int column)
{
    for (int index = 0; index < studio->button_count; index++) {
        const struct button *button = &studio->buttons[index];
        if (button->row == row && column >= button->column && column < button->column + button->columns) return button;
    }
    return NULL;
}

static enum style phase_style(enum run_phase phase)
{
    switch (phase) {
    case RUN_RUNNING: return STYLE_GOOD;
    case RUN_FAILED:
    case RUN_LOST: return STYLE_BAD;
    case RUN_PAUSED:
    case RUN_PAUSING:
    case RUN_WAITING: return STYLE_WARNING;
    default: return STYLE_DIM;
    }
}

/* Held-out reward now and the best of it; "" while there is none. */
static void held_out_words(const struct run *run, char *words, size_t size)
{
    char now[24], highest[24];
    const struct run_step *newest = run_newest_held_out(run), *best = run_best(run);
    words[0] = 0;
    if (newest == NULL) return;
    int length = snprintf(words, size, "held-out %s", words_number(now, sizeof now, run_total(run, newest->held_out)));
    if (best == NULL || length < 0 || (size_t)length >= size) return;
    snprintf(words + length, size - (size_t)length, "  %s %s@%d", style_unicode() ? "\u25c6" : "*",
             words_number(highest, sizeof highest, run_total(run, best->held_out)), best->step);
}

/* The name takes what the figures leave. */
static int draw_run_name(const struct run *run, int width)
{
    char name[128];
    bool whole = text_width(run->name) <= width;
    return draw_text(0, 1, width, STYLE_TITLE, whole ? run->name : run_short_name(run->name, name, sizeof name)) + 2;
}

/* state, step, time left, held-out reward and the best of it */
static void draw_run_title(const struct studio *studio, int columns)
{
    const struct run *run = studio->run;
    bool wide = columns >= 100, timed = run_alive(run) && run->steps > 0;
    char state[24], step[24], pace[32] = "", left[32] = "", right[96], text[128];
    snprintf(state, sizeof state, "%s %s", style_unicode() ? "\u25cf" : "*", run_phase_name(run->phase));
    snprintf(step, sizeof step, "step %d/%d", run->step, run->steps);
    if (timed && wide && !isnan(run->seconds_per_step))
        snprintf(pace, sizeof pace, "%s/step", words_seconds(text, sizeof text, run->seconds_per_step));
    if (timed && !isnan(run->seconds_left))
        snprintf(left, sizeof left, "%s left", words_seconds(text, sizeof text, run->seconds_left));
    held_out_words(run, right, sizeof right);
    int bar = wide && run->steps > 0 ? 16 : 0, others = text_width(state) + text_width(step) + text_width(right) + 6;
    if (left[0] != 0) others += text_width(left) + 2;
    int spare = columns - others - 2 - text_width(run_short_name(run->name, text, sizeof text));
    if (pace[0] != 0 && spare < text_width(pace) + 2) pace[0] = 0;
    if (pace[0] != 0) spare -= text_width(pace) + 2;
    if (bar > 0 && spare < bar + 1) bar = 0;
    others += (pace[0] != 0 ? text_width(pace) + 2 : 0) + (bar > 0 ? bar + 1 : 0);
    int name = columns - others - 2;
    int at = 1 + draw_run_name(run, name > 10 ? name : 10);
    at += draw_text(0, at, columns - at, phase_style(run->phase), state) + 2;
    at += draw_text(0, at, columns - at, STYLE_LIVE, step) + 1;
    if (bar > 0) draw_bar(0, at, bar, (double)run->step / run->steps, STYLE_ACCENT);
    if (bar > 0) at += bar + 1;
    at++;
    if (pace[0] != 0) at += draw_text(0, at, columns - at, STYLE_DIM, pace) + 2;
    at += draw_text(0, at, columns - at, STYLE_DIM, left) + 2;
    draw_right(0, at, columns - at - 1, STYLE_CURVE_HELD_OUT, "%s", right);
}

static void draw_home_title(const struct studio *studio, int columns)
{
    int used = draw_text(0, 1, 30, STYLE_TITLE, style_unicode() ? "\u25c6 AlignProp Studio" : "* AlignProp Studio");
    bool of_draft = studio->screen == SCREEN_REWARDS || studio->screen == SCREEN_PROMPTS;
    if (of_draft && studio_is_editing(studio))
        draw_format(0, used + 3, 40, STYLE_LIVE, "%s%s", studio->origin.name,
                    studio->draft_changed ? " (changed)" : "");
    const cJSON *device = message_get(studio->catalogue, "device");
    char text[32];
    if (device == NULL) {
        draw_right(0, 30, columns - 31, studio->engine_error[0] ? STYLE_BAD : STYLE_DIM, "%s",
                   studio->engine_error[0] ? "no engine: 0 shows why" : "connecting to the engine");
        return;
    }
    draw_right(0, 30, columns - 31, STYLE_DIM, "%s \u00b7 %lld threads \u00b7 %s free",
               message_text(device, "name", "cpu"), message_integer(device, "threads", 1),
               words_bytes(text, sizeof text, message_number(device, "memory_free", NAN)));
}

static void draw_tabs(struct studio *studio, int columns)
{
    static const struct {
        enum screen_id screen;
        char digit;
        const char *label;
    } tabs[] = {
#define SCREEN(id, name)
#define SCREEN_TAB(id, name, keys, tab, command, help) {SCREEN_##id, keys[0], tab},
#include "tui/screens.def"
#undef SCREEN
#undef SCREEN_TAB
    };
    int at = 0;
    for (size_t index = 0; index < sizeof tabs / sizeof *tabs; index++) {
        enum screen_id of_settings = studio->run_settings != NULL ? SCREEN_TUNE : SCREEN_HOME;
        bool here = studio->screen == tabs[index].screen ||
                    (studio->screen == SCREEN_EDIT && tabs[index].screen == of_settings);
        int start = at;
        char digit[3] = {' ', tabs[index].digit, 0};
        at += draw_text(1, at, 2, here ? STYLE_TITLE : STYLE_DIM, digit);
        at += draw_format(1, at, 12, here ? STYLE_TITLE : STYLE_DIM, " %s", tabs[index].label);
        remember_button(studio, (struct button){1, start, at - start, COMMAND_GO + tabs[index].screen, 0});
    }
    draw_line(1, at + 1, columns - at - 1, STYLE_FRAME);
    enum link_level level = terminal_link(studio->terminal)->level;
    const char *words = level_words[level];
    if (words[0] != 0 && columns - at > 12) draw_right(1, at + 1, columns - at - 2, STYLE_WARNING, " %s ", words);
}

/* A key and what it does about the message; returns the cells used. */
static int draw_remedy(struct studio *studio, int row, int column, int width, const char *key_words, char key,
                       const char *label)
{
    int used = draw_text(row, column, width, STYLE_KEY, key_words) + 1;
    used += draw_text(row, column + used, width - used, STYLE_TEXT, label);
    bool escape = key == 0;
    remember_button(studio, (struct button){row, column, used, escape ? COMMAND_BACK : COMMAND_NONE, key});
    return used;
}

struct remedy_words {
    char key_words[8], key, label[60];
};

/* The remedies of the message, and for an error the key that takes it away; returns how many. */
static int list_remedies(const struct studio *studio, struct remedy_words words[5])
{
    int count = 0;
    for (int index = 0; index < studio->remedy_count; index++) {
        struct remedy_words *remedy = &words[count++];
        *remedy = (struct remedy_words){.key = studio->remedies[index].key};
        snprintf(remedy->key_words, sizeof remedy->key_words, "[%c]", remedy->key);
        snprintf(remedy->label, sizeof remedy->label, "%s", studio->remedies[index].label);
    }
    if (studio->message_level == MESSAGE_ERROR) words[count++] = (struct remedy_words){"[Esc]", 0, "dismiss"};
    return count;
}

/* Places remedies from `column` on, wrapped into the area's width; draws them where `draw`. Returns the rows begun. */
static int place_remedies(struct studio *studio, struct area area, int column, bool draw)
{
    struct remedy_words words[5];
    int count = list_remedies(studio, words), row = 0;
    for (int index = 0; index < count; index++) {
        int width = text_width(words[index].key_words) + 1 + text_width(words[index].label);
        if (column > 0 && column + width > area.columns) {
            column = 0;
            row++;
        }
        if (draw)
            draw_remedy(studio, area.row + row, area.column + column, area.columns - column, words[index].key_words,
                        words[index].key, words[index].label);
        column += width + 2;
    }
    return row + 1;
}

static void draw_words_of_message(struct studio *studio, struct frame_layout layout)
{
    enum { MOST_ROWS = 5 };
    enum style style = studio->message_level == MESSAGE_ERROR     ? STYLE_BAD
                       : studio->message_level == MESSAGE_WARNING ? STYLE_WARNING
                                                                  : STYLE_ACCENT;
    char text[700];
    snprintf(text, sizeof text, "%s%s", studio->message_level == MESSAGE_ERROR ? "\u00d7 " : "", studio->message);
    struct area area = layout.message;
    int rows = wrapped_rows(area.columns, text), column = rows == 1 ? text_width(text) + 2 : 0;
    bool remedies = studio->remedy_count > 0 || studio->message_level == MESSAGE_ERROR;
    if (remedies && rows == 1 && place_remedies(studio, area, column, false) > 1) column = 0; /* below the words */
    int below = remedies ? place_remedies(studio, area, column, false) : 0;
    if (column > 0 && below > 0) below--; /* the first of its rows is the words' own */
    if (rows + below > MOST_ROWS) rows = MOST_ROWS - below;
    area.row -= rows + below - 1;
    area.rows = rows;
    if (rows + below > 1) {
        struct area whole = {area.row, 0, rows + below, COLS};
        draw_fill(whole, STYLE_TEXT);
        pictures_cover(studio->pictures, whole);
    }
    draw_wrapped(area, style, text);
    if (!remedies) return;
    area.row += column > 0 ? 0 : rows;
    place_remedies(studio, area, column, true);
}

static void draw_message(struct studio *studio, struct frame_layout layout)
{
    const char *filter = studio->filter[studio->screen];
    if (studio->filtering)
        draw_text(layout.message.row, layout.message.column, 8, STYLE_ACCENT, "filter ");
    else if (studio->message_level != MESSAGE_NONE)
        draw_words_of_message(studio, layout);
    else if (filter[0] != 0)
        draw_format(layout.message.row, layout.message.column, layout.message.columns, STYLE_ACCENT,
                    "only what holds \"%s\"; Esc shows all", filter);
}

/* The footer names no key that does nothing now. */
static bool is_of_use(const struct studio *studio, enum command_id id)
{
    bool alive = studio->live != NULL && run_alive(studio->run);
    bool run_settings = studio->screen == SCREEN_EDIT && studio->run_settings != NULL;
    switch (id) {
    case COMMAND_PAUSE:
    case COMMAND_STOP:
    case COMMAND_SAMPLE_NOW: return alive;
    case COMMAND_ADD:
    case COMMAND_DELETE:
    case COMMAND_TOGGLE:
    case COMMAND_MOVE:
    case COMMAND_LOAD_FILE:
    case COMMAND_START:
    case COMMAND_OPEN:
    case COMMAND_EDIT:
    case COMMAND_MORE:
        if (studio->screen == SCREEN_REWARDS || studio->screen == SCREEN_PROMPTS) return studio_is_editing(studio);
        if (id == COMMAND_MORE && studio->screen == SCREEN_TUNE) return alive;
        if (run_settings) return alive && id != COMMAND_START;
        return true;
    case COMMAND_BRANCH:
        return studio->run->checkpoint_count > 0 && !studio_is_editing(studio) &&
               (studio->screen != SCREEN_EDIT || run_settings);
    case COMMAND_MUTE: return alive || studio->screen == SCREEN_MIXER;
    case COMMAND_RESUME: {
        bool ended = !alive && studio->run->path[0] != 0, unfinished = studio->run->step < studio->run->steps;
        return studio->screen == SCREEN_RUNS || (ended && unfinished);
    }
    case COMMAND_EXPORT: return studio->screen == SCREEN_RUNS || (!alive && studio->run->path[0] != 0);
    default: return true;
    }
}

static void draw_footer(struct studio *studio, struct frame_layout layout)
{
    int count = 0, at = layout.footer.column, end = layout.footer.column + layout.footer.columns;
    const struct screen_command *all = screen_commands(&count);
    static const enum command_id last[] = {COMMAND_PALETTE, COMMAND_HELP, COMMAND_QUIT};
    int reserved = 0;
    for (size_t index = 0; index < sizeof last / sizeof *last; index++)
        reserved += 4 + (int)strlen(screen_command_find(last[index], studio->screen)->label);
    for (int index = 0; index < count; index++) {
        const struct screen_command *command = &all[index];
        if (command->label == NULL || !(command->screens & (1u << studio->screen)) || !is_of_use(studio, command->id) ||
            command->id == COMMAND_PALETTE || command->id == COMMAND_HELP || command->id == COMMAND_QUIT)
            continue;
        char key[16];
        command_key_text(command, key, sizeof key);
        int width = text_width(key) + 1 + text_width(command->label);
        if (at + width + 2 > end - reserved) continue;
        remember_button(studio, (struct button){layout.footer.row, at, width, command->id, 0});
        at += draw_text(layout.footer.row, at, width, STYLE_KEY, key) + 1;
        at += draw_text(layout.footer.row, at, width, STYLE_DIM, command->label) + 2;
    }
    for (size_t index = 0; index < sizeof last / sizeof *last; index++) {
        const struct screen_command *command = screen_command_find(last[index], studio->screen);
        char key[16];
        command_key_text(command, key, sizeof key);
        int width = text_width(key) + 1 + text_width(command->label);
        remember_button(studio, (struct button){layout.footer.row, at, width, command->id, 0});
        at += draw_text(layout.footer.row, at, 8, STYLE_KEY, key) + 1;
        at += draw_text(layout.footer.row, at, 20, STYLE_DIM, command->label) + 2;
    }
}

enum { PALETTE_CAPACITY = 96, PALETTE_HEAD = 3 /* rows above the first command */ };

/* Commands that fit the palette's pattern, best first. */
static int palette_matches(const struct studio *studio, const struct screen_command *found[], int capacity)
{
    int count = 0, total = 0, scores[128];
    const struct screen_command *all = screen_commands(&total);
    for (int index = 0; index < total; index++) {
        const struct screen_command *command = &all[index];
        if (!(command->screens & (1u << studio->screen))) continue;
        bool movement = command->id >= COMMAND_UP && command->id <= COMMAND_LAST && command->label == NULL;
        bool double_row = false;
        for (int at = 0; at < count; at++) double_row = double_row || found[at]->id == command->id;
        int score = fuzzy_score(studio->palette.field.text, command->name);
        if (movement || double_row || score == 0 || count == capacity) continue;
        int at = count++;
        while (at > 0 && scores[at - 1] < score) {
            scores[at] = scores[at - 1];
            found[at] = found[at - 1];
            at--;
        }
        scores[at] = score;
        found[at] = command;
    }
    return count;
}

static int help_rows(const struct studio *studio)
{
    int total = 0, rows = 0;
    const struct screen_command *all = screen_commands(&total);
    for (int index = 0; index < total; index++) rows += screen_command_listed(&all[index], studio->screen);
    return rows;
}

static int smaller(int left, int right)
{
    return left < right ? left : right;
}

struct area chrome_popup_area(const struct studio *studio, int rows, int columns)
{
    int width = smaller(columns - 4, 76), height = 0;
    switch (studio->popup) {
    case POPUP_NONE: return (struct area){0, 0, 0, 0};
    case POPUP_HELP:
        height = smaller(rows - 4, help_rows(studio) + 3 + wrapped_rows(width - 4, screen_of(studio->screen)->about));
        break;
    case POPUP_PALETTE: height = smaller(rows - 4, 16); break;
    case POPUP_QUESTION:
        width = smaller(columns - 4, 64);
        height = wrapped_rows(width - 4, studio->question.text) + studio->question.count + 3;
        break;
    case POPUP_PROMPT: height = wrapped_rows(width - 4, studio->prompt.hint) + 5; break;
    }
    if (height > rows - 3) height = rows - 3;
    return (struct area){(rows - height) / 2, (columns - width) / 2, height, width};
}

static void draw_help(struct studio *studio, struct area area)
{
    const struct screen *screen = screen_of(studio->screen);
    char title[80];
    snprintf(title, sizeof title, "Help: %s", screen->name);
    draw_frame(area, title);
    struct area inside = {area.row + 1, area.column + 2, area.rows - 2, area.columns - 4};
    int used = draw_wrapped(inside, STYLE_TEXT, screen->about) + 1;
    int total = 0, row = 0, room = inside.rows - used;
    const struct screen_command *all = screen_commands(&total);
    int most = help_rows(studio) - room;
    if (studio->help_top > most) studio->help_top = most;
    if (studio->help_top < 0) studio->help_top = 0;
    for (int index = 0; index < total; index++) {
        if (!screen_command_listed(&all[index], studio->screen)) continue;
        int place = row++ - studio->help_top;
        if (place < 0 || place >= room) continue;
        draw_text(inside.row + used + place, inside.column, 15, STYLE_KEY, all[index].keys);
        draw_text(inside.row + used + place, inside.column + 16, inside.columns - 16, STYLE_TEXT, all[index].help);
    }
    if (most > 0)
        draw_right(area.row + area.rows - 1, area.column + 2, area.columns - 4, STYLE_DIM, " \u2191\u2193 %d more ",
                   most - studio->help_top);
}

static void draw_palette(struct studio *studio, struct area area)
{
    const struct screen_command *found[PALETTE_CAPACITY];
    int count = palette_matches(studio, found, PALETTE_CAPACITY);
    draw_frame(area, "Commands");
    int rows = area.rows - PALETTE_HEAD - 1;
    struct list list = {studio->palette.cursor, 0};
    int first = list_window(&list, count, rows);
    studio->palette.cursor = list.cursor;
    studio->palette.first = first;
    for (int row = 0; row < rows && first + row < count; row++) {
        const struct screen_command *command = found[first + row];
        bool here = first + row == studio->palette.cursor;
        int line = area.row + PALETTE_HEAD + row;
        if (here) draw_fill((struct area){line, area.column + 1, 1, area.columns - 2}, STYLE_SELECTED);
        draw_text(line, area.column + 2, 26, here ? STYLE_SELECTED : STYLE_TEXT, command->name);
        draw_text(line, area.column + 29, area.columns - 42, here ? STYLE_SELECTED : STYLE_DIM, command->help);
        char key[16];
        draw_right(line, area.column + area.columns - 12, 10, here ? STYLE_SELECTED : STYLE_KEY, "%s",
                   command_key_text(command, key, sizeof key));
    }
    if (count == 0)
        draw_text(area.row + PALETTE_HEAD, area.column + 2, area.columns - 4, STYLE_DIM,
                  "no command has these letters");
    draw_text(area.row + 1, area.column + 2, 2, STYLE_ACCENT, ":");
    field_draw(&studio->palette.field, area.row + 1, area.column + 4, area.columns - 6);
}

static void draw_question(struct studio *studio, struct area area)
{
    draw_frame(area, studio->question.title);
    struct area inside = {area.row + 1, area.column + 2, area.rows - 2, area.columns - 4};
    int row = inside.row + draw_wrapped(inside, STYLE_TEXT, studio->question.text) + 1;
    for (int index = 0; index < studio->question.count; index++) {
        const struct choice *choice = &studio->question.choices[index];
        bool here = index == studio->question.cursor;
        if (here) draw_fill((struct area){row + index, area.column + 1, 1, area.columns - 2}, STYLE_SELECTED);
        draw_format(row + index, inside.column, 3, here ? STYLE_SELECTED : STYLE_KEY, "%c", choice->key);
        draw_text(row + index, inside.column + 3, inside.columns - 3, here ? STYLE_SELECTED : STYLE_TEXT,
                  choice->label);
    }
}

static void draw_prompt(struct studio *studio, struct area area)
{
    draw_frame(area, studio->prompt.title);
    struct area inside = {area.row + 1, area.column + 2, area.rows - 4, area.columns - 4};
    draw_wrapped(inside, STYLE_DIM, studio->prompt.hint);
    field_draw(&studio->prompt.field, area.row + area.rows - 3, inside.column, inside.columns);
}

static void draw_popup(struct studio *studio, struct area area)
{
    switch (studio->popup) {
    case POPUP_NONE: return;
    case POPUP_HELP: draw_help(studio, area); return;
    case POPUP_PALETTE: draw_palette(studio, area); return;
    case POPUP_QUESTION: draw_question(studio, area); return;
    case POPUP_PROMPT: draw_prompt(studio, area); return;
    }
}

void chrome_draw(struct studio *studio)
{
    struct frame_layout layout = layout_frame(LINES, COLS);
    studio->button_count = studio->target_count = 0;
    if (layout.too_small) {
        draw_format(0, 0, COLS, STYLE_WARNING, "the studio needs %d x %d cells", LEAST_COLUMNS, LEAST_ROWS);
        if (LINES > 1) draw_format(1, 0, COLS, STYLE_TEXT, "this window has %d x %d", COLS, LINES);
        if (LINES > 2) draw_text(2, 0, COLS, STYLE_DIM, "a run goes on meanwhile; q leaves");
        return;
    }
    bool of_draft_alone = studio->screen == SCREEN_EDIT && studio->run_settings == NULL;
    bool of_run = studio->run->phase != RUN_UNKNOWN && studio->screen != SCREEN_HOME && !of_draft_alone &&
                  studio->screen != SCREEN_MIXER;
    bool of_draft = (studio->screen == SCREEN_REWARDS || studio->screen == SCREEN_PROMPTS) && studio_is_editing(studio);
    if (of_run && !of_draft)
        draw_run_title(studio, COLS);
    else
        draw_home_title(studio, COLS);
    draw_tabs(studio, COLS);
    screen_of(studio->screen)->draw(studio, layout.body);
    draw_footer(studio, layout);
    draw_message(studio, layout);
    struct area popup = chrome_popup_area(studio, LINES, COLS);
    if (!area_empty(popup)) {
        pictures_cover(studio->pictures, popup);
        draw_popup(studio, popup);
    } else if (studio->filtering) {
        field_draw(&studio->filter_field, layout.message.row, layout.message.column + 8, layout.message.columns - 8);
    }
}

void chrome_open_palette(struct studio *studio)
{
    studio->popup = POPUP_PALETTE;
    studio->palette.cursor = 0;
    field_set(&studio->palette.field, "");
}

static void close_popup(struct studio *studio)
{
    studio->popup = POPUP_NONE;
    studio->dirty = true;
}

static void choose(struct studio *studio, int index)
{
    struct choice choice = studio->question.choices[index];
    close_popup(studio);
    if (choice.chosen != NULL) choice.chosen(studio, choice.argument);
}

static void question_key(struct studio *studio, const struct input_event *event)
{
    if (event->key == KEY_CODE_ESCAPE) {
        close_popup(studio);
    } else if (event->key == KEY_CODE_ENTER || event->key == '\n') {
        choose(studio, studio->question.cursor);
    } else if (event->key == KEY_CODE_UP || event->key == 'k') {
        if (studio->question.cursor > 0) studio->question.cursor--;
    } else if (event->key == KEY_CODE_DOWN || event->key == 'j' || event->key == KEY_CODE_TAB) {
        if (studio->question.cursor + 1 < studio->question.count) studio->question.cursor++;
    } else {
        for (int index = 0; index < studio->question.count; index++) {
            if ((uint32_t)studio->question.choices[index].key != event->key) continue;
            choose(studio, index);
            return;
        }
    }
}

static void run_from_palette(struct studio *studio, int index)
{
    const struct screen_command *found[PALETTE_CAPACITY];
    int count = palette_matches(studio, found, PALETTE_CAPACITY);
    close_popup(studio);
    if (index >= 0 && index < count) studio_command(studio, found[index]->id, false);
}

static void palette_key(struct studio *studio, const struct input_event *event)
{
    if (event->key == KEY_CODE_ESCAPE) {
        close_popup(studio);
    } else if (event->key == KEY_CODE_ENTER || event->key == '\n') {
        run_from_palette(studio, studio->palette.cursor);
    } else if (event->key == KEY_CODE_UP) {
        if (studio->palette.cursor > 0) studio->palette.cursor--;
    } else if (event->key == KEY_CODE_DOWN || event->key == KEY_CODE_TAB) {
        studio->palette.cursor++;
    } else if (field_key(&studio->palette.field, event)) {
        studio->palette.cursor = 0;
    }
}

/* What was typed is not lost: the prompt opens with it when it is asked for again. */
static void leave_prompt(struct studio *studio)
{
    close_popup(studio);
    if (strcmp(studio->prompt.field.text, studio->prompt.offered) == 0) return;
    snprintf(studio->unfinished.title, sizeof studio->unfinished.title, "%s", studio->prompt.title);
    snprintf(studio->unfinished.offered, sizeof studio->unfinished.offered, "%s", studio->prompt.offered);
    snprintf(studio->unfinished.typed, sizeof studio->unfinished.typed, "%s", studio->prompt.field.text);
    studio_say(studio, MESSAGE_INFO, "not taken over; what you typed is there when you open it again");
}

static void prompt_key(struct studio *studio, const struct input_event *event)
{
    bool enter = event->key == KEY_CODE_ENTER || event->key == '\n';
    if (event->key == KEY_CODE_ESCAPE) {
        leave_prompt(studio);
    } else if (enter && event->kind == INPUT_PASTED) {
        if (studio->prompt.line == NULL) return;
        if (studio->prompt.field.length > 0) studio->prompt.line(studio, studio->prompt.field.text);
        field_set(&studio->prompt.field, "");
    } else if (enter) {
        char text[FIELD_CAPACITY];
        snprintf(text, sizeof text, "%s", studio->prompt.field.text);
        close_popup(studio);
        if (studio->prompt.done != NULL) studio->prompt.done(studio, text);
    } else {
        field_key(&studio->prompt.field, event);
    }
}

static void help_key(struct studio *studio, const struct input_event *event)
{
    switch (event->key) {
    case KEY_CODE_UP:
    case 'k': studio->help_top--; return;
    case KEY_CODE_DOWN:
    case 'j': studio->help_top++; return;
    case KEY_CODE_PAGE_UP: studio->help_top -= 10; return;
    case KEY_CODE_PAGE_DOWN: studio->help_top += 10; return;
    default: close_popup(studio);
    }
}

static void filter_key(struct studio *studio, const struct input_event *event)
{
    char *filter = studio->filter[studio->screen];
    if (event->key == KEY_CODE_ESCAPE) {
        studio->filtering = false;
        filter[0] = 0;
    } else if (event->key == KEY_CODE_ENTER || event->key == '\n') {
        studio->filtering = false;
    } else if (field_key(&studio->filter_field, event)) {
        char before[FILTER_CAPACITY];
        memcpy(before, filter, sizeof before);
        snprintf(filter, FILTER_CAPACITY, "%.*s", FILTER_CAPACITY - 1, studio->filter_field.text);
        if (strcmp(before, filter) != 0 && screen_of(studio->screen)->filtered != NULL)
            screen_of(studio->screen)->filtered(studio);
    }
}

void chrome_popup_click(struct studio *studio, int row, int column)
{
    struct area popup = chrome_popup_area(studio, LINES, COLS);
    if (!area_contains(popup, row, column)) {
        if (studio->popup == POPUP_PROMPT)
            leave_prompt(studio);
        else
            close_popup(studio);
        return;
    }
    int choice = row - (popup.row + popup.rows - 1 - studio->question.count);
    if (studio->popup == POPUP_QUESTION && choice >= 0 && choice < studio->question.count)
        choose(studio, choice);
    else if (studio->popup == POPUP_PALETTE && row >= popup.row + PALETTE_HEAD && row < popup.row + popup.rows - 1)
        run_from_palette(studio, studio->palette.first + row - popup.row - PALETTE_HEAD);
}

bool chrome_popup_key(struct studio *studio, const struct input_event *event)
{
    /* Ctrl-C asks to leave, and Ctrl-L repaints, from everywhere. */
    if (event->kind == INPUT_KEY && (event->key == 3 || event->key == 12)) return false;
    studio->dirty = true;
    switch (studio->popup) {
    case POPUP_HELP: help_key(studio, event); return true;
    case POPUP_PALETTE: palette_key(studio, event); return true;
    case POPUP_QUESTION: question_key(studio, event); return true;
    case POPUP_PROMPT: prompt_key(studio, event); return true;
    case POPUP_NONE: break;
    }
    if (!studio->filtering) return false;
    filter_key(studio, event);
    return true;
}
