/*
 * Pushes between a session and its connection: straight through while the connection takes them, by the backlog while
 * it does not.
 */
#ifndef HERALD_GATEWAY_SESSION_OUTBOX_H
#define HERALD_GATEWAY_SESSION_OUTBOX_H

#include "gateway/session/session.h"

/* Must the next push wait? */
bool outbox_is_waiting(const struct session *s);
/* It waits; an older one with its collapse key is reported REFUSED "collapsed". */
void outbox_add(struct session *s, struct push_frame *frame, void *receipt);
/* Gives up the oldest one of the same class of traffic, of the lowest priority and none above that of this one: REFUSED
 * "slow". False: there is none. */
bool outbox_drop_older(struct session *s, const struct push_frame *frame);
/* The connection may have room: sends what it takes. */
void outbox_continue(struct session *s);
/* Another device has acknowledged it: if it waits, it goes without having been seen. */
void outbox_withdraw(struct session *s, uint64_t id_hash);
/* The session ends: CLOSED for all that wait. */
void outbox_end(struct session *s);

#endif
