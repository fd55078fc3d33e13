/* The help: what a screen is for, and its keys. */
#include "tui/frame/popup_kinds.h"
#include "tui/screen/text.h"

#include <stdio.h>

static int help_rows(const struct studio *studio)
{
    int total = 0, rows = 0;
    const struct screen_command *all = screen_commands(&total);
    for (int index = 0; index < total; index++) rows += screen_command_listed(&all[index], studio->screen);
    return rows;
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

static void help_key(struct studio *studio, const struct input_event *event)
{
    switch (event->key) {
    case KEY_CODE_UP:
    case 'k': studio->help_top--; return;
    case KEY_CODE_DOWN:
    case 'j': studio->help_top++; return;
    case KEY_CODE_PAGE_UP: studio->help_top -= 10; return;
    case KEY_CODE_PAGE_DOWN: studio->help_top += 10; return;
    default: popup_close(studio);
    }
}

static int help_height(const struct studio *studio, int rows, int width)
{
    int height = help_rows(studio) + 3 + wrapped_rows(width - 4, screen_of(studio->screen)->about);
    return rows - 4 < height ? rows - 4 : height;
}

void popup_open_help(struct studio *studio)
{
    studio->popup = POPUP_HELP;
    studio->help_top = 0;
}

const struct popup popup_help = {.width = 76, .height = help_height, .draw = draw_help, .key = help_key};
