/*
 * The one enum for everything that may fail in an expected way. A function that returns it is MUST_CHECK: the
 * caller counts, retries or closes. What cannot happen is a CHECK() (check.h) instead, and ends the process.
 */
#ifndef HERALD_COMMON_ERR_H
#define HERALD_COMMON_ERR_H

#define MUST_CHECK __attribute__((warn_unused_result))

#define ERR_LIST(X)                                                                                                    \
    X(OK, "ok")                                                                                                        \
    X(AWAY, "away")           /* the peer (Redis, Kafka, a gateway) cannot be reached now; trying again may help */    \
    X(FULL, "full")           /* a bounded queue or table has no room; its policy decides */                           \
    X(TIMEOUT, "timeout")     /* the time allowed has passed */                                                        \
    X(INVALID, "invalid")     /* input that breaks its grammar or a stated rule */                                     \
    X(TOO_LARGE, "too_large") /* input beyond a configured size limit */                                               \
    X(NOT_FOUND, "not_found")                                                                                          \
    X(REFUSED, "refused") /* understood, but not allowed */                                                            \
    X(CLOSED, "closed")   /* the other side ended the connection */                                                    \
    X(EXPIRED, "expired")                                                                                              \
    X(UNSUPPORTED, "unsupported")                                                                                      \
    X(SYSTEM, "system") /* a system or library call failed; errno or the log says why */

enum err {
#define X(name, text) ERR_##name,
    ERR_LIST(X)
#undef X
};

/* The short, stable name used in logs and metric labels. Never NULL. */
const char *err_name(enum err err);

#endif
