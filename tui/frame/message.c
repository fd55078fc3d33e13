/* What was said last, and what can be done about it. */
#include "tui/frame/internal.h"
#include "tui/screen/text.h"

#include <curses.h>
#include <stdio.h>
#include <string.h>

/* A key and what it does about the message; returns the cells used. */
static int draw_remedy(struct studio *studio, int row, int column, int width, const char *key_text, char key,
                       const char *label)
{
    int used = draw_text(row, column, width, STYLE_KEY, key_text) + 1;
    used += draw_text(row, column + used, width - used, STYLE_TEXT, label);
    bool escape = key == 0;
    frame_add_button(studio, (struct button){row, column, used, escape ? COMMAND_BACK : COMMAND_NONE, key});
    return used;
}

struct remedy_label {
    char key_text[8], key, label[60];
};

/* The remedies of the message, and for an error the key that takes it away; returns how many. */
static int list_remedies(const struct studio *studio, struct remedy_label labels[5])
{
    int count = 0;
    for (int i = 0; i < studio->remedy_count; i++) {
        struct remedy_label *remedy = &labels[count++];
        *remedy = (struct remedy_label){.key = studio->remedies[i].key};
        snprintf(remedy->key_text, sizeof remedy->key_text, "[%c]", remedy->key);
        snprintf(remedy->label, sizeof remedy->label, "%s", studio->remedies[i].label);
    }
    if (studio->message_level == MESSAGE_ERROR) labels[count++] = (struct remedy_label){"[Esc]", 0, "dismiss"};
    return count;
}

/* Places remedies from `column` on, wrapped into the area's width; draws them where `draw`. Returns the rows begun. */
static int place_remedies(struct studio *studio, struct area area, int column, bool draw)
{
    struct remedy_label labels[5];
    int count = list_remedies(studio, labels), row = 0;
    for (int i = 0; i < count; i++) {
        int width = text_width(labels[i].key_text) + 1 + text_width(labels[i].label);
        if (column > 0 && column + width > area.columns) {
            column = 0;
            row++;
        }
        if (draw)
            draw_remedy(studio, area.row + row, area.column + column, area.columns - column, labels[i].key_text,
                        labels[i].key, labels[i].label);
        column += width + 2;
    }
    return row + 1;
}

static void draw_text_of_message(struct studio *studio, struct frame_layout layout)
{
    enum { MOST_ROWS = 5 };
    enum style style = studio->message_level == MESSAGE_ERROR     ? STYLE_BAD
                       : studio->message_level == MESSAGE_WARNING ? STYLE_WARNING
                                                                  : STYLE_ACCENT;
    char text[700];
    snprintf(text, sizeof text, "%s%s", studio->message_level == MESSAGE_ERROR ? "\u00d7 " : "", studio->message);
    struct area area = layout.message;
    int rows = wrapped_rows(area.columns, text), column = rows == 1 ? text_width(text) + 2 : 0;
    bool remedies = studio->remedy_count > 0 || studio->message_level == MESSAGE_ERROR;
    if (remedies && rows == 1 && place_remedies(studio, area, column, false) > 1) column = 0; /* below the text */
    int below = remedies ? place_remedies(studio, area, column, false) : 0;
    if (column > 0 && below > 0) below--; /* the first of its rows is the text's own */
    if (rows + below > MOST_ROWS) rows = MOST_ROWS - below;
    area.row -= rows + below - 1;
    area.rows = rows;
    if (rows + below > 1) {
        struct area whole = {area.row, 0, rows + below, COLS};
        draw_fill(whole, STYLE_TEXT);
        pictures_cover(studio->pictures, whole);
    }
    draw_wrapped(area, style, text);
    if (!remedies) return;
    area.row += column > 0 ? 0 : rows;
    place_remedies(studio, area, column, true);
}

void message_draw(struct studio *studio, struct frame_layout layout)
{
    const char *filter = studio->filter[studio->screen];
    if (studio->filtering)
        draw_text(layout.message.row, layout.message.column, 8, STYLE_ACCENT, "Filter: ");
    else if (studio->message_level != MESSAGE_NONE)
        draw_text_of_message(studio, layout);
    else if (filter[0] != '\0')
        draw_format(layout.message.row, layout.message.column, layout.message.columns, STYLE_ACCENT,
                    "Filter: %s (Esc clears)", filter);
}
