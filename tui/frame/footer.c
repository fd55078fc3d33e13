/* The last row: the keys that do something here. */
#include "tui/frame/parts.h"
#include "tui/screen/text.h"

#include <string.h>

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

void footer_draw(struct studio *studio, struct frame_layout layout)
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
        frame_add_button(studio, (struct button){layout.footer.row, at, width, command->id, 0});
        at += draw_text(layout.footer.row, at, width, STYLE_KEY, key) + 1;
        at += draw_text(layout.footer.row, at, width, STYLE_DIM, command->label) + 2;
    }
    for (size_t index = 0; index < sizeof last / sizeof *last; index++) {
        const struct screen_command *command = screen_command_find(last[index], studio->screen);
        char key[16];
        command_key_text(command, key, sizeof key);
        int width = text_width(key) + 1 + text_width(command->label);
        frame_add_button(studio, (struct button){layout.footer.row, at, width, command->id, 0});
        at += draw_text(layout.footer.row, at, 8, STYLE_KEY, key) + 1;
        at += draw_text(layout.footer.row, at, 20, STYLE_DIM, command->label) + 2;
    }
}
