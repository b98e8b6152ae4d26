#include "registry/registry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/check.h"
#include "common/log.h"
#include "common/service.h"
#include "registry/api.h"
#include "registry/metrics.h"
#include "registry/settings.h"

enum { REGISTRY_MAGIC = 0x52454749, ID_MAX = 64, STOP_MAX_MS = 500, KAFKA_FLUSH_MS = 1000 };

struct registry {
    uint32_t magic;
    struct service *service;
    struct loop *loop;
    const struct registry_settings *settings;
    const char *id;
    struct redis *redis;
    struct roster *roster;
    struct watcher *watcher;
    struct leader *leader;
    struct publisher *publisher;
    struct auditor *auditor;
    struct kafka_producer *producer;
    struct kafka_reader *reader;
    struct lease *lease;
    struct api api;
};

static void log_event(void *arg, enum roster_event event, const struct instance *in)
{
    struct registry *r = arg;
    MAGIC_CHECK(r, REGISTRY_MAGIC);
    metric_add_labelled(METRIC_INSTANCE_EVENTS, event, 1);
    if (event == ROSTER_REFUSED) {
        log_limited(LOG_ERROR, "too many instances: raise registry.instances_max");
        return;
    }
    uint64_t now_ms = loop_now_ms(r->loop);
    uint64_t silent_ms = now_ms > in->heartbeat_ms ? now_ms - in->heartbeat_ms : 0;
    enum log_level level = event == ROSTER_DIED ? LOG_WARN : LOG_INFO;
    log_at(level, "instance", F_STR("event", roster_event_name(event)), F_STR("name", in->name),
           F_UINT("generation", in->lease->generation), F_UINT("silent_ms", silent_ms),
           F_BOOL("draining", in->lease->draining));
}

static void set_gauges(const struct registry *r)
{
    int64_t live[4] = {0}, dead = 0, connections = 0, sessions = 0, users = 0;
    for (size_t i = 0; i < roster_count(r->roster); i++) {
        const struct instance *in = roster_at(r->roster, i);
        if (!in->is_live) {
            dead++;
            continue;
        }
        live[(unsigned)in->lease->role < 4 ? in->lease->role : 0]++;
        connections += in->lease->connections;
        sessions += in->lease->sessions;
        users += in->lease->users;
    }
    for (unsigned role = 0; role < 4; role++)
        metric_set_labelled(METRIC_LIVE, role, live[role]);
    metric_set(METRIC_DEAD, dead);
    metric_set(METRIC_CONNECTIONS, connections);
    metric_set(METRIC_SESSIONS, sessions);
    metric_set(METRIC_USERS, users);
}

static void on_sweep(void *arg)
{
    struct registry *r = arg;
    MAGIC_CHECK(r, REGISTRY_MAGIC);
    set_gauges(r);
    if (!service_is_stopping(r->service))
        publisher_look(r->publisher);
}

static void on_leader_change(void *arg)
{
    struct registry *r = arg;
    MAGIC_CHECK(r, REGISTRY_MAGIC);
    if (watcher_has_swept(r->watcher) && !service_is_stopping(r->service))
        publisher_look(r->publisher);
}

static void on_redis_state(void *arg, bool is_up)
{
    struct registry *r = arg;
    MAGIC_CHECK(r, REGISTRY_MAGIC);
    if (r->watcher)
        watcher_redis_state(r->watcher, is_up);
}

static bool is_ready(void *arg, struct buf *why)
{
    struct registry *r = arg;
    MAGIC_CHECK(r, REGISTRY_MAGIC);
    if (!redis_is_up(r->redis))
        buf_add_str(why, "Redis cannot be reached");
    else if (!watcher_has_swept(r->watcher))
        buf_add_str(why, "the leases were not read yet");
    else
        return true;
    return false;
}

static enum err set_id(struct registry *r)
{
    char host[256] = "", id[400];
    (void)gethostname(host, sizeof(host) - 1);
    if (*r->settings->id)
        snprintf(id, sizeof(id), "%s", r->settings->id);
    else
        snprintf(id, sizeof(id), "%.40s-registry-%u", host, admin_port(service_admin(r->service)));
    size_t len = strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");
    if (len == 0 || len > ID_MAX || id[len]) {
        log_error("registry.id: 1 to 64 of A-Z a-z 0-9 . _ -", F_STR("id", id));
        return ERR_INVALID;
    }
    service_set_id(r->service, id);
    r->id = service_id(r->service);
    return ERR_OK;
}

