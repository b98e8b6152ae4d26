#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/json_scan.h"
#include "router/record/push_build.h"

enum {
    M_ID,
    M_TO,
    M_CONTENT,
    M_CLASS,
    M_TTL,
    M_PRIORITY,
    M_COLLAPSE,
    M_DELIVER_AT,
    M_EVERY,
    M_UNTIL,
    M_ONCE,
    M_OUTCOME,
    M_FROM,
    M_COUNT
};
static const char *const member_names[] = {"id",       "to",       "content",   "class",   "ttlMs",
                                           "priority", "collapse", "deliverAt", "everyMs", "untilMs",
                                           "once",     "outcome",  "from"};

enum { T_USER, T_DEVICE, T_DEVICES, T_USERS, T_TOPIC, T_ALL, T_WHERE, T_COUNT };
static const char *const target_names[] = {"user", "device", "devices", "users", "topic", "all", "where"};

struct reader {
    struct push *push;
    const struct push_limits *limits;
    struct buf scratch; /* for strings with escapes */
};

/* Serialisers write null for what is not set. */
static bool is_given(const struct json_span *span)
{
    return span->kind != JSON_NONE && span->kind != JSON_NULL;
}

static bool str(struct reader *reader, const struct json_span *span, const char **at_r, size_t *len_r)
{
    buf_clear(&reader->scratch);
    return json_span_str(span, &reader->scratch, at_r, len_r) == ERR_OK;
}

static bool text(struct reader *reader, const struct json_span *span, size_t max, struct push_str *str_r)
{
    const char *at;
    size_t len;
    return str(reader, span, &at, &len) && push_keep_text(reader->push, at, len, max, str_r);
}

static bool user(struct reader *reader, const struct json_span *span, struct push_str *str_r)
{
    const char *at;
    size_t len;
    return str(reader, span, &at, &len) && push_keep_user(reader->push, at, len, str_r);
}

static bool optional_text(struct reader *reader, const struct json_span *span, size_t max, struct push_str *str_r)
{
    return !is_given(span) || text(reader, span, max, str_r);
}

static bool optional_bool(const struct json_span *span, bool *value_r)
{
    return !is_given(span) || json_span_bool(span, value_r) == ERR_OK;
}

/* Absent: 0. False also for what is not positive. */
static bool optional_int(const struct json_span *span, int64_t *value_r)
{
    *value_r = 0;
    return !is_given(span) || (json_span_int(span, value_r) == ERR_OK && *value_r > 0);
}

/* --- to --- */

static enum push_error read_users(struct reader *reader, const struct json_span *array)
{
    struct json_span element;
    size_t cursor = 0;
    uint32_t count = 0;
    if (array->kind != JSON_ARRAY)
        return PUSH_ERROR_USERS;
    while (json_scan_array_next(array, &cursor, &element))
        if (++count > reader->limits->users_max)
            return PUSH_ERROR_USERS_COUNT;
    if (count == 0)
        return PUSH_ERROR_USERS;
    struct push_str *users = xcalloc(count, sizeof *users);
    cursor = 0;
    for (uint32_t i = 0; json_scan_array_next(array, &cursor, &element); i++) {
        if (!user(reader, &element, &users[i])) {
            free(users);
            return PUSH_ERROR_USER;
        }
    }
    push_set_users(reader->push, users, count);
    return PUSH_ERROR_NONE;
}

static enum push_error read_user(struct reader *reader, const struct json_span *spans)
{
    struct push *push = reader->push;
    push->to = PUSH_TO_USER;
    if (!user(reader, &spans[T_USER], &push->user))
        return PUSH_ERROR_USER;
    if (is_given(&spans[T_DEVICE])) {
        push->to = PUSH_TO_DEVICE;
        if (!text(reader, &spans[T_DEVICE], PUSH_DEVICE_MAX, &push->device))
            return PUSH_ERROR_DEVICE;
    }
    if (is_given(&spans[T_DEVICES])) {
        if (push->to == PUSH_TO_DEVICE || !json_span_is(&spans[T_DEVICES], "each"))
            return PUSH_ERROR_DEVICES;
        push->to = PUSH_TO_EACH;
    }
    return PUSH_ERROR_NONE;
}

static enum push_error read_where(struct reader *reader, const struct json_span *span)
{
    static const char *const names[] = {"attr", "eq"};
    struct json_span spans[2];
    struct push *push = reader->push;
    push->to = PUSH_TO_WHERE;
    if (span->kind != JSON_OBJECT || json_scan_object(span->at, span->len, names, 2, spans, NULL, NULL) != ERR_OK ||
        !text(reader, &spans[0], PUSH_TEXT_MAX, &push->where_attr) ||
        !text(reader, &spans[1], PUSH_TEXT_MAX, &push->where_eq))
        return PUSH_ERROR_WHERE;
    return PUSH_ERROR_NONE;
}

/* Everybody, a topic's subscribers, those with an attribute. */
static enum push_error read_crowd(struct reader *reader, const struct json_span *spans)
{
    struct push *push = reader->push;
    if (is_given(&spans[T_WHERE]))
        return read_where(reader, &spans[T_WHERE]);
    if (is_given(&spans[T_ALL])) {
        push->to = PUSH_TO_ALL;
        return spans[T_ALL].kind == JSON_TRUE ? PUSH_ERROR_NONE : PUSH_ERROR_ALL;
    }
    push->to = PUSH_TO_TOPIC;
    return text(reader, &spans[T_TOPIC], PUSH_TOPIC_MAX, &push->topic) ? PUSH_ERROR_NONE : PUSH_ERROR_TOPIC;
}

