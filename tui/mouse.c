/* The mouse: wheel, buttons of the frame, and what the present screen has named as clickable. */
#include "tui/frame/frame.h"
#include "tui/frame/popup.h"

#include <curses.h>

static void add_target(struct studio *studio, struct click_target target)
{
    if (studio->target_count == CLICK_TARGETS || area_empty(target.area)) return;
    studio->targets[studio->target_count++] = target;
}

void studio_take_clicks(struct studio *studio, struct area area, int pane)
{
    add_target(studio, (struct click_target){.area = area, .pane = pane, .columns = area.columns});
}

struct list_rows studio_show_list(struct studio *studio, struct list *list, const struct list_items *items,
                                  struct area area, int pane, bool focused)
{
    struct list_rows rows = list_show(list, items, area, focused);
    struct click_target target = {area, pane, list, rows.line.rows, area.columns};
    if (list_has_bar(list)) target.area.columns++;
    add_target(studio, target);
    return rows;
}

static const struct click_target *target_at(const struct studio *studio, int row, int column)
{
    for (int i = 0; i < studio->target_count; i++)
        if (area_contains(studio->targets[i].area, row, column)) return &studio->targets[i];
    return NULL;
}

static void take_wheel(struct studio *studio, const struct input_event *event)
{
    enum { ITEMS = 3 };
    bool up = event->action == MOUSE_WHEEL_UP;
    struct list *list = popup_list(studio);
    if (studio->popup == POPUP_NONE) {
        const struct click_target *target = target_at(studio, event->row, event->column);
        if (target) list = target->list;
    }
    if (list)
        list_scroll(list, up ? -ITEMS : ITEMS);
    else if (studio->popup == POPUP_NONE)
        studio_command(studio, up ? COMMAND_UP : COMMAND_DOWN, false);
}

/* What was pressed on the scroll bar moves the cursor in proportion, wherever the mouse goes meanwhile. */
static void move_by_bar(const struct click_target *target, int row)
{
    int last = target->area.rows > 1 ? target->area.rows - 1 : 1;
    list_put(target->list, list_place_at(target->list, (double)row / last));
}

static void click_target(struct studio *studio, const struct click_target *target, const struct input_event *event)
{
    struct click click = {.pane = target->pane,
                          .row = event->row - target->area.row,
                          .column = event->column - target->area.column,
                          .columns = target->columns,
                          .drag = event->action == MOUSE_DRAG};
    if (!click.drag) studio->pressed_bar = click.column >= target->columns;
    if (studio->pressed_bar) {
        move_by_bar(target, click.row);
        return;
    }
    if (target->list) click.item = target->list->top + click.row / target->height;
    screen_of(studio->screen)->click(studio, &click);
}

/* A drag belongs to what was pressed, wherever it leads. */
static void click_screen(struct studio *studio, const struct input_event *event)
{
    if (!screen_of(studio->screen)->click) return;
    if (event->action == MOUSE_DRAG) {
        if (!area_empty(studio->pressed.area)) click_target(studio, &studio->pressed, event);
        return;
    }
    const struct click_target *target = target_at(studio, event->row, event->column);
    if (!target) return;
    studio->pressed = *target;
    click_target(studio, &studio->pressed, event);
}

void studio_mouse(struct studio *studio, const struct input_event *event)
{
    if (event->action == MOUSE_WHEEL_UP || event->action == MOUSE_WHEEL_DOWN) {
        take_wheel(studio, event);
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
    if (!button)
        click_screen(studio, event);
    else if (button->command != COMMAND_NONE)
        studio_command(studio, button->command, false);
    else
        studio_key(studio, (uint32_t)button->key);
}
