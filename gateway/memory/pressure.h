/*
 * How short memory is, and what follows from it:
 *
 *     NORMAL -> TRIM    give back what is only kept for speed; slow clients may hold less
 *            -> REFUSE  and no new connections
 *            -> SHED    and the slowest clients are closed
 *
 * A level begins at its share of a limit and ends `slack` percent below it, so that it does not flutter. Of several
 * limits the one that is nearest counts. Pure.
 */
#ifndef HERALD_GATEWAY_MEMORY_PRESSURE_H
#define HERALD_GATEWAY_MEMORY_PRESSURE_H

#include <stdint.h>

#define PRESSURE_LEVEL_LIST(X) X(NORMAL, "normal") X(TRIM, "trim") X(REFUSE, "refuse") X(SHED, "shed")
enum pressure_level {
#define X(name, label) PRESSURE_##name,
    PRESSURE_LEVEL_LIST(X)
#undef X
        PRESSURE_LEVEL_COUNT
};
extern const char *const pressure_level_names[]; /* NULL-terminated */

/* X(name, label of the metrics): what is limited. */
#define PRESSURE_SOURCE_LIST(X)                                                                                        \
    X(WORKER, "worker") /* this process: its share of memory.limit */                                                  \
    X(CGROUP, "cgroup") /* everything in the control group */                                                          \
    X(RLIMIT, "rlimit") /* this process: RLIMIT_AS or RLIMIT_DATA */                                                   \
    X(FRAMES, "frames") /* of this process, what waits for clients and routers: memory.frames */
enum pressure_source {
#define X(name, label) PRESSURE_OF_##name,
    PRESSURE_SOURCE_LIST(X)
#undef X
        PRESSURE_SOURCE_COUNT
};
extern const char *const pressure_source_names[]; /* NULL-terminated */

struct pressure_settings {
    int64_t at[PRESSURE_LEVEL_COUNT]; /* percent of a limit; of NORMAL: not used */
    int64_t slack;                    /* percent */
};

struct pressure_reading {
    uint64_t used, limit; /* limit 0: there is none */
    uint32_t sharers;     /* how many processes do their part when it is exceeded */
};

struct pressure {
    enum pressure_level level;
    enum pressure_source source; /* that is nearest to its limit; its permille */
    uint32_t permille;
    uint64_t excess; /* bytes to get rid of to leave SHED; 0 below it */
};

/* After `before`, for readings[PRESSURE_SOURCE_COUNT]. */
struct pressure pressure_after(const struct pressure_settings *settings, enum pressure_level before,
                               const struct pressure_reading *readings);

#endif
