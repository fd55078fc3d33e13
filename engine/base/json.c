/* JSON read into cJSON's tree after a strict check (json_syntax.c), and printed so that numbers read back exactly. */
#include "engine/base/json.h"

#include "engine/base/files.h"
#include "engine/base/json_syntax.h"
#include "engine/base/memory.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- memory ---- */

/* Set while a tree is built of a text: what others wrote has its own size, so that the lack is reported. */
static _Thread_local bool lack_is_reported;

static void *take(size_t bytes)
{
    void *memory = malloc(bytes);
    if (!memory && !lack_is_reported) memory_exhausted(bytes);
    return memory;
}

void json_set_up(void)
{
    cJSON_InitHooks(&(cJSON_Hooks){.malloc_fn = take, .free_fn = free});
}

/* ---- reading ---- */

static status syntax_error(const char *text, const char *origin, const struct json_fault *fault)
{
    int line = 1;
    size_t line_start = 0;
    for (size_t i = 0; i < fault->offset; i++) {
        if (text[i] != '\n') continue;
        line++;
        line_start = i + 1;
    }
    return status_error(STATUS_BAD_INPUT, "%s: line %d, column %zu: %s", origin, line, fault->offset - line_start + 1,
                        fault->what);
}

static int compare_texts(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

static status no_memory(const char *origin)
{
    return status_error(STATUS_NO_MEMORY, "%s: no memory to read it", origin);
}

static status check_duplicates(const cJSON *object, const char *origin)
{
    size_t count = (size_t)cJSON_GetArraySize(object);
    if (count < 2) return status_ok();
    const char **keys = malloc(count * sizeof *keys);
    if (!keys) return no_memory(origin);
    size_t filled = 0;
    const cJSON *member;
    cJSON_ArrayForEach(member, object) keys[filled++] = member->string;
    qsort(keys, filled, sizeof *keys, compare_texts);
    status result = status_ok();
    for (size_t i = 1; i < filled && result.code == STATUS_OK; i++) {
        if (strcmp(keys[i - 1], keys[i]) == 0) {
            result = status_error(STATUS_BAD_INPUT, "%s: duplicate key \"%.100s\"", origin, keys[i]);
        }
    }
    free(keys);
    return result;
}

/* Recursion is bounded by JSON_DEPTH_LIMIT, which the scanner has checked. */
static status check_tree(const cJSON *value, const char *origin)
{
    if (cJSON_IsNumber(value) && !isfinite(value->valuedouble)) {
        return status_error(STATUS_BAD_INPUT, "%s: a number%s%.100s%s is too large to be represented", origin,
                            value->string ? " (key \"" : "", value->string ? value->string : "",
                            value->string ? "\")" : "");
    }
    if (cJSON_IsObject(value)) TRY(check_duplicates(value, origin));
    const cJSON *member;
    cJSON_ArrayForEach(member, value) TRY(check_tree(member, origin));
    return status_ok();
}

/* Builds the tree of a text that the scanner has passed. */
static status build_tree(const char *text, size_t length, const char *origin, cJSON **value)
{
    lack_is_reported = true;
    cJSON *tree = cJSON_ParseWithLength(text, length);
    lack_is_reported = false;
    if (!tree) return no_memory(origin);
    status result = check_tree(tree, origin);
    if (result.code != STATUS_OK) {
        cJSON_Delete(tree);
        return result;
    }
    *value = tree;
    return status_ok();
}

status json_check(const char *text, size_t length, const char *origin)
{
    struct json_fault fault = {0, ""};
    return json_syntax_check(text, length, false, &fault) ? status_ok() : syntax_error(text, origin, &fault);
}

status json_parse(const char *text, size_t length, const char *origin, cJSON **value)
{
    *value = NULL;
    TRY(json_check(text, length, origin));
    return build_tree(text, length, origin, value);
}

/* A copy of a text that the scanner has passed, with NaN, Infinity and -Infinity in quotes. */
static void quote_python_words(const char *text, size_t length, struct text *quoted)
{
    bool in_string = false;
    for (size_t i = 0; i < length;) {
        size_t word = in_string ? 0 : json_python_word(text + i, length - i);
        if (word) {
            text_append(quoted, "\"%.*s\"", (int)word, text + i);
            i += word;
            continue;
        }
        size_t step = in_string && text[i] == '\\' ? 2 : 1;
        if (text[i] == '"') in_string = !in_string;
        text_append_bytes(quoted, text + i, step);
        i += step;
    }
}

status json_parse_python(const char *text, size_t length, const char *origin, cJSON **value)
{
    *value = NULL;
    struct json_fault fault = {0, ""};
    if (json_syntax_check(text, length, false, &fault)) return build_tree(text, length, origin, value);
    if (!json_syntax_check(text, length, true, &fault)) return syntax_error(text, origin, &fault);
    struct text quoted = {0};
    quote_python_words(text, length, &quoted);
    status result = build_tree(quoted.data, quoted.length, origin, value);
    text_clear(&quoted);
    return result;
}

const char *json_skip_mark(const char *text, size_t *length)
{
    static const char mark[] = "\xEF\xBB\xBF";
    size_t size = sizeof mark - 1;
    if (*length < size || memcmp(text, mark, size) != 0) return text;
    *length -= size;
    return text + size;
}

typedef status (*parser)(const char *text, size_t length, const char *origin, cJSON **value);

static status read_file(const char *path, size_t limit, parser parse, cJSON **value)
{
    *value = NULL;
    char *text;
    size_t length;
    TRY(file_read(path, limit, &text, &length));
    const char *start = json_skip_mark(text, &length);
    status result = parse(start, length, path, value);
    free(text);
    return result;
}

status json_read_file(const char *path, size_t limit, cJSON **value)
{
    return read_file(path, limit, json_parse, value);
}

status json_read_python_file(const char *path, size_t limit, cJSON **value)
{
    return read_file(path, limit, json_parse_python, value);
}

static void append_line(struct text *text, bool indented, int depth)
{
    if (!indented) return;
    text_append_bytes(text, "\n", 1);
    for (int i = 0; i < depth; i++) text_append_bytes(text, "  ", 2);
}

static void append_value(struct text *text, const cJSON *value, bool indented, int depth);

static void append_members(struct text *text, const cJSON *value, bool indented, int depth)
{
    const cJSON *member;
    cJSON_ArrayForEach(member, value)
    {
        if (member != value->child) text_append_bytes(text, ",", 1);
        append_line(text, indented, depth + 1);
        if (cJSON_IsObject(value)) {
            text_append_json_string(text, member->string);
            text_append_bytes(text, ": ", indented ? 2 : 1);
        }
        append_value(text, member, indented, depth + 1);
    }
    if (value->child) append_line(text, indented, depth);
}

static void append_value(struct text *text, const cJSON *value, bool indented, int depth)
{
    if (cJSON_IsObject(value) || cJSON_IsArray(value)) {
        bool object = cJSON_IsObject(value);
        text_append_bytes(text, object ? "{" : "[", 1);
        append_members(text, value, indented, depth);
        text_append_bytes(text, object ? "}" : "]", 1);
    } else if (cJSON_IsString(value)) {
        text_append_json_string(text, value->valuestring);
    } else if (cJSON_IsNumber(value)) {
        text_append_json_number(text, value->valuedouble);
    } else {
        text_append(text, "%s", cJSON_IsTrue(value) ? "true" : cJSON_IsFalse(value) ? "false" : "null");
    }
}

void json_append(struct text *text, const cJSON *value, bool indented)
{
    append_value(text, value, indented, 0);
}

char *json_print(const cJSON *value, bool indented)
{
    struct text text = {0};
    json_append(&text, value, indented);
    if (indented) text_append_bytes(&text, "\n", 1);
    return text_take(&text);
}

status json_write_file(const char *path, const cJSON *value)
{
    char *text = json_print(value, true);
    status result = file_write_atomic(path, text, strlen(text));
    free(text);
    return result;
}

/* ---- reading members ---- */

status json_root(const char *origin, const cJSON *value, struct json_object *object)
{
    *object = (struct json_object){.origin = origin, .path = "", .value = value};
    if (!cJSON_IsObject(value)) {
        return status_error(STATUS_BAD_INPUT, "%s: expected an object, found another kind of value", origin);
    }
    return status_ok();
}

const cJSON *json_member(const struct json_object *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object->value, key);
}

