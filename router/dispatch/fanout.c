/* How a record becomes targets. */
#include "common/check.h"
#include "router/dispatch/dispatch_internal.h"

#include <stdlib.h>

static const struct push_str nobody = {"", 0};

static struct entry *entry_of(struct each_item *item)
{
    struct entry *e = container_of(item, struct entry, each);
    MAGIC_CHECK(e, ENTRY_MAGIC);
    return e;
}

static void start(struct dispatch *d, struct entry *e)
{
    const struct push *push = &e->record->push;
    bool may_wait = push->to == PUSH_TO_EACH || push->is_durable;
    if (!may_wait || !each_take(d->each, &e->each, &e->waiter, push->to == PUSH_TO_EACH))
        dispatch_start(d, e);
}

/* The route goes when something is started, so the entry has a copy of the device's name. */
static void set_device(struct entry *e, const struct route_device *device)
{
    e->device = xstrndup(device->name, device->name_len);
    e->waiter.device = (struct push_str){e->device, device->name_len};
}

static void on_expand(void *arg, struct each_item *item, const struct route *route)
{
    enum { COPIES_MAX = 256 };
    struct dispatch *d = arg;
    struct entry *e = entry_of(item), *copies[COPIES_MAX];
    uint32_t count = 0;
    MAGIC_CHECK(d, DISPATCH_MAGIC);
    for (uint32_t i = 0; i < route->device_count && count < COPIES_MAX; i++) {
        if (!each_wants(&route->devices[i]))
            continue;
        copies[count] = count == 0 ? e : ledger_add(d->ledger, e->record, e->waiter.user, nobody);
        set_device(copies[count++], &route->devices[i]);
    }
    if (count == 0) /* nobody knows a device: the user's own mailbox */
        dispatch_start(d, e);
    while (count > 0) /* the one that holds the record's first reference last */
        dispatch_start(d, copies[--count]);
}

static void on_start(void *arg, struct each_item *item)
{
    dispatch_start(arg, entry_of(item));
}

const struct each_events fanout_each_events = {on_expand, on_start};

/* Not silently half-done: topics, conditions and schedules come later. */
static bool is_supported(const struct push *push)
{
    bool is_target = push->to == PUSH_TO_USER || push->to == PUSH_TO_DEVICE || push->to == PUSH_TO_EACH ||
                     push->to == PUSH_TO_USERS || (push->to == PUSH_TO_ALL && !push->is_durable);
    return is_target && push->deliver_at_ms == 0 && push->every_ms == 0;
}

void dispatch_accept(struct dispatch *d, struct record *record)
{
    const struct push *push = &record->push;
    ledger_open(d->ledger, record);
    if (!is_supported(push)) {
        record_dead(record, PUSH_ERROR_UNSUPPORTED);
    } else if (push->to == PUSH_TO_ALL) {
        dispatch_start_all(d, ledger_add(d->ledger, record, nobody, nobody));
    } else if (push->to == PUSH_TO_USERS) {
        for (uint32_t i = 0; i < push->user_count; i++)
            start(d, ledger_add(d->ledger, record, push->users[i], nobody));
    } else {
        start(d, ledger_add(d->ledger, record, push->user, push->to == PUSH_TO_DEVICE ? push->device : nobody));
    }
    ledger_close(d->ledger, record);
}
