#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/json_scan.h"
#include "common/memory.h"
#include "common/utf8.h"
#include "push.pb-c.h"
#include "router/record/push_build.h"

/* --- strings on the wire: protobuf-c hands them out up to their first NUL and checks no UTF-8 --- */

struct level {
    uint32_t strings, messages; /* bit n: field n is one */
    const struct level *inner;  /* of the message fields */
};

static const struct level where_level = {.strings = 1 << 1 | 1 << 2};
static const struct level to_level = {
    .strings = 1 << 1 | 1 << 2 | 1 << 4 | 1 << 5, .messages = 1 << 7, .inner = &where_level};
static const struct level push_level = {.strings = 1 << 1 | 1 << 7 | 1 << 13, .messages = 1 << 2, .inner = &to_level};

static bool take_varint(const uint8_t **at, const uint8_t *end, uint64_t *value_r)
{
    *value_r = 0;
    for (int shift = 0; shift < 64 && *at < end; shift += 7) {
        uint8_t byte = *(*at)++;
        *value_r |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return true;
    }
    return false;
}

static bool is_string(const char *at, size_t len)
{
    if (memchr(at, '\0', len))
        return false;
    while (len > 0) {
        size_t step = utf8_char_len(at, len);
        if (step == 0)
            return false;
        at += step;
        len -= step;
    }
    return true;
}

static bool is_clean(const struct level *level, const uint8_t *at, const uint8_t *end);

/* A length-delimited field, whose bytes are at `at`. */
static bool is_clean_field(const struct level *level, uint64_t number, const uint8_t *at, size_t len)
{
    if (number >= 32)
        return true;
    uint32_t bit = UINT32_C(1) << number;
    if (level->strings & bit)
        return is_string((const char *)at, len);
    return !(level->messages & bit) || is_clean(level->inner, at, at + len);
}

static bool is_clean(const struct level *level, const uint8_t *at, const uint8_t *end)
{
    while (at < end) {
        uint64_t tag, len = 0;
        if (!take_varint(&at, end, &tag))
            return false;
        switch (tag & 7) {
        case 0:
            if (!take_varint(&at, end, &len))
                return false;
            continue;
        case 1:
            len = 8;
            break;
        case 2:
            if (!take_varint(&at, end, &len) || len > (uint64_t)(end - at) ||
                !is_clean_field(level, tag >> 3, at, (size_t)len))
                return false;
            break;
        case 5:
            len = 4;
            break;
        default:
            return false;
        }
        if (len > (uint64_t)(end - at))
            return false;
        at += len;
    }
    return true;
}

/* --- content --- */

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Exactly one JSON value: scanned as the only member of an object, whose span must then be all of it. */
static bool is_json(const char *at, size_t len)
{
    static const char *const names[] = {"c"};
    while (len > 0 && is_space(at[0]))
        at++, len--;
    while (len > 0 && is_space(at[len - 1]))
        len--;
    struct json_span span;
    struct buf wrapped;
    buf_init(&wrapped);
    buf_add_str(&wrapped, "{\"c\":");
    buf_add(&wrapped, at, len);
    buf_add_char(&wrapped, '}');
    bool is_whole = json_scan_object(wrapped.bytes, wrapped.len, names, 1, &span, NULL, NULL) == ERR_OK &&
                    span.at == wrapped.bytes + 5 && span.len == len;
    buf_release(&wrapped);
    return is_whole;
}

/* --- fields: an empty string is an absent one --- */

static bool text(struct push *push, const char *at, size_t max, struct push_str *str_r)
{
    return *at == '\0' || push_keep_text(push, at, strlen(at), max, str_r);
}

static size_t room(const char *s)
{
    return strlen(s) + 1;
}

static size_t strings_room(const Herald__V1__Push *from)
{
    const Herald__V1__Push__To *to = from->to;
    size_t total = room(from->id) + room(from->collapse) + room(from->from) + from->content.len + 1;
    if (!to)
        return total;
    total += room(to->user) + room(to->device) + room(to->topic);
    for (size_t i = 0; i < to->n_users; i++)
        total += room(to->users[i]);
    if (to->where)
        total += room(to->where->attr) + room(to->where->eq);
    return total;
}

static enum push_error read_users(struct push *push, const Herald__V1__Push__To *to, const struct push_limits *limits)
{
    if (to->n_users > limits->users_max)
        return PUSH_ERROR_USERS_COUNT;
    struct push_str *users = xcalloc(to->n_users, sizeof *users);
    for (size_t i = 0; i < to->n_users; i++) {
        if (!push_keep_user(push, to->users[i], strlen(to->users[i]), &users[i])) {
            free(users);
            return PUSH_ERROR_USER;
        }
    }
    push_set_users(push, users, (uint32_t)to->n_users);
    return PUSH_ERROR_NONE;
}

static enum push_error read_user(struct push *push, const Herald__V1__Push__To *to)
{
    bool is_each = to->devices == HERALD__V1__PUSH__TO__DEVICES__DEVICES_EACH;
    if (!push_keep_user(push, to->user, strlen(to->user), &push->user))
        return PUSH_ERROR_USER;
    if (!text(push, to->device, PUSH_DEVICE_MAX, &push->device))
        return PUSH_ERROR_DEVICE;
    if ((is_each && push->device.len > 0) || (to->devices && !is_each))
        return PUSH_ERROR_DEVICES;
    push->to = is_each ? PUSH_TO_EACH : push->device.len > 0 ? PUSH_TO_DEVICE : PUSH_TO_USER;
    return PUSH_ERROR_NONE;
}

