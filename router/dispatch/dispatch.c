#include "router/dispatch/dispatch_internal.h"

#include "common/check.h"
#include "common/metric.h"
#include "common/table.h"
#include "router/flow/collapse.h"
#include "router/record/delivery.h"
#include "router/flow/entry.h"
#include "router/metrics.h"
#include "router/box/spill.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    TICK_MS = 50,     /* deadlines are late by at most that */
    RETRY_TICKS = 10, /* runs that Redis did not take are sent again */
    SWEEP_TICKS = 20  /* what waits for its route is looked at once a second: has it expired? */
};

static struct entry *entry_of_item(struct flow_item *item)
{
    struct entry *e = container_of(item, struct entry, item);
    MAGIC_CHECK(e, ENTRY_MAGIC);
    return e;
}

/* --- the end of an entry --- */

static void release_slot(struct dispatch *d, struct slot *slot)
{
    lanes_released(d->lanes, slot);
    inflight_put(d->inflight, slot);
}

static void release_slots(struct dispatch *d, struct entry *e)
{
    while (!list_is_empty(&e->slots))
        release_slot(d, container_of(e->slots.next, struct slot, entry_link));
}

/* It has left its flow. */
static void end(struct dispatch *d, struct entry *e, struct outcome *outcome)
{
    release_slots(d, e);
    resolver_cancel(&e->waiter);
    dedup_cancel(&e->claim);
    each_cancel(d->each, &e->each);
    ledger_end(d->ledger, e, outcome);
}

static void end_as(struct dispatch *d, struct entry *e, enum outcome_kind kind, enum miss miss)
{
    struct outcome outcome = {.kind = kind, .reason = miss == MISS_NONE ? NULL : miss_labels[miss]};
    if (kind == OUTCOME_DROPPED && !e->record->is_orphan)
        metric_add_labelled(METRIC_DROPPED, miss, 1);
    end(d, e, &outcome);
}

static void settle(struct dispatch *d, struct flow *flow);

/* The same for an entry that may be in a flow, which then goes on without it. */
static void leave(struct dispatch *d, struct entry *e, struct outcome *outcome)
{
    struct flow *flow = e->item.flow;
    bool is_gone = flow ? flow_remove(&e->item) : true;
    end(d, e, outcome);
    if (!is_gone)
        settle(d, flow);
}

static bool is_wanted(const struct dispatch *d, const struct entry *e)
{
    return !e->record->is_orphan && !delivery_is_expired(e->record, loop_wall_ms(d->loop));
}

/* --- out on the lanes --- */

static struct lane_target target_of(struct entry *e, uint64_t connection)
{
    struct lane_target target = {.user = e->waiter.user, .device = e->waiter.device, .connection = connection};
    if (e->item.flow)
        target.position = flow_next(e->item.flow);
    return target;
}

static bool attempt(struct dispatch *d, struct entry *e, uint32_t number, uint64_t generation, uint64_t connection)
{
    const struct push *push = &e->record->push;
    enum err err = lanes_admits(d->lanes, number, generation);
    struct slot *slot = NULL;
    if (!err) {
        slot = inflight_get(d->inflight, push->is_durable ? INFLIGHT_DURABLE : INFLIGHT_VOLATILE, push->content.len,
                            loop_now_ms(d->loop));
    }
    if (!slot) {
        e->miss = err == ERR_AWAY ? MISS_GONE : MISS_LANE_FULL;
        return false;
    }
    slot->entry = e;
    list_push(&e->slots, &slot->entry_link);
    const struct lane_target target = target_of(e, connection);
    lanes_send(d->lanes, number, e->record, &target, slot);
    return true;
}

/* To where the user (or the one device) is: volatile to every live instance once; durable to every session by its
 * connection, so that one which followed it unknown to this router does not take what is newer than what its
 * predecessor missed. False: to none, and e->miss says why. */
static bool send_out(struct dispatch *d, struct entry *e, const struct route *route)
{
    struct push_str only = e->waiter.device;
    bool is_durable = e->record->push.is_durable, is_out = false;
    e->miss = MISS_OFFLINE;
    for (uint32_t i = 0; i < route->device_count; i++) {
        const struct route_device *device = &route->devices[i];
        if (!device->is_online || !lanes_is_live(d->lanes, device->instance, device->generation))
            continue;
        if (only.len > 0 ? device != route_device(route, only.at, only.len)
                         : !is_durable && route_is_repeated(route, i))
            continue;
        is_out |= attempt(d, e, device->instance, device->generation, is_durable ? device->connection : 0);
    }
    if (is_out && e->miss != MISS_OFFLINE && e->item.flow)
        flow_torn(e->item.flow);
    if (is_out)
        e->miss = MISS_NONE;
    return is_out;
}

