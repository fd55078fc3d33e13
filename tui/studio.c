/* The studio's loop: keys, engines, signals and time go in; at most one frame at a time goes out. */
#include "engine/base/clock.h"
#include "engine/base/memory.h"
#include "tui/frame/frame.h"
#include "tui/frame/popup.h"
#include "tui/loop.h"
#include "tui/screen/layout.h"
#include "tui/screen/style.h"
#include "tui/terminal/signals.h"

#include <curses.h>
#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    FRAME_INTERVAL = 66, /* milliseconds between frames that no key asked for */
    MOST_UNSENT = 32 << 10,
    RUNS_INTERVAL = 5000
};

/* Some terminals show the cursor again after a picture. */
static const char hidden_cursor[] = "\033[?25l";

static double read_wall_clock(void)
{
    const char *fixed = getenv("ALIGNPROP_CLOCK");
    return fixed ? strtod(fixed, NULL) : floor(clock_wall());
}

static void go_back(struct studio *studio)
{
    if (studio->message_level != MESSAGE_NONE) { /* it stands where the filter is named */
        studio_dismiss(studio);
    } else if (studio->filter[studio->screen][0] != '\0') {
        studio->filter[studio->screen][0] = '\0';
    } else if (studio->screen != SCREEN_HOME) {
        enum screen_id back = studio->previous == studio->screen ? SCREEN_HOME : studio->previous;
        if (studio->screen == SCREEN_EDIT) back = studio->run_settings ? SCREEN_TUNE : SCREEN_HOME;
        studio_go(studio, back);
        studio->previous = SCREEN_HOME;
    }
}

static bool global_command(struct studio *studio, enum command_id command)
{
    if (command >= COMMAND_GO && command <= COMMAND_GO_LAST) {
        studio_go(studio, (enum screen_id)(command - COMMAND_GO));
        return true;
    }
    switch (command) {
    case COMMAND_PALETTE: popup_open_palette(studio); return true;
    case COMMAND_HELP: popup_open_help(studio); return true;
    case COMMAND_FILTER:
        studio->filtering = true;
        field_set(&studio->filter_field, studio->filter[studio->screen]);
        return true;
    case COMMAND_UNDO: studio_undo(studio); return true;
    case COMMAND_BACK: go_back(studio); return true;
    case COMMAND_DISMISS: studio_dismiss(studio); return true;
    case COMMAND_QUIT: studio_leave(studio); return true;
    case COMMAND_PICTURES: graphics_next_protocol(studio); return true;
    case COMMAND_MOUSE:
        studio->mouse = !studio->mouse;
        terminal_set_mouse(studio->terminal, studio->mouse);
        studio_say(studio, MESSAGE_INFO, "Mouse %s.", studio->mouse ? "on" : "off; the terminal's own selection works");
        return true;
    case COMMAND_REPAINT:
        terminal_repaint(studio->terminal);
        pictures_lost(studio->pictures);
        graphics_ask_multiplexer_again(studio);
        return true;
    case COMMAND_SUSPEND:
        pictures_lost(studio->pictures);
        terminal_suspend(studio->terminal);
        return true;
    default: return false;
    }
}

void studio_command(struct studio *studio, enum command_id command, bool coarse)
{
    if (command == COMMAND_NONE) return;
    studio->dirty = true;
    const struct screen *screen = screen_of(studio->screen);
    if (screen->command && screen->command(studio, command, coarse)) return;
    if (global_command(studio, command)) return;
    steering_command(studio, command);
}

static bool take_remedy(struct studio *studio, uint32_t key)
{
    for (int i = 0; i < studio->remedy_count; i++) {
        struct choice choice = studio->remedies[i];
        if ((uint32_t)choice.key != key) continue;
        studio_dismiss(studio);
        choice.chosen(studio, choice.argument);
        return true;
    }
    return false;
}

void studio_key(struct studio *studio, uint32_t key)
{
    struct input_event event = {.kind = INPUT_KEY, .key = key};
    if (!take_remedy(studio, key)) studio_command(studio, command_of_key(studio->screen, &event), false);
}

