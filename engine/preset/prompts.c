/* Reads prompt lists from lines, CSV and TSV tables, JSON and JSON lines. */
#include "engine/preset/prompts.h"

#include "engine/base/files.h"
#include "engine/base/json.h"
#include "engine/base/memory.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void prompt_list_clear(struct prompt_list *list)
{
    for (int i = 0; i < list->count; i++) free(list->texts[i]);
    free(list->texts);
    *list = (struct prompt_list){0};
}

bool prompt_is_held_out(const char *prompt)
{
    uint64_t hash = 0xCBF29CE484222325u; /* FNV-1a, 64 bits */
    for (; *prompt; prompt++) hash = (hash ^ (unsigned char)*prompt) * 0x100000001B3u;
    /* FNV leaves the upper bits of short texts alike; this is the finaliser of splitmix64. */
    hash = (hash ^ (hash >> 30)) * 0xBF58476D1CE4E5B9u;
    hash = (hash ^ (hash >> 27)) * 0x94D049BB133111EBu;
    return (hash ^ (hash >> 31)) % 8 == 0;
}

static bool has_capacity(const struct prompt_list *list)
{
    return list->count > 0 && (list->count & (list->count - 1)) != 0;
}

status prompt_check(const char *prompt, size_t length, const char *place)
{
    if (length > PROMPT_LENGTH_LIMIT) {
        return status_error(STATUS_BAD_INPUT, "%s: the prompt has %zu bytes, at most %d are allowed", place, length,
                            PROMPT_LENGTH_LIMIT);
    }
    size_t bad;
    if (!text_is_utf8(prompt, length, &bad)) {
        return status_error(STATUS_BAD_INPUT, "%s: not UTF-8: byte 0x%02x at place %zu of the prompt", place,
                            (unsigned char)prompt[bad], bad + 1);
    }
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)prompt[i];
        if ((c < 0x20 && c != '\t' && c != '\n') || c == 0x7F) {
            return status_error(STATUS_BAD_INPUT, "%s: control character 0x%02x in a prompt", place, c);
        }
    }
    return status_ok();
}

status prompt_list_append(struct prompt_list *list, const char *prompt, size_t length, const char *place)
{
    TRY(prompt_check(prompt, length, place));
    if (list->count == PROMPT_COUNT_LIMIT) {
        return status_error(STATUS_BAD_INPUT, "%s: more than %d prompts", place, PROMPT_COUNT_LIMIT);
    }
    /* Grown whenever the count is a power of two, so that no capacity need be kept. */
    if (!has_capacity(list)) {
        size_t capacity = list->count ? (size_t)list->count * 2 : 1;
        list->texts = memory_resize(list->texts, capacity, sizeof *list->texts);
    }
    list->texts[list->count++] = memory_copy_part(prompt, length);
    return status_ok();
}

static void trim(const char **text, size_t *length)
{
    while (*length > 0 && isspace((unsigned char)**text)) {
        (*text)++;
        (*length)--;
    }
    while (*length > 0 && isspace((unsigned char)(*text)[*length - 1])) (*length)--;
}

/* Where the first flag of sd-scripts begins (" --w 512"), or the length. */
static size_t length_without_flags(const char *line, size_t length)
{
    static const char *const flags[] = {"w", "h", "d", "s", "l", "g", "n", "m", "ss", "am", "ow", "oh"};
    for (size_t i = 0; i + 4 < length; i++) {
        if (line[i] != ' ' || line[i + 1] != '-' || line[i + 2] != '-') continue;
        for (size_t f = 0; f < sizeof flags / sizeof *flags; f++) {
            size_t flag_length = strlen(flags[f]);
            if (i + 3 + flag_length < length && memcmp(line + i + 3, flags[f], flag_length) == 0 &&
                line[i + 3 + flag_length] == ' ') {
                return i;
            }
        }
    }
    return length;
}

/* ---- lines ---- */

struct lines {
    const char *text;
    size_t length, at;
    int number;
};

static bool next_line(struct lines *lines, const char **line, size_t *length)
{
    if (lines->at >= lines->length) return false;
    *line = lines->text + lines->at;
    const char *end = memchr(*line, '\n', lines->length - lines->at);
    *length = end ? (size_t)(end - *line) : lines->length - lines->at;
    lines->at += *length + 1;
    lines->number++;
    return true;
}