/* --- volatile --- */

static void missed_volatile(struct dispatch *d, struct entry *e)
{
    bool may_have_moved = e->miss == MISS_NOT_HERE || e->miss == MISS_CLOSED || e->miss == MISS_GONE;
    if (!is_wanted(d, e)) {
        end_as(d, e, OUTCOME_EXPIRED, MISS_NONE);
    } else if (may_have_moved && !e->is_retried) {
        e->is_retried = true;
        resolver_forget(d->resolver, e->waiter.user);
        resolver_wait(d->resolver, &e->waiter);
    } else if (e->miss == MISS_EXPIRED) {
        end_as(d, e, OUTCOME_EXPIRED, MISS_NONE);
    } else {
        bool is_offline = e->miss == MISS_NOT_HERE || e->miss == MISS_CLOSED;
        end_as(d, e, OUTCOME_DROPPED, is_offline ? MISS_OFFLINE : e->miss);
    }
}

static void resolved_volatile(struct dispatch *d, struct entry *e, const struct route *route)
{
    if (!is_wanted(d, e))
        end_as(d, e, OUTCOME_EXPIRED, MISS_NONE);
    else if (!send_out(d, e, route))
        missed_volatile(d, e);
}

/* --- durable --- */

/* The first held entry of a flow that is live. False: nothing more can go out of the flow now. */
static bool resolved_durable(struct dispatch *d, struct entry *e, const struct route *route)
{
    struct push_str only = e->waiter.device;
    const struct route_device *device = only.len > 0 ? route_device(route, only.at, only.len) : NULL;
    bool has_box = device ? device->has_box : route->has_box;
    if (!has_box && !flow_may_send(e->item.flow, route->stamp))
        return false; /* the user has moved: after what is out has been answered */
    if (has_box)
        e->miss = MISS_BOX;
    if (!has_box && send_out(d, e, route)) {
        flow_sent(&e->item, route->stamp);
        return true;
    }
    flow_failed(&e->item);
    return false;
}

/* Sends what may go out of a live flow. False: the flow is gone. */
static bool pump(struct dispatch *d, struct flow *flow)
{
    struct flow_item *item;
    while (flow_mode(flow) == FLOW_LIVE && (item = flow_held(flow))) {
        struct entry *e = entry_of_item(item);
        if (resolver_is_waiting(&e->waiter))
            return true;
        if (!is_wanted(d, e)) {
            bool is_gone = flow_remove(item);
            end_as(d, e, OUTCOME_EXPIRED, MISS_NONE);
            if (is_gone)
                return false;
            continue;
        }
        if (dedup_is_claiming(&e->claim))
            return true;
        const struct route *route = resolver_find(d->resolver, e->waiter.user, e->waiter.device);
        if (!route) {
            resolver_wait(d->resolver, &e->waiter);
            return true;
        }
        if (!resolved_durable(d, e, route))
            return true;
    }
    return true;
}

static void settle(struct dispatch *d, struct flow *flow)
{
    if (pump(d, flow) && flow_wants_run(flow))
        spill_flow(d->spill, flow);
}

/* All its attempts failed. */
static void missed(struct dispatch *d, struct entry *e)
{
    metric_add_labelled(METRIC_MISSES, e->miss, 1);
    if (!e->item.flow) {
        missed_volatile(d, e);
        return;
    }
    struct flow *flow = e->item.flow;
    if (e->miss == MISS_COLLAPSED) { /* the newer one waits where this one did */
        bool is_gone = flow_remove(&e->item);
        end_as(d, e, OUTCOME_DROPPED, MISS_COLLAPSED);
        if (!is_gone)
            settle(d, flow);
        return;
    }
    flow_failed(&e->item);
    settle(d, flow);
}

/* --- to all --- */

static void settle_all(struct dispatch *d, struct entry *e)
{
    char total[40];
    struct outcome outcome = {.kind = OUTCOME_WRITTEN, .reason = total};
    if (!list_is_empty(&e->slots))
        return;
    if (e->written_count == 0) {
        end_as(d, e, OUTCOME_DROPPED, e->miss);
        return;
    }
    snprintf(total, sizeof(total), "sessions=%" PRIu64, e->session_count);
    end(d, e, &outcome);
}

