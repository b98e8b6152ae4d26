/* For tests of the scanner: texts in memory of exactly their length. */
#ifndef HERALD_COMMON_JSON_SCAN_TEST_WORLD_H
#define HERALD_COMMON_JSON_SCAN_TEST_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json_scan.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const char *const names[] = {"v"};
static const char whole[] = " {\"id\":\"m\\u0031\\ud83d\\ude00\", "
                            "\"to\":{\"users\":[\"42\",\"gr\xc3\xbc\xc3\x9f\"]},\"v\":[1.10,-2e5,true,null,"
                            "{\"a\":{}}],\"ttlMs\":60000,\"once\":false}";

/* The text in memory of exactly its length, so that AddressSanitizer sees a read beyond it. */
static inline enum err scan_len(const char *text, size_t len, struct json_span *span_r, const char **why_r)
{
    static char *copy;
    free(copy);
    copy = malloc(len ? len : 1);
    memcpy(copy, text, len);
    size_t at = SIZE_MAX;
    enum err err = json_scan_object(copy, len, names, 1, span_r, why_r, &at);
    if (err != ERR_OK) {
        assert_int_equal(err, ERR_INVALID);
        assert_int_equal(span_r->kind, JSON_NONE);
        assert_true(at <= len);
        assert_non_null(*why_r);
    }
    if (len == 0) {
        free(copy);
        copy = NULL;
    }
    return err;
}

static inline enum err scan(const char *text, struct json_span *span_r)
{
    const char *why = NULL;
    return scan_len(text, strlen(text), span_r, &why);
}

/* {"v":VALUE} */
static inline enum err scan_value(const char *value, struct json_span *span_r)
{
    char text[1024];
    snprintf(text, sizeof(text), "{\"v\":%s}", value);
    return scan(text, span_r);
}

#endif
