/* Keys, and the commands that they are bound to. */
#include "tui/commands.h"

#include "tui/state.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* Rows that every screen has, after its own. */
static const struct screen_command everywhere[] = {
    {COMMAND_UP, "up", "Up k", NULL, "up"},
    {COMMAND_DOWN, "down", "Down j", NULL, "down"},
    {COMMAND_LEFT, "left", "Left h", NULL, "left"},
    {COMMAND_RIGHT, "right", "Right l", NULL, "right"},
    {COMMAND_PAGE_UP, "page up", "PageUp ^B", NULL, "a page up"},
    {COMMAND_PAGE_DOWN, "page down", "PageDown ^F", NULL, "a page down"},
    {COMMAND_FIRST, "first", "Home g", NULL, "the first"},
    {COMMAND_LAST, "last", "End G", NULL, "the last"},
    {COMMAND_UNDO, "undo", "u", NULL, "undo the last change"},
#define SCREEN(id, name)
#define SCREEN_TAB(id, name, keys, tab, command, help) {COMMAND_GO + SCREEN_##id, command, keys, NULL, help},
#include "tui/screens.def"
#undef SCREEN
#undef SCREEN_TAB
    {COMMAND_PALETTE, "commands", ":", "commands", "find a command by a few of its letters"},
    {COMMAND_HELP, "help", "?", "help", "the keys of this screen"},
    {COMMAND_BACK, "back", "Esc", NULL, "one level back; never quits or discards an edit"},
    {COMMAND_QUIT, "leave the studio", "q ^C", "quit", "quit; a run continues unless you stop it"},
    {COMMAND_DISMISS, "dismiss the message", "^D", NULL, "dismiss the message"},
    {COMMAND_REPAINT, "repaint", "^L", NULL, "redraw everything"},
    {COMMAND_SUSPEND, "suspend", "^Z", NULL, "return to the shell; fg comes back"},
    {COMMAND_MOUSE, "mouse on or off", "M", NULL, "off; the terminal's own selection works"},
    {COMMAND_PICTURES, "picture protocol", "P", NULL, "switch to the next way of showing pictures"},
};

int screen_command_count(enum screen_id screen)
{
    return screen_of(screen)->command_count + (int)(sizeof everywhere / sizeof *everywhere);
}

const struct screen_command *screen_command_at(enum screen_id screen, int place)
{
    int own = screen_of(screen)->command_count;
    return place < own ? &screen_of(screen)->commands[place] : &everywhere[place - own];
}

void command_key_token(const struct input_event *event, char *text, int size)
{
    static const struct {
        uint32_t key;
        const char *name;
    } names[] = {{KEY_CODE_ENTER, "Enter"},
                 {'\n', "Enter"},
                 {KEY_CODE_ESCAPE, "Esc"},
                 {KEY_CODE_TAB, "Tab"},
                 {KEY_CODE_BACK_TAB, "BackTab"},
                 {KEY_CODE_UP, "Up"},
                 {KEY_CODE_DOWN, "Down"},
                 {KEY_CODE_LEFT, "Left"},
                 {KEY_CODE_RIGHT, "Right"},
                 {KEY_CODE_HOME, "Home"},
                 {KEY_CODE_END, "End"},
                 {KEY_CODE_PAGE_UP, "PageUp"},
                 {KEY_CODE_PAGE_DOWN, "PageDown"},
                 {KEY_CODE_DELETE, "Delete"},
                 {' ', "Space"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (names[i].key != event->key) continue;
        snprintf(text, (size_t)size, "%s", names[i].name);
        return;
    }
    if (event->key < 32)
        snprintf(text, (size_t)size, "^%c", (char)(event->key + 64));
    else if (event->key < 127)
        snprintf(text, (size_t)size, "%c", (char)event->key);
    else
        snprintf(text, (size_t)size, "?%u", (unsigned)event->key);
}

static bool has_token(const char *keys, const char *token)
{
    size_t length = strlen(token);
    for (const char *at = keys; at && *at != '\0'; at = strchr(at, ' ')) {
        if (*at == ' ') at++;
        if (strncmp(at, token, length) == 0 && (at[length] == ' ' || at[length] == '\0')) return true;
    }
    return false;
}

/* The row that binds the key on the screen: the first that has it; NULL when none does. */
static const struct screen_command *row_of_key(enum screen_id screen, const char *token)
{
    for (int i = 0; i < screen_command_count(screen); i++)
        if (has_token(screen_command_at(screen, i)->keys, token)) return screen_command_at(screen, i);
    return NULL;
}

bool screen_command_listed(enum screen_id screen, int place)
{
    const struct screen_command *command = screen_command_at(screen, place);
    char keys[40], *rest = keys;
    snprintf(keys, sizeof keys, "%s", command->keys);
    for (char *token; (token = strsep(&rest, " "));)
        if (row_of_key(screen, token) == command) return true;
    return false;
}

static enum command_id bound_to(enum screen_id screen, const struct input_event *key)
{
    char token[16];
    command_key_token(key, token, sizeof token);
    const struct screen_command *row = row_of_key(screen, token);
    return row ? row->id : COMMAND_NONE;
}

enum command_id command_of_key(enum screen_id screen, const struct input_event *event)
{
    if (event->modifiers & MODIFIER_ALT) return COMMAND_NONE;
    struct input_event key = *event;
    /* Shift with h and l means coarse steps, as it does with the arrows. */
    if (key.key == 'H' || key.key == 'J' || key.key == 'K') key.key += 32;
    enum command_id id = bound_to(screen, &key);
    if (id != COMMAND_NONE || key.key != 'L') return id;
    key.key = 'l'; /* where L is no key of its own */
    return bound_to(screen, &key);
}

const struct screen_command *screen_command_find(enum command_id id, enum screen_id screen)
{
    for (int i = 0; i < screen_command_count(screen); i++)
        if (screen_command_at(screen, i)->id == id) return screen_command_at(screen, i);
    return NULL;
}

const char *command_key_text(const struct screen_command *command, char *text, int size)
{
    const char *space = strchr(command->keys, ' ');
    size_t length = space ? (size_t)(space - command->keys) : strlen(command->keys);
    snprintf(text, (size_t)size, "%.*s", (int)length, command->keys);
    static const char *const arrows[][2] = {
        {"Left", "\u2190\u2192"}, {"Right", "\u2190\u2192"}, {"Up", "\u2191"}, {"Down", "\u2193"}};
    for (size_t i = 0; i < sizeof arrows / sizeof *arrows; i++)
        if (strcmp(text, arrows[i][0]) == 0) snprintf(text, (size_t)size, "%s", arrows[i][1]);
    return text;
}

int fuzzy_score(const char *pattern, const char *name)
{
    int score = 1, run = 0;
    bool word_start = true;
    for (const char *at = name; *pattern != '\0'; at++) {
        if (*at == '\0') return 0;
        if (tolower((unsigned char)*at) == tolower((unsigned char)*pattern)) {
            run++;
            score += 2 * run + (word_start ? 6 : 0) + (at == name ? 4 : 0);
            pattern++;
        } else {
            run = 0;
        }
        word_start = *at == ' ';
    }
    return score;
}
