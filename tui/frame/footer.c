/* The last row: the keys that do something here. */
#include "tui/frame/internal.h"
#include "tui/screen/text.h"

bool studio_offers(const struct studio *studio, enum command_id id)
{
    const struct run *run = studio->run;
    bool alive = studio->live && run_alive(run), ended = !alive && run->path[0] != '\0';
    switch (id) {
    case COMMAND_PAUSE:
    case COMMAND_STOP:
    case COMMAND_SAMPLE_NOW:
    case COMMAND_MUTE: return alive;
    case COMMAND_BRANCH: return run->checkpoint_count > 0 && !studio_is_editing(studio);
    case COMMAND_RESUME: return ended && run->step < run->steps;
    case COMMAND_EXPORT: return ended;
    default: return true;
    }
}

/* The footer names no key that does nothing now. */
static bool is_of_use(const struct studio *studio, enum command_id id)
{
    const struct screen *screen = screen_of(studio->screen);
    return screen->offers ? screen->offers(studio, id) : studio_offers(studio, id);
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
