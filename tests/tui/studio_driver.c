/* Starts the front end as the program's commands do, for tests that drive it in a terminal:
 * studio_driver show [--format F] [--width N] FILE...
 * studio_driver studio [--engine SOCKET] [--socket SOCKET] [--run DIR] [--pictures P] [--no-mouse] [--fixed-link] */
#include "tui/studio.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int report(status result)
{
    if (result.code != STATUS_OK) fprintf(stderr, "%s\n", result.message);
    return (int)result.code;
}

static int run_show(int count, char **words)
{
    struct show_options options = {0};
    int at = 0;
    for (; at + 1 < count && words[at][0] == '-'; at += 2) {
        if (strcmp(words[at], "--format") == 0) options.format = words[at + 1];
        if (strcmp(words[at], "--width") == 0) options.width = atoi(words[at + 1]);
    }
    return report(studio_show(&options, count - at, (const char *const *)words + at));
}

static int run_studio(int count, char **words)
{
    struct studio_options options = {0};
    for (int at = 0; at < count; at++) {
        bool more = at + 1 < count;
        if (strcmp(words[at], "--no-mouse") == 0) options.no_mouse = true;
        if (strcmp(words[at], "--fixed-link") == 0) options.fixed_link = true;
        if (more && strcmp(words[at], "--engine") == 0)
            options.engine = words[++at];
        else if (more && strcmp(words[at], "--socket") == 0)
            options.socket = words[++at];
        else if (more && strcmp(words[at], "--run") == 0)
            options.run = words[++at];
        else if (more && strcmp(words[at], "--pictures") == 0)
            options.pictures = words[++at];
    }
    return report(studio_run(&options));
}

int main(int count, char **words)
{
    if (count >= 2 && strcmp(words[1], "show") == 0) return run_show(count - 2, words + 2);
    if (count >= 2 && strcmp(words[1], "studio") == 0) return run_studio(count - 2, words + 2);
    return 2;
}
