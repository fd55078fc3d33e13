/* What was said last, and what can be done about it. */
#include "tui/frame/parts.h"
#include "tui/screen/text.h"

#include <curses.h>
#include <stdio.h>
#include <string.h>

/* A key and what it does about the message; returns the cells used. */
static int draw_remedy(struct studio *studio, int row, int column, int width, const char *key_words, char key,
                       const char *label)
{
    int used = draw_text(row, column, width, STYLE_KEY, key_words) + 1;
    used += draw_text(row, column + used, width - used, STYLE_TEXT, label);
    bool escape = key == 0;
    frame_add_button(studio, (struct button){row, column, used, escape ? COMMAND_BACK : COMMAND_NONE, key});
    return used;
}

struct remedy_words {
    char key_words[8], key, label[60];
};

/* The remedies of the message, and for an error the key that takes it away; returns how many. */
static int list_remedies(const struct studio *studio, struct remedy_words words[5])
{
    int count = 0;
    for (int index = 0; index < studio->remedy_count; index++) {
        struct remedy_words *remedy = &words[count++];
        *remedy = (struct remedy_words){.key = studio->remedies[index].key};
        snprintf(remedy->key_words, sizeof remedy->key_words, "[%c]", remedy->key);
        snprintf(remedy->label, sizeof remedy->label, "%s", studio->remedies[index].label);
    }
    if (studio->message_level == MESSAGE_ERROR) words[count++] = (struct remedy_words){"[Esc]", 0, "dismiss"};
    return count;
}

/* Places remedies from `column` on, wrapped into the area's width; draws them where `draw`. Returns the rows begun. */
static int place_remedies(struct studio *studio, struct area area, int column, bool draw)
{
    struct remedy_words words[5];
    int count = list_remedies(studio, words), row = 0;
    for (int index = 0; index < count; index++) {
        int width = text_width(words[index].key_words) + 1 + text_width(words[index].label);
        if (column > 0 && column + width > area.columns) {
            column = 0;
            row++;
        }
        if (draw)
            draw_remedy(studio, area.row + row, area.column + column, area.columns - column, words[index].key_words,
                        words[index].key, words[index].label);
        column += width + 2;
    }
    return row + 1;
}

static void draw_words_of_message(struct studio *studio, struct frame_layout layout)
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
    if (remedies && rows == 1 && place_remedies(studio, area, column, false) > 1) column = 0; /* below the words */
    int below = remedies ? place_remedies(studio, area, column, false) : 0;
    if (column > 0 && below > 0) below--; /* the first of its rows is the words' own */
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
        draw_words_of_message(studio, layout);
    else if (filter[0] != 0)
        draw_format(layout.message.row, layout.message.column, layout.message.columns, STYLE_ACCENT,
                    "Filter: %s (Esc clears)", filter);
}
