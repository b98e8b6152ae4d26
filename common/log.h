/*
 * Structured logging to stderr, one line each: key=value or JSON (option log.format). A line has a fixed message
 * (what happened, in few words, never formatted) and typed fields. Values are escaped; secrets are never passed.
 *
 *     log_info("session opened", F_STR("user", user), F_UINT("connection", id));
 *     ts=2026-01-02T03:04:05.678Z level=info component=gateway instance=gw1-0 msg="session opened" user=42 connection=7
 *
 * A line is one write(2) of at most 8 KiB: a value is shown up to 1 KiB ("..." follows), and a line whose fields did
 * not all fit says cut=true. Lines that the network can cause use log_limited(), at most one a second for each call
 * site, the next one telling how many were left out (suppressed=N).
 */
#ifndef HERALD_COMMON_LOG_H
#define HERALD_COMMON_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h> /* F_ERRNO */

#include "err.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };
enum { LOG_FIELDS_MAX = 16 }; /* in a line */
enum log_kind { LOG_FIELD_END, LOG_FIELD_STR, LOG_FIELD_INT, LOG_FIELD_UINT, LOG_FIELD_BOOL, LOG_FIELD_DOUBLE };

struct log_field {
    enum log_kind kind;
    const char *key;
    const char *str; /* NULL prints as empty */
    size_t len;      /* of str; SIZE_MAX: until its NUL */
    union {
        int64_t i;
        uint64_t u;
        double d;
    };
};

#define F_STR(k, v) ((struct log_field){.kind = LOG_FIELD_STR, .key = (k), .str = (v), .len = SIZE_MAX})
#define F_STRN(k, v, n) ((struct log_field){.kind = LOG_FIELD_STR, .key = (k), .str = (v), .len = (n)})
#define F_INT(k, v) ((struct log_field){.kind = LOG_FIELD_INT, .key = (k), .i = (v)})
#define F_UINT(k, v) ((struct log_field){.kind = LOG_FIELD_UINT, .key = (k), .u = (v)})
#define F_BOOL(k, v) ((struct log_field){.kind = LOG_FIELD_BOOL, .key = (k), .u = (v)})
#define F_DOUBLE(k, v) ((struct log_field){.kind = LOG_FIELD_DOUBLE, .key = (k), .d = (v)})
#define F_ERR(v) F_STR("err", err_name(v))
#define F_ERRNO(e) F_STR("errno", strerror(e))

/* component ("gateway") and instance ("gw1-0", may be NULL) stand in every line. Strings are copied. */
void log_setup(enum log_level level, enum log_format format, const char *component, const char *instance);
bool log_enabled(enum log_level level);
/* Where lines go: STDERR_FILENO unless changed (tests). */
void log_set_fd(int fd);

/* fields ends with kind LOG_FIELD_END. Use the macros below. */
void log_write(enum log_level level, uint64_t suppressed, const char *msg, const struct log_field *fields);

struct log_limit {
    uint64_t last_ms;
    uint64_t suppressed;
};
/* True when a line may be written now; *suppressed_r then says how many were left out since the last one. */
bool log_limit_pass(struct log_limit *limit, uint64_t *suppressed_r);

/* the rest of the array is zero: LOG_FIELD_END */
#define LOG_FIELDS(...) ((const struct log_field[LOG_FIELDS_MAX + 1]){__VA_ARGS__})
#define log_at(level, msg, ...) (log_enabled(level) ? log_write(level, 0, msg, LOG_FIELDS(__VA_ARGS__)) : (void)0)
#define log_error(msg, ...) log_at(LOG_ERROR, msg, __VA_ARGS__)
#define log_warn(msg, ...) log_at(LOG_WARN, msg, __VA_ARGS__)
#define log_info(msg, ...) log_at(LOG_INFO, msg, __VA_ARGS__)
#define log_debug(msg, ...) log_at(LOG_DEBUG, msg, __VA_ARGS__)
#define log_limited(level, msg, ...)                                                                                   \
    do {                                                                                                               \
        static struct log_limit log_limit_here;                                                                        \
        uint64_t log_suppressed;                                                                                       \
        if (log_enabled(level) && log_limit_pass(&log_limit_here, &log_suppressed))                                    \
            log_write(level, log_suppressed, msg, LOG_FIELDS(__VA_ARGS__));                                            \
    } while (0)

#endif
