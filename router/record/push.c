#include "router/record/push.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/check.h"
#include "common/table.h"
#include "common/utf8.h"
#include "router/record/push_build.h"

#define TTL_MAX_MS INT64_C(31536000000) /* a year */
#define EVERY_MIN_MS 1000

static const char *const texts[] = {
#define X(name, label, text) [PUSH_ERROR_##name] = text,
    PUSH_ERROR_LIST(X)
#undef X
};

const char *const push_error_labels[] = {
#define X(name, label, text) [PUSH_ERROR_##name] = label,
    PUSH_ERROR_LIST(X)
#undef X
        [PUSH_ERROR_COUNT] = NULL};

const char *push_error_label(enum push_error error)
{
    return push_error_labels[error];
}

const char *push_error_text(enum push_error error)
{
    return texts[error];
}

/* --- strings --- */

void push_reserve(struct push *push, size_t bytes)
{
    push->block = bytes <= sizeof push->near ? push->near : xmalloc(bytes);
    push->block_size = bytes <= sizeof push->near ? sizeof push->near : (uint32_t)bytes;
    push->block_len = 0;
}

struct push_str push_keep(struct push *push, const char *at, size_t len)
{
    CHECK(push->block_len + len + 1 <= push->block_size);
    char *to = push->block + push->block_len;
    memcpy(to, at, len);
    to[len] = '\0';
    push->block_len += (uint32_t)len + 1;
    return (struct push_str){.at = to, .len = (uint32_t)len};
}

/* C0, DEL, and C1 (U+0080 to U+009F: C2 80 to C2 9F). */
static bool has_control(const char *at, size_t len)
{
    const unsigned char *bytes = (const unsigned char *)at;
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] < 0x20 || bytes[i] == 0x7f)
            return true;
        if (bytes[i] == 0xc2 && i + 1 < len && bytes[i + 1] < 0xa0)
            return true;
    }
    return false;
}

bool push_is_id(const char *at, size_t len)
{
    size_t step;
    if (len == 0 || len > PUSH_ID_MAX || has_control(at, len))
        return false;
    for (size_t i = 0; i < len; i += step)
        if ((step = utf8_char_len(at + i, len - i)) == 0)
            return false;
    return true;
}

bool push_keep_text(struct push *push, const char *at, size_t len, size_t max, struct push_str *str_r)
{
    if (len == 0 || len > max || has_control(at, len))
        return false;
    *str_r = push_keep(push, at, len);
    return true;
}

bool push_keep_user(struct push *push, const char *at, size_t len, struct push_str *str_r)
{
    if (memchr(at, '{', len) || memchr(at, '}', len))
        return false;
    return push_keep_text(push, at, len, PUSH_USER_MAX, str_r);
}

/* --- what both forms decide alike --- */

void push_set_users(struct push *push, struct push_str *users, uint32_t count)
{
    uint32_t size = 4;
    while (size < count * 2)
        size *= 2;
    uint32_t *slots = xcalloc(size, sizeof *slots); /* index + 1 of the user that hashes there */
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = (uint32_t)table_hash(users[i].at, users[i].len) & (size - 1);
        while (slots[at] && (users[slots[at] - 1].len != users[i].len ||
                             memcmp(users[slots[at] - 1].at, users[i].at, users[i].len) != 0))
            at = (at + 1) & (size - 1);
        if (slots[at])
            continue; /* named before */
        users[kept] = users[i];
        slots[at] = ++kept;
    }
    free(slots);
    push->to = PUSH_TO_USERS;
    push->users = users;
    push->user_count = kept;
}

enum push_error push_set_class(struct push *push, enum push_class class)
{
    bool is_crowd = push->to == PUSH_TO_ALL || push->to == PUSH_TO_TOPIC || push->to == PUSH_TO_WHERE;
    if (is_crowd && class == PUSH_CLASS_DURABLE)
        return PUSH_ERROR_CLASS_TARGET;
    push->is_durable = class == PUSH_CLASS_DURABLE || (class == PUSH_CLASS_DEFAULT && !is_crowd);
    return PUSH_ERROR_NONE;
}

enum push_error push_set_times(struct push *push, int64_t ttl_ms, int64_t deliver_at_ms, int64_t every_ms,
                               int64_t until_ms)
{
    if (ttl_ms < 0 || ttl_ms > TTL_MAX_MS)
        return PUSH_ERROR_TTL;
    if (deliver_at_ms < 0 || until_ms < 0 || every_ms < 0 || (every_ms > 0 && every_ms < EVERY_MIN_MS) ||
        (until_ms > 0 && every_ms == 0))
        return PUSH_ERROR_SCHEDULE;
    push->ttl_ms = ttl_ms;
    push->deliver_at_ms = deliver_at_ms;
    push->every_ms = every_ms;
    push->until_ms = until_ms;
    return PUSH_ERROR_NONE;
}

/* --- which form --- */

static bool is_type(const char *type, size_t len, const char *name)
{
    return len == strlen(name) && strncasecmp(type, name, len) == 0;
}

static bool ends_with_json(const char *type, size_t len)
{
    return len > 5 && strncasecmp(type + len - 5, "+json", 5) == 0;
}

/* Without parameters ("; charset=utf-8") and the space before them. */
static size_t type_len(const char *type, size_t len)
{
    const char *semicolon = memchr(type, ';', len);
    size_t end = semicolon ? (size_t)(semicolon - type) : len;
    while (end > 0 && (type[end - 1] == ' ' || type[end - 1] == '\t'))
        end--;
    return end;
}

enum push_error push_parse(struct push *push, const void *value, size_t len, const char *content_type,
                           size_t content_type_len, const struct push_limits *limits)
{
    memset(push, 0, offsetof(struct push, near));
    const struct push_str none = {.at = "", .len = 0};
    push->id = push->user = push->device = push->topic = push->where_attr = push->where_eq = none;
    push->content = push->collapse = push->from = none;
    if (!value || len == 0)
        return PUSH_ERROR_EMPTY;
    size_t type = content_type ? type_len(content_type, content_type_len) : 0;
    if (type == 0 || is_type(content_type, type, "application/json") || is_type(content_type, type, "text/json") ||
        is_type(content_type, type, "text/plain") || ends_with_json(content_type, type))
        return push_read_json(push, value, len, limits);
    if (is_type(content_type, type, "application/x-protobuf") || is_type(content_type, type, "application/protobuf"))
        return push_read_proto(push, value, len, limits);
    return PUSH_ERROR_CONTENT_TYPE;
}

void push_release(struct push *push)
{
    free((void *)push->users);
    push->users = NULL;
    if (push->block != push->near)
        free(push->block);
    push->block = NULL;
}