static void start_watching(struct registry *r)
{
    const struct registry_settings *s = r->settings;
    char leader_id[ID_MAX + 24];
    struct roster_settings roster = {
        .lease_ttl_ms = LEASE_TTL_MS, .forget_ms = (uint64_t)s->forget_ms, .instances_max = (size_t)s->instances_max};
    r->roster = roster_new(&roster, log_event, r);
    r->redis = redis_new(r->loop, &s->redis, "registry", on_redis_state, r);
    r->watcher = watcher_new(r->loop, r->redis, r->roster, on_sweep, r);
    snprintf(leader_id, sizeof(leader_id), "%s %llu", r->id, (unsigned long long)service_generation(r->service));
    r->leader = leader_new(r->loop, r->redis, leader_id, (uint64_t)s->ttl_ms, on_leader_change, r);
    r->publisher = publisher_new(r->loop, r->redis, r->roster, r->leader, r->id);
    r->auditor = auditor_new(r->loop, r->redis, r->roster);
    r->lease = service_lease(r->service, r->redis, HERALD__V1__ROLE__ROLE_REGISTRY, "", NULL, NULL);
}

static enum err start_kafka(struct registry *r)
{
    r->reader = kafka_reader_new(r->loop, &r->settings->kafka);
    if (!r->settings->is_try_enabled && !r->settings->is_write_enabled)
        return ERR_OK;
    if (r->settings->is_try_enabled)
        log_warn("try.enabled: everyone who reaches this port can send records to every user, and mint tokens when "
                 "auth.secret is set; for development only");
    enum err err = kafka_producer_new(r->loop, &r->settings->kafka, &r->producer);
    if (err)
        log_error("no Kafka producer", F_ERR(err));
    return err;
}

static void start_api(struct registry *r)
{
    r->api = (struct api){.settings = r->settings,
                          .registry_id = r->id,
                          .loop = r->loop,
                          .redis = r->redis,
                          .roster = r->roster,
                          .watcher = r->watcher,
                          .leader = r->leader,
                          .publisher = r->publisher,
                          .producer = r->producer,
                          .auditor = r->auditor,
                          .reader = r->reader};
    api_start(&r->api, service_admin(r->service));
}

static void end(void *arg)
{
    struct registry *r = arg;
    MAGIC_CHECK(r, REGISTRY_MAGIC);
    /* answers still under way come back with an error here, to parts that are still there */
    kafka_reader_free(&r->reader);
    kafka_producer_free(&r->producer, KAFKA_FLUSH_MS);
    lease_free(&r->lease);
    redis_free(&r->redis);
    auditor_free(&r->auditor);
    publisher_free(&r->publisher);
    leader_free(&r->leader);
    watcher_free(&r->watcher);
    roster_free(&r->roster);
    r->magic = 0;
    free(r);
}

/* Gives back the leader's lock and the lease, so that others take over at once. */
static void stop(void *arg)
{
    struct registry *r = arg;
    MAGIC_CHECK(r, REGISTRY_MAGIC);
    leader_stop(r->leader);
}

static bool has_stopped(void *arg, uint64_t passed_ms)
{
    struct registry *r = arg;
    MAGIC_CHECK(r, REGISTRY_MAGIC);
    if (r->lease) { /* not in stop(), which a callback of the lease may have called */
        lease_free(&r->lease);
        return false;
    }
    return !redis_is_up(r->redis) || redis_pending(r->redis) == 0 || passed_ms >= STOP_MAX_MS;
}

static void *start(struct service *service, const void *settings)
{
    struct registry *r = xcalloc(1, sizeof(*r));
    r->magic = REGISTRY_MAGIC;
    r->service = service;
    r->loop = service_loop(service);
    r->settings = settings;
    if (set_id(r) != ERR_OK || start_kafka(r) != ERR_OK) {
        end(r);
        return NULL;
    }
    start_watching(r);
    start_api(r);
    return r;
}

const struct service_parts registry_parts = {start, is_ready, stop, has_stopped, end};