/* spans: of the members of `to`; none are given when it is no object. */
static enum push_error read_to(struct reader *reader, const struct json_span *spans)
{
    int kinds = is_given(&spans[T_USER]) + is_given(&spans[T_USERS]) + is_given(&spans[T_TOPIC]) +
                is_given(&spans[T_ALL]) + is_given(&spans[T_WHERE]);
    if (kinds != 1)
        return kinds == 0 ? PUSH_ERROR_TO_MISSING : PUSH_ERROR_TO_AMBIGUOUS;
    if (is_given(&spans[T_USER]))
        return read_user(reader, spans);
    if (is_given(&spans[T_DEVICE]))
        return PUSH_ERROR_DEVICE;
    if (is_given(&spans[T_DEVICES]))
        return PUSH_ERROR_DEVICES;
    return is_given(&spans[T_USERS]) ? read_users(reader, &spans[T_USERS]) : read_crowd(reader, spans);
}

/* --- the rest --- */

static enum push_error read_class(struct push *push, const struct json_span *span)
{
    if (!is_given(span))
        return push_set_class(push, PUSH_CLASS_DEFAULT);
    if (json_span_is(span, "durable"))
        return push_set_class(push, PUSH_CLASS_DURABLE);
    return json_span_is(span, "volatile") ? push_set_class(push, PUSH_CLASS_VOLATILE) : PUSH_ERROR_CLASS;
}

static enum push_error read_priority(struct push *push, const struct json_span *span)
{
    if (json_span_is(span, "high"))
        push->priority = HERALD__V1__PRIORITY__PRIORITY_HIGH;
    else if (json_span_is(span, "low"))
        push->priority = HERALD__V1__PRIORITY__PRIORITY_LOW;
    else if (!is_given(span) || json_span_is(span, "normal"))
        push->priority = HERALD__V1__PRIORITY__PRIORITY_NORMAL;
    else
        return PUSH_ERROR_PRIORITY;
    return PUSH_ERROR_NONE;
}

static enum push_error read_times(struct push *push, const struct json_span *spans)
{
    int64_t ttl_ms, deliver_at_ms, every_ms, until_ms;
    if (!optional_int(&spans[M_TTL], &ttl_ms))
        return PUSH_ERROR_TTL;
    if (!optional_int(&spans[M_DELIVER_AT], &deliver_at_ms) || !optional_int(&spans[M_EVERY], &every_ms) ||
        !optional_int(&spans[M_UNTIL], &until_ms))
        return PUSH_ERROR_SCHEDULE;
    return push_set_times(push, ttl_ms, deliver_at_ms, every_ms, until_ms);
}

static enum push_error read_options(struct reader *reader, const struct json_span *spans)
{
    struct push *push = reader->push;
    if (!optional_text(reader, &spans[M_COLLAPSE], PUSH_TEXT_MAX, &push->collapse))
        return PUSH_ERROR_COLLAPSE;
    if (!optional_text(reader, &spans[M_FROM], PUSH_TEXT_MAX, &push->from))
        return PUSH_ERROR_FROM;
    if (!optional_bool(&spans[M_ONCE], &push->is_once))
        return PUSH_ERROR_ONCE;
    enum push_error error = read_priority(push, &spans[M_PRIORITY]);
    return error != PUSH_ERROR_NONE ? error : read_times(push, spans);
}

/* First what an outcome is reported with, so that `dead` can be too. */
static enum push_error read_identity(struct reader *reader, const struct json_span *spans)
{
    if (!optional_bool(&spans[M_OUTCOME], &reader->push->is_outcome_wanted))
        return PUSH_ERROR_OUTCOME;
    return optional_text(reader, &spans[M_ID], PUSH_ID_MAX, &reader->push->id) ? PUSH_ERROR_NONE : PUSH_ERROR_ID;
}

static enum push_error read_content(struct reader *reader, const struct json_span *span)
{
    if (span->kind == JSON_NONE)
        return PUSH_ERROR_CONTENT_MISSING;
    if (span->len > reader->limits->content_max)
        return PUSH_ERROR_CONTENT_SIZE;
    reader->push->content = (struct push_str){.at = span->at, .len = span->len};
    return PUSH_ERROR_NONE;
}

static enum push_error read_members(struct reader *reader, const struct json_span *spans,
                                    const struct json_span *to_spans)
{
    struct push *push = reader->push;
    /* no string gets longer by taking its quotes off and adding a NUL; those of `to` lie inside it */
    push_reserve(push, (size_t)spans[M_ID].len + spans[M_TO].len + spans[M_COLLAPSE].len + spans[M_FROM].len);
    enum push_error error = read_identity(reader, spans);
    if (error == PUSH_ERROR_NONE)
        error = read_to(reader, to_spans);
    if (error == PUSH_ERROR_NONE)
        error = read_content(reader, &spans[M_CONTENT]);
    if (error == PUSH_ERROR_NONE)
        error = read_class(push, &spans[M_CLASS]);
    return error != PUSH_ERROR_NONE ? error : read_options(reader, spans);
}

enum push_error push_read_json(struct push *push, const char *value, size_t len, const struct push_limits *limits)
{
    struct json_span spans[M_COUNT], to_spans[T_COUNT];
    const struct json_inner to = {M_TO, target_names, T_COUNT, to_spans}; /* in one pass: 250 instructions less */
    if (json_scan_nested(value, len, member_names, M_COUNT, spans, &to) != ERR_OK)
        return PUSH_ERROR_SYNTAX;
    struct reader reader = {.push = push, .limits = limits};
    buf_init(&reader.scratch);
    enum push_error error = read_members(&reader, spans, to_spans);
    buf_release(&reader.scratch);
    return error;
}
