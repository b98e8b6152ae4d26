#include "router/route/tracking.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/log.h"
#include "common/metric.h"
#include "router/metrics.h"

enum {
    PROBE_CHECKS = 4, /* every so many checks the way of invalidations is proved again */
    GRACE_MS = 250    /* only the second connection seems lost: the first may follow at once, then Redis is away */
};

struct tracking {
    struct tracking_events events;
    void *arg;
    struct routes *routes;
    struct redis *reads, *pushes; /* that asks, with tracking on; that is told */
    struct loop_timer *grace_timer;
    char probe_key[128];
    uint64_t epoch;
    bool is_caching, is_probe_open;
    unsigned check_count;
};

void tracking_forget_all(struct tracking *tracking)
{
    routes_clear(tracking->routes);
    tracking->epoch++;
}

static void stop_caching(struct tracking *tracking, const char *why)
{
    if (tracking->is_caching)
        log_warn("route cache off", F_STR("why", why));
    tracking->is_caching = false;
    tracking->is_probe_open = false;
    tracking->epoch++;
}

static void start_caching(struct tracking *tracking)
{
    tracking->is_probe_open = false;
    if (tracking->is_caching)
        return;
    tracking_forget_all(tracking);
    tracking->is_caching = true;
    log_info("route cache on");
}

/* A changed key: herald:route:{user}, herald:box:{user}, herald:box:{user}:device, or the probe. */
static void on_invalidate(void *arg, const char *channel, const char *key, size_t len)
{
    struct tracking *tracking = arg;
    (void)channel;
    if (!key) { /* all of Redis was flushed */
        metric_add(METRIC_ROUTES_FLUSHED, 1);
        tracking_forget_all(tracking);
        return;
    }
    if (len == strlen(tracking->probe_key) && memcmp(key, tracking->probe_key, len) == 0) {
        if (tracking->is_probe_open)
            start_caching(tracking);
        return;
    }
    metric_add(METRIC_ROUTES_INVALIDATED, 1);
    const char *open = memchr(key, '{', len);
    const char *close = open ? memchr(open, '}', len - (size_t)(open - key)) : NULL;
    if (!close)
        return;
    (void)routes_forget(tracking->routes, open + 1, (size_t)(close - open - 1));
    tracking->events.changed(tracking->arg, open + 1, (size_t)(close - open - 1));
}

static void on_probe(void *arg, enum err err, const struct redis_reply *reply)
{
    (void)reply;
    if (err && err != ERR_CLOSED && err != ERR_AWAY)
        log_limited(LOG_WARN, "client tracking refused", F_ERR(err));
    (void)arg;
}

static void send_probe(struct tracking *tracking)
{
    tracking->is_probe_open = !redis_words(tracking->reads, on_probe, tracking, "GET", tracking->probe_key, NULL) &&
                              !redis_words(tracking->reads, on_probe, tracking, "SET", tracking->probe_key, "1", "PX",
                                           "10000", NULL);
}

static void turn_on(struct tracking *tracking)
{
    char id[24];
    if (!redis_is_up(tracking->reads) || redis_client_id(tracking->pushes) == 0)
        return;
    snprintf(id, sizeof(id), "%" PRIu64, redis_client_id(tracking->pushes));
    if (!redis_words(tracking->reads, on_probe, tracking, "CLIENT", "TRACKING", "ON", "REDIRECT", id, NULL))
        send_probe(tracking);
}

static void on_reads_state(void *arg, bool is_up)
{
    struct tracking *tracking = arg;
    stop_caching(tracking, "reading connection");
    if (!is_up)
        return; /* what is known goes on being used: nobody can be asked */
    routes_clear(tracking->routes);
    turn_on(tracking);
    tracking->events.up(tracking->arg);
}

static void on_pushes_state(void *arg, bool is_up)
{
    struct tracking *tracking = arg;
    stop_caching(tracking, "invalidation connection");
    if (is_up)
        turn_on(tracking);
    else
        loop_timer_start(tracking->grace_timer, GRACE_MS, 0);
}

static void on_grace(void *arg)
{
    struct tracking *tracking = arg;
    if (!tracking->is_caching && redis_is_up(tracking->reads))
        routes_clear(tracking->routes);
}

void tracking_check(struct tracking *tracking)
{
    if (!redis_is_up(tracking->reads))
        return;
    if (!tracking->is_caching) {
        turn_on(tracking);
    } else if (++tracking->check_count % PROBE_CHECKS == 0) {
        if (tracking->is_probe_open) {
            stop_caching(tracking, "no invalidations come");
            routes_clear(tracking->routes);
        } else {
            send_probe(tracking);
        }
    }
}

/* --- outside --- */

struct tracking *tracking_new(struct loop *loop, const struct redis_options *redis, const char *router,
                              struct routes *routes, const struct tracking_events *events, void *arg)
{
    struct tracking *tracking = xcalloc(1, sizeof(*tracking));
    tracking->events = *events;
    tracking->arg = arg;
    tracking->routes = routes;
    snprintf(tracking->probe_key, sizeof(tracking->probe_key), "herald:probe:%s", router);
    tracking->grace_timer = loop_timer_new(loop, on_grace, tracking);
    tracking->reads = redis_new(loop, redis, "routes", on_reads_state, tracking);
    tracking->pushes = redis_new(loop, redis, "invalidations", on_pushes_state, tracking);
    redis_subscribe(tracking->pushes, "__redis__:invalidate", on_invalidate, tracking);
    return tracking;
}

void tracking_free(struct tracking **tracking_p)
{
    struct tracking *tracking = *tracking_p;
    if (!tracking)
        return;
    redis_free(&tracking->reads);
    redis_free(&tracking->pushes);
    loop_timer_free(&tracking->grace_timer);
    free(tracking);
    *tracking_p = NULL;
}

struct redis *tracking_reads(const struct tracking *tracking)
{
    return tracking->reads;
}

bool tracking_is_caching(const struct tracking *tracking)
{
    return tracking->is_caching;
}

uint64_t tracking_epoch(const struct tracking *tracking)
{
    return tracking->epoch;
}
