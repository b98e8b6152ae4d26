/*
 * Who is let in. All reasons to refuse a new connection meet here, so that each is counted by its name and answered
 * alike: 503 with Retry-After. All but RATE are decided before anything of the request is read; that one when the
 * request is known to be a good one (others must not take its place), and before the token is looked at. Pure.
 */
#ifndef HERALD_GATEWAY_WS_GATE_H
#define HERALD_GATEWAY_WS_GATE_H

#include <stdbool.h>
#include <stdint.h>

/* X(name, label of the metric, text of the answer), the first that holds is told */
#define GATE_REFUSAL_LIST(X)                                                                                           \
    X(FULL, "full", "too many connections")                                       /* limit.connections */              \
    X(UNAUTHENTICATED, "unauthenticated", "too many that have not authenticated") /* limit.unauthenticated */          \
    X(RATE, "rate", "too many at once")                                           /* limit.connect_rate */             \
    X(MEMORY, "memory", "short of memory")                                        /* gateway/memory/pressure.h */

enum gate_refusal {
#define X(name, label, text) GATE_##name,
    GATE_REFUSAL_LIST(X)
#undef X
        GATE_REFUSAL_COUNT
};
extern const char *const gate_refusal_names[]; /* NULL-terminated: labels of the metric */

/* Who is there, and how many may be. */
struct gate_load {
    uint32_t connections, unauthenticated;
    int64_t connections_max, unauthenticated_max;
};

/* Exposed to be embedded; zero: only the load counts. */
struct gate {
    bool is_closed[GATE_REFUSAL_COUNT];
};

/* GATE_REFUSAL_COUNT: come in. */
enum gate_refusal gate_ask(const struct gate *gate, const struct gate_load *load);
const char *gate_text(enum gate_refusal refusal);

#endif
