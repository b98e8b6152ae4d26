/* The way of a volatile entry: to where the user is, or once more, or dropped. */
#include "router/dispatch/dispatch_internal.h"

void volatile_missed(struct dispatch *d, struct entry *e)
{
    bool may_have_moved = e->miss == MISS_NOT_HERE || e->miss == MISS_CLOSED || e->miss == MISS_GONE;
    if (!fate_is_wanted(d, e)) {
        fate_end_as(d, e, OUTCOME_EXPIRED, MISS_NONE);
    } else if (may_have_moved && !e->is_retried) {
        e->is_retried = true;
        resolver_forget(d->resolver, e->waiter.user);
        resolver_wait(d->resolver, &e->waiter);
    } else if (e->miss == MISS_EXPIRED) {
        fate_end_as(d, e, OUTCOME_EXPIRED, MISS_NONE);
    } else {
        bool is_offline = e->miss == MISS_NOT_HERE || e->miss == MISS_CLOSED;
        fate_end_as(d, e, OUTCOME_DROPPED, is_offline ? MISS_OFFLINE : e->miss);
    }
}

void volatile_resolved(struct dispatch *d, struct entry *e, const struct route *route)
{
    if (!fate_is_wanted(d, e))
        fate_end_as(d, e, OUTCOME_EXPIRED, MISS_NONE);
    else if (!attempts_send(d, e, route))
        volatile_missed(d, e);
}

void volatile_start(struct dispatch *d, struct entry *e)
{
    const struct route *route = resolver_find(d->resolver, e->waiter.user, e->waiter.device);
    if (route)
        volatile_resolved(d, e, route);
    else
        resolver_wait(d->resolver, &e->waiter);
}
