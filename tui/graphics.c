/* Which styles and which way of showing pictures the terminal allows, also through tmux. */
#include "tui/loop.h"
#include "tui/screen/style.h"

#include <curses.h>
#include <stdlib.h>

static bool dark_background(const struct capabilities *capabilities)
{
    const int *color = capabilities->background;
    return !capabilities->background_known || color[0] * 30 + color[1] * 59 + color[2] * 11 < 128 * 100;
}

static enum picture_protocol chosen_protocol(const struct studio *studio)
{
    if (studio->picture_choice_fixed) return studio->picture_choice;
    return capabilities_choose(terminal_capabilities(studio->terminal));
}

/* A tmux without sixels of its own hands pictures on to the terminal where it is allowed to. It is only used when asked
 * for: what the terminal behind it can show is not known. */
static void use_passthrough(struct studio *studio, struct picture_settings *settings)
{
    bool own_sixels = settings->protocol == PROTOCOL_SIXEL && terminal_capabilities(studio->terminal)->sixel;
    if (settings->protocol <= PROTOCOL_SYMBOLS || own_sixels || !multiplexer_present()) return;
    enum { MOST_SIXELS = 14 }; /* XTerm, which keeps the fewest, may be the terminal */
    struct multiplexer *multiplexer = &studio->multiplexer;
    if (multiplexer->known && multiplexer->passes_through) {
        settings->passthrough = true;
        settings->outer_row = multiplexer->row;
        settings->outer_column = multiplexer->column;
        settings->images_kept = MOST_SIXELS;
        return;
    }
    if (!multiplexer->known) multiplexer_ask(multiplexer);
    settings->protocol = PROTOCOL_SYMBOLS;
}

/* Styles and picture protocol follow what the terminal has answered so far. */
void graphics_apply(struct studio *studio)
{
    const struct capabilities *capabilities = terminal_capabilities(studio->terminal);
    bool colors = !getenv("NO_COLOR");
    style_setup(!dark_background(capabilities), colors);
    enum symbol_palette palette = !colors || COLORS < 16 ? SYMBOLS_MONOCHROME : COLORS < 256 ? SYMBOLS_16 : SYMBOLS_256;
    struct cell_size cell = terminal_cell_size(studio->terminal);
    bool other_cell = cell.width != studio->cell.width || cell.height != studio->cell.height;
    /* Pictures drawn for larger cells than there are would stick out under the new ones. */
    if (other_cell && studio->cell.width > 0 && pictures_protocol(studio->pictures) > PROTOCOL_SYMBOLS)
        terminal_repaint(studio->terminal);
    studio->cell = cell;
    struct picture_settings settings = {.protocol = chosen_protocol(studio),
                                        .cell = cell,
                                        .colors = capabilities->sixel_colors,
                                        .images_kept = capabilities->images_kept,
                                        .palette = palette,
                                        .unicode = style_unicode()};
    use_passthrough(studio, &settings);
    pictures_configure(studio->pictures, &settings);
    studio->dirty = true;
}

/* The pane may stand elsewhere now, or the option may be another. Until the answer comes there are symbols: pixels
 * would stay where they were sent. */
void graphics_ask_multiplexer_again(struct studio *studio)
{
    if (!studio->multiplexer.known) return;
    studio->multiplexer.known = false;
    graphics_apply(studio);
}

void graphics_take_multiplexer(struct studio *studio)
{
    if (!multiplexer_read(&studio->multiplexer)) return;
    graphics_apply(studio);
    if (!studio->multiplexer.passes_through && chosen_protocol(studio) > PROTOCOL_SYMBOLS)
        studio_say(studio, MESSAGE_WARNING,
                   "tmux blocks %s pictures. Run `tmux set -g allow-passthrough on`, then press P.",
                   picture_protocol_name(chosen_protocol(studio)));
}

void graphics_next_protocol(struct studio *studio)
{
    enum picture_protocol present = chosen_protocol(studio);
    studio->picture_choice_fixed = true;
    studio->picture_choice = present == PROTOCOL_KITTY ? PROTOCOL_NONE : (enum picture_protocol)(present + 1);
    graphics_ask_multiplexer_again(studio);
    graphics_apply(studio);
    studio_say(studio, MESSAGE_INFO, "Pictures: %s.", picture_protocol_name(studio->picture_choice));
}
