/*
 * Messages with `once`: the first device that acknowledges one has it taken back on the others. Here for the sessions
 * of this worker, at once; other instances are told by the router, which knows where it was sent.
 */
#ifndef HERALD_GATEWAY_SESSION_ONCE_H
#define HERALD_GATEWAY_SESSION_ONCE_H

#include <stdint.h>

#include "gateway/session/session.h"

/* This session's client acknowledged it: away with it on its siblings. */
void once_acked(struct session *s, uint64_t id_hash);
/* This session need not keep it any more; its client is told if it was sent it. No-op when it does not have it. */
void once_withdraw(struct session *s, uint64_t id_hash);

#endif
