/* The studio on a pseudo terminal: start, replies, ends of every kind, and links of every speed. */
#include "pseudo_terminal.h"

#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static bool same_settings(const struct session *session)
{
    struct termios now;
    if (tcgetattr(session->slave, &now) != 0) return false;
    return now.c_iflag == session->before.c_iflag && now.c_oflag == session->before.c_oflag &&
           now.c_cflag == session->before.c_cflag && now.c_lflag == session->before.c_lflag &&
           memcmp(now.c_cc, session->before.c_cc, sizeof now.c_cc) == 0;
}

/* The last thing said about the screen is to leave it and to show the cursor. */
static bool screen_is_left(const struct session *session)
{
    const char *data = session->output.data;
    size_t length = session->output.length;
    ssize_t entered = -1, left = -1, hidden = -1, shown = -1;
    for (size_t at = 0; at + 8 <= length; at++) {
        if (memcmp(data + at, "\033[?1049h", 8) == 0) entered = (ssize_t)at;
        if (memcmp(data + at, "\033[?1049l", 8) == 0) left = (ssize_t)at;
    }
    for (size_t at = 0; at + 6 <= length; at++) {
        if (memcmp(data + at, "\033[?25l", 6) == 0) hidden = (ssize_t)at;
        if (memcmp(data + at, "\033[?25h", 6) == 0 || (at + 8 < length && memcmp(data + at, "\033[?12l\033", 7) == 0))
            shown = (ssize_t)at;
    }
    return left > entered && shown > hidden;
}

static bool control_strings_are_ended(const struct session *session)
{
    bool open = false;
    for (size_t at = 0; at + 1 < session->output.length; at++) {
        const char *text = session->output.data + at;
        if (text[0] == 27 && (text[1] == 'P' || text[1] == '_' || text[1] == ']')) open = true;
        if ((text[0] == 27 && text[1] == '\\') || text[0] == 7) open = false;
    }
    return !open;
}

static void complaint_04_a_silent_terminal_gets_its_screen_at_once(void **state)
{
    (void)state;
    struct session session;
    session_open(&session, NULL);
    session.silent = true;
    int64_t start = clock_milliseconds();
    session_start_studio(&session, 24, 80, false, "xterm-256color");
    assert_true(session_wait(&session, 0, "Start from a preset", 2000));
    printf("first screen after %d ms\n", (int)(clock_milliseconds() - start));
    session_type(&session, "\003");
    int result = session_end(&session, 3000);
    assert_true(WIFEXITED(result) && WEXITSTATUS(result) == 0);
    assert_true(same_settings(&session));
    assert_true(screen_is_left(&session));
    session_close(&session);
}

/* A terminal that takes text only gets a sentence: no question, no colour, no other escape. */
static void complaint_04_a_dumb_terminal_gets_a_sentence(void **state)
{
    (void)state;
    static const char picture[] = GOLDEN_FOLDER "/pictures/rgb-8.png";
    static const char *const formats[] = {NULL, "symbols"};
    struct session session;
    session_open(&session, NULL);
    session_start_studio(&session, 24, 80, false, "dumb");
    int result = session_end(&session, PATIENCE);
    assert_true(WIFEXITED(result) && WEXITSTATUS(result) == 1);
    assert_true(session_wait(&session, 0, "(TERM=dumb) takes text only", 1000));
    assert_null(memchr(session.output.data, 27, session.output.length));
    assert_true(same_settings(&session));
    session_close(&session);
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        const char *words[] = {
            getenv("STUDIO_DRIVER"), "show", formats[i] ? "--format" : picture, formats[i], picture, NULL};
        session_prepare(&session);
        session_start_program(&session, 24, 80, "dumb", words);
        result = session_end(&session, PATIENCE);
        assert_true(WIFEXITED(result) && WEXITSTATUS(result) == 0);
        assert_true(session.output.length > 0);
        assert_null(memchr(session.output.data, 27, session.output.length));
        session_close(&session);
    }
}

