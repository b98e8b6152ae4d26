/*
 * The lease was gone from Redis although this process renewed it. Either Redis was emptied, and the routes are gone
 * with it; or only this process stood still for longer than the lease lives, and they are still there. To have a
 * starved process register everybody again would starve it more.
 */
#ifndef HERALD_GATEWAY_SESSION_LAPSE_H
#define HERALD_GATEWAY_SESSION_LAPSE_H

struct sessions;

/* Asks Redis for one of the routes. It is gone: all register again. It is there: all look into their mailboxes, because
 * pokes for an instance that counts as dead may be dropped. */
void sessions_lease_vanished(struct sessions *sessions);

#endif
