#include "router/router.h"

#include "common/bus.h"
#include "common/check.h"
#include "common/log.h"
#include "common/members.h"
#include "common/net.h"
#include "common/service.h"
#include "router/outcome/audit_report.h"
#include "router/record/canary.h"
#include "router/box/durability.h"
#include "router/dispatch/dispatch.h"
#include "router/metrics.h"
#include "router/outcome/outcome.h"
#include "router/link/results.h"
#include "router/settings.h"
#include "router/source/source.h"
#include "router/source/tenure.h"
#include "router/link/upstream.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { ROUTER_MAGIC = 0x726f7574, KAFKA_FLUSH_MS = 3000 };

struct router {
    uint32_t magic;
    struct service *service;
    struct loop *loop;
    const struct router_settings *settings;
    const char *id;
    char endpoint[NET_HOST_MAX + 16];
    struct redis *redis;
    struct durability *durability;
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

static void on_answer(void *arg, const struct outcome_teller *teller, bool is_taken)
{
    struct router *router = arg;
    MAGIC_CHECK(router, ROUTER_MAGIC);
    lanes_box_fate_result(dispatch_lanes(router->dispatch), teller->number, teller->generation, teller->fate, is_taken);
}

static void on_full(void *arg)
{
    struct router *router = arg;
    source_pause(router->source);
}

static void on_room(void *arg)
{
    struct router *router = arg;
    if (router->source && !service_is_stopping(router->service))
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
    service_fail(router->service);
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
    if (!service_is_stopping(router->service))
        canary_produce(router->producer, router->settings->source.topic, request);
}

static void on_box_fate(void *arg, uint32_t number, uint64_t generation, const Herald__V1__BoxFate *fate)
{
    struct router *router = arg;
    const struct outcome_teller teller = {number, generation, fate->number};
    outcome_report_late(router->outcomes, lanes_name(dispatch_lanes(router->dispatch), number), &teller, fate);
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
    if (is_up)
        durability_ask(router->durability);
    if (is_up && router->dispatch)
        dispatch_redis_up(router->dispatch);
    if (is_up && router->tenures)
        tenures_redis_up(router->tenures);
    if (is_up && router->lease)
        lease_renew(router->lease);
}

/* --- what others see --- */

static void fill_lease(void *arg, Herald__V1__Lease *lease)
{
    struct router *router = arg;
    MAGIC_CHECK(router, ROUTER_MAGIC);
    lease->messages_in = metric_get(METRIC_RECORDS) - metric_get(METRIC_CANARIES);
    lease->messages_out = metric_get_labelled(METRIC_OUTCOMES, OUTCOME_ACKED) +
                          metric_get_labelled(METRIC_OUTCOMES, OUTCOME_WRITTEN);
}

static bool is_ready(void *arg, struct buf *why)
{
    struct router *router = arg;
    bool is_ready = false;
    MAGIC_CHECK(router, ROUTER_MAGIC);
    if (!redis_is_up(router->redis) || !resolver_is_up(dispatch_resolver(router->dispatch)))
        buf_add_str(why, "Redis cannot be reached");
    else if (!source_is_up(router->source))
        buf_add_str(why, "Kafka cannot be reached");
    else
        is_ready = true;
    if (is_ready)
        durability_tell(router->durability, why);
    return is_ready;
}

static void on_scrape(void *arg)
{
    struct router *router = arg;
    MAGIC_CHECK(router, ROUTER_MAGIC);
    dispatch_show(router->dispatch);
    metric_set(METRIC_OLDEST_RECORD, (int64_t)(source_oldest_ms(router->source) / 1000));
    metric_set(METRIC_UPSTREAMS_PENDING, upstream_pending(router->upstream));
}

/* --- starting --- */

static void set_id(struct router *router)
{
    const struct router_settings *settings = router->settings;
    char host[NET_HOST_MAX + 1] = "router", id[NET_HOST_MAX + 16];
    if (!settings->node[0])
        (void)gethostname(host, sizeof(host) - 1);
    snprintf(id, sizeof(id), "%s-r%u", settings->node[0] ? settings->node : host, (unsigned)settings->slot % 1000);
    service_set_id(router->service, id);
    router->id = service_id(router->service);
}

static void make_dispatch(struct router *router)
{
    static const struct ledger_events events = {on_outcome, on_full, on_room};
    const struct dispatch_settings settings = settings_of_dispatch(
        router->settings, router->id, service_generation(router->service), router->endpoint);
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
    static const struct outcome_events outcome_events = {on_hold, on_release, on_answer};
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

static enum err make_inbox(struct router *router)
{
    const struct router_settings *s = router->settings;
    router->bus = bus_new(router->loop);
    enum err err = results_new(router->bus, s->link_listen, (uint32_t)s->link_hwm, (uint32_t)s->link_receive_max,
                               &router->results);
    if (err)
        return err;
    if (s->link_advertise[0])
        snprintf(router->endpoint, sizeof(router->endpoint), "tcp://%s:%u", s->link_advertise,
                 results_port(router->results));
    else
        net_advertise(s->link_listen, NULL, results_port(router->results), router->endpoint, sizeof(router->endpoint));
    return ERR_OK;
}

static enum err make(struct router *router)
{
    static const struct results_events inbox_events = {on_result, on_upstream, on_canary, on_box_fate};
    static const struct members_events member_events = {on_joined, on_gone};
    const struct router_settings *s = router->settings;
    uint64_t generation = service_generation(router->service);
    admin_on_scrape(service_admin(router->service), on_scrape, router);
    router->redis = redis_new(router->loop, &s->redis, "main", on_redis_state, router);
    router->durability = durability_new(router->redis);
    enum err err = make_inbox(router);
    if (err)
        return err;
    make_dispatch(router);
    err = make_kafka_side(router);
    if (err) {
        log_error("cannot start with Kafka", F_ERR(err));
        return err;
    }
    results_start(router->results, router->id, generation, dispatch_lanes(router->dispatch), &inbox_events, router);
    router->members = members_new(router->loop, router->redis, &s->redis, &member_events, router);
    router->lease = service_lease(router->service, router->redis, HERALD__V1__ROLE__ROLE_ROUTER, router->endpoint,
                                  fill_lease, router);
    router->audit_report = audit_report_new(router->loop, router->redis, service_admin(router->service), router->id,
                                            generation, audit_now, router);
    log_info("router takes records", F_STR("endpoint", router->endpoint));
    return ERR_OK;
}

/* --- stopping --- */

static void stop(void *arg)
{
    struct router *router = arg;
    MAGIC_CHECK(router, ROUTER_MAGIC);
    source_pause(router->source);
}

static bool has_stopped(void *arg, uint64_t passed_ms)
{
    struct router *router = arg;
    struct dispatch_gauges gauges;
    MAGIC_CHECK(router, ROUTER_MAGIC);
    dispatch_gauges(router->dispatch, &gauges);
    if (gauges.records > 0 && passed_ms < (uint64_t)router->settings->shutdown_ms)
        return false;
    log_info("router stopped", F_UINT("unfinished", gauges.records));
    return true;
}

/* The order matters: no records come any more, no replies of Redis, then what is unfinished is dropped uncommitted. */
static void end(void *arg)
{
    struct router *router = arg;
    MAGIC_CHECK(router, ROUTER_MAGIC);
    audit_report_free(&router->audit_report);
    if (router->source)
        source_stop(router->source);
    lease_free(&router->lease);
    members_free(&router->members);
    if (router->handover)
        handover_stop(router->handover);
    redis_free(&router->redis);
    durability_free(&router->durability);
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
    router->magic = 0;
    free(router);
}

static void *start(struct service *service, const void *settings)
{
    struct router *router = xcalloc(1, sizeof(*router));
    router->magic = ROUTER_MAGIC;
    router->service = service;
    router->loop = service_loop(service);
    router->settings = settings;
    set_id(router);
    if (make(router) == ERR_OK)
        return router;
    end(router);
    return NULL;
}

const struct service_parts router_parts = {start, is_ready, stop, has_stopped, end};