/* --- what came of it --- */

static enum miss miss_of(const Herald__V1__Result *result)
{
    switch (result->kind) {
    case HERALD__V1__RESULT_KIND__RESULT_NOT_HERE:
        return MISS_NOT_HERE;
    case HERALD__V1__RESULT_KIND__RESULT_CLOSED:
        return strcmp(result->reason, miss_labels[MISS_STALE]) == 0 ? MISS_STALE : MISS_CLOSED;
    default:
        return miss_of_reason(result->reason);
    }
}

static void attempt_failed(struct dispatch *d, struct slot *slot, enum miss miss)
{
    struct entry *e = slot->entry;
    MAGIC_CHECK(e, ENTRY_MAGIC);
    release_slot(d, slot);
    e->miss = miss;
    if (e->record->push.to == PUSH_TO_ALL)
        settle_all(d, e);
    else if (list_is_empty(&e->slots))
        missed(d, e);
    else if (e->item.flow)
        flow_torn(e->item.flow);
}

/* `once`: the devices on other instances need not show it any more. */
static void withdraw_others(struct dispatch *d, struct entry *e, const struct slot *acked)
{
    list_each (at, &e->slots) {
        struct slot *slot = container_of(at, struct slot, entry_link);
        uint32_t number = slot->instance;
        if (slot->instance == acked->instance) /* told itself */
            continue;
        release_slot(d, slot);
        lanes_withdraw(d->lanes, number, e->waiter.user, e->record->id);
    }
}

static void attempt_succeeded(struct dispatch *d, struct slot *slot, const Herald__V1__Result *result)
{
    struct entry *e = slot->entry;
    MAGIC_CHECK(e, ENTRY_MAGIC);
    if (e->record->push.to == PUSH_TO_ALL) {
        e->written_count++;
        e->session_count += result->count;
        release_slot(d, slot);
        settle_all(d, e);
        return;
    }
    bool is_durable = e->record->push.is_durable;
    struct outcome outcome = {.kind = is_durable ? OUTCOME_ACKED : OUTCOME_WRITTEN, .seq = result->seq};
    outcome.device = (struct push_str){result->device, (uint32_t)strlen(result->device)};
    if (outcome.device.len == 0)
        outcome.device = e->waiter.device;
    outcome.instance = lanes_name(d->lanes, slot->instance);
    const uint64_t sent_ms = inflight_sent_ms(d->inflight, slot);
    outcome.hops = &(struct outcome_hops){(uint32_t)(sent_ms - e->record->consumed_ms), result->gateway_ms,
                                          result->client_ms};
    if (is_durable && e->record->push.is_once)
        withdraw_others(d, e, slot);
    leave(d, e, &outcome);
}

void dispatch_result(struct dispatch *d, uint32_t number, const Herald__V1__Result *result)
{
    struct slot *slot = inflight_find(d->inflight, result->slot, result->slot_generation);
    bool is_written = result->kind == HERALD__V1__RESULT_KIND__RESULT_WRITTEN;
    if (!slot || slot->instance != number) {
        metric_add(METRIC_RESULTS_LATE, 1);
        return;
    }
    metric_add_labelled(METRIC_RESULTS, (unsigned)result->kind <= 5 ? (unsigned)result->kind : 0, 1);
    if (is_written && slot->class == INFLIGHT_DURABLE)
        return; /* it is the acknowledgement that counts */
    if (is_written || result->kind == HERALD__V1__RESULT_KIND__RESULT_ACKED)
        attempt_succeeded(d, slot, result);
    else
        attempt_failed(d, slot, miss_of(result));
}

static void on_lane_failed(void *arg, struct slot *slot, enum lane_failure failure)
{
    struct dispatch *d = arg;
    MAGIC_CHECK(d, DISPATCH_MAGIC);
    attempt_failed(d, slot, failure == LANE_GONE ? MISS_GONE : MISS_LANE_FULL);
}

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
        resolved_volatile(d, e, route);
        return;
    }
    /* it waits only as the first held of its flow; what broke the flow meanwhile is for settle() */
    if (flow_mode(flow) == FLOW_LIVE && is_wanted(d, e))
        (void)resolved_durable(d, e, route);
    settle(d, flow);
}

static uint32_t on_instance(void *arg, const char *name, size_t len)
{
    struct dispatch *d = arg;
    return lanes_number(d->lanes, name, len);
}

/* --- spilling --- */

