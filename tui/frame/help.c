/* The help: what a screen is for, and its keys. */
#include "tui/frame/internal.h"
#include "tui/screen/text.h"

#include <stdio.h>

enum { HELP_CAPACITY = 128 };

/* The commands of the present screen. */
static struct list_items help_items(const struct studio *studio, const struct screen_command *shown[HELP_CAPACITY])
{
    int count = 0;
    for (int i = 0; i < screen_command_count(studio->screen) && count < HELP_CAPACITY; i++)
        if (screen_command_listed(studio->screen, i)) shown[count++] = screen_command_at(studio->screen, i);
    return (struct list_items){.count = count, .all = count};
}

/* Which rows are in sight, and the keys that bring the others. */
static void draw_place_in_help(struct area area, const struct list *list)
{
    if (list_has_bar(list))
        draw_right(area.row + area.rows - 1, area.column + 2, area.columns - 4, STYLE_DIM,
                   " \u2191\u2193 %d to %d of %d ", list->top + 1, list->top + list->rows, list->count);
}

static void draw_help(struct studio *studio, struct area area)
{
    const struct screen_command *shown[HELP_CAPACITY];
    const struct screen *screen = screen_of(studio->screen);
    struct list_items items = help_items(studio, shown);
    char title[80];
    snprintf(title, sizeof title, "Help: %s", screen->name);
    draw_frame(area, title);
    struct area body = {area.row + 1, area.column + 2, area.rows - 2, area.columns - 4};
    int used = draw_wrapped(body, STYLE_TEXT, screen->about) + 1;
    body =
        (struct area){body.row + used, body.column, body.rows - used, area.columns - 3}; /* the bar is on the frame */
    struct list_rows rows = list_show(&studio->help, &items, body, false);
    while (list_next(&rows)) {
        list_text(&rows, 0, 15, STYLE_KEY, shown[rows.place]->keys);
        list_text(&rows, 16, body.columns - 17, STYLE_TEXT, shown[rows.place]->help);
    }
    draw_place_in_help(area, &studio->help);
}

static void help_key(struct studio *studio, const struct input_event *event)
{
    struct list *list = &studio->help;
    enum command_id movement = event->key == 'k'   ? COMMAND_UP
                               : event->key == 'j' ? COMMAND_DOWN
                                                   : popup_movement(event);
    switch (movement) {
    case COMMAND_UP: list_scroll(list, -1); return;
    case COMMAND_DOWN: list_scroll(list, 1); return;
    case COMMAND_PAGE_UP: list_scroll(list, 1 - list->rows); return;
    case COMMAND_PAGE_DOWN: list_scroll(list, list->rows - 1); return;
    case COMMAND_FIRST: list_scroll(list, -list->count); return;
    case COMMAND_LAST: list_scroll(list, list->count); return;
    default: popup_close(studio);
    }
}

static struct list *help_list(struct studio *studio)
{
    return &studio->help;
}

static int help_height(const struct studio *studio, int rows, int width)
{
    const struct screen_command *shown[HELP_CAPACITY];
    int height = help_items(studio, shown).count + 3 + wrapped_rows(width - 4, screen_of(studio->screen)->about);
    return rows - 4 < height ? rows - 4 : height;
}

void popup_open_help(struct studio *studio)
{
    studio->popup = POPUP_HELP;
    studio->help = (struct list){0};
}

const struct popup popup_help = {
    .width = 76, .height = help_height, .draw = draw_help, .key = help_key, .list = help_list};
