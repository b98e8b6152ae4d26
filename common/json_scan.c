#include "json_scan.h"

#include <string.h>

#include "json_plain.h"
#include "utf8.h"

struct scan {
    const char *at, *end;
    const char *why; /* set once something was wrong; `at` then stands there */
};

/* What a byte means inside a string. */
enum { PLAIN, QUOTE, ESCAPE, CONTROL, WIDE };
static const uint8_t string_class[256] = {
    [0x00 ... 0x1f] = CONTROL, ['"'] = QUOTE, ['\\'] = ESCAPE, [0x80 ... 0xff] = WIDE};

/* What may follow a backslash; 'u' is looked at apart. */
static const char escape_of[256] = {
    ['"'] = '"', ['\\'] = '\\', ['/'] = '/', ['b'] = '\b', ['f'] = '\f', ['n'] = '\n', ['r'] = '\r', ['t'] = '\t'};

static bool fail(struct scan *scan, const char *why)
{
    scan->why = why;
    return false;
}

static void skip_more_space(struct scan *scan)
{
    while (scan->at < scan->end && (*scan->at == ' ' || *scan->at == '\n' || *scan->at == '\r' || *scan->at == '\t'))
        scan->at++;
}

static inline void skip_space(struct scan *scan)
{
    if (scan->at < scan->end && *scan->at <= ' ') /* mostly there is none */
        skip_more_space(scan);
}

