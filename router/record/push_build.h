/* What the two forms of a push (push_json.c, push_proto.c) share with push.c. Private to them. */
#ifndef HERALD_ROUTER_RECORD_PUSH_BUILD_H
#define HERALD_ROUTER_RECORD_PUSH_BUILD_H

#include "router/record/push.h"

enum push_class { PUSH_CLASS_DEFAULT, PUSH_CLASS_DURABLE, PUSH_CLASS_VOLATILE };

enum push_error push_read_json(struct push *push, const char *text, size_t len, const struct push_limits *limits);
enum push_error push_read_proto(struct push *push, const uint8_t *bytes, size_t len, const struct push_limits *limits);

/* Room for all strings, each with its NUL; before the first push_keep(). */
void push_reserve(struct push *push, size_t bytes);
struct push_str push_keep(struct push *push, const char *at, size_t len);
/* As push_keep, if it is 1 to `max` bytes of text without control characters. Well-formed UTF-8 is the caller's part.
 */
bool push_keep_text(struct push *push, const char *at, size_t len, size_t max, struct push_str *str_r);
/* A user id: also no braces, which delimit the hash tag of the keys in Redis. */
bool push_keep_user(struct push *push, const char *at, size_t len, struct push_str *str_r);
/* Each user of the list once; `users` is malloc()ed and becomes the push's. */
void push_set_users(struct push *push, struct push_str *users, uint32_t count);
enum push_error push_set_class(struct push *push, enum push_class class);
/* 0: absent. The caller has seen to it that what is present is positive. */
enum push_error push_set_times(struct push *push, int64_t ttl_ms, int64_t deliver_at_ms, int64_t every_ms,
                               int64_t until_ms);

#endif