static status parse_text_lines(struct prompt_list *list, struct lines lines, const char *name, int *flags_cut)
{
    const char *line;
    size_t length;
    while (next_line(&lines, &line, &length)) {
        trim(&line, &length);
        if (length == 0 || line[0] == '#') continue;
        size_t kept = length_without_flags(line, length);
        if (kept < length && flags_cut) (*flags_cut)++;
        trim(&line, &kept);
        char place[PATH_SIZE + 32];
        snprintf(place, sizeof place, "%s: line %d", name, lines.number);
        TRY(prompt_list_append(list, line, kept, place));
    }
    return status_ok();
}

/* What prompts are called in tables and objects, whatever their case; where there are several, the first of these. */
static const char *const column_names[] = {"prompt", "caption", "text"};
enum { COLUMN_NAMES = sizeof column_names / sizeof *column_names };

static const cJSON *prompt_member(const cJSON *object)
{
    for (int i = 0; i < COLUMN_NAMES; i++) {
        const cJSON *member = cJSON_GetObjectItem(object, column_names[i]); /* in any case */
        if (member && !cJSON_IsNull(member)) return member;
    }
    return NULL;
}

static status append_json_prompt(struct prompt_list *list, const cJSON *value, const char *place)
{
    if (cJSON_IsObject(value)) value = prompt_member(value);
    if (!cJSON_IsString(value)) {
        return status_error(STATUS_BAD_INPUT,
                            "%s: expected a text, or an object with a text \"prompt\", \"caption\" or \"text\"", place);
    }
    const char *text = value->valuestring;
    size_t length = strlen(text);
    trim(&text, &length);
    return length ? prompt_list_append(list, text, length, place) : status_ok();
}

static status parse_json_lines(struct prompt_list *list, struct lines lines, const char *name)
{
    const char *line;
    size_t length;
    while (next_line(&lines, &line, &length)) {
        trim(&line, &length);
        if (length == 0) continue;
        char place[PATH_SIZE + 32];
        snprintf(place, sizeof place, "%s: line %d", name, lines.number);
        cJSON *value;
        TRY(json_parse(line, length, place, &value));
        status result = append_json_prompt(list, value, place);
        cJSON_Delete(value);
        TRY(result);
    }
    return status_ok();
}

static status parse_json(struct prompt_list *list, const char *text, size_t length, const char *name)
{
    cJSON *value;
    TRY(json_parse(text, length, name, &value));
    status result = status_ok();
    if (!cJSON_IsArray(value)) result = status_error(STATUS_BAD_INPUT, "%s: expected a list of prompts", name);
    int index = 0;
    const cJSON *element;
    cJSON_ArrayForEach(element, value)
    {
        char place[PATH_SIZE + 32];
        snprintf(place, sizeof place, "%s: [%d]", name, index++);
        if (result.code == STATUS_OK) result = append_json_prompt(list, element, place);
    }
    cJSON_Delete(value);
    return result;
}

/* ---- tables ---- */

struct table {
    const char *text, *name;
    size_t length, at;
    int line;
    char separator;
    struct text cell;
    bool cell_open, row_end;
};

/* Reads the quoted rest of a cell after its opening quote. */
static status read_quoted(struct table *table)
{
    int start = table->line;
    while (table->at < table->length) {
        char c = table->text[table->at++];
        if (c == '"') {
            if (table->at >= table->length || table->text[table->at] != '"') return status_ok();
            table->at++;
        } else if (c == '\n') {
            table->line++;
        } else if (c == '\r' && table->at < table->length && table->text[table->at] == '\n') {
            continue;
        }
        text_append_bytes(&table->cell, &c, 1);
    }
    return status_error(STATUS_BAD_INPUT, "%s: line %d: a quote is opened and never closed", table->name, start);
}

/* Where the quote that closes the cell stands, from its opening quote at `at` on; the length of the text without one.
 */
static size_t closing_quote(const struct table *table, size_t at)
{
    for (at++; at < table->length; at++) {
        if (table->text[at] != '"') continue;
        if (at + 1 >= table->length || table->text[at + 1] != '"') return at;
        at++;
    }
    return table->length;
}

/* In CSV every cell that begins with a quote. TSV has no rule for them: programs that export tables quote as in CSV,
 * and others write a text's own quotes as they are, so there a cell is quoted when its end is closed by a quote too. */
static bool is_quoted(const struct table *table)
{
    if (table->at >= table->length || table->text[table->at] != '"') return false;
    if (table->separator == ',') return true;
    size_t end = closing_quote(table, table->at);
    if (end >= table->length) return false;
    if (end + 1 < table->length && table->text[end + 1] == '\r') end++;
    return end + 1 >= table->length || table->text[end + 1] == '\n' || table->text[end + 1] == table->separator;
}

