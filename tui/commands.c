#include "tui/commands.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define ON(screen) (1u << SCREEN_##screen)
enum {
    RUNNING = ON(TUNE) | ON(REWARDS) | ON(TIMELINE) | ON(GRID),
    PANES = ON(HOME) | ON(TUNE) | ON(REWARDS) | ON(PROMPTS),
    ALL = (1 << SCREEN_COUNT) - 1
};

/* Rows for one screen stand before rows for all: the first that fits a key wins. */
static const struct screen_command table[] = {
    /* home and runs */
    {COMMAND_OPEN, "start the preset or open the run", "Enter", "start",
     "start tuning with this preset, or open this run", ON(HOME)},
    {COMMAND_EDIT, "edit first", "e", "edit first", "look at the settings before starting", ON(HOME)},
    {COMMAND_NEW, "new preset", "n", "new", "a preset with default settings", ON(HOME)},
    {COMMAND_DUPLICATE, "duplicate preset", "d", NULL, "keep a copy of this preset under a new name", ON(HOME)},
    {COMMAND_RENAME, "rename preset", "R", NULL, "rename one of your presets", ON(HOME)},
    {COMMAND_DELETE, "delete preset", "D Delete", NULL, "delete one of your presets; u brings it back", ON(HOME)},
    {COMMAND_MARK, "mark for comparison", "Space", NULL, "mark; the two marked ones are compared on screen 7",
     ON(HOME)},
    {COMMAND_MARK, "mark for comparison", "Space", "mark", "mark; the two marked ones are compared on screen 7",
     ON(RUNS)},
    {COMMAND_GO + SCREEN_RUNS, "runs", "9 r", "runs", "every run, alive and finished", ON(HOME)},
    {COMMAND_OPEN, "open the run", "Enter", "open", "watch this run, or look at what it left", ON(RUNS)},
    {COMMAND_RESUME, "resume the run", "r", "resume", "go on from the newest checkpoint", ON(RUNS)},
    /* edit */
    {COMMAND_START, "start tuning", "s", "start", "start tuning with these settings", ON(EDIT) | ON(PROMPTS)},
    {COMMAND_OPEN, "edit the value", "Enter", "edit", "type a value for this setting", ON(EDIT)},
    {COMMAND_TOGGLE, "next choice", "Space", "choose", "the next of the choices", ON(EDIT)},
    {COMMAND_LESS, "less", "Left h", NULL, "a smaller value, the previous choice", ON(EDIT)},
    {COMMAND_MORE, "more", "Right l", "change", "a larger value, the next choice", ON(EDIT)},
    {COMMAND_SAVE_PRESET, "save as preset", "S", "save preset", "keep these settings under a name", ON(EDIT)},
    /* timeline, grid, compare, mixer */
    {COMMAND_LEFT, "earlier", "Left h", "scrub", "the step before", ON(TIMELINE)},
    {COMMAND_RIGHT, "later", "Right l", NULL, "the step after", ON(TIMELINE)},
    {COMMAND_NEXT_PICTURE, "next picture", "n Down j", "next prompt", "the next prompt and seed", ON(TIMELINE)},
    {COMMAND_OPEN, "enlarge", "Enter", "enlarge", "this picture over the whole screen, and back",
     ON(GRID) | ON(TIMELINE)},
    {COMMAND_OPEN, "turn the adapter on", "Enter Space", "on/off", "use this adapter, or leave it out", ON(MIXER)},
    {COMMAND_LESS, "less strength", "Left h", NULL, "weaker; with Shift in coarse steps", ON(MIXER)},
    {COMMAND_MORE, "more strength", "Right l", "strength", "stronger; with Shift in coarse steps", ON(MIXER)},
    {COMMAND_NEXT_PICTURE, "next prompt", "n", "prompt", "the next prompt and seed", ON(MIXER)},
    {COMMAND_RECIPE, "show the recipe", "y", NULL, "show the command that makes this picture", ON(MIXER)},
    /* tune */
    {COMMAND_LESS, "less weight", "Left h", NULL, "less weight for this reward; with Shift in coarse steps", ON(TUNE)},
    {COMMAND_MORE, "more weight", "Right l", "weight", "more weight for this reward; with Shift in coarse steps",
     ON(TUNE)},
    {COMMAND_PAUSE, "pause or continue", "p", "pause", "pause after this step, or go on", RUNNING},
    {COMMAND_SAMPLE_NOW, "sample now", "s", "sample", "pictures of the held-out prompts after this step",
     RUNNING & ~ON(REWARDS)},
    {COMMAND_SWAP, "base or tuned", "b", "base/tuned", "the base model's picture of the same seed, and back",
     ON(TUNE) | ON(TIMELINE)},
    {COMMAND_NEXT_PICTURE, "next picture", "n", "next", "the next prompt and seed", ON(TUNE)},
    {COMMAND_PICTURE_SET, "which pictures", "v", "pictures", "overview, held-out, training batch by rank, or denoising",
     ON(TUNE)},
    {COMMAND_SIDE_BY_SIDE, "side by side", "B", NULL, "base and tuned picture beside each other", ON(TUNE)},
    {COMMAND_MUTE, "mute", "x", "mute", "weight 0, and back", ON(TUNE) | ON(MIXER)},
    {COMMAND_SOLO, "solo", "o", NULL, "only this one counts, and back", ON(TUNE) | ON(MIXER)},
    {COMMAND_TYPE_VALUE, "type a value", "=", NULL, "type the weight as a number", ON(TUNE) | ON(MIXER) | ON(REWARDS)},
    {COMMAND_LEARNING_RATE, "learning rate", "L", NULL, "change the learning rate while it runs", ON(TUNE)},
    {COMMAND_SAVE_NOW, "save now", "S", NULL, "write a checkpoint after this step", RUNNING},
    {COMMAND_ROLLBACK, "roll back", "R", NULL, "go back to a checkpoint", RUNNING},
    {COMMAND_STOP, "stop and save", "X", "stop", "save, then end the run", RUNNING},
    {COMMAND_BRANCH, "new run from this checkpoint", "N", "new run",
     "another run from the newest checkpoint, other settings", RUNNING | ON(PROMPTS) | ON(EDIT)},
    {COMMAND_RESUME, "resume the run", "r", "resume", "go on from the newest checkpoint, when the run has ended",
     ON(TUNE)},
    {COMMAND_EDIT, "settings of the run", "e", "settings", "every setting of this run; fixed ones are locked",
     ON(TUNE)},
    {COMMAND_SAVE_PRESET, "save as preset", "W", NULL, "keep this run's settings as they are now as a preset",
     ON(TUNE)},
    {COMMAND_EXPORT, "export the adapter", "E", "export", "this run's newest adapter as a file for other programs",
     ON(TUNE) | ON(RUNS)},
    {COMMAND_ENLARGE, "enlarge", "Enter z", NULL, "this pane over the whole screen, and back", ON(TUNE)},
    /* rewards, prompts */
    {COMMAND_OPEN, "add or remove the reward", "Enter Space", "add/remove", "choose this reward, or drop it",
     ON(REWARDS)},
    {COMMAND_LESS, "less weight", "Left h", NULL, "less weight", ON(REWARDS)},
    {COMMAND_MORE, "more weight", "Right l", "weight", "more weight", ON(REWARDS)},
    {COMMAND_EDIT, "parameters", "e", "parameters", "the parameters of this reward", ON(REWARDS)},
    {COMMAND_ADD, "add a prompt", "a", "add", "type a prompt; pasting many lines adds them all", ON(PROMPTS)},
    {COMMAND_OPEN, "edit the prompt", "Enter e", "edit", "change this prompt", ON(PROMPTS)},
    {COMMAND_DELETE, "remove the prompt", "d Delete", "remove", "take this prompt out; u brings it back", ON(PROMPTS)},
    {COMMAND_TOGGLE, "tick or untick", "Space", "tick", "use this prompt, or leave it out and keep it in the list",
     ON(PROMPTS)},
    {COMMAND_MOVE, "train or held-out", "m", "move", "move this prompt to the other list", ON(PROMPTS)},
    {COMMAND_LOAD_FILE, "load a file", "f", "file", "add the prompts of a text file, one a line", ON(PROMPTS)},
    /* movement */
    {COMMAND_UP, "up", "Up k", NULL, "up", ALL},
    {COMMAND_DOWN, "down", "Down j", NULL, "down", ALL},
    {COMMAND_LEFT, "left", "Left h", NULL, "left", ALL},
    {COMMAND_RIGHT, "right", "Right l", NULL, "right", ALL},
    {COMMAND_PAGE_UP, "page up", "PageUp ^B", NULL, "a page up", ALL},
    {COMMAND_PAGE_DOWN, "page down", "PageDown ^F", NULL, "a page down", ALL},
    {COMMAND_FIRST, "first", "Home g", NULL, "the first", ALL},
    {COMMAND_LAST, "last", "End G", NULL, "the last", ALL},
    {COMMAND_NEXT_PANE, "next pane", "Tab", "pane", "the next part of this screen", PANES},
    {COMMAND_PREVIOUS_PANE, "previous pane", "BackTab", NULL, "the part before", PANES},
    {COMMAND_FILTER, "filter", "/", NULL, "show only what holds these letters",
     ON(HOME) | ON(EDIT) | ON(REWARDS) | ON(PROMPTS) | ON(RUNS) | ON(LOG)},
    /* everywhere */
    {COMMAND_UNDO, "undo", "u", NULL, "take the last change back", ALL},
#define SCREEN(id, name)
#define SCREEN_TAB(id, name, keys, tab, command, help) {COMMAND_GO + SCREEN_##id, command, keys, NULL, help, ALL},
#include "tui/screens.def"
#undef SCREEN
#undef SCREEN_TAB
    {COMMAND_PALETTE, "commands", ":", "commands", "find a command by a few of its letters", ALL},
    {COMMAND_HELP, "help", "?", "help", "the keys of this screen", ALL},
    {COMMAND_BACK, "back", "Esc", NULL, "one level back; never leaves, never drops an edit", ALL},
    {COMMAND_QUIT, "leave the studio", "q ^C", "quit", "leave; a run goes on unless you say stop", ALL},
    {COMMAND_DISMISS, "dismiss the message", "^D", NULL, "take the message away", ALL},
    {COMMAND_REPAINT, "repaint", "^L", NULL, "draw everything anew", ALL},
    {COMMAND_SUSPEND, "suspend", "^Z", NULL, "back to the shell; fg returns", ALL},
    {COMMAND_MOUSE, "mouse on or off", "M", NULL, "off: the terminal's own selection works", ALL},
    {COMMAND_PICTURES, "picture protocol", "P", NULL, "the next way of showing pictures", ALL},
};

