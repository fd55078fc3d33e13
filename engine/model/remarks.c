/* A list of remarks without doubles. */
#include "engine/model/remarks.h"

#include "engine/base/range.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int remarks_kept(const struct remarks *remarks)
{
    return min_int(remarks->count, REMARKS_LIMIT);
}

static void add_line(struct remarks *remarks, const char *line)
{
    for (int i = 0; i < remarks_kept(remarks); i++)
        if (strcmp(remarks->lines[i], line) == 0) return;
    if (remarks->count < REMARKS_LIMIT) snprintf(remarks->lines[remarks->count], REMARK_SIZE, "%s", line);
    remarks->count++;
}

void remarks_add(struct remarks *remarks, const char *format, ...)
{
    char line[REMARK_SIZE];
    va_list arguments;
    if (!remarks) return;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    add_line(remarks, line);
}

void remarks_add_all(struct remarks *remarks, const struct remarks *others)
{
    for (int i = 0; i < remarks_kept(others); i++) add_line(remarks, others->lines[i]);
}