static void on_recalled(void *arg, struct entry *e)
{
    release_slots(arg, e);
    if (e->miss == MISS_NONE)
        e->miss = MISS_BEHIND;
}

static bool on_is_wanted(void *arg, const struct entry *e)
{
    return is_wanted(arg, e);
}

static void on_unwanted(void *arg, struct entry *e)
{
    end_as(arg, e, OUTCOME_EXPIRED, MISS_NONE);
}

static void on_full(void *arg, struct entry *e)
{
    end_as(arg, e, OUTCOME_DROPPED, MISS_MAILBOX_FULL);
}

static void on_stored(void *arg, struct entry *e)
{
    struct dispatch *d = arg;
    resolver_forget(d->resolver, e->waiter.user); /* the box is not empty any more */
    end_as(d, e, OUTCOME_STORED, e->miss == MISS_NONE ? MISS_BEHIND : e->miss);
}

/* --- acceptance --- */

static void start_volatile(struct dispatch *d, struct entry *e)
{
    const struct route *route = resolver_find(d->resolver, e->waiter.user, e->waiter.device);
    if (route)
        resolved_volatile(d, e, route);
    else
        resolver_wait(d->resolver, &e->waiter);
}

static void collapse_older(struct dispatch *d, struct entry *e)
{
    uint32_t left = COLLAPSE_LOOK_MAX;
    for (struct entry *old; (old = collapse_find(e, &e->item, &left));) {
        if (old->item.place == FLOW_OUT)
            flow_unsent(&old->item);
        (void)flow_remove(&old->item); /* never the last: e is there */
        end_as(d, old, OUTCOME_DROPPED, MISS_COLLAPSED);
    }
}

void dispatch_start(struct dispatch *d, struct entry *e)
{
    bool is_claiming = dedup_start(d->dedup, &e->claim, e->record, e->waiter.user);
    if (e->record->push.is_durable) {
        e->item.priority = (uint8_t)e->record->push.priority;
        flow_add(d->flows, &e->item, e->waiter.user.at, e->waiter.user.len, e->waiter.device.at, e->waiter.device.len);
        collapse_older(d, e);
        settle(d, e->item.flow);
    } else if (!is_claiming) {
        start_volatile(d, e);
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
        leave(d, e, &outcome);
    } else if (e->item.flow) {
        settle(d, e->item.flow);
    } else {
        start_volatile(d, e);
    }
}

void dispatch_start_all(struct dispatch *d, struct entry *e)
{
    uint32_t cursor = 0, number;
    uint64_t generation;
    e->miss = MISS_NO_GATEWAY;
    if (!is_wanted(d, e)) {
        end_as(d, e, OUTCOME_EXPIRED, MISS_NONE);
        return;
    }
    while (lanes_next(d->lanes, &cursor, &number, &generation))
        (void)attempt(d, e, number, generation, 0);
    settle_all(d, e);
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
            leave(d, e, &none);
    }
}

/* --- time --- */

static void sweep(struct dispatch *d, struct entry *e)
{
    struct outcome outcome = {.kind = OUTCOME_EXPIRED};
    MAGIC_CHECK(e, ENTRY_MAGIC);
    if (!is_wanted(d, e))
        leave(d, e, &outcome);
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
        attempt_failed(d, slot, MISS_TIMEOUT);
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
    static const struct lanes_events lane_events = {on_lane_failed};
    static const struct resolver_events resolver_events = {on_resolved, on_instance};
    static const struct spill_events spill_events = {on_recalled, on_is_wanted, on_unwanted, on_stored, on_full};
    struct dispatch *d = xcalloc(1, sizeof(*d));
    d->magic = DISPATCH_MAGIC;
    d->loop = loop;
    d->inflight = inflight_new(&settings->limits);
    d->ledger = ledger_new(loop, d->inflight, events, arg);
    d->flows = flows_new(table_hash(settings->lanes.router, strlen(settings->lanes.router)) +
                         (settings->lanes.generation << 24));
    d->lanes = lanes_new(loop, bus, &settings->lanes, &lane_events, d);
    d->resolver = resolver_new(loop, &settings->resolver, &resolver_events, d);
    d->each = each_new(d->resolver, &fanout_each_events, d);
    d->mailbox = mailbox_new(redis, d->lanes, &settings->mailbox, events->outcome, arg);
    d->spill = spill_new(d->mailbox, &spill_events, d);
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
        end(d, e, &outcome);
    }
}

struct ledger *dispatch_ledger(const struct dispatch *d)
{
    return d->ledger;
}