static enum push_error read_to(struct push *push, const Herald__V1__Push__To *to, const struct push_limits *limits)
{
    int kinds = (*to->user != '\0') + (to->n_users > 0) + (*to->topic != '\0') + (to->all != 0) + (to->where != NULL);
    if (kinds != 1)
        return kinds == 0 ? PUSH_ERROR_TO_MISSING : PUSH_ERROR_TO_AMBIGUOUS;
    if (*to->user)
        return read_user(push, to);
    if (*to->device)
        return PUSH_ERROR_DEVICE;
    if (to->devices)
        return PUSH_ERROR_DEVICES;
    if (to->n_users > 0)
        return read_users(push, to, limits);
    push->to = to->all ? PUSH_TO_ALL : to->where ? PUSH_TO_WHERE : PUSH_TO_TOPIC;
    if (push->to == PUSH_TO_TOPIC)
        return text(push, to->topic, PUSH_TOPIC_MAX, &push->topic) ? PUSH_ERROR_NONE : PUSH_ERROR_TOPIC;
    if (push->to == PUSH_TO_WHERE &&
        (!push_keep_text(push, to->where->attr, strlen(to->where->attr), PUSH_TEXT_MAX, &push->where_attr) ||
         !push_keep_text(push, to->where->eq, strlen(to->where->eq), PUSH_TEXT_MAX, &push->where_eq)))
        return PUSH_ERROR_WHERE;
    return PUSH_ERROR_NONE;
}

static enum push_error read_options(struct push *push, const Herald__V1__Push *from)
{
    static const Herald__V1__Priority priorities[] = {
        [HERALD__V1__PUSH__PRIORITY__PRIORITY_DEFAULT] = HERALD__V1__PRIORITY__PRIORITY_NORMAL,
        [HERALD__V1__PUSH__PRIORITY__PRIORITY_HIGH] = HERALD__V1__PRIORITY__PRIORITY_HIGH,
        [HERALD__V1__PUSH__PRIORITY__PRIORITY_NORMAL] = HERALD__V1__PRIORITY__PRIORITY_NORMAL,
        [HERALD__V1__PUSH__PRIORITY__PRIORITY_LOW] = HERALD__V1__PRIORITY__PRIORITY_LOW};
    if (!text(push, from->collapse, PUSH_TEXT_MAX, &push->collapse))
        return PUSH_ERROR_COLLAPSE;
    if (!text(push, from->from, PUSH_TEXT_MAX, &push->from))
        return PUSH_ERROR_FROM;
    push->is_once = from->once;
    if ((unsigned)from->priority >= sizeof priorities / sizeof priorities[0]) /* of a newer producer */
        return PUSH_ERROR_PRIORITY;
    push->priority = priorities[from->priority];
    if (from->ttl_ms > INT64_MAX)
        return PUSH_ERROR_TTL;
    if (from->every_ms > INT64_MAX)
        return PUSH_ERROR_SCHEDULE;
    return push_set_times(push, (int64_t)from->ttl_ms, from->deliver_at_ms, (int64_t)from->every_ms, from->until_ms);
}

static enum push_error read_class(struct push *push, Herald__V1__Push__Class class)
{
    switch (class) {
    case HERALD__V1__PUSH__CLASS__CLASS_DEFAULT:
        return push_set_class(push, PUSH_CLASS_DEFAULT);
    case HERALD__V1__PUSH__CLASS__CLASS_DURABLE:
        return push_set_class(push, PUSH_CLASS_DURABLE);
    case HERALD__V1__PUSH__CLASS__CLASS_VOLATILE:
        return push_set_class(push, PUSH_CLASS_VOLATILE);
    default:
        return PUSH_ERROR_CLASS;
    }
}

static enum push_error read_content(struct push *push, const ProtobufCBinaryData *content,
                                    const struct push_limits *limits)
{
    if (content->len == 0)
        return PUSH_ERROR_CONTENT_MISSING;
    if (content->len > limits->content_max)
        return PUSH_ERROR_CONTENT_SIZE;
    if (!is_json((const char *)content->data, content->len))
        return PUSH_ERROR_CONTENT_SYNTAX;
    push->content = push_keep(push, (const char *)content->data, content->len);
    return PUSH_ERROR_NONE;
}

static enum push_error read_message(struct push *push, const Herald__V1__Push *from, const struct push_limits *limits)
{
    push_reserve(push, strings_room(from));
    push->is_outcome_wanted = from->outcome;
    if (!text(push, from->id, PUSH_ID_MAX, &push->id))
        return PUSH_ERROR_ID;
    if (!from->to)
        return PUSH_ERROR_TO_MISSING;
    enum push_error error = read_to(push, from->to, limits);
    if (error == PUSH_ERROR_NONE)
        error = read_content(push, &from->content, limits);
    if (error == PUSH_ERROR_NONE)
        error = read_class(push, from->class_);
    return error != PUSH_ERROR_NONE ? error : read_options(push, from);
}

/* protobuf-c makes one small allocation for each string; the message is short-lived, so they come from malloc(). */
enum push_error push_read_proto(struct push *push, const uint8_t *bytes, size_t len, const struct push_limits *limits)
{
    if (!is_clean(&push_level, bytes, bytes + len))
        return PUSH_ERROR_PROTOBUF;
    Herald__V1__Push *from = herald__v1__push__unpack(memory_protobuf(), len, bytes);
    if (!from)
        return PUSH_ERROR_PROTOBUF;
    enum push_error error = read_message(push, from, limits);
    herald__v1__push__free_unpacked(from, NULL);
    return error;
}
