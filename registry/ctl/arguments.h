/* The command line of heraldctl: options anywhere, then the command and its words. */
#ifndef HERALD_REGISTRY_CTL_ARGUMENTS_H
#define HERALD_REGISTRY_CTL_ARGUMENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"

/* name, what is typed, what its value is called (NULL: takes none), help */
#define ARGUMENT_LIST(X)                                                                                               \
    X(REGISTRY, "registry", "URL", "the registry to ask; else HERALD_REGISTRY, else http://127.0.0.1:9280")            \
    X(TIMEOUT, "timeout", "TIME", "give up after this long (5s)")                                                      \
    X(JSON, "json", NULL, "print the API's JSON, for scripts")                                                         \
    X(HELP, "help", NULL, "this text, or that of a command")                                                           \
    X(VERSION, "version", NULL, "the version")                                                                         \
    X(STATE, "state", "STATE", "only instances that are live, draining, left or dead")                                 \
    X(IDS, "ids", "ID,ID...", "the users, separated by commas")                                                        \
    X(USER, "user", "ID", "the user the token is for")                                                                 \
    X(DEVICE, "device", "ID", "bind the token to this device")                                                         \
    X(TTL, "ttl", "TIME", "how long the token is good: 90s, 30m, 12h, 7d (1h)")                                        \
    X(SECRET, "secret", "TEXT", "the gateways' HS256 secret; better in HERALD_AUTH_SECRET, which `ps` does not show")  \
    X(INTERVAL, "interval", "TIME", "time between two looks (1s)")                                                     \
    X(COUNT, "count", "N", "end after N looks")                                                                        \
    X(LIMIT, "limit", "N", "at most N of them")                                                                        \
    X(FILTER, "filter", "K=V,K=V...", "only those with this reason, key, source (or its beginning) or offset")         \
    X(DRY_RUN, "dry-run", NULL, "only say what would be done")

enum argument {
#define X(name, text, value, help) ARGUMENT_##name,
    ARGUMENT_LIST(X)
#undef X
        ARGUMENT_COUNT_
};

enum {
    ARGUMENT_WORDS_MAX = 8,
    ARGUMENTS_FOR_ALL = 1 << ARGUMENT_REGISTRY | 1 << ARGUMENT_TIMEOUT | 1 << ARGUMENT_JSON | 1 << ARGUMENT_HELP |
                        1 << ARGUMENT_VERSION
};

struct arguments {
    const char *values[ARGUMENT_COUNT_]; /* NULL: not given; "" for an option without a value */
    uint32_t given;                      /* bits of enum argument */
    const char *words[ARGUMENT_WORDS_MAX];
    int word_count; /* the command is the first */
};

struct argument_row {
    const char *name, *value, *help;
};
extern const struct argument_row argument_rows[ARGUMENT_COUNT_];

/* Nothing is copied: argv has to stay. On ERR_INVALID the reason stands in why. */
enum err arguments_parse(int argc, char **argv, struct arguments *arguments_r, struct buf *why) MUST_CHECK;
bool argument_is_given(const struct arguments *arguments, enum argument argument);
/* The value of a TIME option in ms: a number with ms, s, m, h or d, from min to max. ERR_INVALID: prints why. */
enum err argument_time(const struct arguments *arguments, enum argument argument, uint64_t fallback_ms, uint64_t min_ms,
                       uint64_t max_ms, uint64_t *ms_r) MUST_CHECK;
/* "90s", "500ms", "2h". */
enum err time_parse(const char *text, uint64_t *ms_r) MUST_CHECK;

#endif
