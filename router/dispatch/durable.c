/* The way of a durable entry, in its flow: out in order; or, once one has failed, to the mailbox in order. */
#include "common/check.h"
#include "router/flow/collapse.h"
#include "router/dispatch/dispatch_internal.h"

static struct entry *entry_of_item(struct flow_item *item)
{
    struct entry *e = container_of(item, struct entry, item);
    MAGIC_CHECK(e, ENTRY_MAGIC);
    return e;
}

bool durable_resolved(struct dispatch *d, struct entry *e, const struct route *route)
{
    struct push_str only = e->waiter.device;
    const struct route_device *device = only.len > 0 ? route_device(route, only.at, only.len) : NULL;
    bool has_box = device ? device->has_box : route->has_box;
    if (!has_box && !flow_may_send(e->item.flow, route->stamp))
        return false; /* the user has moved: after what is out has been answered */
    if (has_box)
        e->miss = MISS_BOX;
    if (!has_box && attempts_send(d, e, route)) {
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
        if (!fate_is_wanted(d, e)) {
            bool is_gone = flow_remove(item);
            fate_end_as(d, e, OUTCOME_EXPIRED, MISS_NONE);
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
        if (!durable_resolved(d, e, route))
            return true;
    }
    return true;
}

void durable_settle(struct dispatch *d, struct flow *flow)
{
    if (pump(d, flow) && flow_wants_run(flow))
        spill_flow(d->spill, flow);
}

void durable_collapse_older(struct dispatch *d, struct entry *e)
{
    uint32_t left = COLLAPSE_LOOK_MAX;
    for (struct entry *old; (old = collapse_find(e, &e->item, &left));) {
        if (old->item.place == FLOW_OUT)
            flow_unsent(&old->item);
        (void)flow_remove(&old->item); /* never the last: e is there */
        fate_end_as(d, old, OUTCOME_DROPPED, MISS_COLLAPSED);
    }
}

/* --- spilling --- */

static void on_recalled(void *arg, struct entry *e)
{
    attempts_release(arg, e);
    if (e->miss == MISS_NONE)
        e->miss = MISS_BEHIND;
}

static bool on_is_wanted(void *arg, const struct entry *e)
{
    return fate_is_wanted(arg, e);
}

static void on_unwanted(void *arg, struct entry *e)
{
    fate_end_as(arg, e, OUTCOME_EXPIRED, MISS_NONE);
}

static void on_full(void *arg, struct entry *e)
{
    fate_end_as(arg, e, OUTCOME_DROPPED, MISS_MAILBOX_FULL);
}

static void on_stored(void *arg, struct entry *e)
{
    struct dispatch *d = arg;
    resolver_forget(d->resolver, e->waiter.user); /* the box is not empty any more */
    fate_end_as(d, e, OUTCOME_STORED, e->miss == MISS_NONE ? MISS_BEHIND : e->miss);
}

const struct spill_events durable_spill_events = {on_recalled, on_is_wanted, on_unwanted, on_stored, on_full};
