/* Asks the terminal what it can do, and reads the answers and the environment. */
#include "tui/terminal/probe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const protocol_names[] = {"none", "symbols", "iterm2", "sixel", "kitty"};

const char *picture_protocol_name(enum picture_protocol protocol)
{
    return protocol_names[protocol];
}

bool picture_protocol_parse(const char *name, enum picture_protocol *protocol)
{
    for (size_t i = 0; i < sizeof protocol_names / sizeof *protocol_names; i++) {
        if (strcmp(name, protocol_names[i]) != 0) continue;
        *protocol = (enum picture_protocol)i;
        return true;
    }
    return false;
}

static bool environment_is(const char *name, const char *value)
{
    const char *found = getenv(name);
    return found && strcmp(found, value) == 0;
}

bool terminal_type_is_dumb(void)
{
    const char *type = getenv("TERM");
    return !type || type[0] == '\0' || strcmp(type, "dumb") == 0;
}

void capabilities_init(struct capabilities *capabilities)
{
    memset(capabilities, 0, sizeof *capabilities);
    capabilities->sixel_colors = 256;
    const char *term = getenv("TERM");
    bool multiplexer_term = term && (strncmp(term, "screen", 6) == 0 || strncmp(term, "tmux", 4) == 0);
    capabilities->inside_multiplexer = getenv("TMUX") || getenv("STY") || multiplexer_term;
    const char *program = getenv("TERM_PROGRAM");
    if (program && !capabilities->inside_multiplexer) {
        snprintf(capabilities->name, sizeof capabilities->name, "%s", program);
        capabilities->iterm2 = environment_is("TERM_PROGRAM", "iTerm.app") ||
                               environment_is("TERM_PROGRAM", "WezTerm") || environment_is("TERM_PROGRAM", "vscode");
    }
    const char *color = getenv("COLORFGBG"); /* foreground;background as palette numbers */
    const char *last = color ? strrchr(color, ';') : NULL;
    if (last) {
        int background = (int)strtol(last + 1, NULL, 10);
        bool light = background == 7 || background == 15;
        capabilities->background_known = true;
        for (int channel = 0; channel < 3; channel++) capabilities->background[channel] = light ? 255 : 0;
    }
}

#define ASK_BACKGROUND "\033]11;?\033\\" /* first, because GNU screen answers it late */
#define ASK_NAME "\033[>0q"
#define ASK_KITTY "\033_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\033\\" /* with a one-pixel picture that is not kept */
#define ASK_SIZES "\033[16t\033[14t"                           /* cell and text area in pixels */
#define ASK_SYNCHRONIZED "\033[?2026$p"
#define ASK_SIXEL "\033[?1;3;256S\033[?1;1;0S\033[?2;1;0S" /* set 256 registers, read them, largest picture */
#define ASK_ATTRIBUTES "\033[c"                            /* answered by all, so it ends the burst */

const char *probe_burst(bool inside_multiplexer)
{
    static const char all[] = ASK_BACKGROUND ASK_NAME ASK_KITTY ASK_SIZES ASK_SYNCHRONIZED ASK_SIXEL ASK_ATTRIBUTES;
    static const char fewer[] = ASK_BACKGROUND ASK_NAME ASK_SIZES ASK_SYNCHRONIZED ASK_SIXEL ASK_ATTRIBUTES;
    return inside_multiplexer ? fewer : all;
}

static void apply_name(struct capabilities *capabilities, const char *text)
{
    snprintf(capabilities->name, sizeof capabilities->name, "%.63s", text);
    capabilities->iterm2 =
        strncmp(text, "iTerm2", 6) == 0 || strncmp(text, "WezTerm", 7) == 0 || strncmp(text, "mintty", 6) == 0;
    if (strncmp(text, "tmux", 4) == 0) capabilities->inside_multiplexer = true;
    /* XTerm keeps 16 and tmux 20 and then forgets the oldest. Two are left for what is being replaced. */
    if (strncmp(text, "XTerm", 5) == 0) capabilities->images_kept = 14;
    if (strncmp(text, "tmux", 4) == 0) capabilities->images_kept = 18;
}

