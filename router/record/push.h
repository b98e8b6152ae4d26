/*
 * One record of herald.push, understood: what a service wants pushed to whom (design.md "Kafka", docs/producing.md).
 * Two forms, the same meaning: JSON (the default), and protobuf herald.v1.Push where the record's header content-type
 * is application/x-protobuf. Pure: no clock, no I/O.
 *
 * Strings are copies with a NUL behind them, in memory of the push; the content stays a span of the record's own
 * bytes (JSON form) or a copy (protobuf form), byte for byte as produced. Unknown members are ignored.
 */
#ifndef HERALD_ROUTER_RECORD_PUSH_H
#define HERALD_ROUTER_RECORD_PUSH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "link.pb-c.h"

enum { PUSH_ID_MAX = 128, PUSH_USER_MAX = 128, PUSH_DEVICE_MAX = 64, PUSH_TOPIC_MAX = 128, PUSH_TEXT_MAX = 128 };

enum push_to {
    PUSH_TO_USER,   /* user: every device online, the first acknowledges */
    PUSH_TO_DEVICE, /* user and device */
    PUSH_TO_EACH,   /* user, "devices":"each": a copy for each known device */
    PUSH_TO_USERS,  /* users[user_count], each of them once */
    PUSH_TO_TOPIC,  /* topic */
    PUSH_TO_ALL,
    PUSH_TO_WHERE /* where_attr equals where_eq */
};

/* Why a record is not a push: the label for metrics and the text for the header herald-error. Both are stable. */
#define PUSH_ERROR_LIST(X)                                                                                             \
    X(NONE, "none", "")                                                                                                \
    X(EMPTY, "empty", "the record has no value")                                                                       \
    X(SYNTAX, "syntax", "the value is not a JSON object")                                                              \
    X(PROTOBUF, "protobuf", "the value is not a herald.v1.Push")                                                       \
    X(CONTENT_TYPE, "content_type", "unknown content-type: use application/json or application/x-protobuf")            \
    X(CONTENT_MISSING, "content_missing", "content is missing")                                                        \
    X(CONTENT_SYNTAX, "content_syntax", "content is not JSON text")                                                    \
    X(CONTENT_SIZE, "content_size", "content is larger than push.content_max")                                         \
    X(TO_MISSING, "to_missing", "to is missing or names nobody")                                                       \
    X(TO_AMBIGUOUS, "to_ambiguous", "to names more than one kind of target")                                           \
    X(ID, "id", "id must be a string of 1 to 128 bytes without control characters")                                    \
    X(USER, "user", "user must be a string of 1 to 128 bytes without control characters and braces")                   \
    X(USERS, "users", "users must be a non-empty array of user ids")                                                   \
    X(USERS_COUNT, "users_count", "users names more users than push.users_max")                                        \
    X(DEVICE, "device", "device must be a string of 1 to 64 bytes without control characters, beside a user")          \
    X(DEVICES, "devices", "devices must be \"each\", beside a user and no device")                                     \
    X(TOPIC, "topic", "topic must be a string of 1 to 128 bytes without control characters")                           \
    X(ALL, "all", "all must be true")                                                                                  \
    X(WHERE, "where", "where must be {\"attr\":string,\"eq\":string}, each of 1 to 128 bytes")                         \
    X(CLASS, "class", "class must be durable or volatile")                                                             \
    X(CLASS_TARGET, "class_target", "all, where and topic are volatile only")                                          \
    X(TTL, "ttl", "ttlMs must be an integer from 1 to 31536000000")                                                    \
    X(PRIORITY, "priority", "priority must be high, normal or low")                                                    \
    X(COLLAPSE, "collapse", "collapse must be a string of 1 to 128 bytes without control characters")                  \
    X(SCHEDULE, "schedule",                                                                                            \
      "deliverAt, everyMs (1000 or more) and untilMs must be positive integers; untilMs needs everyMs")                \
    X(ONCE, "once", "once must be true or false")                                                                      \
    X(OUTCOME, "outcome", "outcome must be true or false")                                                             \
    X(FROM, "from", "from must be a string of 1 to 128 bytes without control characters")                              \
    X(UNSUPPORTED, "unsupported", "this kind of push is not supported by this version")

enum push_error {
#define X(name, label, text) PUSH_ERROR_##name,
    PUSH_ERROR_LIST(X)
#undef X
        PUSH_ERROR_COUNT
};

const char *push_error_label(enum push_error error);
const char *push_error_text(enum push_error error);
/* NULL-terminated, for the metric table. */
extern const char *const push_error_labels[];

struct push_str {
    const char *at; /* never NULL, a NUL stands behind it (but not behind the content) */
    uint32_t len;   /* 0: absent */
};

/* Strings may point into the struct itself: it must not be moved. */
struct push {
    enum push_to to;
    bool is_durable;
    bool is_once;
    bool is_outcome_wanted;
    Herald__V1__Priority priority;
    struct push_str id; /* as the producer gave it; absent: see record->id */
    struct push_str user, device;
    const struct push_str *users; /* PUSH_TO_USERS */
    uint32_t user_count;
    struct push_str topic, where_attr, where_eq;
    struct push_str content; /* JSON text */
    struct push_str collapse, from;
    int64_t ttl_ms;                            /* 0: not limited by the producer */
    int64_t deliver_at_ms, every_ms, until_ms; /* Unix epoch, period, Unix epoch; 0: absent */

    char *block; /* where the strings are: `near` or the heap */
    uint32_t block_len, block_size;
    char near[96];
};

struct push_limits {
    uint32_t content_max; /* bytes */
    uint32_t users_max;
};

/*
 * Reads a record's value into *push. `value` must stay until push_release(), which has to be called also after an
 * error. content_type is the record's header of that name, or NULL.
 */
enum push_error push_parse(struct push *push, const void *value, size_t len, const char *content_type,
                           size_t content_type_len, const struct push_limits *limits) MUST_CHECK;
void push_release(struct push *push);
/* Could these bytes be an id: 1 to PUSH_ID_MAX of them, without control characters, UTF-8? */
bool push_is_id(const char *at, size_t len);

#endif
