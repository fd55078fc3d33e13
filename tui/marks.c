/* The two presets or runs that are marked for comparison. */
#include "tui/state.h"

#include <stdio.h>
#include <string.h>

bool studio_is_marked(const struct studio *studio, bool runs, const char *name)
{
    const struct marks *marks = &studio->marks;
    return marks->runs == runs && (strcmp(marks->names[0], name) == 0 || strcmp(marks->names[1], name) == 0);
}

bool studio_has_two_marks(const struct studio *studio)
{
    return studio->marks.names[0][0] != '\0' && studio->marks.names[1][0] != '\0';
}

void studio_mark(struct studio *studio, bool runs, const char *name)
{
    struct marks *marks = &studio->marks;
    if (marks->runs != runs) *marks = (struct marks){.runs = runs};
    for (int i = 0; i < LIST_MARKS; i++) {
        if (strcmp(marks->names[i], name) != 0) continue;
        marks->names[i][0] = '\0';
        return;
    }
    char *place = marks->names[marks->names[0][0] == '\0' ? 0 : 1];
    snprintf(place, sizeof marks->names[0], "%s", name);
    if (studio_has_two_marks(studio)) studio_say(studio, MESSAGE_INFO, "Two are marked. Press 7 to compare them.");
}