static void complaint_05_late_replies_reach_neither_field_nor_shell(void **state)
{
    (void)state;
    struct session session;
    session_open(&session, NULL);
    session.silent = true;
    session_start_studio(&session, 24, 80, false, "xterm-256color");
    assert_true(session_wait(&session, 0, "A run is active", PATIENCE));
    session_type(&session, "he");
    session_pump(&session, 200);
    session_type(&session, "S\025"); /* the prompt for a name, emptied */
    session_pump(&session, 4500);
    static const char device[] = "\033[?62;4;22c", name[] = "good park dog";
    size_t typed = 0;
    session_type(&session, "go");
    for (typed = 2; typed < 4; typed++) session_type(&session, (char[]){name[typed], 0});
    for (size_t at = 0; device[at] != '\0'; at++) {
        session_type(&session, (char[]){device[at], 0});
        session_pump(&session, 60);
        if (at >= 2 && typed < strlen(name)) session_type(&session, (char[]){name[typed++], 0});
        session_pump(&session, 40);
    }
    for (; typed < strlen(name); typed++) session_type(&session, (char[]){name[typed], 0});
    session_pump(&session, 200);
    session_type(&session, "\r");
    for (int tries = 0; tries < 100 && !session_requested(&session, "\"name\":\"good park dog\""); tries++)
        session_pump(&session, 100);
    assert_true(session_requested(&session, "\"name\":\"good park dog\""));
    session_type(&session, "q");
    int result = session_end(&session, 4000);
    assert_true(WIFEXITED(result));
    int waiting = -1;
    assert_int_equal(ioctl(session.slave, FIONREAD, &waiting), 0);
    assert_int_equal(waiting, 0);
    session_close(&session);
}

/* A reply that comes just as the program leaves is not left for the shell. */
static void complaint_05_replies_at_the_end(void **state)
{
    (void)state;
    struct session session;
    session_open(&session, NULL);
    session.delay = 120;
    session_start_studio(&session, 24, 80, false, "xterm-256color");
    session_pump(&session, 150);
    session_type(&session, "\003");
    int result = session_end(&session, 4000);
    assert_true(WIFEXITED(result));
    int waiting = -1;
    assert_int_equal(ioctl(session.slave, FIONREAD, &waiting), 0);
    assert_int_equal(waiting, 0);
    session_close(&session);
}

static void ends_by_signal(int number, bool kills)
{
    struct session session;
    session_open(&session, NULL);
    session.sixel = true;
    session_start_studio(&session, 24, 80, true, "xterm-256color");
    assert_true(session_wait(&session, 0, "\033P", PATIENCE));
    kill(session.studio, number);
    int result = session_end(&session, 4000);
    assert_int_not_equal(result, -1);
    if (kills)
        assert_true(WIFSIGNALED(result) && WTERMSIG(result) == number);
    else
        assert_true(WIFEXITED(result));
    assert_true(same_settings(&session));
    assert_true(screen_is_left(&session));
    assert_true(control_strings_are_ended(&session));
    assert_int_equal(kill(session.engine, 0), 0);
    session_close(&session);
}

static void complaint_17_the_terminal_is_restored(void **state)
{
    (void)state;
    ends_by_signal(SIGTERM, false);
    ends_by_signal(SIGHUP, false);
    ends_by_signal(SIGABRT, true);
}

static void complaint_17_also_when_the_terminal_had_stopped_reading(void **state)
{
    (void)state;
    struct session session;
    session_open(&session, NULL);
    session.sixel = true;
    session_start_studio(&session, 50, 160, true, "xterm-256color");
    assert_true(session_wait(&session, 0, "\033P", PATIENCE));
    usleep(700000); /* nobody reads: a picture is stuck half way */
    kill(session.studio, SIGTERM);
    usleep(700000);
    int result = session_end(&session, 5000);
    assert_true(WIFEXITED(result));
    assert_true(control_strings_are_ended(&session));
    assert_true(screen_is_left(&session));
    assert_true(same_settings(&session));
    session_close(&session);
}