static inline bool is_next(struct scan *scan, char c)
{
    return scan->at < scan->end && *scan->at == c;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Four hexadecimal digits; -1 when there are none. */
static int32_t hex4(const char *at, const char *end)
{
    if (end - at < 4)
        return -1;
    int32_t value = 0;
    for (int i = 0; i < 4; i++) {
        char c = at[i];
        int digit = is_digit(c) ? c - '0' : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10 : -1;
        if (digit < 0)
            return -1;
        value = value << 4 | digit;
    }
    return value;
}

/* The code point of the escape at `at` (on its backslash); *len_r how long it is. -1: not a valid one. */
static int32_t escape_point(const char *at, const char *end, size_t *len_r)
{
    if (end - at < 2)
        return -1;
    if (at[1] != 'u') {
        *len_r = 2;
        char c = escape_of[(unsigned char)at[1]];
        return c ? c : -1;
    }
    int32_t high = hex4(at + 2, end);
    *len_r = 6;
    if (high < 0xd800 || high > 0xdfff)
        return high;
    if (high > 0xdbff || end - at < 12 || at[6] != '\\' || at[7] != 'u')
        return -1;
    int32_t low = hex4(at + 8, end);
    if (low < 0xdc00 || low > 0xdfff)
        return -1;
    *len_r = 12;
    return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
}

/* At the opening quote. */
static bool scan_string(struct scan *scan, bool *has_escapes_r)
{
    const char *at = scan->at + 1, *end = scan->end;
    *has_escapes_r = false;
    for (;;) {
        scan->at = at = json_skip_plain(at, end);
        if (at == end)
            return fail(scan, "string does not end");
        size_t len = 0;
        switch (string_class[(unsigned char)*at]) {
        case QUOTE:
            scan->at = at + 1;
            return true;
        case ESCAPE:
            if (escape_point(at, end, &len) < 0)
                return fail(scan, "bad escape in string");
            *has_escapes_r = true;
            break;
        case WIDE:
            len = utf8_char_len(at, (size_t)(end - at));
            if (len == 0)
                return fail(scan, "bad UTF-8 in string");
            break;
        default:
            return fail(scan, "control character in string");
        }
        at += len;
    }
}

static bool scan_digits(struct scan *scan)
{
    const char *start = scan->at;
    while (scan->at < scan->end && is_digit(*scan->at))
        scan->at++;
    return scan->at > start || fail(scan, "bad number");
}

static bool scan_number(struct scan *scan)
{
    if (is_next(scan, '-'))
        scan->at++;
    if (is_next(scan, '0'))
        scan->at++;
    else if (!scan_digits(scan))
        return false;
    if (is_next(scan, '.')) {
        scan->at++;
        if (!scan_digits(scan))
            return false;
    }
    if (is_next(scan, 'e') || is_next(scan, 'E')) {
        scan->at++;
        if (is_next(scan, '+') || is_next(scan, '-'))
            scan->at++;
        return scan_digits(scan);
    }
    return true;
}

static bool scan_word(struct scan *scan, const char *word)
{
    size_t len = strlen(word);
    if ((size_t)(scan->end - scan->at) < len || memcmp(scan->at, word, len) != 0)
        return fail(scan, "not a JSON value");
    scan->at += len;
    return true;
}

/* Which members are looked for; none below the top, but in one of them. */
struct wanted {
    const char *const *names;
    size_t count;
    struct json_span *spans;
    const struct wanted *inner; /* in the value of names[inner_of] */
    size_t inner_of;
};
static const struct wanted nothing = {0};

static bool scan_value(struct scan *scan, struct json_span *span_r, const struct wanted *inside, int depth);

static bool scan_array(struct scan *scan, int depth)
{
    struct json_span ignored;
    scan->at++;
    skip_space(scan);
    if (is_next(scan, ']')) {
        scan->at++;
        return true;
    }
    for (;;) {
        skip_space(scan);
        if (!scan_value(scan, &ignored, &nothing, depth))
            return false;
        skip_space(scan);
        if (is_next(scan, ']')) {
            scan->at++;
            return true;
        }
        if (!is_next(scan, ','))
            return fail(scan, "expected , or ] in array");
        scan->at++;
    }
}

/* wanted->count: it is not looked for. */
static size_t index_of(const struct wanted *wanted, const struct json_span *name)
{
    size_t i = 0;
    while (i < wanted->count &&
           !((name->has_escapes || name->at[1] == wanted->names[i][0]) && json_span_is(name, wanted->names[i])))
        i++;
    return i;
}

static void clear(const struct wanted *wanted)
{
    memset(wanted->spans, 0, wanted->count * sizeof(*wanted->spans));
}

static bool scan_member(struct scan *scan, const struct wanted *wanted, int depth)
{
    struct json_span name = {.at = scan->at, .kind = JSON_STRING}, value;
    if (!is_next(scan, '"'))
        return fail(scan, "expected a member name");
    if (!scan_string(scan, &name.has_escapes))
        return false;
    name.len = (uint32_t)(scan->at - name.at);
    skip_space(scan);
    if (!is_next(scan, ':'))
        return fail(scan, "expected : after a member name");
    scan->at++;
    skip_space(scan);
    size_t i = index_of(wanted, &name);
    const struct wanted *inside = wanted->inner && i == wanted->inner_of ? wanted->inner : &nothing;
    if (inside->count > 0)
        clear(inside); /* of a member given twice the last counts */
    if (!scan_value(scan, &value, inside, depth))
        return false;
    if (i < wanted->count) {
        value.is_repeated = wanted->spans[i].kind != JSON_NONE;
        wanted->spans[i] = value;
    }
    return true;
}

static bool scan_object(struct scan *scan, const struct wanted *wanted, int depth)
{
    scan->at++;
    skip_space(scan);
    if (is_next(scan, '}')) {
        scan->at++;
        return true;
    }
    for (;;) {
        skip_space(scan);
        if (!scan_member(scan, wanted, depth))
            return false;
        skip_space(scan);
        if (is_next(scan, '}')) {
            scan->at++;
            return true;
        }
        if (!is_next(scan, ','))
            return fail(scan, "expected , or } in object");
        scan->at++;
    }
}

/* depth: how many containers are open around the value. inside: what is looked for in it, if it is an object. */
static bool scan_value(struct scan *scan, struct json_span *span_r, const struct wanted *inside, int depth)
{
    *span_r = (struct json_span){.at = scan->at};
    if (scan->at == scan->end)
        return fail(scan, "text ends where a value was expected");
    char c = *scan->at;
    bool is_good;
    if (c == '"') {
        span_r->kind = JSON_STRING;
        is_good = scan_string(scan, &span_r->has_escapes);
    } else if (c == '{' || c == '[') {
        if (depth >= JSON_DEPTH_MAX)
            return fail(scan, "nested too deep");
        span_r->kind = c == '{' ? JSON_OBJECT : JSON_ARRAY;
        is_good = c == '{' ? scan_object(scan, inside, depth + 1) : scan_array(scan, depth + 1);
    } else if (c == 't' || c == 'f' || c == 'n') {
        span_r->kind = c == 't' ? JSON_TRUE : c == 'f' ? JSON_FALSE : JSON_NULL;
        is_good = scan_word(scan, c == 't' ? "true" : c == 'f' ? "false" : "null");
    } else {
        span_r->kind = JSON_NUMBER;
        is_good = c == '-' || is_digit(c) ? scan_number(scan) : fail(scan, "not a JSON value");
    }
    span_r->len = (uint32_t)(scan->at - span_r->at);
    return is_good;
}

static bool scan_text(struct scan *scan, const struct wanted *wanted)
{
    skip_space(scan);
    if (!is_next(scan, '{'))
        return fail(scan, "not a JSON object");
    if (!scan_object(scan, wanted, 1))
        return false;
    skip_space(scan);
    return scan->at == scan->end || fail(scan, "text goes on after the object");
}

enum err json_scan_object(const char *text, size_t len, const char *const *names, size_t name_count,
                          struct json_span *spans_r, const char **why_r, size_t *at_r)
{
    struct scan scan = {.at = text, .end = text + len};
    struct wanted wanted = {.names = names, .count = name_count, .spans = spans_r};
    clear(&wanted);
    bool is_good = len <= UINT32_MAX ? scan_text(&scan, &wanted) : fail(&scan, "too long");
    if (is_good)
        return ERR_OK;
    clear(&wanted);
    if (why_r)
        *why_r = scan.why;
    if (at_r)
        *at_r = (size_t)(scan.at - text);
    return ERR_INVALID;
}

enum err json_scan_nested(const char *text, size_t len, const char *const *names, size_t name_count,
                          struct json_span *spans_r, const struct json_inner *inner)
{
    struct scan scan = {.at = text, .end = text + len};
    struct wanted inside = {.names = inner->names, .count = inner->name_count, .spans = inner->spans_r};
    struct wanted wanted = {names, name_count, spans_r, &inside, inner->of};
    clear(&wanted);
    clear(&inside);
    if (len <= UINT32_MAX && scan_text(&scan, &wanted))
        return ERR_OK;
    clear(&wanted);
    clear(&inside);
    return ERR_INVALID;
}

bool json_scan_array_next(const struct json_span *array, size_t *cursor, struct json_span *element_r)
{
    /* The array is valid and its nesting was bounded then, so one level may be taken off here. */
    struct scan scan = {.at = array->at + (*cursor ? *cursor : 1), .end = array->at + array->len};
    skip_space(&scan);
    if (is_next(&scan, ','))
        scan.at++;
    skip_space(&scan);
    if (scan.at == scan.end || *scan.at == ']' || !scan_value(&scan, element_r, &nothing, 1))
        return false;
    *cursor = (size_t)(scan.at - array->at);
    return true;
}

enum err json_span_str(const struct json_span *span, struct buf *scratch, const char **str_r, size_t *len_r)
{
    if (span->kind != JSON_STRING)
        return ERR_INVALID;
    const char *at = span->at + 1, *end = span->at + span->len - 1;
    if (!span->has_escapes) {
        *str_r = at;
        *len_r = (size_t)(end - at);
        return ERR_OK;
    }
    size_t start = scratch->len;
    while (at < end) {
        const char *next = memchr(at, '\\', (size_t)(end - at));
        buf_add(scratch, at, (size_t)((next ? next : end) - at));
        if (!next)
            break;
        size_t len = 0;
        char utf8[4];
        int32_t point = escape_point(next, end, &len);
        if (point <= 0) {
            scratch->len = start;
            return ERR_INVALID;
        }
        buf_add(scratch, utf8, utf8_put((uint32_t)point, utf8));
        at = next + len;
    }
    *str_r = scratch->bytes + start;
    *len_r = scratch->len - start;
    return ERR_OK;
}

enum err json_span_int(const struct json_span *span, int64_t *value_r)
{
    if (span->kind != JSON_NUMBER)
        return ERR_INVALID;
    const char *at = span->at, *end = span->at + span->len;
    bool is_negative = *at == '-';
    int64_t value = 0; /* counted downwards: there is one more below zero than above */
    for (at += is_negative; at < end; at++)
        if (!is_digit(*at) || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_sub_overflow(value, *at - '0', &value))
            return ERR_INVALID;
    if (!is_negative && value == INT64_MIN)
        return ERR_INVALID;
    *value_r = is_negative ? value : -value;
    return ERR_OK;
}

enum err json_span_bool(const struct json_span *span, bool *value_r)
{
    if (span->kind != JSON_TRUE && span->kind != JSON_FALSE)
        return ERR_INVALID;
    *value_r = span->kind == JSON_TRUE;
    return ERR_OK;
}

bool json_span_is(const struct json_span *span, const char *text)
{
    if (span->kind != JSON_STRING)
        return false;
    const char *at = span->at + 1, *end = span->at + span->len - 1;
    for (; !span->has_escapes && at < end; at++, text++)
        if (*at != *text) /* a NUL ends only text: there is none in a valid string */
            return false;
    while (at < end) {
        if (*at != '\\') {
            if (*at++ != *text++)
                return false;
            continue;
        }
        size_t len = 0;
        char utf8[4];
        int32_t point = escape_point(at, end, &len);
        if (point <= 0)
            return false;
        size_t utf8_len = utf8_put((uint32_t)point, utf8);
        if (strncmp(text, utf8, utf8_len) != 0)
            return false;
        text += utf8_len;
        at += len;
    }
    return *text == '\0';
}
