/* Pictures at the cursor, outside the studio: `alignprop show`, and what `sample` and `score` print. */
#include "engine/base/clock.h"
#include "tui/pictures/encode.h"
#include "tui/pictures/symbols.h"
#include "tui/studio.h"
#include "tui/terminal/multiplexer.h"
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
#include <wchar.h>

enum { REPLY_PATIENCE = 3000 };

struct surface {
    enum picture_protocol protocol;
    struct cell_size cell;
    int rows, columns;
    struct capabilities capabilities;
    bool unicode, dumb;
    bool passthrough; /* tmux stands between and hands wrapped control strings on */
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
    int64_t limit = clock_milliseconds() + REPLY_PATIENCE;
    while (!capabilities->answered) {
        int64_t now = clock_milliseconds();
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

/* False where tmux says that it hands nothing on; true also where it says nothing. */
static bool tmux_hands_on(void)
{
    enum { PATIENCE = 2000 };
    struct multiplexer multiplexer;
    multiplexer_init(&multiplexer);
    if (!multiplexer_ask(&multiplexer)) return true;
    int64_t limit = clock_milliseconds() + PATIENCE;
    while (multiplexer.descriptor >= 0) {
        int64_t now = clock_milliseconds();
        struct pollfd wait = {.fd = multiplexer.descriptor, .events = POLLIN};
        if (now >= limit || poll(&wait, 1, (int)(limit - now)) <= 0) break;
        multiplexer_read(&multiplexer);
    }
    multiplexer_close(&multiplexer);
    return !multiplexer.known || multiplexer.passes_through;
}

/* Only a tmux that draws sixels itself takes them as they are. */
static status find_passthrough(struct surface *surface)
{
    bool own_sixels = surface->protocol == PROTOCOL_SIXEL && surface->capabilities.sixel;
    surface->passthrough = surface->protocol > PROTOCOL_SYMBOLS && !own_sixels && multiplexer_present();
    if (!surface->passthrough || !isatty(STDOUT_FILENO) || tmux_hands_on()) return status_ok();
    return status_error(
        STATUS_FAILED,
        "tmux does not pass %s pictures on to the terminal; `tmux set -g allow-passthrough on` allows it",
        picture_protocol_name(surface->protocol));
}

static struct surface find_surface(bool automatic, enum picture_protocol asked)
{
    struct surface surface = {.protocol = asked, .rows = 24, .columns = 80};
    const char *type = getenv("TERM");
    surface.dumb = terminal_type_is_dumb() && (type || isatty(STDOUT_FILENO));
    surface.unicode = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    capabilities_init(&surface.capabilities);
    struct winsize size = {0};
    if (isatty(STDOUT_FILENO)) {
        if (!surface.dumb) ask_terminal(&surface.capabilities);
        if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0) {
            surface.rows = size.ws_row;
            surface.columns = size.ws_col;
        }
    }
    surface.cell =
        cell_size_choose(&surface.capabilities, surface.rows, surface.columns, size.ws_xpixel, size.ws_ypixel);
    if (automatic) surface.protocol = surface.dumb ? PROTOCOL_NONE : capabilities_choose(&surface.capabilities);
    return surface;
}

/* The characters alone, with no sequence around them. */
static bool print_plain_symbols(const struct surface *surface, const struct image *image, int rows, int columns,
                                struct bytes *bytes)
{
    struct symbol_cell *cells = calloc((size_t)rows * (size_t)columns, sizeof *cells);
    bool ready = cells && symbols_render(image, rows, columns, surface->cell.width, surface->cell.height,
                                         SYMBOLS_MONOCHROME, surface->unicode, cells);
    for (int row = 0; ready && row < rows; row++) {
        if (row > 0) bytes_add_text(bytes, "\n");
        for (int column = 0; column < columns; column++)
            bytes_format(bytes, "%lc", (wint_t)cells[row * columns + column].character);
    }
    free(cells);
    return ready && !bytes->failed;
}

/* `fitted` gets the rows of cells that the picture covers. */
static bool encode(const struct surface *surface, const struct image *image, int width, struct encoded *encoded,
                   int *fitted)
{
    int columns = width > 0 ? width : surface->columns - 1, rows = width > 0 ? 4096 : surface->rows - 2;
    int fit_rows = 1, fit_columns = 1;
    image_fit(image->width, image->height, rows > 1 ? rows : 1, columns > 1 ? columns : 1, surface->cell.width,
              surface->cell.height, &fit_rows, &fit_columns);
    *fitted = fit_rows;
    if (surface->protocol == PROTOCOL_SYMBOLS && surface->dumb)
        return print_plain_symbols(surface, image, fit_rows, fit_columns, &encoded->bytes);
    if (surface->protocol == PROTOCOL_SYMBOLS) {
        enum symbol_palette palette = getenv("NO_COLOR") ? SYMBOLS_MONOCHROME : SYMBOLS_256;
        const char *depth = getenv("COLORTERM");
        if (palette == SYMBOLS_256 && depth && strcmp(depth, "truecolor") == 0) palette = SYMBOLS_DIRECT;
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

/* tmux does not see that its terminal's cursor has gone below the picture: its own is moved there. */
static bool write_encoded(const struct surface *surface, const struct encoded *encoded, int rows)
{
    if (!surface->passthrough) return write_all(encoded->bytes.data, encoded->bytes.length);
    struct bytes wrapped = {0};
    size_t from = 0;
    for (int piece = 0; piece < encoded->count; piece++) {
        bytes_add_passed_through(&wrapped, encoded->bytes.data + from, encoded->ends[piece] - from);
        from = encoded->ends[piece];
    }
    for (int row = 1; row < rows; row++) bytes_add_text(&wrapped, "\n");
    bool written = !wrapped.failed && write_all(wrapped.data, wrapped.length);
    bytes_free(&wrapped);
    return written;
}

static status load(const struct show_options *options, const char *path, struct image *image)
{
    if (!options->read) return image_load_png(path, image);
    unsigned char *pixels;
    int width, height;
    TRY(options->read(path, &pixels, &width, &height));
    bool kept = width <= IMAGE_LARGEST_SIDE && height <= IMAGE_LARGEST_SIDE;
    status result = status_ok();
    if (!kept)
        result = status_error(STATUS_BAD_INPUT, "%s: %d x %d pixels; at most %d a side can be shown", path, width,
                              height, IMAGE_LARGEST_SIDE);
    else if (!image_set(image, width, height, pixels))
        result = status_error(STATUS_NO_MEMORY, "%s: no memory for the picture", path);
    free(pixels);
    return result;
}

static status show_one(const struct surface *surface, const struct show_options *options, const char *path)
{
    struct image image = {0};
    TRY(load(options, path, &image));
    if (surface->protocol == PROTOCOL_NONE) {
        printf("%s: %d x %d\n", path, image.width, image.height);
        image_free(&image);
        return status_ok();
    }
    struct encoded encoded = {0};
    int rows = 0;
    bool ready = encode(surface, &image, options->width, &encoded, &rows);
    if (ready) ready = write_encoded(surface, &encoded, rows) && write_all("\n", 1);
    encoded_free(&encoded);
    image_free(&image);
    return ready ? status_ok() : status_error(STATUS_FAILED, "%s: could not be shown", path);
}

status studio_show(const struct show_options *options, int count, const char *const *paths)
{
    bool automatic = !options->format || strcmp(options->format, "auto") == 0;
    enum picture_protocol asked = PROTOCOL_SYMBOLS;
    if (!automatic && !picture_protocol_parse(options->format, &asked))
        return status_error(STATUS_USAGE,
                            "there is no picture format \"%s\"; use auto, kitty, sixel, iterm2, symbols or none",
                            options->format);
    if (options->width < 0 || options->width > 1000)
        return status_error(STATUS_USAGE, "a width of %d cells cannot be shown; use 1 to 1000", options->width);
    setlocale(LC_CTYPE, "");
    struct surface surface = find_surface(automatic, asked);
    TRY(find_passthrough(&surface));
    for (int i = 0; i < count; i++) TRY(show_one(&surface, options, paths[i]));
    fflush(stdout);
    return status_ok();
}
