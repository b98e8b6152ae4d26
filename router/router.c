#include "router/router.h"

#include "common/admin.h"
#include "common/bus.h"
#include "common/check.h"
#include "common/clock.h"
#include "common/lease.h"
#include "common/log.h"
#include "common/members.h"
#include "router/audit_report.h"
#include "router/canary.h"
#include "router/dispatch.h"
#include "router/metrics.h"
#include "router/outcome.h"
#include "router/results.h"
#include "router/source.h"
#include "router/tenure.h"
#include "router/upstream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { ROUTER_MAGIC = 0x726f7574, HOST_MAX = 256, STOP_LOOK_MS = 20, KAFKA_FLUSH_MS = 3000 };

struct router {
    uint32_t magic;
    struct loop *loop;
    const struct router_settings *settings;
    char id[HOST_MAX + 8];
    char endpoint[HOST_MAX + 16];
    uint64_t generation; /* Unix ms at the start */
    struct admin *admin;
    struct redis *redis;
    struct bus *bus;
    struct results *results;
    struct dispatch *dispatch;
    struct kafka_producer *producer;
    struct outcome_log *outcomes;
    struct upstream *upstream;
    struct source *source;
    struct tenures *tenures;
    struct audit_report *audit_report;
    struct handover *handover; /* NULL: not enabled */
    struct members *members;
    struct lease *lease;
    struct loop_timer *stop_timer;
    uint64_t stop_ms; /* when to give up waiting; 0: running */
    uint64_t cpu_us, cpu_at_us;
    bool has_failed;
};

/* --- who talks to whom --- */

static void on_outcome(void *arg, const struct outcome *outcome)
{
    struct router *router = arg;
    outcome_report(router->outcomes, outcome);
    if (outcome->kind == OUTCOME_STORED && router->handover)
        handover_note(router->handover, outcome->user, outcome->device);
}

static void on_hold(void *arg, struct record *record)
{
    struct router *router = arg;
    MAGIC_CHECK(router, ROUTER_MAGIC);
    ledger_hold(dispatch_ledger(router->dispatch), record);
}

static void on_release(void *arg, struct record *record)
{
    struct router *router = arg;
    MAGIC_CHECK(router, ROUTER_MAGIC);
    ledger_release(dispatch_ledger(router->dispatch), record);
}

static void on_full(void *arg)
{
    struct router *router = arg;
    source_pause(router->source);
}

static void on_room(void *arg)
{
    struct router *router = arg;
    if (router->source && router->stop_ms == 0)
        source_resume(router->source);
}

static void on_assigned(void *arg, int32_t partition)
{
    struct router *router = arg;
    MAGIC_CHECK(router, ROUTER_MAGIC);
    (void)partition;
    resolver_forget_all(dispatch_resolver(router->dispatch));
}

static void on_record(void *arg, struct record *record)
{
    struct router *router = arg;
    MAGIC_CHECK(router, ROUTER_MAGIC);
    dispatch_accept(router->dispatch, record);
}

static void on_abandoned(void *arg, struct record *record)
{
    struct router *router = arg;
    MAGIC_CHECK(router, ROUTER_MAGIC);
    dispatch_abandoned(router->dispatch, record);
}

static void on_dead(void *arg, const struct record *record)
{
    struct router *router = arg;
    struct audit *accounts = ledger_accounts(dispatch_ledger(router->dispatch));
    MAGIC_CHECK(router, ROUTER_MAGIC);
    audit_accepted(accounts, record->kafka.partition);
    audit_finished(accounts, record->kafka.partition, OUTCOME_DEAD);
}

static struct audit *audit_now(void *arg)
{
    struct router *router = arg;
    MAGIC_CHECK(router, ROUTER_MAGIC);
    return ledger_audit(dispatch_ledger(router->dispatch));
}

/* --- owning partitions --- */

static void on_partition_begin(void *arg, int32_t partition, int64_t first_offset)
{
    struct router *router = arg;
    tenures_begin(router->tenures, partition, first_offset);
}

static void on_partition_end(void *arg, int32_t partition)
{
    struct router *router = arg;
    tenures_end(router->tenures, partition);
}

