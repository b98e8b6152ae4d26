/*
 * The routes of this worker's sessions in Redis: user and device -> instance, generation, connection. Registered when a
 * session opens, refreshed at a third of their life (jittered, so evenly over time), removed by compare-and-delete, and
 * all registered again, spread over some seconds, when Redis came back (it may have come back empty) or was emptied.
 */
#ifndef HERALD_GATEWAY_SESSION_ROUTES_H
#define HERALD_GATEWAY_SESSION_ROUTES_H

#include <stdbool.h>

#include "common/redis.h"
#include "gateway/session/session.h"

struct routes;

struct routes *routes_new(struct sessions *sessions, const struct redis_options *options);
void routes_free(struct routes **routes);
/* Redis is there: session_opened() follows when it has answered. Redis is away: at once, and the registration is made
 * up for when it is back. */
void routes_register(struct session *s);
/* At its end; is_removal: the route, too, should go. */
void routes_forget(struct session *s, bool is_removal);
/* Of those that have ended, how many Redis has not removed yet. */
uint32_t routes_removals(const struct routes *routes);
/* Redis came back or was emptied: everyone registers again. */
void routes_renew_all(struct routes *routes, const char *why);
/* Everyone looks whether something is in the mailbox, soon. */
void routes_look_all(struct routes *routes);
/* Redis has this session's route, as far as is known, and got it more than so long ago. */
bool routes_is_settled(const struct session *s, uint64_t age_ms);
/* The connection to it is gone. */
void routes_redis_lost(struct routes *routes);
void routes_tick(struct routes *routes, uint64_t now_ms);

#endif