static size_t occurrences(const struct session *session, size_t from, const char *text);

/* The output is read on for a moment after the file is there: what was written before it has arrived then. */
static bool file_appears(struct session *session, const char *path)
{
    for (int tries = 0; tries < 400 && access(path, F_OK) != 0; tries++) session_pump(session, 50);
    session_pump(session, 50);
    return access(path, F_OK) == 0;
}

static void expect_same_files(const char *first, const char *second)
{
    char command[600];
    snprintf(command, sizeof command, "cmp %s %s", first, second);
    assert_int_equal(system(command), 0);
}

/* Ctrl-Z under a shell with job control: the terminal is the shell's again, as it was; after `fg` the pictures are
 * back. */
static void complaint_17_stopped_and_continued(void **state)
{
    (void)state;
    struct session session;
    session_open(&session, NULL);
    session.sixel = true;
    char script[1500], path[3][100];
    static const char *const names[] = {"before", "stopped", "after"};
    for (int i = 0; i < 3; i++) snprintf(path[i], sizeof path[i], "%s/%s", session.folder, names[i]);
    /* A file has its name only once it is whole; the shell goes on when the test has looked. */
    snprintf(script, sizeof script,
             "settings() { stty -a >$1.part; mv $1.part $1; }; set -m; settings %s; "
             "$STUDIO_DRIVER studio --engine %s --socket %s; settings %s; until [ -e %s/go ]; do sleep 0.1; done; fg; "
             "settings %s",
             path[0], session.socket_path, session.socket_path, path[1], session.folder, path[2]);
    const char *words[] = {"/bin/sh", "-c", script, NULL};
    session_start_program(&session, 40, 120, "xterm-256color", words);
    assert_true(session_wait(&session, 0, "\033P", PATIENCE));
    session_pump(&session, 500);
    session_type(&session, "\032");
    assert_true(file_appears(&session, path[1]));
    assert_true(screen_is_left(&session));
    assert_true(control_strings_are_ended(&session));
    expect_same_files(path[0], path[1]);
    size_t from = session.output.length;
    snprintf(script, sizeof script, "%s/go", session.folder);
    int go = creat(script, 0600);
    assert_true(go >= 0 && close(go) == 0);
    assert_true(session_wait(&session, from, "\033P", PATIENCE));
    session_pump(&session, 500);
    assert_int_equal(occurrences(&session, from, "\033[?1049h"), 1);
    session_type(&session, "\003");
    session_pump(&session, 200);
    session_type(&session, "d");
    assert_true(file_appears(&session, path[2]));
    expect_same_files(path[0], path[2]);
    assert_true(screen_is_left(&session));
    session_close(&session);
}

static void complaint_15_a_hang_up_ends_the_studio_not_the_run(void **state)
{
    (void)state;
    struct session session;
    static const char *const words[] = {"--every", "1000", NULL};
    session_open(&session, words);
    session_start_studio(&session, 24, 80, true, "xterm-256color");
    assert_true(session_wait(&session, 0, "step 40", PATIENCE));
    close(session.slave);
    close(session.master);
    session.master = session.slave = 0;
    int result = 0;
    pid_t ended = 0;
    for (int tries = 0; tries < 300 && ended == 0; tries++) {
        usleep(10000);
        ended = waitpid(session.studio, &result, WNOHANG);
    }
    assert_int_equal(ended, session.studio);
    session.studio = 0;
    assert_int_equal(kill(session.engine, 0), 0);
    assert_false(session_requested(&session, "\"stop\""));
    session_close(&session);
}

static void a_dead_engine_is_reported_with_its_last_words(void **state)
{
    (void)state;
    struct session session;
    session_open(&session, NULL);
    session_start_studio(&session, 40, 120, true, "xterm-256color");
    assert_true(session_wait(&session, 0, "step 40", PATIENCE));
    kill(session.engine, SIGKILL);
    assert_true(session_wait(&session, 0, "engine lost", 3000));
    assert_true(session_wait(&session, 0, "the system killed the engine", 3000));
    session_type(&session, "q");
    int result = session_end(&session, 3000);
    assert_true(WIFEXITED(result));
    session_close(&session);
}

