/* Commands: a row binds keys, and gives the footer, the help and the palette their text. Each screen has its own rows
 * and those of all. */
#ifndef ALIGNPROP_TUI_COMMANDS_H
#define ALIGNPROP_TUI_COMMANDS_H

#include "tui/terminal/input.h"

enum screen_id {
#define SCREEN(id, name) SCREEN_##id,
#define SCREEN_TAB(id, name, keys, tab, command, help) SCREEN(id, name)
#include "tui/screens.def"
#undef SCREEN
#undef SCREEN_TAB
    SCREEN_COUNT
};

enum command_id {
    COMMAND_NONE,
    COMMAND_UP,
    COMMAND_DOWN,
    COMMAND_LEFT,
    COMMAND_RIGHT,
    COMMAND_PAGE_UP,
    COMMAND_PAGE_DOWN,
    COMMAND_FIRST,
    COMMAND_LAST,
    COMMAND_LESS,
    COMMAND_MORE,
    COMMAND_OPEN,
    COMMAND_BACK,
    COMMAND_NEXT_PANE,
    COMMAND_PREVIOUS_PANE,
    COMMAND_FILTER,
    COMMAND_PALETTE,
    COMMAND_HELP,
    COMMAND_UNDO,
    COMMAND_REPAINT,
    COMMAND_SUSPEND,
    COMMAND_QUIT,
    COMMAND_MOUSE,
    COMMAND_PICTURES,
    COMMAND_DISMISS,
    COMMAND_GO, /* to the first screen; the others follow */
    COMMAND_GO_LAST = COMMAND_GO + SCREEN_COUNT - 1,
    COMMAND_EDIT,
    COMMAND_NEW,
    COMMAND_BRANCH,
    COMMAND_START,
    COMMAND_SAVE_PRESET,
    COMMAND_DUPLICATE,
    COMMAND_RENAME,
    COMMAND_DELETE,
    COMMAND_TOGGLE,
    COMMAND_MOVE,
    COMMAND_ADD,
    COMMAND_LOAD_FILE,
    COMMAND_PAUSE,
    COMMAND_SAMPLE_NOW,
    COMMAND_SAVE_NOW,
    COMMAND_STOP,
    COMMAND_ROLLBACK,
    COMMAND_MUTE,
    COMMAND_SOLO,
    COMMAND_TYPE_VALUE,
    COMMAND_LEARNING_RATE,
    COMMAND_SWAP,
    COMMAND_SIDE_BY_SIDE,
    COMMAND_NEXT_PICTURE,
    COMMAND_PICTURE_SET,
    COMMAND_ENLARGE,
    COMMAND_RESUME,
    COMMAND_RECIPE,
    COMMAND_EXPORT,
    COMMAND_MARK,
    COMMAND_COUNT
};

struct screen_command {
    enum command_id id;
    const char *name;  /* as typed in the palette */
    const char *keys;  /* separated by spaces: "Left h"; a letter, Enter, Esc, Tab, ^L and so on */
    const char *label; /* in the footer; NULL: not there */
    const char *help;  /* one line */
};

/* The commands of a screen: the first row that fits a key wins. */
int screen_command_count(enum screen_id screen);
const struct screen_command *screen_command_at(enum screen_id screen, int place);
/* The command that the key is bound to on that screen; COMMAND_NONE when it is bound to none. */
enum command_id command_of_key(enum screen_id screen, const struct input_event *event);
const struct screen_command *screen_command_find(enum command_id id, enum screen_id screen);
/* Whether the row has a key that no row before it has taken: what the help lists. */
bool screen_command_listed(enum screen_id screen, int place);
/* The first of the command's keys as the footer shows it: "Enter", "^L", an arrow. */
const char *command_key_text(const struct screen_command *command, char *text, int size);
/* The name of a key's token for an event; fills `text`. */
void command_key_token(const struct input_event *event, char *text, int size);
/* How well `pattern` matches `name` as a subsequence: 0 not at all, larger is better. */
int fuzzy_score(const char *pattern, const char *name);

#endif