static int32_t on_generation_asked(void *arg)
{
    struct router *router = arg;
    return source_generation(router->source);
}

static int64_t on_committed_asked(void *arg, int32_t partition)
{
    struct router *router = arg;
    return source_committed(router->source, partition);
}

static void on_begun(void *arg, int32_t partition, int64_t life, int32_t generation)
{
    struct router *router = arg;
    MAGIC_CHECK(router, ROUTER_MAGIC);
    source_begin(router->source, partition, life, generation);
}

static void on_lost(void *arg, int32_t partition)
{
    struct router *router = arg;
    MAGIC_CHECK(router, ROUTER_MAGIC);
    source_lose(router->source, partition);
}

static void on_stuck(void *arg, int32_t partition)
{
    struct router *router = arg;
    MAGIC_CHECK(router, ROUTER_MAGIC);
    log_error("a partition is lost and Kafka does not take it away: stopping", F_INT("partition", partition));
    router->has_failed = true;
    router_stop(router);
}

/* --- what gateways say --- */

static void on_result(void *arg, uint32_t number, const Herald__V1__Result *result)
{
    struct router *router = arg;
    dispatch_result(router->dispatch, number, result);
}

static void on_upstream(void *arg, uint32_t number, uint64_t generation, const Herald__V1__Upstream *message)
{
    struct router *router = arg;
    upstream_take(router->upstream, number, generation, message);
}

static void on_canary(void *arg, const Herald__V1__CanaryRequest *request)
{
    struct router *router = arg;
    MAGIC_CHECK(router, ROUTER_MAGIC);
    if (router->stop_ms == 0)
        canary_produce(router->producer, router->settings->source.topic, request);
}

static void on_box_fate(void *arg, uint32_t number, const Herald__V1__BoxFate *fate)
{
    struct router *router = arg;
    outcome_report_late(router->outcomes, lanes_name(dispatch_lanes(router->dispatch), number), fate);
}

static void on_joined(void *arg, struct member *m)
{
    struct router *router = arg;
    MAGIC_CHECK(router, ROUTER_MAGIC);
    if (m->role == HERALD__V1__ROLE__ROLE_GATEWAY)
        lanes_joined(dispatch_lanes(router->dispatch), m->instance, m->generation, m->endpoint);
}

static void on_gone(void *arg, struct member *m)
{
    struct router *router = arg;
    MAGIC_CHECK(router, ROUTER_MAGIC);
    if (m->role == HERALD__V1__ROLE__ROLE_GATEWAY)
        lanes_gone(dispatch_lanes(router->dispatch), m->instance);
}

static void on_redis_state(void *arg, bool is_up)
{
    struct router *router = arg;
    MAGIC_CHECK(router, ROUTER_MAGIC);
    metric_set(METRIC_REDIS_UP, is_up);
    if (is_up && router->dispatch)
        dispatch_redis_up(router->dispatch);
    if (is_up && router->tenures)
        tenures_redis_up(router->tenures);
    if (is_up && router->lease)
        lease_renew(router->lease);
}

/* --- what others see --- */

