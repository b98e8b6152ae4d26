/*
 * Keeps a cache of routes right: the connection that reads has CLIENT TRACKING on, redirected to a second connection,
 * which gets a message when a key that was read changes. Caching is on only after a probe has gone the whole way (a key
 * read, written, its invalidation received). When the second connection is lost, or both come back, all is forgotten.
 */
#ifndef HERALD_ROUTER_ROUTE_TRACKING_H
#define HERALD_ROUTER_ROUTE_TRACKING_H

#include "common/loop.h"
#include "common/redis.h"
#include "router/route/route.h"

struct tracking;

struct tracking_events {
    /* Something about the user has changed, and was forgotten. */
    void (*changed)(void *arg, const char *user, size_t user_len);
    /* Redis can be asked again. */
    void (*up)(void *arg);
};

/* The routes are borrowed, and outlive it. router: this router's id. */
struct tracking *tracking_new(struct loop *loop, const struct redis_options *redis, const char *router,
                              struct routes *routes, const struct tracking_events *events, void *arg);
/* What was asked on the connection ends with ERR_CLOSED. */
void tracking_free(struct tracking **tracking);
/* The connection to ask on. */
struct redis *tracking_reads(const struct tracking *tracking);
bool tracking_is_caching(const struct tracking *tracking);
/* Changes when all is forgotten, and when caching begins or ends: what was asked before counts no more. */
uint64_t tracking_epoch(const struct tracking *tracking);
void tracking_forget_all(struct tracking *tracking);
/* Twice a second: begins again what failed, proves again that invalidations come. */
void tracking_check(struct tracking *tracking);

#endif
