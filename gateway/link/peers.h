/*
 * The routers this worker knows: each told where it takes envelopes by its Hello, first on every lane and each second.
 * What goes to a router during a loop turn is collected and leaves as one envelope; good news waits a little longer. A
 * router that was silent for too long is dropped; what its pending results would have said is lost, its own deadlines
 * cover that.
 */
#ifndef HERALD_GATEWAY_LINK_PEERS_H
#define HERALD_GATEWAY_LINK_PEERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/bus.h"
#include "common/err.h"
#include "common/loop.h"
#include "link.pb-c.h"

struct peers;
struct peer;

struct peers_settings {
    int64_t peers_max;
    int64_t silence_ms;       /* dropped after so long without a hello */
    int64_t envelope_max;     /* bytes; what is collected leaves earlier when it grows beyond */
    int64_t held_max;         /* bytes kept for a router while the connection to it is not up; what is more is lost */
    int64_t hwm;              /* envelopes queued for one router */
    int64_t results_delay_ms; /* `written` and `acked` wait for company so long at most; 0: for the end of the turn */
};

/* self, generation and endpoint (all borrowed) are who this is, and where it takes envelopes. */
struct peers *peers_new(struct loop *loop, struct bus *bus, const struct peers_settings *settings, const char *self,
                        uint64_t generation, const char *endpoint);
/* All references to peers must have been given back. */
void peers_free(struct peers **peers);

/* A router said hello: it is known from now on, and answered. ERR_FULL: too many; ERR_INVALID: nothing to connect to.
 */
enum err peers_hello(struct peers *peers, const char *name, uint64_t generation,
                     const Herald__V1__Hello *hello) MUST_CHECK;
/* NULL when that life of that router has not said hello. */
struct peer *peers_find(struct peers *peers, const char *name, uint64_t generation);
/* Whatever its life; NULL when it is not known. */
struct peer *peers_named(struct peers *peers, const char *name);
/* One for that key, always the same while the routers stay: NULL when there is none. */
struct peer *peers_pick(struct peers *peers, const char *key, size_t len);
/* Sends what was collected; else it happens at the end of the turn. */
void peers_flush(struct peers *peers);

/* It answers box fates. */
bool peer_answers_fates(const struct peer *peer);
/* Nothing comes from it any more. */
bool peer_is_gone(const struct peer *peer);
/* A reference keeps the memory, not the connection. */
struct peer *peer_ref(struct peer *peer);
void peer_unref(struct peer **peer);
/* False: the router is gone, or was not reached for too long; nothing was taken. */
bool peer_put_result(struct peer *peer, const Herald__V1__Result *result);
bool peer_put_upstream(struct peer *peer, const Herald__V1__Upstream *upstream);
bool peer_put_canary(struct peer *peer, const Herald__V1__CanaryRequest *request);
bool peer_put_box_fate(struct peer *peer, const Herald__V1__BoxFate *fate);

#endif
