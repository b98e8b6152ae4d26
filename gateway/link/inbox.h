/*
 * What routers send to this worker: a PULL, bound here. Envelopes are unpacked into a reused arena, and their parts go
 * where they belong: hellos to the peers, deliveries and pokes to the sessions, answers to the upstream.
 */
#ifndef HERALD_GATEWAY_LINK_INBOX_H
#define HERALD_GATEWAY_LINK_INBOX_H

#include "gateway/link/peers.h"
#include "gateway/link/returns.h"
#include "gateway/link/box_fates.h"
#include "gateway/link/upstream.h"
#include "gateway/session/sessions.h"

struct inbox;

struct inbox_settings {
    char *listen; /* tcp://host:port, port * for any */
    int64_t envelope_max, hwm;
};

/* Borrowed all. */
struct inbox_parts {
    struct loop *loop;
    struct bus *bus;
    const char *self;
    uint64_t generation;
};

/* Binds, so that the port is known; envelopes are taken from inbox_start() on. */
enum err inbox_new(const struct inbox_parts *parts, const struct inbox_settings *settings,
                   struct inbox **inbox_r) MUST_CHECK;
uint16_t inbox_port(const struct inbox *inbox);
void inbox_start(struct inbox *inbox, struct peers *peers, struct returns *returns, struct upstream *upstream,
                 struct box_fates *box_fates, struct sessions *sessions);
void inbox_free(struct inbox **inbox);

#endif
