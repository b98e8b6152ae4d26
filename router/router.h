/* herald-router, put together: what is made in which order, who talks to whom, and how it stops. */
#ifndef HERALD_ROUTER_ROUTER_H
#define HERALD_ROUTER_ROUTER_H

#include "common/service.h"

/* Stopping: it stops consuming, lets what is in flight finish for router.shutdown, commits, and leaves the group. */
extern const struct service_parts router_parts;

#endif