static void complaint_12_any_size_is_survived(void **state)
{
    (void)state;
    struct session session;
    static const char *const words[] = {"--every", "400", NULL};
    static const int sizes[][2] = {{1, 1},     {3, 5},    {23, 80},  {24, 79}, {24, 80},
                                   {200, 500}, {10, 300}, {60, 200}, {2, 200}, {40, 100}};
    session_open(&session, words);
    session.sixel = true;
    session_start_studio(&session, 24, 80, true, "xterm-256color");
    assert_true(session_wait(&session, 0, "step 4", PATIENCE));
    for (size_t i = 0; i < 2 * (sizeof sizes / sizeof *sizes); i++) {
        const int *wanted = sizes[i % (sizeof sizes / sizeof *sizes)];
        struct winsize size = {.ws_row = (unsigned short)wanted[0],
                               .ws_col = (unsigned short)wanted[1],
                               .ws_xpixel = (unsigned short)(wanted[1] * 8),
                               .ws_ypixel = (unsigned short)(wanted[0] * 16)};
        ioctl(session.master, TIOCSWINSZ, &size);
        session_type(&session, i % 3 == 0 ? "6" : i % 3 == 1 ? "2" : "?");
        session_pump(&session, 120);
        assert_int_equal(waitpid(session.studio, NULL, WNOHANG), 0);
    }
    session_type(&session, "\003");
    session_pump(&session, 200);
    session_type(&session, "d");
    int result = session_end(&session, 4000);
    assert_true(WIFEXITED(result));
    session_close(&session);
}

static void complaint_13_an_unknown_terminal_still_opens(void **state)
{
    (void)state;
    struct session session;
    session_open(&session, NULL);
    session_start_studio(&session, 24, 80, false, "xterm-nobody-knows");
    assert_true(session_wait(&session, 0, "no description of the terminal", PATIENCE));
    assert_true(session_wait(&session, 0, "A run is active", PATIENCE));
    session_type(&session, "hq");
    assert_true(WIFEXITED(session_end(&session, 3000)));
    session_close(&session);
}

static void complaint_11_the_mouse_can_be_let_go(void **state)
{
    (void)state;
    struct session session;
    session_open(&session, NULL);
    session_start_studio(&session, 24, 80, false, "xterm-256color");
    assert_true(session_wait(&session, 0, "\033[?1002h", PATIENCE));
    assert_true(session_wait(&session, 0, "A run is active", PATIENCE));
    size_t from = session.output.length;
    session_type(&session, "hM");
    assert_true(session_wait(&session, from, "\033[?1002l", PATIENCE));
    /* With the mouse on, a click on the footer's word does what the key does. */
    session_type(&session, "M");
    session_pump(&session, 100);
    from = session.output.length;
    session_type(&session, "\033[<0;15;24M"); /* "e" of the footer */
    assert_true(session_wait(&session, from, "learning rate", PATIENCE));
    session_type(&session, "q");
    assert_true(WIFEXITED(session_end(&session, 3000)));
    session_close(&session);
}

static size_t occurrences(const struct session *session, size_t from, const char *text)
{
    size_t count = 0, length = strlen(text);
    for (size_t at = from; at + length <= session->output.length; at++)
        count += memcmp(session->output.data + at, text, length) == 0;
    return count;
}

/* Nothing is drawn while nothing changes; a picture that changes is written over the old one, never erased first, and
 * those that stand are not sent again. */
