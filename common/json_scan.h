/*
 * A strict RFC 8259 scanner that finds members of a JSON object as spans of the original text, without copying and
 * without ever re-writing what is passed through: a push's `content` reaches the client byte for byte (a parser that
 * rebuilds numbers would not keep 1.10 or 12345678901234567890). For hot paths; elsewhere use jansson. (Not both in one
 * file: they name their kinds alike.)
 */
#ifndef HERALD_COMMON_JSON_SCAN_H
#define HERALD_COMMON_JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "err.h"

enum json_kind { JSON_NONE, JSON_OBJECT, JSON_ARRAY, JSON_STRING, JSON_NUMBER, JSON_TRUE, JSON_FALSE, JSON_NULL };

/* A value inside the scanned text: with the quotes of a string, the braces of an object. Kind JSON_NONE: absent. */
struct json_span {
    const char *at;
    uint32_t len;
    uint8_t kind;
    bool has_escapes; /* of a string: its text is not simply what stands between the quotes */
    bool is_repeated; /* of a member that was looked for: it is there more than once */
};

enum { JSON_DEPTH_MAX = 64 };

/*
 * Scans exactly one JSON object (white space around it allowed) and fills spans_r[i] with the value of the member
 * named names[i] (a name written with escapes is found too); others are validated and skipped. UTF-8 is validated, a
 * \u escape of half a surrogate pair refused, nesting deeper than JSON_DEPTH_MAX too. A member given twice: the last
 * counts. ERR_INVALID (all spans are JSON_NONE then), *why_r a constant text; *at_r the offset. why_r and at_r may be
 * NULL.
 */
enum err json_scan_object(const char *text, size_t len, const char *const *names, size_t name_count,
                          struct json_span *spans_r, const char **why_r, size_t *at_r) MUST_CHECK;

/* What is looked for in the object that is the value of the member names[of]: spans as above, in the same pass. All
 * JSON_NONE when there is no such member, or it is no object. */
struct json_inner {
    size_t of;
    const char *const *names;
    size_t name_count;
    struct json_span *spans_r;
};

/* json_scan_object(), and the members of one member. */
enum err json_scan_nested(const char *text, size_t len, const char *const *names, size_t name_count,
                          struct json_span *spans_r, const struct json_inner *inner) MUST_CHECK;

/* Walks the elements of an array span found by json_scan_object (so known to be valid). *cursor starts at 0;
 * false at the end. */
bool json_scan_array_next(const struct json_span *array, size_t *cursor, struct json_span *element_r);

/* The text of a string, unescaped: points into the scanned text where there are no escapes, else into `scratch`
 * (appended, valid until scratch changes). ERR_INVALID: not a string, or contains NUL. */
enum err json_span_str(const struct json_span *span, struct buf *scratch, const char **str_r, size_t *len_r) MUST_CHECK;
/* An integer in range of int64 (1e3 and 1.0 are refused). ERR_INVALID else. */
enum err json_span_int(const struct json_span *span, int64_t *value_r) MUST_CHECK;
/* ERR_INVALID when it is neither true nor false. */
enum err json_span_bool(const struct json_span *span, bool *value_r) MUST_CHECK;
/* Is it a string with exactly this text? */
bool json_span_is(const struct json_span *span, const char *text);

#endif
