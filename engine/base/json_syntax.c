/* A scanner of JSON's grammar with a bound on depth, which says where a text is wrong. */
#include "engine/base/json_syntax.h"

#include "engine/base/json.h"
#include "engine/base/text.h"

#include <string.h>

struct scanner {
    const char *text;
    size_t length, at;
    struct json_fault *fault;
    bool python; /* NaN, Infinity and -Infinity are values */
};

static bool wrong(struct scanner *scanner, const char *what)
{
    scanner->fault->offset = scanner->at;
    scanner->fault->what = what;
    return false;
}

/* The next byte, or -1 at the end. */
static int peek(const struct scanner *scanner)
{
    return scanner->at < scanner->length ? (unsigned char)scanner->text[scanner->at] : -1;
}

static void skip_space(struct scanner *scanner)
{
    for (;;) {
        int c = peek(scanner);
        if (c != ' ' && c != '\t' && c != '\n' && c != '\r') return;
        scanner->at++;
    }
}

static int hexadecimal_digit(int c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* The four digits of an escape that has passed the scanner. */
static uint32_t unit_at(const char *digits)
{
    uint32_t unit = 0;
    for (int i = 0; i < 4; i++) unit = unit * 16 + (uint32_t)hexadecimal_digit((unsigned char)digits[i]);
    return unit;
}

const char *json_decode_string(const char *text, char *decoded)
{
    static const char escapes[] = "bfnrt", meanings[] = "\b\f\n\r\t";
    while (*++text != '"') {
        if (*text != '\\') {
            *decoded++ = *text;
            continue;
        }
        const char *escape = strchr(escapes, *++text);
        if (*text != 'u') {
            *decoded++ = escape ? meanings[escape - escapes] : *text;
            continue;
        }
        uint32_t code = unit_at(text + 1);
        text += 4;
        if (code >= 0xD800 && code <= 0xDBFF) { /* a low one follows: \uXXXX */
            code = 0x10000 + ((code - 0xD800) << 10) + (unit_at(text + 3) - 0xDC00);
            text += 6;
        }
        decoded += text_write_code_point(code, decoded);
    }
    *decoded = '\0';
    return text + 1;
}

/* Four digits after \u; -1 if there are not four. */
static int scan_unit(struct scanner *scanner)
{
    int unit = 0;
    for (int i = 0; i < 4; i++) {
        int digit = hexadecimal_digit(peek(scanner));
        if (digit < 0) return -1;
        unit = unit * 16 + digit;
        scanner->at++;
    }
    return unit;
}

static bool scan_escape(struct scanner *scanner)
{
    scanner->at++;
    int c = peek(scanner);
    if (c < 0 || !strchr("\"\\/bfnrtu", c) || c == 0) return wrong(scanner, "unknown escape in a string");
    scanner->at++;
    if (c != 'u') return true;
    int unit = scan_unit(scanner);
    if (unit < 0) return wrong(scanner, "\\u needs four hexadecimal digits");
    if (unit == 0) return wrong(scanner, "the NUL character is not allowed");
    if (unit >= 0xDC00 && unit <= 0xDFFF) return wrong(scanner, "lone low surrogate");
    if (unit < 0xD800 || unit > 0xDBFF) return true;
    if (peek(scanner) != '\\' || scanner->at + 1 >= scanner->length || scanner->text[scanner->at + 1] != 'u') {
        return wrong(scanner, "lone high surrogate");
    }
    scanner->at += 2;
    unit = scan_unit(scanner);
    return unit >= 0xDC00 && unit <= 0xDFFF ? true : wrong(scanner, "lone high surrogate");
}

static bool scan_string(struct scanner *scanner)
{
    scanner->at++;
    for (;;) {
        int c = peek(scanner);
        if (c < 0) return wrong(scanner, "the text ends inside a string");
        if (c < 0x20) return wrong(scanner, "control character in a string");
        if (c == '\\') {
            if (!scan_escape(scanner)) return false;
            continue;
        }
        scanner->at++;
        if (c == '"') return true;
    }
}

static bool scan_digits(struct scanner *scanner)
{
    size_t start = scanner->at;
    while (peek(scanner) >= '0' && peek(scanner) <= '9') scanner->at++;
    return scanner->at > start;
}

static bool scan_number(struct scanner *scanner)
{
    if (peek(scanner) == '-') scanner->at++;
    if (peek(scanner) == '0') {
        scanner->at++;
    } else if (!scan_digits(scanner)) {
        return wrong(scanner, "a number needs digits");
    }
    if (peek(scanner) == '.') {
        scanner->at++;
        if (!scan_digits(scanner)) return wrong(scanner, "digits are missing after the decimal point");
    }
    if (peek(scanner) == 'e' || peek(scanner) == 'E') {
        scanner->at++;
        if (peek(scanner) == '+' || peek(scanner) == '-') scanner->at++;
        if (!scan_digits(scanner)) return wrong(scanner, "digits are missing in the exponent");
    }
    return true;
}

static bool scan_word(struct scanner *scanner, const char *word)
{
    size_t length = strlen(word);
    if (scanner->length - scanner->at < length || memcmp(scanner->text + scanner->at, word, length) != 0) {
        return wrong(scanner, "expected a value");
    }
    scanner->at += length;
    return true;
}

size_t json_python_word(const char *text, size_t length)
{
    static const char *const message[] = {"NaN", "Infinity", "-Infinity"};
    for (size_t i = 0; i < sizeof message / sizeof message[0]; i++) {
        size_t size = strlen(message[i]);
        if (length >= size && memcmp(text, message[i], size) == 0) return size;
    }
    return 0;
}

static bool scan_scalar(struct scanner *scanner)
{
    size_t word = scanner->python ? json_python_word(scanner->text + scanner->at, scanner->length - scanner->at) : 0;
    if (word) {
        scanner->at += word;
        return true;
    }
    switch (peek(scanner)) {
    case '"': return scan_string(scanner);
    case 't': return scan_word(scanner, "true");
    case 'f': return scan_word(scanner, "false");
    case 'n': return scan_word(scanner, "null");
    case -1: return wrong(scanner, "the text ends where a value is expected");
    default:
        if (peek(scanner) == '-' || (peek(scanner) >= '0' && peek(scanner) <= '9')) return scan_number(scanner);
        return wrong(scanner, "expected a value");
    }
}

static bool scan_key(struct scanner *scanner)
{
    skip_space(scanner);
    if (peek(scanner) != '"') return wrong(scanner, "expected a key in double quotes");
    if (!scan_string(scanner)) return false;
    skip_space(scanner);
    if (peek(scanner) != ':') return wrong(scanner, "expected ':' after the key");
    scanner->at++;
    return true;
}

struct nesting {
    char closers[JSON_DEPTH_LIMIT];
    int depth;
};

/* After a value: takes the brackets that close and the comma that goes on. `*more` is whether a value follows. */
static bool scan_after_value(struct scanner *scanner, struct nesting *nesting, bool *more)
{
    *more = false;
    while (nesting->depth > 0) {
        char closer = nesting->closers[nesting->depth - 1];
        skip_space(scanner);
        int c = peek(scanner);
        if (c == closer) {
            scanner->at++;
            nesting->depth--;
            continue;
        }
        if (c != ',') return wrong(scanner, closer == '}' ? "expected ',' or '}'" : "expected ',' or ']'");
        scanner->at++;
        *more = true;
        return closer == '}' ? scan_key(scanner) : true;
    }
    return true;
}

/* Opens an object or array. `*empty` is whether it was closed at once. */
static bool scan_opening(struct scanner *scanner, struct nesting *nesting, bool *empty)
{
    char closer = peek(scanner) == '{' ? '}' : ']';
    if (nesting->depth == JSON_DEPTH_LIMIT) return wrong(scanner, "nested too deeply");
    scanner->at++;
    skip_space(scanner);
    *empty = peek(scanner) == closer;
    if (*empty) {
        scanner->at++;
        return true;
    }
    nesting->closers[nesting->depth++] = closer;
    return closer == '}' ? scan_key(scanner) : true;
}

bool json_syntax_check(const char *text, size_t length, bool python, struct json_fault *fault)
{
    struct scanner scanner = {text, length, 0, fault, python};
    struct nesting nesting = {.depth = 0};
    size_t bad;
    if (!text_is_utf8(text, length, &bad)) {
        scanner.at = bad;
        return wrong(&scanner, "not UTF-8");
    }
    bool more = true;
    while (more) {
        skip_space(&scanner);
        int c = peek(&scanner);
        if (c == '{' || c == '[') {
            bool empty;
            if (!scan_opening(&scanner, &nesting, &empty)) return false;
            if (!empty) continue;
        } else if (!scan_scalar(&scanner)) {
            return false;
        }
        if (!scan_after_value(&scanner, &nesting, &more)) return false;
    }
    skip_space(&scanner);
    return scanner.at == length ? true : wrong(&scanner, "something follows the value");
}
