/* peft's patterns of modules, translated to POSIX expressions where those mean the same. */
#include "engine/model/adapter_pattern.h"

#include <ctype.h>
#include <regex.h>
#include <string.h>

#include "engine/base/text.h"

enum { PATTERN_LIMIT = 1000 };

/* Patterns are nearly always a path (diffusers writes "^PATH") or its end, in which only '.' means more than itself. */
bool adapter_pattern_is_path(const char *pattern)
{
    for (const char *p = pattern + (pattern[0] == '^'); *p; p++)
        if (!isalnum((unsigned char)*p) && *p != '.' && *p != '_' && *p != '-') return false;
    return true;
}

static bool path_fits(const char *pattern, const char *path)
{
    bool whole = pattern[0] == '^';
    if (whole) pattern++;
    size_t length = strlen(path), size = strlen(pattern);
    if (size > length) return false;
    const char *end = path + length - size;
    for (size_t i = 0; i < size; i++)
        if (pattern[i] != '.' && pattern[i] != end[i]) return false;
    return end == path || (!whole && end[-1] == '.');
}

static status refuse(const char *pattern, const char *what)
{
    return status_error(STATUS_BAD_INPUT, "the pattern '%.200s' has %s, which is not supported", pattern, what);
}

/* A set of letters as both dialects read it; 0 for another. */
static size_t set_length(const char *set)
{
    size_t start = set[1] == '^' ? 2 : 1, length = start;
    while (isalnum((unsigned char)set[length]) || (set[length] && strchr("._-", set[length]))) length++;
    return length > start && set[length] == ']' ? length + 1 : 0;
}

/* The pieces that the two dialects write alike are copied, \d and (?: are translated, the others is refused. */
static status translate(const char *pattern, struct text *posix)
{
    for (const char *p = pattern; *p; p++) {
        if (*p == '{') return refuse(pattern, "a counted repetition");
        if (*p == '(' && p[1] == '?') {
            if (p[2] != ':') return refuse(pattern, "a group with '(?'");
            text_append(posix, "(");
            p += 2;
        } else if (*p == '\\') {
            p++;
            if (*p == 'd')
                text_append(posix, "[0-9]");
            else if (*p == 'w')
                text_append(posix, "[A-Za-z0-9_]");
            else if (*p && !isalnum((unsigned char)*p))
                text_append(posix, "\\%c", *p);
            else
                return refuse(pattern, "an escape");
        } else if (*p == '[') {
            size_t length = set_length(p);
            if (length == 0) return refuse(pattern, "a set of letters");
            text_append(posix, "%.*s", (int)length, p);
            p += length - 1;
        } else if (*p == '+' && p > pattern && strchr("*+?", p[-1])) {
            return refuse(pattern, "a possessive repetition");
        } else {
            text_append(posix, "%c", *p);
        }
    }
    return status_ok();
}

static status expression_fits(const char *pattern, const char *path, bool *fits)
{
    struct text posix = {0};
    text_append(&posix, "^(.*\\.)?(");
    status result = strlen(pattern) <= PATTERN_LIMIT ? translate(pattern, &posix) : refuse(pattern, "too many letters");
    text_append(&posix, ")$");
    regex_t compiled;
    if (result.code == STATUS_OK && regcomp(&compiled, posix.data, REG_EXTENDED | REG_NOSUB) != 0)
        result = refuse(pattern, "a mistake or a form");
    if (result.code == STATUS_OK) {
        *fits = regexec(&compiled, path, 0, NULL, 0) == 0;
        regfree(&compiled);
    }
    text_clear(&posix);
    return result;
}

status adapter_pattern_fits(const char *pattern, const char *path, bool *fits)
{
    if (!adapter_pattern_is_path(pattern)) return expression_fits(pattern, path, fits);
    *fits = path_fits(pattern, path);
    return status_ok();
}