static uint64_t cpu_us(void)
{
    struct rusage usage;
    CHECK(getrusage(RUSAGE_SELF, &usage) == 0);
    return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
           (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static void fill_lease(void *arg, Herald__V1__Lease *lease)
{
    struct router *router = arg;
    MAGIC_CHECK(router, ROUTER_MAGIC);
    uint64_t now_us = loop_now_ms(router->loop) * 1000, used_us = cpu_us();
    if (router->cpu_at_us && now_us > router->cpu_at_us)
        lease->load_permille = (uint32_t)((used_us - router->cpu_us) * 1000 / (now_us - router->cpu_at_us));
    router->cpu_at_us = now_us;
    router->cpu_us = used_us;
    lease->messages_in = metric_get(METRIC_RECORDS) - metric_get(METRIC_CANARIES);
    lease->messages_out = metric_get_labelled(METRIC_OUTCOMES, OUTCOME_ACKED) +
                          metric_get_labelled(METRIC_OUTCOMES, OUTCOME_WRITTEN);
    lease->draining = router->stop_ms != 0;
}

static void on_lease_lost(void *arg)
{
    struct router *router = arg;
    MAGIC_CHECK(router, ROUTER_MAGIC);
    log_error("another router with this id has started: stopping", F_STR("id", router->id));
    router->has_failed = true;
    router_stop(router);
}

static bool is_ready(void *arg, struct buf *why)
{
    struct router *router = arg;
    MAGIC_CHECK(router, ROUTER_MAGIC);
    if (router->stop_ms)
        buf_add_str(why, "stopping");
    else if (!redis_is_up(router->redis) || !resolver_is_up(dispatch_resolver(router->dispatch)))
        buf_add_str(why, "Redis cannot be reached");
    else if (!source_is_up(router->source))
        buf_add_str(why, "Kafka cannot be reached");
    else
        return true;
    return false;
}

static void on_scrape(void *arg)
{
    struct router *router = arg;
    struct dispatch_gauges gauges;
    const struct lanes *lanes = dispatch_lanes(router->dispatch);
    const struct resolver *resolver = dispatch_resolver(router->dispatch);
    dispatch_gauges(router->dispatch, &gauges);
    metric_set(METRIC_TARGETS_IN_FLIGHT, gauges.targets);
    metric_set(METRIC_WINDOW_RECORDS, gauges.records);
    metric_set(METRIC_OLDEST_RECORD, (int64_t)(source_oldest_ms(router->source) / 1000));
    metric_set(METRIC_WINDOW_BYTES, (int64_t)gauges.record_bytes);
    metric_set(METRIC_FLOWS, gauges.flows);
    metric_set(METRIC_SPILL_STALLED, gauges.stalled);
    metric_set(METRIC_DEDUP_WAITING, gauges.claims);
    metric_set(METRIC_LANES, lanes_live(lanes));
    metric_set(METRIC_LANE_WAITING, lanes_waiting(lanes));
    metric_set(METRIC_LANE_MESSAGES, lanes_messages(lanes));
    metric_set(METRIC_LOOKUPS_OPEN, resolver_lookups(resolver));
    metric_set(METRIC_ROUTES_CACHED, resolver_cached(resolver));
    metric_set(METRIC_ROUTES_CACHING, resolver_is_caching(resolver));
    metric_set(METRIC_UPSTREAMS_PENDING, upstream_pending(router->upstream));
}

/* --- starting --- */

static void set_id(struct router *router)
{
    char host[HOST_MAX] = "router";
    if (router->settings->node[0])
        snprintf(host, sizeof(host), "%s", router->settings->node);
    else
        (void)gethostname(host, sizeof(host) - 1);
    snprintf(router->id, sizeof(router->id), "%s-r%u", host, (unsigned)router->settings->slot % 1000);
}

/* How gateways reach the inbox: a socket on all addresses is announced by the host's name. */
static void set_endpoint(struct router *router)
{
    const char *listen = router->settings->link_listen, *scheme = strstr(listen, "://");
    const char *start = scheme ? scheme + 3 : listen, *colon = strrchr(start, ':');
    int len = colon ? (int)(colon - start) : (int)strlen(start);
    char host[HOST_MAX] = "";
    if (router->settings->link_advertise[0])
        snprintf(host, sizeof(host), "%s", router->settings->link_advertise);
    else if ((len == 1 && *start == '*') || (len == 7 && memcmp(start, "0.0.0.0", 7) == 0))
        (void)gethostname(host, sizeof(host) - 1);
    else
        snprintf(host, sizeof(host), "%.*s", len, start);
    snprintf(router->endpoint, sizeof(router->endpoint), "tcp://%s:%u", host, results_port(router->results));
}

static void make_dispatch(struct router *router)
{
    static const struct ledger_events events = {on_outcome, on_full, on_room};
    const struct router_settings *s = router->settings;
    const struct dispatch_settings settings = {
        .limits = {.slots = (uint32_t)s->window_slots,
                   .slot_bytes = (uint64_t)s->window_bytes * 2,
                   .records = (uint32_t)s->window_records,
                   .record_bytes = (uint64_t)s->window_bytes,
                   .outcomes = (uint32_t)s->source.outcomes_max,
                   .wait_ms = {(uint64_t)s->result_wait_ms, (uint64_t)s->ack_wait_ms}},
        .lanes = {.router = router->id,
                  .generation = router->generation,
                  .endpoint = router->endpoint,
                  .messages_max = s->lane_messages,
                  .bytes_max = s->lane_bytes,
                  .envelope_max = s->link_envelope_max,
                  .silence_ms = s->lane_silence_ms,
                  .hwm = s->link_hwm,
                  .waiting_max = s->lane_waiting,
                  .weights = s->lane_weights},
        .mailbox = {.count_max = s->box_count,
                    .bytes_max = s->box_bytes,
                    .ttl_ms = s->box_ttl_ms,
                    .policy = s->box_policy},
        .dedup = {.window_ms = s->dedup_window_ms, .has_volatile = s->dedup_volatile, .when_away = s->dedup_when_away},
        .resolver = {.redis = &s->redis, .router = router->id, .cache_max = (uint32_t)s->users_cached},
    };
    router->dispatch = dispatch_new(router->loop, router->bus, router->redis, &settings, &events, router);
}

static enum err make_kafka_side(struct router *router)
{
    static const struct source_events events = {.assigned = on_assigned,
                                                .begin = on_partition_begin,
                                                .end = on_partition_end,
                                                .record = on_record,
                                                .abandoned = on_abandoned,
                                                .dead = on_dead};
    static const struct tenures_events tenure_events = {on_generation_asked, on_committed_asked, on_begun, on_lost,
                                                        on_stuck};
    static const struct outcome_events outcome_events = {on_hold, on_release};
    const struct router_settings *s = router->settings;
    enum err err = kafka_producer_new(router->loop, &s->kafka, &router->producer);
    if (err)
        return err;
    const struct outcome_settings outcome_settings = {.topic = s->source.outcome_topic,
                                                      .router = router->id,
                                                      .publish_all = s->source.outcomes == 1,
                                                      .later_max = (uint32_t)s->source.outcomes_max};
    router->outcomes = outcome_log_new(router->loop, router->producer, &outcome_settings, &outcome_events, router);
    if (s->handover.is_enabled) {
        kafka_ensure_topic(router->producer, s->handover.topic, (int32_t)s->source.partitions);
        router->handover = handover_new(router->loop, router->redis, router->producer, &s->handover, s->box_ttl_ms);
    }
    router->upstream = upstream_new(router->producer, dispatch_lanes(router->dispatch), s->source.upstream_topic,
                                    (uint32_t)s->upstreams_max);
    router->tenures = tenures_new(router->loop, router->redis, s->source.topic, &tenure_events, router);
    return source_new(router->loop, &s->kafka, &s->source, router->producer, router->outcomes, &events, router,
                      &router->source);
}

static void make_lease(struct router *router)
{
    Herald__V1__Lease body = HERALD__V1__LEASE__INIT;
    char admin[HOST_MAX + 16];
    const char *listen = router->settings->daemon.admin.listen, *colon = strrchr(listen, ':');
    snprintf(admin, sizeof(admin), "%.*s:%u", colon ? (int)(colon - listen) : 0, listen, admin_port(router->admin));
    body.instance = router->id;
    body.generation = router->generation;
    body.role = HERALD__V1__ROLE__ROLE_ROUTER;
    body.endpoint = router->endpoint;
    body.admin = admin;
    body.version = (char *)(uintptr_t)daemon_version;
    body.started_ms = router->generation;
    router->lease = lease_new(router->loop, router->redis, &body, fill_lease, on_lease_lost, router);
}

static enum err start(struct router *router)
{
    static const struct results_events inbox_events = {on_result, on_upstream, on_canary, on_box_fate};
    static const struct members_events member_events = {on_joined, on_gone};
    const struct router_settings *s = router->settings;
    enum err err = admin_new(router->loop, &s->daemon.admin, is_ready, router, &router->admin);
    if (err) {
        log_error("cannot listen", F_STR("admin", s->daemon.admin.listen), F_ERR(err));
        return err;
    }
    admin_on_scrape(router->admin, on_scrape, router);
    router->redis = redis_new(router->loop, &s->redis, "main", on_redis_state, router);
    router->bus = bus_new(router->loop);
    err = results_new(router->bus, s->link_listen, (uint32_t)s->link_hwm, (uint32_t)s->link_receive_max,
                      &router->results);
    if (err)
        return err;
    set_endpoint(router);
    make_dispatch(router);
    err = make_kafka_side(router);
    if (err) {
        log_error("cannot start with Kafka", F_ERR(err));
        return err;
    }
    struct lanes *lanes = dispatch_lanes(router->dispatch);
    results_start(router->results, router->id, router->generation, lanes, &inbox_events, router);
    router->members = members_new(router->loop, router->redis, &s->redis, &member_events, router);
    make_lease(router);
    router->audit_report = audit_report_new(router->loop, router->redis, router->admin, router->id, router->generation,
                                            audit_now, router);
    log_info("router started", F_STR("id", router->id), F_UINT("generation", router->generation),
             F_STR("endpoint", router->endpoint), F_UINT("admin_port", admin_port(router->admin)));
    return ERR_OK;
}

/* --- stopping --- */

static void on_stop_time(void *arg)
{
    struct router *router = arg;
    struct dispatch_gauges gauges;
    MAGIC_CHECK(router, ROUTER_MAGIC);
    dispatch_gauges(router->dispatch, &gauges);
    if (gauges.records > 0 && loop_now_ms(router->loop) < router->stop_ms)
        return;
    log_info("router stopped", F_UINT("unfinished", gauges.records));
    loop_timer_stop(router->stop_timer);
    loop_stop(router->loop);
}

enum err router_new(struct loop *loop, const struct router_settings *settings, struct router **router_r)
{
    struct router *router = xcalloc(1, sizeof(*router));
    router->magic = ROUTER_MAGIC;
    router->loop = loop;
    router->settings = settings;
    router->generation = clock_wall_ms();
    router->stop_timer = loop_timer_new(loop, on_stop_time, router);
    set_id(router);
    log_setup((enum log_level)settings->daemon.log_level, (enum log_format)settings->daemon.log_format, "router",
              router->id);
    enum err err = start(router);
    if (err)
        router_free(&router);
    *router_r = router;
    return err;
}

void router_stop(struct router *router)
{
    bool is_again = router->stop_ms != 0;
    router->stop_ms = is_again ? 1 : loop_now_ms(router->loop) + (uint64_t)router->settings->shutdown_ms;
    if (!is_again) {
        log_info("router stopping");
        source_pause(router->source);
    }
    loop_timer_start(router->stop_timer, STOP_LOOK_MS, STOP_LOOK_MS);
}

bool router_has_failed(const struct router *router)
{
    return router->has_failed;
}

/* The order matters: no records come any more, no replies of Redis, then what is unfinished is dropped uncommitted. */
void router_free(struct router **router_p)
{
    struct router *router = *router_p;
    if (!router)
        return;
    audit_report_free(&router->audit_report);
    if (router->source)
        source_stop(router->source);
    lease_free(&router->lease);
    members_free(&router->members);
    if (router->handover)
        handover_stop(router->handover);
    redis_free(&router->redis);
    tenures_free(&router->tenures);
    if (router->dispatch) {
        dispatch_abandon_all(router->dispatch);
        CHECK(ledger_is_balanced(dispatch_ledger(router->dispatch)));
    }
    kafka_producer_free(&router->producer, KAFKA_FLUSH_MS);
    source_free(&router->source);
    upstream_free(&router->upstream);
    outcome_log_free(&router->outcomes);
    handover_free(&router->handover);
    results_free(&router->results);
    dispatch_free(&router->dispatch);
    bus_free(&router->bus);
    admin_free(&router->admin);
    loop_timer_free(&router->stop_timer);
    router->magic = 0;
    free(router);
    *router_p = NULL;
}
