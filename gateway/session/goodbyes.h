/*
 * Routes to be removed, because their sessions have ended: each by compare-and-delete, kept until Redis has answered.
 * Only some are under way at a time: when very many leave at once, Redis has others to serve, too. The rest waits, as
 * does one that Redis did not take because it was away; a newer session's route is never touched, however late that is.
 * Bounded: what is more is counted, and its route runs out.
 */
#ifndef HERALD_GATEWAY_SESSION_GOODBYES_H
#define HERALD_GATEWAY_SESSION_GOODBYES_H

#include <stdint.h>

#include "common/redis.h"

struct goodbyes;

/* redis and instance are borrowed. max: under way and waiting. */
struct goodbyes *goodbyes_new(struct redis *redis, const char *instance, uint64_t generation, uint32_t max,
                              uint32_t under_way_max);
/* The connection must have been freed before: its callbacks name them. */
void goodbyes_free(struct goodbyes **goodbyes);
void goodbyes_say(struct goodbyes *goodbyes, const char *user, const char *device, uint64_t connection);
/* To be called now and then: what waits since Redis was away is said again. */
void goodbyes_send_waiting(struct goodbyes *goodbyes);
uint32_t goodbyes_count(const struct goodbyes *goodbyes);

#endif
