/*
 * A session lives no longer than the token it came with: when that expires (and the leeway has passed), the session is
 * closed with 4401, and the client comes back with a new one. It may bring the new token before that, by a further
 * {"type":"auth"}.
 */
#ifndef HERALD_GATEWAY_SESSION_EXPIRY_H
#define HERALD_GATEWAY_SESSION_EXPIRY_H

#include <stdint.h>

#include "common/wheel.h"
#include "gateway/session/session.h"

/* Wall-clock ms; 0: never. In place of what was set before. */
void expiry_set(struct session *s, uint64_t expires_ms);
void expiry_forget(struct session *s);
/* For wheel_new(). */
void expiry_due(struct wheel_entry *entry, void *arg);

#endif
