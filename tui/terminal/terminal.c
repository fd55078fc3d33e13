/* Opens, pauses and closes the terminal, and writes frames to it without waiting for ever. */
#include "tui/terminal/terminal.h"

#include "engine/base/clock.h"
#include "engine/base/memory.h"
#include "tui/terminal/signals.h"
#include "tui/terminal/still.h"

#include <curses.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <termios.h>
#include <unistd.h>

enum { CLOSE_PATIENCE = 10000, LATE_REPLIES_PATIENCE = 400 };

/* Ends a control string that was cut, closes a synchronized frame, removes kitty pictures, and returns to the shell's
 * screen. Terminals without kitty's protocol skip the APC string. */
static const char restore_text[] = "\033\\\033[?2026l\033[?1002l\033[?1006l\033[?2004l\033[m\033(B\033[?1049l\033[?25h";
static const char restore_kitty[] =
    "\033\\\033[?2026l\033_Ga=d,d=A,q=2\033\\\033[?1002l\033[?1006l\033[?2004l\033[m\033(B"
    "\033[?1049l\033[?25h";
static const char status_question[] = "\033[5n";
/* ncurses sets a scrolling region for the size it starts with, and a picture below it would scroll the screen. Setting
 * the region moves the cursor, so it is saved around that. */
static const char whole_screen_scrolls[] = "\0337\033[r\0338";

struct terminal {
    int input, output;
    struct termios saved, raw;
    FILE *capture; /* where ncurses writes: memory */
    int capture_descriptor;
    SCREEN *screen;
    char *queue;
    size_t queue_start, queue_length, queue_capacity;
    struct input_parser parser;
    struct capabilities capabilities;
    struct link link;
    int rows, columns, width_pixels, height_pixels;
    bool mouse;
    int64_t asked; /* when the burst was sent */
    char notice[160];
};

static void append(struct terminal *terminal, const char *bytes, size_t length)
{
    if (length == 0) return;
    if (terminal->queue_start > 0 && terminal->queue_length == 0) terminal->queue_start = 0;
    size_t needed = terminal->queue_start + terminal->queue_length + length;
    if (needed > terminal->queue_capacity) {
        if (terminal->queue_length > 0)
            memmove(terminal->queue, terminal->queue + terminal->queue_start, terminal->queue_length);
        terminal->queue_start = 0;
        needed = terminal->queue_length + length;
        if (needed > terminal->queue_capacity) {
            char *larger = realloc(terminal->queue, needed * 2);
            if (!larger) return;
            terminal->queue = larger;
            terminal->queue_capacity = needed * 2;
        }
    }
    memcpy(terminal->queue + terminal->queue_start + terminal->queue_length, bytes, length);
    terminal->queue_length += length;
}

static void append_text(struct terminal *terminal, const char *text)
{
    append(terminal, text, strlen(text));
}

/* Moves what ncurses wrote since the last call into the queue. */
static void collect(struct terminal *terminal)
{
    fflush(terminal->capture);
    off_t size = lseek(terminal->capture_descriptor, 0, SEEK_CUR);
    if (size <= 0) return;
    char *text = malloc((size_t)size);
    if (text) {
        ssize_t got = pread(terminal->capture_descriptor, text, (size_t)size, 0);
        if (got > 0) append(terminal, text, (size_t)got);
        free(text);
    }
    lseek(terminal->capture_descriptor, 0, SEEK_SET);
}

bool terminal_flush(struct terminal *terminal)
{
    while (terminal->queue_length > 0) {
        ssize_t written = write(terminal->output, terminal->queue + terminal->queue_start, terminal->queue_length);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return errno == EAGAIN || errno == EWOULDBLOCK;
        terminal->queue_start += (size_t)written;
        terminal->queue_length -= (size_t)written;
    }
    return true;
}

static void flush_patiently(struct terminal *terminal, int patience)
{
    int64_t limit = clock_milliseconds() + patience;
    while (terminal_flush(terminal) && terminal->queue_length > 0) {
        int left = (int)(limit - clock_milliseconds());
        if (left <= 0) return;
        struct pollfd wait = {.fd = terminal->output, .events = POLLOUT};
        if (poll(&wait, 1, left) < 0 && errno != EINTR) return;
    }
}