static void take_event(struct studio *studio, const struct input_event *event)
{
    if (event->kind == INPUT_REPLY) {
        if (event->reply != REPLY_STATUS) graphics_apply(studio);
        return;
    }
    studio->dirty = studio->dirty_by_key = true;
    if (event->kind == INPUT_MOUSE) {
        studio_mouse(studio, event);
        return;
    }
    studio->offered = studio->typed = true; /* whoever types knows where to go */
    bool read = studio->message_level == MESSAGE_INFO && event->kind != INPUT_PASTED &&
                command_of_key(studio->screen, event) != COMMAND_REPAINT; /* which changes nothing that is shown */
    if (read && event->key != KEY_CODE_ESCAPE) studio_dismiss(studio);    /* Esc takes it away and does no more */
    if (frame_key(studio, event)) return;
    if (event->kind == INPUT_PASTED || take_remedy(studio, event->key)) return;
    bool coarse = (event->modifiers & MODIFIER_SHIFT) || event->key == 'H' || event->key == 'L';
    studio_command(studio, command_of_key(studio->screen, event), coarse);
}

static void take_signals(struct studio *studio, int descriptor)
{
    unsigned char numbers[64];
    ssize_t got = read(descriptor, numbers, sizeof numbers);
    for (ssize_t index = 0; index < got; index++) {
        switch (numbers[index]) {
        case SIGWINCH:
            terminal_resized(studio->terminal);
            pictures_lost(studio->pictures);
            graphics_ask_multiplexer_again(studio);
            graphics_apply(studio);
            studio->dirty_by_key = true;
            break;
        case SIGTSTP: studio_command(studio, COMMAND_SUSPEND, false); break;
        case SIGCONT: studio->dirty = true; break;
        case SIGINT: studio_leave(studio); break;
        default: studio->quit = true; break; /* TERM, HUP, QUIT: leave, the run goes on */
        }
    }
}

/* What the draft costs, and which prompts its files hold. */
static void request_plan(struct studio *studio)
{
    studio->plan_due = 0;
    if (!studio->draft) return;
    cJSON *body = cJSON_CreateObject();
    cJSON_AddItemToObject(body, "preset", cJSON_Duplicate(studio->draft, 1));
    studio->plan_request = studio_request(studio, studio_asker(studio), REQUEST_PLAN, "plan", body, "plan");
    body = cJSON_CreateObject();
    cJSON_AddItemToObject(body, "preset", cJSON_Duplicate(studio->draft, 1));
    cJSON_AddBoolToObject(body, "prompts", 1);
    studio_request(studio, studio_asker(studio), REQUEST_CHECK, "check", body, "read the prompts");
}

static bool some_run_is_alive(const struct studio *studio)
{
    const cJSON *run = NULL;
    cJSON_ArrayForEach(run, studio->runs)
    {
        if (json_get_text(run, "socket", NULL)) return true;
    }
    return false;
}

/* The screens that list runs follow those that are on. Milliseconds until the next look, -1 for none. */
static int refresh_lists(struct studio *studio)
{
    bool listed = studio->screen == SCREEN_HOME || studio->screen == SCREEN_RUNS;
    if (!listed || !studio->engine || !some_run_is_alive(studio)) return -1;
    int left = (int)(studio->runs_asked + RUNS_INTERVAL - studio->now);
    if (left > 0) return left;
    studio_list_runs(studio);
    return RUNS_INTERVAL;
}

static int soonest(int left, int right)
{
    if (left < 0) return right;
    return right < 0 || left < right ? left : right;
}

static int plan_when_due(struct studio *studio)
{
    if (studio->plan_due == 0) return -1;
    int left = (int)(studio->plan_due - studio->now);
    if (left > 0) return left;
    request_plan(studio);
    return -1;
}

/* What waits for a pause of the hands. Returns the milliseconds until the next such thing, -1 for none. */
static int run_timers(struct studio *studio)
{
    int next = soonest(plan_when_due(studio), refresh_lists(studio));
    for (enum screen_id id = 0; id < SCREEN_COUNT; id++)
        if (screen_of(id)->tick) next = soonest(next, screen_of(id)->tick(studio));
    return next;
}

static bool editing(const struct studio *studio)
{
    return studio->popup == POPUP_PALETTE || studio->popup == POPUP_PROMPT || studio->filtering;
}