static void complaint_01_no_flicker(void **state)
{
    (void)state;
    struct session session;
    session_open(&session, NULL);
    session.sixel = true;
    session_start_studio(&session, 40, 120, true, "xterm-256color");
    assert_true(session_wait(&session, 0, "\033P", PATIENCE));
    assert_true(session_settle(&session, 2500));
    size_t from = session.output.length;
    session_pump(&session, 2000);
    assert_int_equal(session.output.length, from);
    session_close(&session);

    static const char *const words[] = {"--every", "1000", "--step", "41", NULL};
    session_open(&session, words);
    session.sixel = true;
    session_start_studio(&session, 40, 120, true, "xterm-256color");
    assert_true(session_wait(&session, 0, "\033P", PATIENCE));
    session_pump(&session, 2500);
    from = session.output.length;
    assert_true(session_wait(&session, from, "\033P", PATIENCE));
    session_pump(&session, 2500); /* frames of a denoising come in all the while */
    assert_true(occurrences(&session, from, "\033P") >= 3);
    assert_int_equal(occurrences(&session, from, "\033[2J"), 0);
    assert_int_equal(occurrences(&session, from, "\033[J"), 0);
    /* The base model's picture, at the upper left, stays as it is. */
    assert_true(occurrences(&session, 0, "\033[3;2H\033P") >= 1);
    assert_int_equal(occurrences(&session, from, "\033[3;2H\033P"), 0);
    session_close(&session);
}

/* A tmux that does not say it draws sixels gets symbols, one that does gets sixels, and neither gets kitty's. */
static void complaint_03_what_works_in_tmux(void **state)
{
    (void)state;
    for (int sixel = 0; sixel < 2; sixel++) {
        struct session session;
        session_open(&session, NULL);
        session.sixel = sixel == 1;
        session_start_studio(&session, 40, 120, true, "tmux-256color");
        assert_true(session_wait(&session, 0, sixel ? "\033P" : "\u2598", PATIENCE));
        session_pump(&session, 500);
        assert_int_equal(occurrences(&session, 0, "\033Pq") + occurrences(&session, 0, "\033P0") > 0, sixel);
        assert_int_equal(occurrences(&session, 0, "\033_Ga=T"), 0);
        session_close(&session);
    }
}

/* The channels of a colour of 256, as xterm has them. */
static void color_channels(int color, double channels[3])
{
    static const int cube[6] = {0, 95, 135, 175, 215, 255};
    for (int channel = 0; channel < 3; channel++) {
        static const int divisors[3] = {36, 6, 1};
        channels[channel] =
            (color >= 232 ? 8 + 10 * (color - 232) : cube[(color - 16) / divisors[channel] % 6]) / 255.0;
    }
}

static double luminance(const double channels[3])
{
    static const double shares[3] = {0.2126, 0.7152, 0.0722};
    double sum = 0;
    for (int channel = 0; channel < 3; channel++) {
        double value = channels[channel];
        sum += shares[channel] * (value <= 0.04045 ? value / 12.92 : pow((value + 0.055) / 1.055, 2.4));
    }
    return sum;
}

static double contrast(double first, double second)
{
    return first > second ? (first + 0.05) / (second + 0.05) : (second + 0.05) / (first + 0.05);
}

/* Follows the colours that are set and checks those that text is written in; the number of colours seen. */
static int check_colors(const struct session *session, size_t from, double ground, double least)
{
    int seen = 0, front = -1, back = -1;
    for (size_t at = from; at + 2 < session->output.length; at++) {
        const char *text = session->output.data + at;
        if (text[0] == 27 && text[1] == '(') {
            at += 2;
            continue;
        }
        if (text[0] != 27 || text[1] != '[') {
            bool letter = (unsigned char)text[0] > 32 && (unsigned char)text[0] < 127 && text[-1] != 27 && front >= 16;
            if (!letter) continue;
            double channels[3], behind = ground;
            if (back >= 16) color_channels(back, channels), behind = luminance(channels);
            color_channels(front, channels);
            if (contrast(luminance(channels), behind) < least)
                fail_msg("\"%.12s\" in colour %d on %d: contrast %.2f", text, front, back,
                         contrast(luminance(channels), behind));
            seen++;
            continue;
        }
        char *end = NULL;
        int color = (int)strtol(text + 7, &end, 10);
        if (strncmp(text, "\033[38;5;", 7) == 0) front = color;
        if (strncmp(text, "\033[48;5;", 7) == 0) back = color;
        size_t skip = strcspn(text + 2, "ABCDGHJKXdfhlmnrtX@");
        if (text[2 + skip] == 'm' &&
            (strncmp(text, "\033[39", 4) == 0 || strncmp(text, "\033[m", 3) == 0 || strncmp(text, "\033[0", 4) == 0))
            front = -1;
        if (text[2 + skip] == 'm' &&
            (memmem(text, skip + 2, "49", 2) || strncmp(text, "\033[m", 3) == 0 || strncmp(text, "\033[0", 4) == 0))
            back = -1;
        at += skip + 2;
    }
    return seen;
}

