/* Pictures at the cursor, outside the studio: `alignprop show`, and what `sample` and `score` print. */
#include "tui/pictures/encode.h"
#include "tui/pictures/symbols.h"
#include "tui/studio.h"
#include "tui/terminal/terminal.h"

#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

enum { REPLY_PATIENCE = 3000 };

struct surface {
    enum picture_protocol protocol;
    struct cell_size cell;
    int rows, columns;
    struct capabilities capabilities;
    bool unicode;
};

static bool write_all(const char *data, size_t length)
{
    while (length > 0) {
        ssize_t written = write(STDOUT_FILENO, data, length);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return false;
        data += written;
        length -= (size_t)written;
    }
    return true;
}

static void collect_replies(struct capabilities *capabilities)
{
    struct input_parser parser;
    input_parser_init(&parser);
    parser.replies_expected = true;
    int64_t limit = steady_milliseconds() + REPLY_PATIENCE;
    while (!capabilities->answered) {
        int64_t now = steady_milliseconds();
        struct pollfd wait = {.fd = STDIN_FILENO, .events = POLLIN};
        if (now >= limit || poll(&wait, 1, (int)(limit - now)) <= 0) return;
        unsigned char bytes[32];
        ssize_t got = read(STDIN_FILENO, bytes, sizeof bytes);
        if (got <= 0) return;
        for (ssize_t index = 0; index < got; index++) input_parser_feed(&parser, bytes[index], now);
        struct input_event event;
        while (input_parser_next(&parser, &event))
            if (event.kind == INPUT_REPLY) capabilities_apply(capabilities, &event);
    }
}

static void ask_terminal(struct capabilities *capabilities)
{
    struct termios saved, raw;
    if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &saved) != 0) return;
    raw = saved;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    raw.c_cc[VMIN] = 0;
    raw.c_cc[VTIME] = 0;
    tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
    const char *burst = probe_burst(capabilities->inside_multiplexer);
    if (write_all(burst, strlen(burst))) collect_replies(capabilities);
    tcsetattr(STDIN_FILENO, TCSADRAIN, &saved);
}

static struct surface find_surface(bool automatic, enum picture_protocol asked)
{
    struct surface surface = {.protocol = asked, .rows = 24, .columns = 80};
    surface.unicode = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    capabilities_init(&surface.capabilities);
    struct winsize size = {0};
    if (isatty(STDOUT_FILENO)) {
        ask_terminal(&surface.capabilities);
        if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0) {
            surface.rows = size.ws_row;
            surface.columns = size.ws_col;
        }
    }
    surface.cell =
        cell_size_choose(&surface.capabilities, surface.rows, surface.columns, size.ws_xpixel, size.ws_ypixel);
    if (automatic) surface.protocol = capabilities_choose(&surface.capabilities);
    return surface;
}

static bool encode(const struct surface *surface, const struct image *image, int width, struct encoded *encoded)
{
    int columns = width > 0 ? width : surface->columns - 1, rows = width > 0 ? 4096 : surface->rows - 2;
    int fit_rows = 1, fit_columns = 1;
    image_fit(image->width, image->height, rows > 1 ? rows : 1, columns > 1 ? columns : 1, surface->cell.width,
              surface->cell.height, &fit_rows, &fit_columns);
    if (surface->protocol == PROTOCOL_SYMBOLS) {
        enum symbol_palette palette = getenv("NO_COLOR") != NULL ? SYMBOLS_MONOCHROME : SYMBOLS_256;
        const char *depth = getenv("COLORTERM");
        if (palette == SYMBOLS_256 && depth != NULL && strcmp(depth, "truecolor") == 0) palette = SYMBOLS_DIRECT;
        return symbols_print(image, fit_rows, fit_columns, surface->cell.width, surface->cell.height, palette,
                             surface->unicode, &encoded->bytes);
    }
    struct encode_request request = {.image = image,
                                     .rows = fit_rows,
                                     .columns = fit_columns,
                                     .cell_width = surface->cell.width,
                                     .cell_height = surface->cell.height,
                                     .largest_side = 4096,
                                     .colors = surface->capabilities.sixel_colors,
                                     .identity = (unsigned)(image->hash & 0xffffff) | 1,
                                     .in_place = true};
    return encode_picture(surface->protocol, &request, encoded);
}

static status show_one(const struct surface *surface, const char *path, int width)
{
    struct image image = {0};
    TRY(image_load_png(path, &image));
    struct encoded encoded = {0};
    bool ready = encode(surface, &image, width, &encoded);
    if (ready) ready = write_all(encoded.bytes.data, encoded.bytes.length) && write_all("\n", 1);
    encoded_free(&encoded);
    image_free(&image);
    return ready ? status_ok() : status_error(STATUS_FAILED, "%s: could not be shown", path);
}

status studio_show(const struct show_options *options, int count, const char *const *paths)
{
    bool automatic = options->format == NULL || strcmp(options->format, "auto") == 0;
    enum picture_protocol asked = PROTOCOL_SYMBOLS;
    if (!automatic && !picture_protocol_parse(options->format, &asked))
        return status_error(STATUS_USAGE,
                            "there is no picture format \"%s\"; use auto, kitty, sixel, iterm2, symbols or none",
                            options->format);
    if (options->width < 0 || options->width > 1000)
        return status_error(STATUS_USAGE, "a width of %d cells cannot be shown; use 1 to 1000", options->width);
    setlocale(LC_CTYPE, "");
    struct surface surface = find_surface(automatic, asked);
    for (int index = 0; index < count; index++) {
        if (surface.protocol == PROTOCOL_NONE) {
            struct image image = {0};
            TRY(image_load_png(paths[index], &image));
            printf("%s: %d x %d\n", paths[index], image.width, image.height);
            image_free(&image);
        } else {
            TRY(show_one(&surface, paths[index], options->width));
        }
    }
    fflush(stdout);
    return status_ok();
}