const struct screen_command *screen_commands(int *count)
{
    *count = (int)(sizeof table / sizeof *table);
    return table;
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
    for (size_t index = 0; index < sizeof names / sizeof *names; index++) {
        if (names[index].key != event->key) continue;
        snprintf(text, (size_t)size, "%s", names[index].name);
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
    for (const char *at = keys; at != NULL && *at != 0; at = strchr(at, ' ')) {
        if (*at == ' ') at++;
        if (strncmp(at, token, length) == 0 && (at[length] == ' ' || at[length] == 0)) return true;
    }
    return false;
}

/* Whether a row before `end` has the key on this screen. */
static bool is_bound_before(size_t end, enum screen_id screen, const char *token)
{
    for (size_t index = 0; index < end; index++)
        if ((table[index].screens & (1u << screen)) && has_token(table[index].keys, token)) return true;
    return false;
}

bool screen_command_listed(const struct screen_command *command, enum screen_id screen)
{
    char keys[40], *rest = keys;
    if (!(command->screens & (1u << screen))) return false;
    snprintf(keys, sizeof keys, "%s", command->keys);
    for (char *token; (token = strsep(&rest, " ")) != NULL;)
        if (!is_bound_before((size_t)(command - table), screen, token)) return true;
    return false;
}

static enum command_id bound_to(enum screen_id screen, const struct input_event *key)
{
    char token[16];
    command_key_token(key, token, sizeof token);
    for (size_t index = 0; index < sizeof table / sizeof *table; index++)
        if ((table[index].screens & (1u << screen)) && has_token(table[index].keys, token)) return table[index].id;
    return COMMAND_NONE;
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
    for (size_t index = 0; index < sizeof table / sizeof *table; index++)
        if (table[index].id == id && (table[index].screens & (1u << screen))) return &table[index];
    return NULL;
}

const char *command_key_text(const struct screen_command *command, char *text, int size)
{
    const char *space = strchr(command->keys, ' ');
    size_t length = space != NULL ? (size_t)(space - command->keys) : strlen(command->keys);
    snprintf(text, (size_t)size, "%.*s", (int)length, command->keys);
    static const char *const arrows[][2] = {
        {"Left", "\u2190\u2192"}, {"Right", "\u2190\u2192"}, {"Up", "\u2191"}, {"Down", "\u2193"}};
    for (size_t index = 0; index < sizeof arrows / sizeof *arrows; index++)
        if (strcmp(text, arrows[index][0]) == 0) snprintf(text, (size_t)size, "%s", arrows[index][1]);
    return text;
}

int fuzzy_score(const char *pattern, const char *name)
{
    int score = 1, run = 0;
    bool word_start = true;
    for (const char *at = name; *pattern != 0; at++) {
        if (*at == 0) return 0;
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
