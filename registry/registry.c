#include "registry/registry.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/admin.h"
#include "common/check.h"
#include "common/lease.h"
#include "common/log.h"
#include "registry/api.h"
#include "registry/metrics.h"

enum { REGISTRY_MAGIC = 0x52454749, ID_MAX = 64, STOP_LOOK_MS = 10, STOP_MAX_MS = 500, KAFKA_FLUSH_MS = 1000 };

struct registry {
    uint32_t magic;
    struct loop *loop;
    const struct registry_settings *settings;
    char id[ID_MAX + 1];
    uint64_t generation; /* Unix ms at the start */
    struct admin *admin;
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
    struct loop_timer *stop_timer;
    uint64_t stop_ms; /* 0: running */
    uint64_t cpu_us, cpu_at_us;
    bool has_failed;
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
    if (!r->stop_ms)
        publisher_look(r->publisher);
}

static void on_leader_change(void *arg)
{
    struct registry *r = arg;
    MAGIC_CHECK(r, REGISTRY_MAGIC);
    if (watcher_has_swept(r->watcher) && !r->stop_ms)
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
    else if (r->stop_ms)
        buf_add_str(why, "stopping");
    else
        return true;
    return false;
}

static uint64_t cpu_us(void)
{
    struct rusage usage;
    CHECK(getrusage(RUSAGE_SELF, &usage) == 0);
    return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
           (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static void fill_lease(void *arg, Herald__V1__Lease *lease)
{
    struct registry *r = arg;
    MAGIC_CHECK(r, REGISTRY_MAGIC);
    uint64_t now_us = loop_now_ms(r->loop) * 1000, used_us = cpu_us();
    if (r->cpu_at_us && now_us > r->cpu_at_us)
        lease->load_permille = (uint32_t)((used_us - r->cpu_us) * 1000 / (now_us - r->cpu_at_us));
    r->cpu_at_us = now_us;
    r->cpu_us = used_us;
}

static void on_lease_lost(void *arg)
{
    struct registry *r = arg;
    MAGIC_CHECK(r, REGISTRY_MAGIC);
    log_error("another registry with this id has started: stopping", F_STR("id", r->id));
    r->has_failed = true;
    registry_stop(r);
}

/* Where others reach this process; a listener on all addresses is announced by the host's name. */
static void advertised_admin(const struct registry *r, char *text, size_t size)
{
    const char *listen = r->settings->daemon.admin.listen;
    const char *colon = strrchr(listen, ':');
    int host_len = colon ? (int)(colon - listen) : 0;
    bool is_any = host_len == 0 || strncmp(listen, "*:", 2) == 0 || strncmp(listen, "0.0.0.0:", 8) == 0;
    char host[256] = "";
    if (is_any)
        (void)gethostname(host, sizeof(host) - 1);
    else
        snprintf(host, sizeof(host), "%.*s", host_len, listen);
    snprintf(text, size, "%s:%u", host, admin_port(r->admin));
}

static enum err set_id(struct registry *r)
{
    char host[256] = "", id[400];
    (void)gethostname(host, sizeof(host) - 1);
    if (*r->settings->id)
        snprintf(id, sizeof(id), "%s", r->settings->id);
    else
        snprintf(id, sizeof(id), "%.40s-registry-%u", host, admin_port(r->admin));
    size_t len = strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");
    if (len == 0 || len > ID_MAX || id[len]) {
        log_error("registry.id: 1 to 64 of A-Z a-z 0-9 . _ -", F_STR("id", id));
        return ERR_INVALID;
    }
    memcpy(r->id, id, len + 1);
    return ERR_OK;
}

static void start_lease(struct registry *r)
{
    char admin[300];
    advertised_admin(r, admin, sizeof(admin));
    Herald__V1__Lease body = HERALD__V1__LEASE__INIT;
    body.instance = r->id;
    body.generation = r->generation;
    body.role = HERALD__V1__ROLE__ROLE_REGISTRY;
    body.admin = admin;
    body.version = (char *)daemon_version;
    body.started_ms = r->generation;
    r->lease = lease_new(r->loop, r->redis, &body, fill_lease, on_lease_lost, r);
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
    snprintf(leader_id, sizeof(leader_id), "%s %llu", r->id, (unsigned long long)r->generation);
    r->leader = leader_new(r->loop, r->redis, leader_id, (uint64_t)s->ttl_ms, on_leader_change, r);
    r->publisher = publisher_new(r->loop, r->redis, r->roster, r->leader, r->id);
    r->auditor = auditor_new(r->loop, r->redis, r->roster);
    start_lease(r);
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
    api_start(&r->api, r->admin);
}

enum err registry_new(struct loop *loop, const struct registry_settings *settings, struct registry **registry_r)
{
    struct registry *r = xcalloc(1, sizeof(*r));
    r->magic = REGISTRY_MAGIC;
    r->loop = loop;
    r->settings = settings;
    r->generation = loop_wall_ms(loop);
    enum err err = admin_new(loop, &settings->daemon.admin, is_ready, r, &r->admin);
    if (err)
        log_error("cannot listen", F_STR("address", settings->daemon.admin.listen), F_ERR(err));
    if (!err)
        err = set_id(r);
    if (!err)
        err = start_kafka(r);
    if (err) {
        registry_free(&r);
        return err;
    }
    log_setup((enum log_level)settings->daemon.log_level, (enum log_format)settings->daemon.log_format, "registry",
              r->id);
    start_watching(r);
    start_api(r);
    log_info("registry started", F_STR("version", daemon_version), F_UINT("port", admin_port(r->admin)));
    *registry_r = r;
    return ERR_OK;
}

void registry_free(struct registry **registry)
{
    struct registry *r = *registry;
    if (!r)
        return;
    /* answers still under way come back with an error here, to parts that are still there */
    kafka_reader_free(&r->reader);
    kafka_producer_free(&r->producer, KAFKA_FLUSH_MS);
    lease_free(&r->lease);
    redis_free(&r->redis);
    admin_free(&r->admin);
    loop_timer_free(&r->stop_timer);
    auditor_free(&r->auditor);
    publisher_free(&r->publisher);
    leader_free(&r->leader);
    watcher_free(&r->watcher);
    roster_free(&r->roster);
    r->magic = 0;
    free(r);
    *registry = NULL;
}

static void look_stopped(void *arg)
{
    struct registry *r = arg;
    MAGIC_CHECK(r, REGISTRY_MAGIC);
    if (r->lease) { /* not in registry_stop(), which a callback of the lease may have called */
        lease_free(&r->lease);
        return;
    }
    bool is_done = !redis_is_up(r->redis) || redis_pending(r->redis) == 0;
    if (is_done || loop_now_ms(r->loop) >= r->stop_ms + STOP_MAX_MS)
        loop_stop(r->loop);
}

void registry_stop(struct registry *r)
{
    if (r->stop_ms)
        return;
    r->stop_ms = loop_now_ms(r->loop);
    log_info("stopping");
    daemon_notify("STOPPING=1");
    leader_stop(r->leader);
    r->stop_timer = loop_timer_new(r->loop, look_stopped, r);
    loop_timer_start(r->stop_timer, STOP_LOOK_MS, STOP_LOOK_MS);
}

bool registry_has_failed(const struct registry *r)
{
    return r->has_failed;
}
