/* The last row: the keys that do something here. */
#include "tui/frame/internal.h"
#include "tui/screen/text.h"

/* The footer names no key that does nothing now. */
static bool is_of_use(const struct studio *studio, enum command_id id)
{
    bool alive = studio->live && run_alive(studio->run);
    bool run_settings = studio->screen == SCREEN_EDIT && studio->run_settings;
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
        bool ended = !alive && studio->run->path[0] != '\0', unfinished = studio->run->step < studio->run->steps;
        return studio->screen == SCREEN_RUNS || (ended && unfinished);
    }
    case COMMAND_EXPORT: return studio->screen == SCREEN_RUNS || (!alive && studio->run->path[0] != '\0');
    default: return true;
    }
}

static const enum command_id last[] = {COMMAND_PALETTE, COMMAND_HELP, COMMAND_QUIT};
enum { LAST_COUNT = sizeof last / sizeof *last, GAP = 2 };

static bool is_last(enum command_id id)
{
    for (int i = 0; i < LAST_COUNT; i++)
        if (last[i] == id) return true;
    return false;
}

static int width_of(const struct screen_command *command)
{
    char key[16];
    return text_width(command_key_text(command, key, sizeof key)) + 1 + text_width(command->label);
}

/* Returns the column after the command and the gap behind it. */
static int draw_command(struct studio *studio, int row, int column, const struct screen_command *command)
{
    char key[16];
    int width = width_of(command);
    frame_add_button(studio, (struct button){row, column, width, command->id, 0});
    int used = draw_text(row, column, width, STYLE_KEY, command_key_text(command, key, sizeof key)) + 1;
    draw_text(row, column + used, width - used, STYLE_DIM, command->label);
    return column + width + GAP;
}

/* The screen's own commands as far as there is room, then those that are always there. */
void footer_draw(struct studio *studio, struct frame_layout layout)
{
    int row = layout.footer.row, at = layout.footer.column, end = at + layout.footer.columns;
    for (int i = 0; i < LAST_COUNT; i++) end -= width_of(screen_command_find(last[i], studio->screen)) + GAP;
    for (int i = 0; i < screen_command_count(studio->screen); i++) {
        const struct screen_command *command = screen_command_at(studio->screen, i);
        bool shown = command->label && !is_last(command->id) && is_of_use(studio, command->id);
        if (shown && at + width_of(command) + GAP <= end) at = draw_command(studio, row, at, command);
    }
    for (int i = 0; i < LAST_COUNT; i++)
        at = draw_command(studio, row, at, screen_command_find(last[i], studio->screen));
}