/* On a light and on a dark ground every colour that words are written in stands off it; with NO_COLOR there is none. */
static void complaint_14_readable_on_any_background(void **state)
{
    (void)state;
    static const struct {
        const char *answer;
        double luminance;
    } grounds[] = {{"rgb:ffff/ffff/ffff", 1}, {"rgb:fdfd/f6f6/e3e3", 0.92}, {"rgb:0000/0000/0000", 0}, {NULL, 0}};
    for (size_t i = 0; i < sizeof grounds / sizeof *grounds; i++) {
        struct session session;
        session_open(&session, NULL);
        session.background = grounds[i].answer;
        if (!grounds[i].answer) setenv("NO_COLOR", "1", 1);
        session_start_studio(&session, 40, 120, true, "xterm-256color");
        unsetenv("NO_COLOR");
        assert_true(session_wait(&session, 0, "step 40", PATIENCE));
        session_pump(&session, 800);
        size_t from = session.output.length;
        session_type(&session, "P"); /* no pictures: their colours are their own */
        session_pump(&session, 200);
        for (const char *key = "1234567890"; *key; key++) {
            session_type(&session, (char[]){*key, 12, 0});
            assert_true(session_settle(&session, 150));
        }
        session_type(&session, "2?");
        session_pump(&session, 150);
        session_type(&session, "\f");
        assert_true(session_settle(&session, 150));
        if (grounds[i].answer) {
            assert_true(check_colors(&session, from, grounds[i].luminance, 3.0) > 1000);
        } else {
            assert_int_equal(occurrences(&session, 0, "\033[38;5;"), 0);
            assert_int_equal(occurrences(&session, 0, "\033[48;5;"), 0);
        }
        session_close(&session);
    }
}

static int requests_with(const struct session *session, const char *text)
{
    FILE *file = fopen(session->request_log, "r");
    char line[8192];
    int count = 0;
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) count += strstr(line, text) != NULL;
    fclose(file);
    return count;
}

/* While the answer for changed settings comes and takes the place of what was offered before. */
static void a_remedy_is_taken_whenever_its_key_comes(void **state)
{
    (void)state;
    struct session session;
    session_open(&session, NULL);
    session_start_studio(&session, 40, 120, false, "xterm-256color");
    assert_true(session_wait(&session, 0, "A run is active", PATIENCE));
    session_type(&session, "he");
    assert_true(session_wait(&session, 0, "learning rate", PATIENCE));
    session_type(&session, "/batch\r");
    for (int number = 0; number < 8; number++) {
        session_type(&session, "g\r\02550\r"); /* a batch of 50, which does not fit */
        session_pump(&session, 700);
        int before = requests_with(&session, "\"batch\":8,");
        session_type(&session, "\033[C"); /* 51, planned after a pause of 250 milliseconds */
        session_pump(&session, 235);
        session_type(&session, "\033[B"); /* drawn at once: the frame of the answer then has to wait a little */
        session_pump(&session, 20 + 4 * number);
        session_type(&session, "a"); /* a batch of 8 */
        for (int tries = 0; tries < 100 && requests_with(&session, "\"batch\":8,") == before; tries++)
            session_pump(&session, 50);
        assert_true(requests_with(&session, "\"batch\":8,") > before);
    }
    session_type(&session, "\003");
    assert_true(WIFEXITED(session_end(&session, 4000)));
    session_close(&session);
}