bool json_has(const struct json_object *object, const char *key)
{
    const cJSON *member = json_member(object, key);
    return member && !cJSON_IsNull(member);
}

static void place_of(const struct json_object *object, const char *key, char place[JSON_PATH_SIZE])
{
    snprintf(place, JSON_PATH_SIZE, "%s%s%s", object->path, object->path[0] ? "." : "", key);
}

/* The value for a message: containers by their kind, others as written, cut when long. */
static void describe(const cJSON *value, char message[80])
{
    if (!value) {
        snprintf(message, 80, "nothing");
    } else if (cJSON_IsObject(value)) {
        snprintf(message, 80, "an object");
    } else if (cJSON_IsArray(value)) {
        snprintf(message, 80, "a list");
    } else {
        char *printed = json_print(value, false);
        snprintf(message, 80, strlen(printed) > 60 ? "%.60s..." : "%s", printed);
        free(printed);
    }
}

status json_wrong_value(const char *origin, const char *place, const char *expected, const cJSON *found)
{
    char message[80];
    describe(found, message);
    return status_error(STATUS_BAD_INPUT, "%s: %s: expected %s, found %s", origin, place, expected, message);
}

status json_wrong(const struct json_object *object, const char *key, const char *expected)
{
    char place[JSON_PATH_SIZE];
    place_of(object, key, place);
    return json_wrong_value(object->origin, place, expected, json_member(object, key));
}

