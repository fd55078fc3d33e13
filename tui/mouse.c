/* The mouse: wheel, buttons of the frame, and what the present screen has named as clickable. */
#include "tui/frame/frame.h"
#include "tui/frame/popup.h"

#include <curses.h>

void studio_take_clicks(struct studio *studio, struct area area, int pane, int first)
{
    if (studio->target_count == CLICK_TARGETS || area_empty(area)) return;
    studio->targets[studio->target_count++] = (struct click_target){area, pane, first};
}

static void take_wheel(struct studio *studio, enum command_id direction)
{
    enum { HELP_ROWS = 3 };
    if (studio->popup == POPUP_HELP)
        studio->help_top += direction == COMMAND_UP ? -HELP_ROWS : HELP_ROWS;
    else if (studio->popup == POPUP_PALETTE)
        studio->palette.cursor += direction == COMMAND_UP ? (studio->palette.cursor > 0 ? -1 : 0) : 1;
    else if (studio->popup == POPUP_NONE)
        studio_command(studio, direction, false);
}

static void click_target(struct studio *studio, const struct click_target *target, const struct input_event *event)
{
    struct click click = {.pane = target->pane,
                          .row = event->row - target->area.row,
                          .column = event->column - target->area.column,
                          .drag = event->action == MOUSE_DRAG};
    click.item = target->first + click.row;
    screen_of(studio->screen)->click(studio, &click);
}

/* A drag belongs to what was pressed, wherever it leads. */
static void click_screen(struct studio *studio, const struct input_event *event)
{
    if (screen_of(studio->screen)->click == NULL) return;
    if (event->action == MOUSE_DRAG) {
        if (!area_empty(studio->pressed.area)) click_target(studio, &studio->pressed, event);
        return;
    }
    for (int index = 0; index < studio->target_count; index++) {
        if (!area_contains(studio->targets[index].area, event->row, event->column)) continue;
        studio->pressed = studio->targets[index];
        click_target(studio, &studio->pressed, event);
        return;
    }
}

void studio_mouse(struct studio *studio, const struct input_event *event)
{
    if (event->action == MOUSE_WHEEL_UP || event->action == MOUSE_WHEEL_DOWN) {
        take_wheel(studio, event->action == MOUSE_WHEEL_UP ? COMMAND_UP : COMMAND_DOWN);
        return;
    }
    if (event->action == MOUSE_RELEASE) studio->pressed = (struct click_target){0};
    if (event->action != MOUSE_PRESS && event->action != MOUSE_DRAG) return;
    bool pressed = event->action == MOUSE_PRESS;
    if (pressed) studio->pressed = (struct click_target){0};
    if (studio->popup != POPUP_NONE) {
        if (pressed) popup_click(studio, event->row, event->column);
        return;
    }
    const struct button *button = pressed ? frame_button_at(studio, event->row, event->column) : NULL;
    if (button == NULL)
        click_screen(studio, event);
    else if (button->command != COMMAND_NONE)
        studio_command(studio, button->command, false);
    else
        studio_key(studio, (uint32_t)button->key);
}