/* rgb:RRRR/GGGG/BBBB with one to four hexadecimal digits each. */
static bool apply_color(struct capabilities *capabilities, const char *text)
{
    if (strncmp(text, "rgb:", 4) != 0) return false;
    const char *at = text + 4;
    for (int channel = 0; channel < 3; channel++) {
        char *end = NULL;
        unsigned long value = strtoul(at, &end, 16);
        long digits = end - at;
        if (digits < 1 || digits > 4) return false;
        unsigned long largest = (1ul << (4 * digits)) - 1;
        capabilities->background[channel] = (int)(value * 255 / largest);
        at = *end == '/' ? end + 1 : end;
    }
    capabilities->background_known = true;
    return true;
}

bool capabilities_apply(struct capabilities *capabilities, const struct input_event *reply)
{
    const int *numbers = reply->numbers;
    switch (reply->reply) {
    case REPLY_DEVICE_ATTRIBUTES:
        capabilities->answered = true;
        for (int i = 1; i < reply->number_count; i++)
            if (numbers[i] == 4) capabilities->sixel = true;
        return true;
    case REPLY_WINDOW:
        if (reply->number_count == 3 && numbers[0] == 6 && numbers[1] > 0 && numbers[2] > 0) {
            capabilities->reported_cell_height = numbers[1];
            capabilities->reported_cell_width = numbers[2];
        } else if (reply->number_count == 3 && numbers[0] == 4 && capabilities->text_width == 0) {
            capabilities->text_height = numbers[1];
            capabilities->text_width = numbers[2];
        }
        return true;
    case REPLY_MODE:
        if (reply->number_count == 2 && numbers[0] == 2026)
            capabilities->synchronized_output = numbers[1] == 1 || numbers[1] == 2;
        return true;
    case REPLY_GRAPHICS_ATTRIBUTE:
        if (reply->number_count >= 3 && numbers[1] == 0) {
            if (numbers[0] == 1 && numbers[2] > 1) capabilities->sixel_colors = numbers[2] > 256 ? 256 : numbers[2];
            if (numbers[0] == 2 && reply->number_count >= 4 && numbers[2] < 4000 && capabilities->text_width == 0) {
                capabilities->text_width = numbers[2];
                capabilities->text_height = numbers[3];
            }
        }
        return true;
    case REPLY_NAME: apply_name(capabilities, reply->text); return true;
    case REPLY_KITTY:
        if (strstr(reply->text, "i=31") && strstr(reply->text, ";OK")) capabilities->kitty = true;
        return true;
    case REPLY_COLOR: return apply_color(capabilities, reply->text);
    default: return false;
    }
}

enum picture_protocol capabilities_choose(const struct capabilities *capabilities)
{
    const char *name = capabilities->name;
    bool wezterm = strncmp(name, "WezTerm", 7) == 0; /* answers the kitty query without conforming */
    bool konsole = strncmp(name, "Konsole", 7) == 0; /* nothing but clearing the screen removes a sixel there */
    if (capabilities->kitty && !wezterm) return PROTOCOL_KITTY;
    if (capabilities->sixel && !konsole) return PROTOCOL_SIXEL;
    if (capabilities->iterm2) return PROTOCOL_ITERM2;
    return PROTOCOL_SYMBOLS;
}

struct cell_size cell_size_choose(const struct capabilities *capabilities, int rows, int columns, int width_pixels,
                                  int height_pixels)
{
    struct cell_size size = {10, 20, false}; /* the VT340's, and Windows Terminal's for sixel */
    if (capabilities->reported_cell_width > 0 && capabilities->reported_cell_height > 0) {
        size = (struct cell_size){capabilities->reported_cell_width, capabilities->reported_cell_height, true};
    } else if (columns > 0 && rows > 0 && width_pixels >= 2 * columns && height_pixels >= 4 * rows) {
        size = (struct cell_size){width_pixels / columns, height_pixels / rows, true};
    } else if (columns > 0 && rows > 0 && capabilities->text_width >= 2 * columns &&
               capabilities->text_height >= 4 * rows) {
        size = (struct cell_size){capabilities->text_width / columns, capabilities->text_height / rows, true};
    }
    return size;
}