static double processor_seconds(pid_t process)
{
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)process);
    FILE *file = fopen(path, "r");
    size_t length = file ? fread(text, 1, sizeof text - 1, file) : 0;
    if (file) fclose(file);
    text[length] = '\0';
    const char *end = strrchr(text, ')');
    unsigned long user = 0, system_time = 0;
    if (!end || sscanf(end + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system_time) != 2)
        return -1;
    return (double)(user + system_time) / (double)sysconf(_SC_CLK_TCK);
}

static void an_idle_studio_rests(void **state)
{
    (void)state;
    struct session session;
    session_open(&session, NULL);
    session.sixel = true;
    session_start_studio(&session, 40, 120, true, "xterm-256color");
    assert_true(session_wait(&session, 0, "step 40", PATIENCE));
    assert_true(session_settle(&session, 1500));
    double before = processor_seconds(session.studio);
    session_pump(&session, 3000);
    double used = processor_seconds(session.studio) - before;
    assert_true(used <= 0.03); /* a hundredth of a core over three seconds */
    session_type(&session, "q");
    session_pump(&session, 200);
    session_type(&session, "d");
    session_end(&session, 3000);
    session_close(&session);
}

static int compare_times(const void *left, const void *right)
{
    return *(const int *)left - *(const int *)right;
}

/* A process that gives back every byte: what a key costs on this machine, as loaded as it is now, without a studio. */
struct mirror {
    pid_t process;
    int there, back;
};

static struct mirror mirror_start(void)
{
    int there[2], back[2];
    assert_int_equal(pipe(there) + pipe(back), 0);
    pid_t process = fork();
    if (process == 0) {
        char byte;
        close(there[1]);
        while (read(there[0], &byte, 1) == 1 && write(back[1], &byte, 1) == 1) continue;
        _exit(0);
    }
    close(there[0]);
    close(back[1]);
    return (struct mirror){process, there[1], back[0]};
}

static int mirror_delay(const struct mirror *mirror)
{
    char byte = 'x';
    int64_t start = clock_milliseconds();
    assert_int_equal(write(mirror->there, &byte, 1) + read(mirror->back, &byte, 1), 2);
    return (int)(clock_milliseconds() - start);
}

static void mirror_end(struct mirror *mirror)
{
    close(mirror->there);
    close(mirror->back);
    waitpid(mirror->process, NULL, 0);
}

struct delays {
    int studio, machine; /* 95th percentiles in milliseconds */
};

/* Types letters into the palette while previews come in, and takes the time until each is on the screen. */
static struct delays typing_delay(struct session *session, int samples)
{
    int times[64], others[64];
    struct mirror mirror = mirror_start();
    session_type(session, ":");
    session_pump(session, 2 * session->delay + 500);
    for (int i = 0; i < samples; i++) {
        /* Cyrillic: no byte of a picture and nothing else on the screen looks like it. */
        char key[3] = {(char)0xd0, (char)(0xb0 + i % 16), 0};
        size_t from = session->output.length;
        int64_t start = clock_milliseconds();
        session_type(session, key);
        if (!session_wait(session, from, key, PATIENCE)) fail_msg("key %s never came to the screen", key);
        times[i] = (int)(clock_milliseconds() - start);
        others[i] = mirror_delay(&mirror);
        session_pump(session, 120 + 37 * (i % 5));
        session_type(session, "\025");
        session_pump(session, 2 * session->delay + 300);
    }
    mirror_end(&mirror);
    qsort(times, (size_t)samples, sizeof *times, compare_times);
    qsort(others, (size_t)samples, sizeof *others, compare_times);
    return (struct delays){times[(samples - 1) * 95 / 100], others[(samples - 1) * 95 / 100]};
}

/* The test's own turns between reading and writing, and those that the machine's load takes of a key's three ways. */
static int allowance(struct delays delays)
{
    return 40 + 3 * delays.machine;
}

/* Timings do not decide the suite, where other programs may take the processor: bars are three times what is held to
 * with STRICT=1. The measured times are printed either way. */
