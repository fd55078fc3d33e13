/* The frame as a whole: draws its parts around the present screen, and takes keys for popups and the filter. */
#include "tui/frame/frame.h"

#include "tui/frame/internal.h"
#include "tui/frame/popup.h"
#include "tui/screen/text.h"

#include <curses.h>
#include <stdio.h>
#include <string.h>

void frame_add_button(struct studio *studio, struct button button)
{
    if (studio->button_count < BUTTONS) studio->buttons[studio->button_count++] = button;
}

const struct button *frame_button_at(const struct studio *studio, int row, int column)
{
    for (int i = 0; i < studio->button_count; i++) {
        const struct button *button = &studio->buttons[i];
        if (button->row == row && column >= button->column && column < button->column + button->columns) return button;
    }
    return NULL;
}

void frame_draw(struct studio *studio)
{
    struct frame_layout layout = layout_frame(LINES, COLS);
    studio->button_count = studio->target_count = 0;
    if (layout.too_small) {
        draw_format(0, 0, COLS, STYLE_WARNING, "The studio needs %d x %d cells.", LEAST_COLUMNS, LEAST_ROWS);
        if (LINES > 1) draw_format(1, 0, COLS, STYLE_TEXT, "This window has %d x %d.", COLS, LINES);
        if (LINES > 2) draw_text(2, 0, COLS, STYLE_DIM, "Runs continue meanwhile. Press q to leave.");
        return;
    }
    title_draw(studio, COLS);
    tabs_draw(studio, COLS);
    screen_of(studio->screen)->draw(studio, layout.body);
    footer_draw(studio, layout);
    message_draw(studio, layout);
    struct area popup = popup_area(studio, LINES, COLS);
    if (!area_empty(popup)) {
        pictures_cover(studio->pictures, popup);
        popup_draw(studio, popup);
    } else if (studio->filtering) {
        field_draw(&studio->filter_field, layout.message.row, layout.message.column + 8, layout.message.columns - 8);
    }
}

static void filter_key(struct studio *studio, const struct input_event *event)
{
    char *filter = studio->filter[studio->screen];
    if (event->key == KEY_CODE_ESCAPE) {
        studio->filtering = false;
        filter[0] = '\0';
    } else if (event->key == KEY_CODE_ENTER || event->key == '\n') {
        studio->filtering = false;
    } else if (field_key(&studio->filter_field, event)) {
        snprintf(filter, sizeof studio->filter[0], "%s", studio->filter_field.text);
    }
}

bool frame_key(struct studio *studio, const struct input_event *event)
{
    /* Ctrl-C asks to leave, and Ctrl-L repaints, from everywhere. */
    if (event->kind == INPUT_KEY && (event->key == 3 || event->key == 12)) return false;
    studio->dirty = true;
    if (studio->popup != POPUP_NONE)
        popup_key(studio, event);
    else if (studio->filtering)
        filter_key(studio, event);
    else
        return false;
    return true;
}
