/* herald-router, put together: what is made in which order, who talks to whom, and how it stops. */
#ifndef HERALD_ROUTER_ROUTER_H
#define HERALD_ROUTER_ROUTER_H

#include <stdbool.h>

#include "common/err.h"
#include "common/loop.h"
#include "router/settings.h"

struct router;

/* Everything is started, or the error is logged. Settings are borrowed. */
enum err router_new(struct loop *loop, const struct router_settings *settings, struct router **router_r) MUST_CHECK;
/* Stops consuming, lets what is in flight finish for a bounded time, commits, leaves the group, then stops the loop.
 * A second call does not wait. */
void router_stop(struct router *router);
/* It had to stop by itself: exit status 1. */
bool router_has_failed(const struct router *router);
void router_free(struct router **router);

#endif
