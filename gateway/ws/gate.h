/*
 * Who is let in. All reasons to refuse a new connection meet here, so that each is counted by its name and answered
 * alike: 503 with Retry-After, before anything of the request is read. Pure.
 */
#ifndef HERALD_GATEWAY_WS_GATE_H
#define HERALD_GATEWAY_WS_GATE_H

#include <stdbool.h>
#include <stdint.h>

/* X(name, label of the metric, text of the answer), the first that holds is told */
#define GATE_REFUSAL_LIST(X)                                                                                           \
    X(FULL, "full", "too many connections") /* limit.connections */                                                    \
    X(MEMORY, "memory", "short of memory")  /* gateway/memory/pressure.h */

enum gate_refusal {
#define X(name, label, text) GATE_##name,
    GATE_REFUSAL_LIST(X)
#undef X
        GATE_REFUSAL_COUNT
};
extern const char *const gate_refusal_names[]; /* NULL-terminated: labels of the metric */

/* Exposed to be embedded; zero: only limit.connections counts. */
struct gate {
    bool is_closed[GATE_REFUSAL_COUNT];
};

/* With so many connections there, of at most so many. GATE_REFUSAL_COUNT: come in. */
enum gate_refusal gate_ask(const struct gate *gate, uint32_t connections, int64_t connections_max);
const char *gate_text(enum gate_refusal refusal);

#endif
