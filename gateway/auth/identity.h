/* Who a session is: a user and one of the user's devices, within the limits that keys, routes and frames rely on. */
#ifndef HERALD_GATEWAY_AUTH_IDENTITY_H
#define HERALD_GATEWAY_AUTH_IDENTITY_H

#include <stddef.h>
#include <stdint.h>

/* Ids that are not for people: canary/canary.h. */
#define CANARY_USER_PREFIX "~canary-"
enum { USER_LEN_MAX = 128, DEVICE_LEN_MAX = 64 };

struct identity {
    char user[USER_LEN_MAX + 1], device[DEVICE_LEN_MAX + 1];
    uint64_t expires_ms; /* wall clock: when the session has to end; 0: never */
};

/* NULL when fit, else what is wrong with it. Not empty, at most so many bytes, valid UTF-8, no control characters; in
 * users no braces either: the user is the hash tag of Redis keys; and no canary's name. */
const char *identity_check_user(const char *user, size_t len);
const char *identity_check_device(const char *device, size_t len);

/* Of the client that a worker is to itself. */
void identity_of_canary(const char *instance, struct identity *identity_r);

#endif
