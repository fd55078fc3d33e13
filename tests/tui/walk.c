/* Random keys, texts, mouse events and sizes from a seed. */
#include "walk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

void walk_resize(struct session *session, int rows, int columns)
{
    struct winsize size = {.ws_row = (unsigned short)rows,
                           .ws_col = (unsigned short)columns,
                           .ws_xpixel = (unsigned short)(columns * 8),
                           .ws_ypixel = (unsigned short)(rows * 16)};
    ioctl(session->master, TIOCSWINSZ, &size);
}

static const char *pick(const char *const *choices, size_t count, unsigned *seed)
{
    return choices[(unsigned)rand_r(seed) % count];
}

static void walk_key(struct session *session, unsigned *seed)
{
    static const char *const keys[] = {
        "1",  "2",  "3",    "4",      "5",      "6",      "7",      "8",      "9",       "0",        "h", "j",
        "k",  "l",  "H",    "L\033",  "\033[A", "\033[B", "\033[C", "\033[D", "\033[5~", "\033[6~",  "g", "G",
        "\t", "\r", "\033", "\033[Z", "b",      "B",      "v",      "n",      "z",       "x",        "o", "s",
        "p",  "S",  "u",    "e",      "a\033",  " ",      "M",      "P",      "W\033",   "R\033",    "t", "y",
        "\f", "?",  "?j",   "?\033",  ":",      ":\033",  "/",      "/\033",  "=\033",   "\033[1;2C"};
    session_type(session, pick(keys, sizeof keys / sizeof *keys, seed));
}

/* Words for whatever field is open; without one they are keys too. */
static void walk_text(struct session *session, unsigned *seed)
{
    static const char *const texts[] = {":timel\r",
                                        ":gri\033",
                                        "/cat\r",
                                        "/\025\r",
                                        "=0.5\r",
                                        "=nonsense\r\033",
                                        "a\xe4\xb8\x89 cats\r",
                                        "ae\xcc\x81\xcc\x82\xf0\x9f\x90\xb1\r",
                                        "S!! \033",
                                        "L0.002\r",
                                        "f/nowhere\r\033",
                                        "\033[200~one cat\ntwo cats\n\x1b[31mthree\033[201~\033"};
    session_type(session, pick(texts, sizeof texts / sizeof *texts, seed));
}

static void walk_mouse(struct session *session, unsigned *seed)
{
    char text[64];
    int row = 1 + (int)((unsigned)rand_r(seed) % 30), column = 1 + (int)((unsigned)rand_r(seed) % 110);
    static const int buttons[] = {0, 0, 32, 64, 65};
    int button = buttons[(unsigned)rand_r(seed) % 5];
    snprintf(text, sizeof text, "\033[<%d;%d;%dM\033[<%d;%d;%dm", button, column, row, button, column, row);
    session_type(session, text);
}

void walk_step(struct session *session, unsigned *seed)
{
    static const int sizes[][2] = {{24, 80}, {36, 100}, {40, 120}, {60, 200}, {30, 90}, {20, 60}};
    unsigned choice = (unsigned)rand_r(seed) % 100;
    if (choice < 80) {
        walk_key(session, seed);
    } else if (choice < 88) {
        walk_text(session, seed);
    } else if (choice < 95) {
        walk_mouse(session, seed);
    } else {
        const int *size = sizes[(unsigned)rand_r(seed) % (sizeof sizes / sizeof *sizes)];
        walk_resize(session, size[0], size[1]);
    }
}
