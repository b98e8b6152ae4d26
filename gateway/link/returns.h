/*
 * The way back: what the sessions report of a push becomes one Result for its target, and goes to the router that
 * asked, batched with the others of the loop turn.
 */
#ifndef HERALD_GATEWAY_LINK_RETURNS_H
#define HERALD_GATEWAY_LINK_RETURNS_H

#include "gateway/link/peers.h"
#include "gateway/link/pending.h"
#include "gateway/session/session.h"

struct returns;

struct returns *returns_new(struct loop *loop);
/* Sessions must have reported everything. */
void returns_free(struct returns **returns);
/* A target to be reported on: the receipt for the sessions. Then pending_seal(). */
struct pending *returns_expect(struct returns *returns, struct peer *peer, const Herald__V1__Target *target,
                               bool is_broadcast);
/* For session_events.result. */
void returns_report(struct returns *returns, void *receipt, const struct session_result *result);

#endif