status json_number(const struct json_object *object, const char *key, double low, double high, double *value)
{
    const cJSON *member = json_member(object, key);
    if (cJSON_IsNumber(member) && member->valuedouble >= low && member->valuedouble <= high) {
        *value = member->valuedouble;
        return status_ok();
    }
    char expected[100];
    snprintf(expected, sizeof expected, "a number from %g to %g", low, high);
    return json_wrong(object, key, expected);
}

/* Whole numbers beyond 2^53 are not exact in a double and are refused. */
status json_integer(const struct json_object *object, const char *key, int64_t low, int64_t high, int64_t *value)
{
    const cJSON *member = json_member(object, key);
    if (cJSON_IsNumber(member) && fabs(member->valuedouble) <= 9007199254740992.0 &&
        member->valuedouble == floor(member->valuedouble) && (int64_t)member->valuedouble >= low &&
        (int64_t)member->valuedouble <= high) {
        *value = (int64_t)member->valuedouble;
        return status_ok();
    }
    char expected[100];
    snprintf(expected, sizeof expected, "a whole number from %lld to %lld", (long long)low, (long long)high);
    return json_wrong(object, key, expected);
}

status json_int(const struct json_object *object, const char *key, int low, int high, int *value)
{
    int64_t wide;
    TRY(json_integer(object, key, low, high, &wide));
    *value = (int)wide;
    return status_ok();
}

status json_text(const struct json_object *object, const char *key, const char **value)
{
    const cJSON *member = json_member(object, key);
    if (!cJSON_IsString(member)) return json_wrong(object, key, "a text");
    *value = member->valuestring;
    return status_ok();
}

status json_boolean(const struct json_object *object, const char *key, bool *value)
{
    const cJSON *member = json_member(object, key);
    if (!cJSON_IsBool(member)) return json_wrong(object, key, "true or false");
    *value = cJSON_IsTrue(member);
    return status_ok();
}

status json_array(const struct json_object *object, const char *key, const cJSON **value)
{
    const cJSON *member = json_member(object, key);
    if (!cJSON_IsArray(member)) return json_wrong(object, key, "a list");
    *value = member;
    return status_ok();
}

status json_child(const struct json_object *object, const char *key, struct json_object *child)
{
    const cJSON *member = json_member(object, key);
    if (!cJSON_IsObject(member)) return json_wrong(object, key, "an object");
    *child = (struct json_object){.origin = object->origin, .value = member};
    place_of(object, key, child->path);
    return status_ok();
}

status json_element(const struct json_object *object, const char *key, int index, struct json_object *child)
{
    const cJSON *list;
    TRY(json_array(object, key, &list));
    char place[JSON_PATH_SIZE], numbered[JSON_PATH_SIZE + 16];
    place_of(object, key, place);
    snprintf(numbered, sizeof numbered, "%s[%d]", place, index);
    const cJSON *member = cJSON_GetArrayItem(list, index);
    if (!cJSON_IsObject(member)) return json_wrong_value(object->origin, numbered, "an object", member);
    *child = (struct json_object){.origin = object->origin, .value = member};
    snprintf(child->path, sizeof child->path, "%.*s", JSON_PATH_SIZE - 1, numbered);
    return status_ok();
}

status json_number_or(const struct json_object *object, const char *key, double low, double high, double fallback,
                      double *value)
{
    if (json_has(object, key)) return json_number(object, key, low, high, value);
    *value = fallback;
    return status_ok();
}

status json_int_or(const struct json_object *object, const char *key, int low, int high, int fallback, int *value)
{
    if (json_has(object, key)) return json_int(object, key, low, high, value);
    *value = fallback;
    return status_ok();
}

status json_text_or(const struct json_object *object, const char *key, const char *fallback, const char **value)
{
    if (json_has(object, key)) return json_text(object, key, value);
    *value = fallback;
    return status_ok();
}

status json_boolean_or(const struct json_object *object, const char *key, bool fallback, bool *value)
{
    if (json_has(object, key)) return json_boolean(object, key, value);
    *value = fallback;
    return status_ok();
}

status json_choice(const struct json_object *object, const char *key, const char *const *names, int count, int *index)
{
    const cJSON *member = json_member(object, key);
    const char *given = cJSON_IsString(member) ? member->valuestring : NULL;
    for (int i = 0; given && i < count; i++) {
        if (strcmp(given, names[i]) != 0) continue;
        *index = i;
        return status_ok();
    }
    struct text expected = {0};
    text_append(&expected, "one of");
    for (int i = 0; i < count; i++) text_append(&expected, "%s \"%s\"", i ? "," : "", names[i]);
    const char *nearest = given ? text_nearest(given, names, count) : NULL;
    if (nearest) text_append(&expected, " (did you mean \"%s\"?)", nearest);
    status result = json_wrong(object, key, expected.data);
    text_clear(&expected);
    return result;
}