static int bar(int milliseconds)
{
    return getenv("STRICT") ? milliseconds : 3 * milliseconds;
}

/* Milliseconds until the last pixels came; ends when none have come for 6 seconds, or after 40. */
static int pixels_last(struct session *session)
{
    int64_t start = clock_milliseconds(), last = start;
    while (clock_milliseconds() < last + 6000 && clock_milliseconds() < start + 40000) {
        size_t from = session->output.length;
        session_pump(session, 200);
        if (occurrences(session, from, "\033P") > 0) last = clock_milliseconds();
    }
    return (int)(last - start);
}

static void complaint_18_keys_on_a_slow_link(void **state)
{
    (void)state;
    struct session session;
    static const char *const words[] = {"--every", "2000", NULL};
    session_open(&session, words);
    session.sixel = true;
    session.delay = 150;
    session.rate = 250e3; /* 2 Mbit/s */
    session_start_studio(&session, 40, 120, true, "xterm-256color");
    assert_true(session_wait(&session, 0, "step 4", PATIENCE));
    session_pump(&session, 3000);
    struct delays fast = typing_delay(&session, 24);
    printf("2 Mbit/s, 300 ms round trip: 95th percentile %d ms, of the machine %d ms\n", fast.studio, fast.machine);
    assert_true(fast.studio <= bar(300 + 100) + allowance(fast));
    session_type(&session, "\033");
    session_pump(&session, 1000);
    session.rate = 7e3; /* 56 kbit/s from here on: the level has to follow */
    int follows = pixels_last(&session);
    printf("from 2 Mbit/s to 56 kbit/s: the last pixels after %d ms\n", follows);
    assert_true(follows <= bar(10000));
    size_t from = session.output.length;
    session_pump(&session, 3000);
    assert_true(session.output.length > from); /* the previews go on, as symbols */
    struct delays slow = typing_delay(&session, 16);
    printf("56 kbit/s, 300 ms round trip: 95th percentile %d ms, of the machine %d ms\n", slow.studio, slow.machine);
    assert_true(slow.studio <= bar(300 + 250) + allowance(slow));
    session_type(&session, "\033");
    session.rate = 1e6; /* 8 Mbit/s: pixels again */
    int64_t start = clock_milliseconds();
    assert_true(session_wait(&session, session.output.length, "\033P", bar(10000)));
    printf("from 56 kbit/s to 8 Mbit/s: pixels after %d ms\n", (int)(clock_milliseconds() - start));
    session_close(&session);
}

int main(int count, char **words)
{
    if (count > 1) cmocka_set_test_filter(words[1]);
    unsetenv("NO_COLOR");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(complaint_01_no_flicker),
        cmocka_unit_test(complaint_03_what_works_in_tmux),
        cmocka_unit_test(complaint_14_readable_on_any_background),
        cmocka_unit_test(complaint_04_a_silent_terminal_gets_its_screen_at_once),
        cmocka_unit_test(complaint_04_a_dumb_terminal_gets_a_sentence),
        cmocka_unit_test(complaint_05_late_replies_reach_neither_field_nor_shell),
        cmocka_unit_test(complaint_05_replies_at_the_end),
        cmocka_unit_test(complaint_17_the_terminal_is_restored),
        cmocka_unit_test(complaint_17_also_when_the_terminal_had_stopped_reading),
        cmocka_unit_test(complaint_17_stopped_and_continued),
        cmocka_unit_test(complaint_15_a_hang_up_ends_the_studio_not_the_run),
        cmocka_unit_test(a_dead_engine_is_reported_with_its_last_words),
        cmocka_unit_test(complaint_12_any_size_is_survived),
        cmocka_unit_test(complaint_13_an_unknown_terminal_still_opens),
        cmocka_unit_test(complaint_11_the_mouse_can_be_let_go),
        cmocka_unit_test(a_remedy_is_taken_whenever_its_key_comes),
        cmocka_unit_test(an_idle_studio_rests),
        cmocka_unit_test(complaint_18_keys_on_a_slow_link),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
