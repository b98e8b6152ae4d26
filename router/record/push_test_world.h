/* For tests of a push: its text is parsed from memory of exactly its length. */
#ifndef HERALD_ROUTER_RECORD_PUSH_TEST_WORLD_H
#define HERALD_ROUTER_RECORD_PUSH_TEST_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "router/record/push.h"

static const struct push_limits limits = {.content_max = 65536, .users_max = 5};
static const char proto_type[] = "application/x-protobuf";

/* Parses from a heap copy of exactly that size, so that a read beyond it is seen by the sanitizer. */
static char *last_value;
static inline enum push_error parse_bytes(struct push *push, const void *value, size_t len, const char *type)
{
    free(last_value);
    last_value = malloc(len + (len == 0));
    memcpy(last_value, value, len);
    return push_parse(push, last_value, len, type, type ? strlen(type) : 0, &limits);
}

static inline enum push_error parse(struct push *push, const char *json)
{
    return parse_bytes(push, json, strlen(json), NULL);
}

static inline void assert_str(struct push_str str, const char *expected)
{
    assert_non_null(str.at);
    assert_int_equal(str.len, strlen(expected));
    assert_memory_equal(str.at, expected, str.len);
}

static inline int drop_value(void **state)
{
    (void)state;
    free(last_value);
    last_value = NULL;
    return 0;
}

#endif
