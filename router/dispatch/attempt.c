/* An entry goes out: one attempt for each instance, with a slot. */
#include "router/dispatch/dispatch_internal.h"

void attempt_release(struct dispatch *d, struct slot *slot)
{
    lanes_released(d->lanes, slot);
    inflight_put(d->inflight, slot);
}

void attempts_release(struct dispatch *d, struct entry *e)
{
    while (!list_is_empty(&e->slots))
        attempt_release(d, container_of(e->slots.next, struct slot, entry_link));
}

static struct lane_target target_of(struct entry *e, uint64_t connection)
{
    struct lane_target target = {.user = e->waiter.user, .device = e->waiter.device, .connection = connection};
    if (e->item.flow)
        target.position = flow_next(e->item.flow);
    return target;
}

bool attempt_send(struct dispatch *d, struct entry *e, uint32_t number, uint64_t generation, uint64_t connection)
{
    const struct push *push = &e->record->push;
    enum err err = lanes_admits(d->lanes, number, generation);
    struct lane_load load = lanes_load(d->lanes, number);
    struct slot *slot = NULL;
    if (!err && inflight_may_grow(d->inflight, load.attempts, load.bytes, lanes_live(d->lanes))) {
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

bool attempts_send(struct dispatch *d, struct entry *e, const struct route *route)
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
        is_out |= attempt_send(d, e, device->instance, device->generation, is_durable ? device->connection : 0);
    }
    if (is_out && e->miss != MISS_OFFLINE && e->item.flow)
        flow_torn(e->item.flow);
    if (is_out)
        e->miss = MISS_NONE;
    return is_out;
}