/* Text alone: pictures follow in pieces of their own, so that a key's answer waits for none of them. */
static void draw_frame_now(struct studio *studio)
{
    struct bytes before = {0};
    struct link *link = terminal_link(studio->terminal);
    erase();
    curs_set(0);
    pictures_begin(studio->pictures, link->level, studio->dirty_by_key ? 0 : link_room(link, studio->now));
    frame_draw(studio);
    if (editing(studio)) curs_set(1);
    wnoutrefresh(stdscr);
    pictures_end(studio->pictures, &before);
    terminal_frame(studio->terminal, before.data, before.length, studio->now);
    bytes_free(&before);
    studio->dirty = pictures_behind(studio->pictures);
    studio->dirty_by_key = false;
    studio->idle_since = studio->now;
}

/* Milliseconds until a frame is due, -1 when none is wanted or the terminal has to take something first. */
static int draw_when_due(struct studio *studio)
{
    struct link *link = terminal_link(studio->terminal);
    size_t unsent = terminal_pending(studio->terminal);
    if (unsent > MOST_UNSENT) return -1;
    if (studio->dirty_by_key) {
        draw_frame_now(studio);
    } else if (studio->dirty && unsent == 0 && link_room(link, studio->now) > 0) {
        int interval = link->level == LINK_SYMBOLS ? link_limits(LINK_SYMBOLS)->interval : FRAME_INTERVAL;
        int left = (int)(studio->idle_since + interval - studio->now);
        if (left > 0) return left;
        draw_frame_now(studio);
    }
    return studio->dirty ? 1000 : -1; /* what is under way wakes the loop */
}

/* One piece at most, and none before the terminal has taken the last: keys are looked for after each. Milliseconds
 * until the next may go, -1 when none waits or the terminal has to take or answer something first. */
static int send_picture(struct studio *studio)
{
    struct link *link = terminal_link(studio->terminal);
    bool ready = terminal_pending(studio->terminal) == 0 && link_room(link, studio->now) > 0;
    if (!ready || studio->dirty_by_key || !pictures_waiting(studio->pictures)) return -1;
    struct bytes piece = {0};
    pictures_next_piece(studio->pictures, editing(studio), &piece);
    if (!editing(studio)) bytes_add_text(&piece, hidden_cursor);
    terminal_picture(studio->terminal, piece.data, piece.length, studio->now);
    bytes_free(&piece);
    return 0;
}

static void loop(struct studio *studio, int signals)
{
    while (!studio->quit) {
        studio->now = clock_milliseconds();
        studio->wall_clock = read_wall_clock();
        int timeout = run_timers(studio);
        enum link_level level = terminal_link(studio->terminal)->level;
        timeout = soonest(timeout, terminal_watch_link(studio->terminal, studio->now));
        if (terminal_link(studio->terminal)->level != level) studio->dirty = true;
        timeout = soonest(timeout, draw_when_due(studio));
        timeout = soonest(timeout, pictures_make(studio->pictures, studio->now));
        timeout = soonest(timeout, send_picture(studio));
        timeout = soonest(timeout, terminal_deadline(studio->terminal, studio->now));
        struct pollfd polls[] = {
            {.fd = terminal_input_descriptor(studio->terminal), .events = POLLIN},
            {.fd = signals, .events = POLLIN},
            {.fd = terminal_pending(studio->terminal) > 0 ? terminal_output_descriptor(studio->terminal) : -1,
             .events = POLLOUT},
            connections_watch(studio->engine),
            connections_watch(studio->live),
            {.fd = pictures_descriptor(studio->pictures), .events = POLLIN},
            {.fd = studio->multiplexer.descriptor, .events = POLLIN},
        };
        if (poll(polls, sizeof polls / sizeof *polls, timeout) < 0 && errno != EINTR) return;
        studio->now = clock_milliseconds();
        if (polls[1].revents) take_signals(studio, signals);
        if (polls[0].revents & POLLIN && !terminal_read(studio->terminal, studio->now)) return;
        if (polls[0].revents & (POLLHUP | POLLERR | POLLNVAL)) return; /* the terminal is gone: the run goes on */
        struct input_event event;
        while (terminal_next_event(studio->terminal, studio->now, &event)) take_event(studio, &event);
        if (polls[2].revents && !terminal_flush(studio->terminal)) return;
        connections_serve(studio, &polls[3], &polls[4]);
        if (pictures_collect(studio->pictures)) studio->dirty = true;
        if (polls[6].revents) graphics_take_multiplexer(studio);
    }
}

