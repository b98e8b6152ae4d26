/*
 * One client process: a share of the plan's connections in one epoll set. Each authenticates as a user of its own,
 * answers pings, acknowledges what is durable, judges what comes (order.h), and comes back when the plan says so.
 */
#ifndef HERALD_BENCH_CLIENT_H
#define HERALD_BENCH_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bench/order.h"
#include "bench/plan.h"
#include "bench/tally.h"

enum client_state { CLIENT_CLOSED, CLIENT_CONNECTING, CLIENT_GREETING, CLIENT_UP };

/* One user on one connection. */
struct client_conn {
    int fd;
    uint32_t due_next; /* in its bucket of those that wait to be opened */
    uint16_t openings; /* so far */
    uint8_t state;
    uint32_t rest_len;
    uint8_t *rest; /* an incomplete frame, or the HTTP head; NULL when there is none */
    uint64_t seq;  /* highest seq not yet acknowledged; 0: none */
};

struct client {
    const struct plan *plan;
    struct tally *tally;
    uint32_t first, count; /* its share of the plan's connections */
    struct client_conn *conns;
    struct order *orders; /* of conn c and stream s: [c * stream_count + s] */
    struct opener *opener;
    int epoll;
    uint64_t now_us; /* monotonic, of this turn */
};

/* Opens its connections and serves them until the process is killed. */
_Noreturn void client_run(const struct plan *plan, uint32_t first, uint32_t count, struct tally *tally);

/* --- for the parts of a client: opener.c, client_read.c --- */

/* The other side has ended it, or it could not be made. */
void client_closed(struct client *client, struct client_conn *conn, uint64_t retry_ms);
/* It has its auth_response. */
void client_up(struct client *client, struct client_conn *conn);
/* Reads what is there. */
void client_read(struct client *client, struct client_conn *conn);

#endif
