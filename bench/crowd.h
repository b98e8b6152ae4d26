/*
 * A process full of clients (bench/million.c starts many): each connection is one user who authenticates, answers
 * pings, acknowledges, and counts what it received. 16 bytes a connection. Orders come through a pipe, what happens is
 * told in shared memory, of which the crowd is the only writer.
 */
#ifndef HERALD_BENCH_CROWD_H
#define HERALD_BENCH_CROWD_H

#include <stdint.h>

enum { CROWD_GATEWAYS_MAX = 64, CROWD_LATENCIES = 512 /* 16 for each doubling of microseconds */ };

struct crowd_plan {
    const char *prefix, *secret;
    uint32_t first, count; /* users <prefix><first> and on */
    uint32_t window;       /* connections under way at the same time */
    uint32_t addresses;    /* the first of those it connects to, in 127.0.0.0/8: ports are scarce for each */
    uint16_t ports[CROWD_GATEWAYS_MAX];
    uint32_t port_count;
};

enum crowd_op { CROWD_OPEN, CROWD_SWEEP, CROWD_COUNT, CROWD_LEAVE };
/* OPEN: crowd_share() of so many percent are connected then. SWEEP: the sweep of that number begins. COUNT: once,
 * never, twice are told. LEAVE: so many percent of the connections are closed, by chance. */
struct crowd_order {
    uint32_t op, value;
};

struct crowd_tally {
    volatile uint32_t obeyed; /* orders carried out (OPEN: begun) */
    volatile uint32_t up, refused, closed, pings, failed;
    volatile uint32_t received, wrong; /* of this sweep; not for this user, or of another sweep */
    volatile uint32_t once, never, twice;
    volatile uint64_t last_us;
    volatile uint32_t latency[CROWD_LATENCIES];
};

static inline uint32_t crowd_share(uint32_t count, uint32_t percent)
{
    return (uint32_t)((uint64_t)count * percent / 100);
}

/* Ends the process when the pipe is closed. */
_Noreturn void crowd_run(const struct crowd_plan *plan, int orders, struct crowd_tally *tally);

#endif