static void open_first_screen(struct studio *studio)
{
    studio_go(studio, SCREEN_HOME);
    char socket[200];
    if (studio->options.socket)
        studio_attach(studio, studio->options.socket);
    else if (studio->options.run && connections_socket_of_run(studio->options.run, socket, sizeof socket))
        studio_attach(studio, socket);
    else if (studio->options.run)
        studio_say(studio, MESSAGE_ERROR,
                   "%s: no engine is running there (no readable engine.json). Press 9 to list the runs.",
                   studio->options.run);
    status connected = connections_open(studio);
    if (connected.code != STATUS_OK) {
        snprintf(studio->engine_error, sizeof studio->engine_error, "%s", connected.message);
        studio_say(studio, MESSAGE_ERROR, "%s", connected.message);
    }
    const char *notice = terminal_notice(studio->terminal);
    if (notice && studio->message_level == MESSAGE_NONE) studio_say(studio, MESSAGE_WARNING, "%s", notice);
}

static void free_studio(struct studio *studio)
{
    studio_close_client(studio, &studio->engine);
    studio_close_client(studio, &studio->live);
    pending_requests_free(&studio->requests);
    pages_free(&studio->catalogue_pages);
    pages_free(&studio->runs_pages);
    cJSON_Delete(studio->catalogue);
    cJSON_Delete(studio->runs);
    cJSON_Delete(studio->draft);
    cJSON_Delete(studio->plan);
    cJSON_Delete(studio->start_asked);
    cJSON_Delete(studio->run_settings);
    for (int which = 0; which < 2; which++) {
        cJSON_Delete(studio->file_prompts[which]);
        cJSON_Delete(studio->unticked[which]);
    }
    for (int i = 0; i < studio->undo_count; i++) cJSON_Delete(studio->undo[i].before);
    for (enum screen_id id = 0; id < SCREEN_COUNT; id++) {
        if (studio->views[id] && screen_of(id)->free) screen_of(id)->free(studio);
        free(studio->views[id]);
    }
    pictures_free(studio->pictures);
    multiplexer_close(&studio->multiplexer);
    free(studio);
}

static void make_views(struct studio *studio)
{
    for (enum screen_id id = 0; id < SCREEN_COUNT; id++) {
        size_t bytes = screen_of(id)->view_bytes;
        studio->views[id] = memory_take(1, bytes > 0 ? bytes : 1);
    }
}

status studio_run(const struct studio_options *options)
{
    struct studio *studio = memory_take(1, sizeof *studio);
    studio->options = *options;
    multiplexer_init(&studio->multiplexer);
    const char *wanted = options->pictures;
    if (wanted && strcmp(wanted, "auto") != 0) {
        studio->picture_choice_fixed = true;
        if (!picture_protocol_parse(wanted, &studio->picture_choice)) {
            free(studio);
            return status_error(STATUS_USAGE,
                                "there is no picture format \"%s\"; use auto, kitty, sixel, iterm2, symbols or none",
                                wanted);
        }
    }
    setlocale(LC_CTYPE, "");
    style_set_unicode(strcmp(nl_langinfo(CODESET), "UTF-8") == 0);
    studio->run = run_new();
    studio->pictures = pictures_new();
    studio->mouse = !options->no_mouse;
    make_views(studio);
    if (!studio->pictures) {
        free_studio(studio);
        return status_error(STATUS_FAILED, "could not make what encodes pictures");
    }
    int signals = -1;
    status opened = signals_open(&signals);
    if (opened.code == STATUS_OK) {
        opened = terminal_open((struct terminal_options){.mouse = studio->mouse}, &studio->terminal);
        if (opened.code == STATUS_OK) {
            terminal_link(studio->terminal)->fixed = options->fixed_link;
            studio->now = clock_milliseconds();
            studio->wall_clock = read_wall_clock();
            graphics_apply(studio);
            open_first_screen(studio);
            studio->dirty_by_key = true;
            loop(studio, signals);
            terminal_close(studio->terminal);
        }
        signals_close();
    }
    free_studio(studio);
    return opened;
}
