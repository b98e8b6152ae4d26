#include "router/dispatch/dispatch_internal.h"

#include "common/check.h"
#include "common/table.h"

#include <stdlib.h>
#include <string.h>

enum {
    TICK_MS = 50,     /* deadlines are late by at most that */
    RETRY_TICKS = 10, /* runs that Redis did not take are sent again */
    SWEEP_TICKS = 20  /* what waits for its route is looked at once a second: has it expired? */
};

static void on_resolved(void *arg, struct resolver_waiter *waiter, const struct route *route)
{
    struct dispatch *d = arg;
    struct entry *e = container_of(waiter, struct entry, waiter);
    MAGIC_CHECK(d, DISPATCH_MAGIC);
    MAGIC_CHECK(e, ENTRY_MAGIC);
    struct flow *flow = e->item.flow;
    if (each_is_waiting(&e->each)) {
        each_resolved(d->each, &e->each, route);
        return;
    }
    if (!flow) {
        volatile_resolved(d, e, route);
        return;
    }
    /* it waits only as the first held of its flow; what broke the flow meanwhile is for durable_settle() */
    if (flow_mode(flow) == FLOW_LIVE && fate_is_wanted(d, e))
        (void)durable_resolved(d, e, route);
    durable_settle(d, flow);
}

static uint32_t on_instance(void *arg, const char *name, size_t len)
{
    struct dispatch *d = arg;
    return lanes_number(d->lanes, name, len);
}

/* --- acceptance --- */

void dispatch_start(struct dispatch *d, struct entry *e)
{
    bool is_claiming = dedup_start(d->dedup, &e->claim, e->record, e->waiter.user);
    if (e->record->push.is_durable) {
        e->item.priority = (uint8_t)e->record->push.priority;
        flow_add(d->flows, &e->item, e->waiter.user.at, e->waiter.user.len, e->waiter.device.at, e->waiter.device.len);
        durable_collapse_older(d, e);
        durable_settle(d, e->item.flow);
    } else if (!is_claiming) {
        volatile_start(d, e);
    }
}

static struct entry *entry_of_claim(struct dedup_claim *claim)
{
    struct entry *e = container_of(claim, struct entry, claim);
    MAGIC_CHECK(e, ENTRY_MAGIC);
    return e;
}

static void on_claimed(void *arg, struct dedup_claim *claim, struct push_str holder)
{
    struct dispatch *d = arg;
    struct entry *e = entry_of_claim(claim);
    MAGIC_CHECK(d, DISPATCH_MAGIC);
    if (holder.len > 0) {
        struct outcome outcome = {.kind = OUTCOME_DUPLICATE, .reason = holder.at};
        fate_leave(d, e, &outcome);
    } else if (e->item.flow) {
        durable_settle(d, e->item.flow);
    } else {
        volatile_start(d, e);
    }
}

void dispatch_start_all(struct dispatch *d, struct entry *e)
{
    uint32_t cursor = 0, number;
    uint64_t generation;
    e->miss = MISS_NO_GATEWAY;
    if (!fate_is_wanted(d, e)) {
        fate_end_as(d, e, OUTCOME_EXPIRED, MISS_NONE);
        return;
    }
    while (lanes_next(d->lanes, &cursor, &number, &generation))
        (void)attempt_send(d, e, number, generation, 0);
    verdict_of_all(d, e);
}

void dispatch_abandoned(struct dispatch *d, const struct record *record)
{
    struct outcome none = {.kind = OUTCOME_DROPPED};
    struct entry *e;
    lanes_forget(d->lanes, record);
    lanes_flush(d->lanes); /* what is collected there still reads the record's bytes */
    while ((e = spill_first_free(record))) {
        if (e->item.place == FLOW_RUN)
            spill_drop(d->spill, e);
        else
            fate_leave(d, e, &none);
    }
}

/* --- time --- */