/* Reads one cell into table->cell; row_end tells whether the row ends after it. */
static status read_cell(struct table *table)
{
    table->cell.length = 0;
    text_append_bytes(&table->cell, "", 0);
    table->row_end = false;
    if (is_quoted(table)) {
        table->at++;
        TRY(read_quoted(table));
    }
    while (table->at < table->length) {
        char c = table->text[table->at++];
        if (c == table->separator) return status_ok();
        if (c == '\n') {
            table->line++;
            table->row_end = true;
            return status_ok();
        }
        if (c != '\r') text_append_bytes(&table->cell, &c, 1);
    }
    table->row_end = true;
    return status_ok();
}

/* Reads the header row; the column of prompts. */
static status find_column(struct table *table, int *column)
{
    int best = COLUMN_NAMES;
    for (int index = 0;; index++) {
        TRY(read_cell(table));
        const char *cell = table->cell.data;
        size_t length = table->cell.length;
        trim(&cell, &length);
        for (int i = 0; i < best; i++) {
            if (strlen(column_names[i]) == length && strncasecmp(cell, column_names[i], length) == 0) {
                best = i;
                *column = index;
            }
        }
        if (table->row_end) break;
    }
    if (best < COLUMN_NAMES) return status_ok();
    return status_error(STATUS_BAD_INPUT,
                        "%s: line 1: expected a header with a column \"prompt\", \"caption\" or \"text\"", table->name);
}

static status parse_rows(struct prompt_list *list, struct table *table)
{
    int column = 0;
    TRY(find_column(table, &column));
    while (table->at < table->length) {
        char place[PATH_SIZE + 32];
        snprintf(place, sizeof place, "%s: line %d", table->name, table->line);
        table->row_end = false;
        for (int index = 0; !table->row_end; index++) {
            TRY(read_cell(table));
            const char *cell = table->cell.data;
            size_t length = table->cell.length;
            trim(&cell, &length);
            if (index == column && length > 0) TRY(prompt_list_append(list, cell, length, place));
        }
    }
    return status_ok();
}

static status parse_table(struct prompt_list *list, const char *text, size_t length, const char *name, char separator)
{
    struct table table = {.text = text, .name = name, .length = length, .line = 1, .separator = separator};
    status result = parse_rows(list, &table);
    text_clear(&table.cell);
    return result;
}

/* ---- whole files ---- */

static bool ends_with(const char *name, const char *ending)
{
    size_t length = strlen(name), ending_length = strlen(ending);
    return length >= ending_length && strcasecmp(name + length - ending_length, ending) == 0;
}

static status parse_format(struct prompt_list *list, const char *text, size_t length, const char *name, int *flags_cut)
{
    struct lines lines = {.text = text, .length = length};
    if (ends_with(name, ".json")) return parse_json(list, text, length, name);
    if (ends_with(name, ".jsonl")) return parse_json_lines(list, lines, name);
    if (ends_with(name, ".csv")) return parse_table(list, text, length, name, ',');
    if (ends_with(name, ".tsv")) return parse_table(list, text, length, name, '\t');
    return parse_text_lines(list, lines, name, flags_cut);
}

status prompt_list_parse(struct prompt_list *list, const char *text, size_t length, const char *name, int *flags_cut)
{
    static const char mark[] = "\xEF\xBB\xBF";
    if (length >= 3 && memcmp(text, mark, 3) == 0) {
        text += 3;
        length -= 3;
    }
    size_t bad;
    if (!text_is_utf8(text, length, &bad)) {
        int line = 1;
        for (size_t i = 0; i < bad; i++) line += text[i] == '\n';
        return status_error(STATUS_BAD_INPUT, "%s: line %d: not UTF-8", name, line);
    }
    int before = list->count;
    TRY(parse_format(list, text, length, name, flags_cut));
    if (list->count > before) return status_ok();
    return status_error(STATUS_BAD_INPUT, "%s: there is no prompt in it", name);
}

status prompt_list_read(struct prompt_list *list, const char *path, int *flags_cut)
{
    char *text;
    size_t length;
    TRY(file_read(path, PROMPT_FILE_LIMIT, &text, &length));
    status result = prompt_list_parse(list, text, length, path, flags_cut);
    free(text);
    return result;
}
