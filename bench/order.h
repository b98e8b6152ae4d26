/*
 * The judge of one stream on one connection: its messages are numbered from 0 without a gap. Remembers which of the
 * last 64 are missing, so that what comes late is told from what comes twice.
 */
#ifndef HERALD_BENCH_ORDER_H
#define HERALD_BENCH_ORDER_H

#include <stdint.h>

/* Exposed to stand in arrays; all zero is the beginning. */
struct order {
    uint64_t missing; /* bit k: the number next - 1 - k has not come */
    uint32_t next;
};

enum order_verdict {
    ORDER_RIGHT,
    ORDER_GAP,      /* *missed_r numbers before it have not come */
    ORDER_LATE,     /* one of the missing, after a later one */
    ORDER_REPEATED, /* or so old that nobody knows */
};

enum order_verdict order_take(struct order *order, uint32_t number, uint32_t *missed_r);

#endif