static void read_size(struct terminal *terminal)
{
    struct winsize size;
    if (ioctl(terminal->output, TIOCGWINSZ, &size) != 0 || size.ws_row == 0 || size.ws_col == 0) return;
    terminal->rows = size.ws_row;
    terminal->columns = size.ws_col;
    terminal->width_pixels = size.ws_xpixel;
    terminal->height_pixels = size.ws_ypixel;
}

static status open_descriptors(struct terminal *terminal)
{
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
        return status_error(STATUS_FAILED, "the studio needs a terminal on its input and output; "
                                           "`alignprop tune` works without one");
    if (terminal_type_is_dumb()) {
        const char *type = getenv("TERM");
        return status_error(STATUS_FAILED,
                            "this terminal (TERM=%s) takes text only, and the studio needs one that draws; "
                            "`alignprop tune` and the other commands work here",
                            type ? type : "");
    }
    terminal->input = STDIN_FILENO;
    /* Opened anew so that O_NONBLOCK does not leak to the shell, which shares the old description. */
    terminal->output = open("/dev/tty", O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (terminal->output < 0) {
        const char *name = ttyname(STDOUT_FILENO);
        if (name) terminal->output = open(name, O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    }
    if (terminal->output < 0) return status_errno(STATUS_FAILED, errno, "could not open the terminal for writing");
    if (tcgetattr(terminal->input, &terminal->saved) != 0)
        return status_errno(STATUS_FAILED, errno, "could not read the terminal's settings");
    return status_ok();
}

static void enter_raw_mode(struct terminal *terminal)
{
    terminal->raw = terminal->saved;
    terminal->raw.c_iflag &= ~(tcflag_t)(BRKINT | ICRNL | INPCK | ISTRIP | IXON | INLCR | IGNCR);
    terminal->raw.c_lflag &= ~(tcflag_t)(ECHO | ICANON | IEXTEN | ISIG | ECHONL);
    terminal->raw.c_oflag &= ~(tcflag_t)OPOST;
    terminal->raw.c_cc[VMIN] = 0;
    terminal->raw.c_cc[VTIME] = 0;
    tcsetattr(terminal->input, TCSADRAIN, &terminal->raw);
}

static status open_screen(struct terminal *terminal)
{
    terminal->capture_descriptor = memfd_create("screen", MFD_CLOEXEC);
    if (terminal->capture_descriptor < 0)
        return status_errno(STATUS_FAILED, errno, "could not make the screen's memory");
    terminal->capture = fdopen(terminal->capture_descriptor, "w");
    if (!terminal->capture) return status_errno(STATUS_FAILED, errno, "could not open the screen's memory");
    const char *type = getenv("TERM");
    char *before = still_prepare(type);
    terminal->screen = newterm(NULL, terminal->capture, stdin);
    still_restore(before);
    if (!terminal->screen) {
        before = still_prepare("xterm-256color");
        terminal->screen = newterm("xterm-256color", terminal->capture, stdin);
        still_restore(before);
        snprintf(terminal->notice, sizeof terminal->notice,
                 "this machine has no description of the terminal \"%s\"; using xterm-256color", type ? type : "");
    }
    if (!terminal->screen)
        return status_error(STATUS_FAILED,
                            "no usable description of the terminal \"%s\" on this machine; install ncurses-term or set "
                            "TERM=xterm-256color",
                            type ? type : "");
    set_term(terminal->screen);
    read_size(terminal);
    if (terminal->rows > 0) resizeterm(terminal->rows, terminal->columns);
    nonl();
    leaveok(stdscr, FALSE);
    idlok(stdscr, FALSE);
    idcok(stdscr, FALSE);
    /* A key or an answer that waits would cut a frame short, and the rest would come over the pictures sent meanwhile.
     */
    typeahead(-1);
    if (has_colors()) {
        start_color();
        use_default_colors();
    }
    curs_set(0);
    return status_ok();
}

static void set_rescue(struct terminal *terminal)
{
    const char *text = terminal->capabilities.kitty ? restore_kitty : restore_text;
    signals_rescue(terminal->output, &terminal->saved, text, strlen(text));
}

void terminal_set_mouse(struct terminal *terminal, bool on)
{
    terminal->mouse = on;
    append_text(terminal, on ? "\033[?1002h\033[?1006h" : "\033[?1002l\033[?1006l");
}

status terminal_open(struct terminal_options options, struct terminal **result)
{
    struct terminal *terminal = memory_take(1, sizeof *terminal);
    terminal->output = terminal->capture_descriptor = -1;
    terminal->mouse = options.mouse;
    input_parser_init(&terminal->parser);
    capabilities_init(&terminal->capabilities);
    link_init(&terminal->link);
    status opened = open_descriptors(terminal);
    if (opened.code == STATUS_OK) opened = open_screen(terminal);
    if (opened.code != STATUS_OK) {
        if (terminal->output >= 0) close(terminal->output);
        if (terminal->capture) fclose(terminal->capture);
        free(terminal);
        return opened;
    }
    set_rescue(terminal);
    enter_raw_mode(terminal);
    doupdate();
    collect(terminal);
    append_text(terminal, whole_screen_scrolls);
    append_text(terminal, "\033[?2004h");
    if (terminal->mouse) terminal_set_mouse(terminal, true);
    append_text(terminal, probe_burst(terminal->capabilities.inside_multiplexer));
    terminal->parser.replies_expected = true;
    terminal->asked = clock_milliseconds();
    terminal_flush(terminal);
    *result = terminal;
    return status_ok();
}

static void leave_screen(struct terminal *terminal)
{
    /* A control string half written ends first: the rest of the queue holds its end. */
    flush_patiently(terminal, CLOSE_PATIENCE);
    bool cut = terminal->queue_length > 0;
    terminal->queue_length = 0;
    if (cut) append_text(terminal, "\033\\");
    append_text(terminal, "\033[?2026l");
    if (terminal->capabilities.kitty) append_text(terminal, "\033_Ga=d,d=A,q=2\033\\");
    append_text(terminal, "\033[?1002l\033[?1006l\033[?2004l\033[m");
    curs_set(1);
    endwin();
    collect(terminal);
    flush_patiently(terminal, cut ? 0 : CLOSE_PATIENCE);
}

/* Waits a moment for replies that are still due, so that the shell does not get them. */
static void swallow_replies(struct terminal *terminal)
{
    int64_t limit = clock_milliseconds() + LATE_REPLIES_PATIENCE;
    while (terminal->parser.replies_expected || terminal->link.count > 0) {
        int64_t now = clock_milliseconds();
        if (now >= limit) break;
        struct pollfd wait = {.fd = terminal->input, .events = POLLIN};
        if (poll(&wait, 1, (int)(limit - now)) <= 0 || (wait.revents & (POLLHUP | POLLERR))) break;
        if (!terminal_read(terminal, now)) break;
        struct input_event event;
        while (terminal_next_event(terminal, now, &event)) continue;
    }
}

void terminal_close(struct terminal *terminal)
{
    if (!terminal) return;
    leave_screen(terminal);
    swallow_replies(terminal);
    tcsetattr(terminal->input, terminal->parser.replies_expected ? TCSAFLUSH : TCSADRAIN, &terminal->saved);
    signals_rescue(-1, &terminal->saved, NULL, 0);
    delscreen(terminal->screen);
    fclose(terminal->capture);
    close(terminal->output);
    free(terminal->queue);
    free(terminal);
}

int terminal_input_descriptor(const struct terminal *terminal)
{
    return terminal->input;
}

int terminal_output_descriptor(const struct terminal *terminal)
{
    return terminal->output;
}

bool terminal_read(struct terminal *terminal, int64_t now)
{
    /* The parser's queue of events is emptied between reads, so a read never brings more than it holds. */
    unsigned char bytes[INPUT_QUEUE_CAPACITY / 2];
    ssize_t got = read(terminal->input, bytes, sizeof bytes);
    if (got < 0) return errno == EAGAIN || errno == EINTR || errno == EWOULDBLOCK;
    terminal->parser.status_expected = link_waits(&terminal->link, now);
    for (ssize_t index = 0; index < got; index++) input_parser_feed(&terminal->parser, bytes[index], now);
    return true;
}

static void take_reply(struct terminal *terminal, const struct input_event *event, int64_t now)
{
    if (event->reply == REPLY_STATUS) {
        link_answer(&terminal->link, now);
        return;
    }
    bool had_kitty = terminal->capabilities.kitty;
    capabilities_apply(&terminal->capabilities, event);
    if (event->reply == REPLY_DEVICE_ATTRIBUTES && terminal->parser.replies_expected) {
        terminal->parser.replies_expected = false;
        link_note_round_trip(&terminal->link, (double)(now - terminal->asked), now);
    }
    if (!had_kitty && terminal->capabilities.kitty) set_rescue(terminal);
}

bool terminal_next_event(struct terminal *terminal, int64_t now, struct input_event *event)
{
    input_parser_tick(&terminal->parser, now);
    if (!input_parser_next(&terminal->parser, event)) return false;
    if (event->kind == INPUT_REPLY) take_reply(terminal, event, now);
    return true;
}

int terminal_deadline(const struct terminal *terminal, int64_t now)
{
    return input_parser_deadline(&terminal->parser, now);
}

const struct capabilities *terminal_capabilities(const struct terminal *terminal)
{
    return &terminal->capabilities;
}

struct cell_size terminal_cell_size(const struct terminal *terminal)
{
    return cell_size_choose(&terminal->capabilities, terminal->rows, terminal->columns, terminal->width_pixels,
                            terminal->height_pixels);
}

struct link *terminal_link(struct terminal *terminal)
{
    return &terminal->link;
}

const char *terminal_notice(const struct terminal *terminal)
{
    return terminal->notice[0] ? terminal->notice : NULL;
}

bool terminal_resized(struct terminal *terminal)
{
    int rows = terminal->rows, columns = terminal->columns;
    int width = terminal->width_pixels, height = terminal->height_pixels;
    read_size(terminal);
    if (terminal->rows != rows || terminal->columns != columns) resizeterm(terminal->rows, terminal->columns);
    bool changed = terminal->rows != rows || terminal->columns != columns || terminal->width_pixels != width ||
                   terminal->height_pixels != height;
    if (changed && terminal->capabilities.reported_cell_width > 0) append_text(terminal, "\033[16t");
    append_text(terminal, whole_screen_scrolls);
    clearok(curscr, TRUE);
    return changed;
}

void terminal_repaint(struct terminal *terminal)
{
    (void)terminal;
    clearok(curscr, TRUE);
}

/* What was queued from `start` on is a whole: the question is asked behind it, and what the terminal takes written. */
static void send_marked(struct terminal *terminal, size_t start, int64_t now)
{
    append_text(terminal, status_question);
    link_mark(&terminal->link, terminal->queue_length - start, now);
    terminal_flush(terminal);
}

void terminal_frame(struct terminal *terminal, const char *before, size_t before_length, int64_t now)
{
    size_t start = terminal->queue_length;
    bool synchronized = terminal->capabilities.synchronized_output;
    if (synchronized) append_text(terminal, "\033[?2026h");
    size_t opened = terminal->queue_length;
    append(terminal, before, before_length);
    doupdate();
    collect(terminal);
    if (terminal->queue_length == opened) {
        terminal->queue_length = start;
        return;
    }
    if (synchronized) append_text(terminal, "\033[?2026l");
    send_marked(terminal, start, now);
}

/* A single control string is drawn at once by itself, so it is not put into a synchronized frame. */
void terminal_picture(struct terminal *terminal, const char *bytes, size_t length, int64_t now)
{
    size_t start = terminal->queue_length;
    append(terminal, bytes, length);
    send_marked(terminal, start, now);
}

int terminal_watch_link(struct terminal *terminal, int64_t now)
{
    struct link *link = &terminal->link;
    if (link->count == 0 && terminal->queue_length == 0 && link_question_due(link, now)) {
        append_text(terminal, status_question);
        link_mark(link, sizeof status_question - 1, now);
        terminal_flush(terminal);
    }
    return link_watch(link, now);
}

size_t terminal_pending(const struct terminal *terminal)
{
    return terminal->queue_length;
}

void terminal_suspend(struct terminal *terminal)
{
    leave_screen(terminal);
    tcsetattr(terminal->input, TCSADRAIN, &terminal->saved);
    signals_stop_self();
    tcgetattr(terminal->input, &terminal->saved);
    enter_raw_mode(terminal);
    terminal_resized(terminal);
    append_text(terminal, "\033[?2004h");
    if (terminal->mouse) terminal_set_mouse(terminal, true);
    refresh();
    collect(terminal);
    append_text(terminal, whole_screen_scrolls);
    curs_set(0);
    terminal_repaint(terminal);
}
