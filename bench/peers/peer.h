/*
 * herald-peer-load: the one client that all systems of `make bench-peers` are measured with. Plain WebSocket (or bare
 * TCP, for the floor), whatever the system wants to hear first as templates, and messages published as the system
 * wants them, also as templates. In these {user} is the user's name, {token} a JWT for it, {content} the message.
 */
#ifndef HERALD_BENCH_PEERS_PEER_H
#define HERALD_BENCH_PEERS_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bench/hist.h"
#include "bench/order.h"

enum { FIRST_MAX = 2 };

/* How messages for one, and for all, are published. */
struct peer_form {
    const char *key, *value; /* Kafka */
    const char *path;        /* HTTP */
};

struct peer_plan {
    const char *address, *path, *prefix, *secret;
    const char *first[FIRST_MAX]; /* said after the upgrade */
    const char *ready;            /* a frame with this in it says that it is connected; NULL: the 101 does */
    bool is_raw, has_pong;        /* has_pong: {} is answered with {} */
    const char *brokers, *topic;  /* NULL: published by HTTP, to the address */
    struct peer_form one, all;
    uint32_t connections; /* at the most */
};

struct peer_conn {
    int fd;
    bool is_up;
    uint8_t *rest; /* an incomplete frame, or the HTTP head; NULL: none */
    size_t rest_len;
    struct order order; /* in this run */
};

struct publisher;

struct peer {
    struct peer_plan plan;
    struct peer_conn *conns;
    struct publisher *publisher;
    int epoll;
    uint32_t opened, up;
    uint64_t run;    /* numbers begin anew with each */
    uint32_t pad;    /* of the content, so that a frame has FRAME_BYTES */
    uint64_t padded; /* 1 + the length of the last frame without it */
    uint64_t received, frame_bytes, lost, late, repeated, closed;
    struct hist latency;
};

/* --- peer_conn.c --- */

/* Opens until there are `count`, a bounded number at a time, each ready; false, said on stderr, when they do not. */
bool peer_open(struct peer *peer, uint32_t count);
void peer_close_all(struct peer *peer);
/* Reads what is there, waiting for it at most wait_us. */
void peer_poll(struct peer *peer, uint64_t wait_us);
/* The template with user i's words put in; returns the length. */
size_t peer_expand(const struct peer *peer, const char *form, uint32_t i, const char *content, char *text_r,
                   size_t size);
/* "host:port" as it stands in the plan, numeric. */
int peer_connect(const struct peer *peer);

/* --- peer_publish.c --- */

struct publisher *publisher_new(struct peer *peer);
/* To user i, or to all; false: no room now. */
bool publisher_send(struct publisher *publisher, bool is_all, uint32_t i, const char *content);
/* Lets it work, without waiting. */
void publisher_turn(struct publisher *publisher);
void publisher_free(struct publisher **publisher);

/* --- peer_run.c --- */

/* Publishes again and again until one arrives, and learns what frames the system makes. */
bool peer_warm(struct peer *peer, bool is_all);
/* Publishes at that rate, open-loop, and receives; prints one JSON object. */
void peer_run(struct peer *peer, bool is_all, uint64_t rate, uint64_t seconds);
void peer_take(struct peer *peer, struct peer_conn *conn, const char *text, size_t len, size_t frame_len);

#endif
