/* What herald-load is made of: the plan, the connections (load_conn.c), the producer and the reckoning (load_run.c). */
#ifndef HERALD_BENCH_LOAD_H
#define HERALD_BENCH_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct load_plan {
    const char *gateways; /* HOST:PORT,... ; connections go round-robin */
    const char *brokers, *prefix, *secret;
    uint32_t connections;
    uint64_t rate, seconds, size; /* messages a second over all users; bytes of a push's content */
    uint64_t linger_ms;           /* of the producer */
    uint16_t raw_port;
    bool is_durable, is_all, is_hold;
};

/* One user on one connection. */
struct load_conn {
    int fd;
    bool is_up;
    uint8_t *rest; /* an incomplete frame, or the HTTP head; NULL when there is none */
    size_t rest_len;
    uint64_t next; /* the number that has to come next */
    uint64_t seq;  /* highest seq not yet acknowledged; 0: none */
};

struct load {
    struct load_plan plan;
    struct load_conn *conns;
    int epoll;
    uint32_t up;
    uint64_t received, lost, repeated, reordered, closed;
    uint64_t first_us, last_us;
    uint64_t latency[4096]; /* logarithmic: 64 steps for each doubling of microseconds */
};

struct load *load_new(const struct load_plan *plan);
/* Opens all connections, a bounded number at a time, until each has its auth_response. */
bool load_connect(struct load *load);
/* Reads what is there, waiting for it at most wait_us; acknowledges what was durable. */
void load_poll(struct load *load, uint64_t wait_us);
/* Produces and receives. */
void load_run(struct load *load);
/* Answers pings until standard input ends. */
void load_hold(struct load *load);
/* Prints the JSON object; false when the run is void. */
bool load_report(const struct load *load);

void load_latency_add(struct load *load, uint64_t us);
uint64_t load_latency_at(const struct load *load, double quantile);

#endif