static void sweep(struct dispatch *d, struct entry *e)
{
    struct outcome outcome = {.kind = OUTCOME_EXPIRED};
    MAGIC_CHECK(e, ENTRY_MAGIC);
    if (!fate_is_wanted(d, e))
        fate_leave(d, e, &outcome);
}

static void sweep_waiter(void *arg, struct resolver_waiter *waiter)
{
    sweep(arg, container_of(waiter, struct entry, waiter));
}

static void sweep_claim(void *arg, struct dedup_claim *claim)
{
    sweep(arg, entry_of_claim(claim));
}

static void on_tick(void *arg)
{
    struct dispatch *d = arg;
    struct slot *slot;
    MAGIC_CHECK(d, DISPATCH_MAGIC);
    while ((slot = inflight_due(d->inflight, loop_now_ms(d->loop))))
        verdict_failed(d, slot, MISS_TIMEOUT);
    if (++d->tick_count % RETRY_TICKS == 0)
        dispatch_redis_up(d);
    if (d->tick_count % SWEEP_TICKS == 0) {
        resolver_each(d->resolver, sweep_waiter, d);
        dedup_each_waiting(d->dedup, sweep_claim, d);
    }
}

/* --- outside --- */

struct dispatch *dispatch_new(struct loop *loop, struct bus *bus, struct redis *redis,
                              const struct dispatch_settings *settings, const struct ledger_events *events, void *arg)
{
    static const struct resolver_events resolver_events = {on_resolved, on_instance};
    struct dispatch *d = xcalloc(1, sizeof(*d));
    d->magic = DISPATCH_MAGIC;
    d->loop = loop;
    d->inflight = inflight_new(&settings->limits);
    d->ledger = ledger_new(loop, d->inflight, events, arg);
    d->flows = flows_new(table_hash(settings->lanes.router, strlen(settings->lanes.router)) +
                         (settings->lanes.generation << 24));
    d->lanes = lanes_new(loop, bus, &settings->lanes, &verdict_lanes_events, d);
    d->resolver = resolver_new(loop, &settings->resolver, &resolver_events, d);
    d->each = each_new(d->resolver, &fanout_each_events, d);
    d->mailbox = mailbox_new(redis, d->lanes, &settings->mailbox, events->outcome, arg);
    d->spill = spill_new(d->mailbox, &durable_spill_events, d);
    d->dedup = dedup_new(redis, &settings->dedup, on_claimed, d);
    d->tick_timer = loop_timer_new(loop, on_tick, d);
    loop_timer_start(d->tick_timer, TICK_MS, TICK_MS);
    return d;
}

void dispatch_free(struct dispatch **d_p)
{
    struct dispatch *d = *d_p;
    if (!d)
        return;
    loop_timer_free(&d->tick_timer);
    dedup_free(&d->dedup);
    spill_free(&d->spill);
    mailbox_free(&d->mailbox);
    each_free(&d->each);
    resolver_free(&d->resolver);
    lanes_free(&d->lanes);
    flows_free(&d->flows);
    ledger_free(&d->ledger);
    inflight_free(&d->inflight);
    free(d);
    *d_p = NULL;
}

struct lanes *dispatch_lanes(struct dispatch *d)
{
    return d->lanes;
}

struct resolver *dispatch_resolver(struct dispatch *d)
{
    return d->resolver;
}

void dispatch_redis_up(struct dispatch *d)
{
    dedup_retry(d->dedup);
    spill_retry(d->spill);
}

void dispatch_abandon_all(struct dispatch *d)
{
    struct outcome outcome = {.kind = OUTCOME_DROPPED};
    struct entry *e;
    lanes_flush(d->lanes);
    each_stop(d->each);
    while ((e = ledger_first(d->ledger))) {
        list_remove(&e->stalled_link);
        if (e->item.flow)
            (void)flow_remove(&e->item);
        e->record->is_orphan = true;
        fate_end(d, e, &outcome);
    }
}

struct ledger *dispatch_ledger(const struct dispatch *d)
{
    return d->ledger;
}
