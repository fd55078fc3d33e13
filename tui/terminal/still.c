/* Strips scrolling and moving from the terminal's description before ncurses reads it. */
#include "tui/terminal/still.h"

#include "tui/pictures/bytes.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curses.h>
#include <term.h> /* names every capability by a macro, so this file uses none of its words */

enum { HEADER = 12, MOST_DESCRIPTION = 32768, MAGIC_16_BIT = 0432, MAGIC_32_BIT = 01036 };

static const char *const moving[] = {"csr", "ind",  "ri",  "indn", "rin",  "il1", "il", "dl1",
                                     "dl",  "ich1", "ich", "smir", "dch1", "dch", NULL};

static int short_at(const unsigned char *at)
{
    return at[0] | at[1] << 8;
}

static bool is_moving(const char *name)
{
    for (int i = 0; moving[i]; i++)
        if (strcmp(moving[i], name) == 0) return true;
    return false;
}

/* The compiled form (term(5)): six shorts, then names, flags, numbers, and for each string its place in a table, -1
 * where the terminal lacks it. */
int still_strip(unsigned char *description, size_t length)
{
    if (length < HEADER) return -1;
    int magic = short_at(description), number_size = magic == MAGIC_32_BIT ? 4 : 2;
    if (magic != MAGIC_16_BIT && magic != MAGIC_32_BIT) return -1;
    size_t flags = (size_t)short_at(description + 2) + (size_t)short_at(description + 4);
    size_t offsets = HEADER + flags + flags % 2 + (size_t)number_size * (size_t)short_at(description + 6);
    size_t count = (size_t)short_at(description + 8);
    if (offsets + 2 * count > length) return -1;
    int taken = 0;
    for (size_t i = 0; i < count && strnames[i]; i++) {
        unsigned char *place = description + offsets + 2 * i;
        if (!is_moving(strnames[i]) || short_at(place) >= 0xfffe) continue;
        place[0] = place[1] = 0xff;
        taken++;
    }
    return taken;
}

static size_t read_file(const char *folder, const char *type, unsigned char *description)
{
    char path[1024];
    for (int form = 0; form < 2; form++) {
        int length = form == 0
                         ? snprintf(path, sizeof path, "%s/%c/%s", folder, type[0], type)
                         : snprintf(path, sizeof path, "%s/%02x/%s", folder, (unsigned)(unsigned char)type[0], type);
        FILE *file = length < (int)sizeof path ? fopen(path, "rb") : NULL;
        if (!file) continue;
        size_t got = fread(description, 1, MOST_DESCRIPTION, file);
        fclose(file);
        if (got > HEADER) return got;
    }
    return 0;
}

static size_t find_description(const char *type, unsigned char *description)
{
    char own[1024] = "";
    const char *home = getenv("HOME"), *given = getenv("TERMINFO");
    if (home) snprintf(own, sizeof own, "%s/.terminfo", home);
    const char *const folders[] = {given,
                                   own,
                                   "/etc/terminfo",
                                   "/lib/terminfo",
                                   "/usr/share/terminfo",
                                   "/usr/lib/terminfo",
                                   "/usr/local/share/terminfo"};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        if (!folders[i] || folders[i][0] != '/') continue;
        size_t length = read_file(folders[i], type, description);
        if (length > 0) return length;
    }
    return 0;
}

char *still_prepare(const char *type)
{
    const char *present = getenv("TERMINFO");
    char *before = present ? strdup(present) : NULL;
    unsigned char *description = malloc(MOST_DESCRIPTION);
    if (!type || type[0] == '\0' || strchr(type, '/') || !description) {
        free(description);
        return before;
    }
    size_t length = find_description(type, description);
    if (length > 0 && still_strip(description, length) > 0) {
        struct bytes text = {0};
        bytes_add_text(&text, "b64:");
        bytes_add_base64(&text, description, length);
        bytes_add(&text, "", 1);
        if (!text.failed) setenv("TERMINFO", text.data, 1);
        bytes_free(&text);
    }
    free(description);
    return before;
}

void still_restore(char *before)
{
    if (before)
        setenv("TERMINFO", before, 1);
    else
        unsetenv("TERMINFO");
    free(before);
}
