/* How an entry ends. */
#include "common/metric.h"
#include "router/record/delivery.h"
#include "router/dispatch/dispatch_internal.h"
#include "router/metrics.h"

void fate_end(struct dispatch *d, struct entry *e, struct outcome *outcome)
{
    attempts_release(d, e);
    resolver_cancel(&e->waiter);
    dedup_cancel(&e->claim);
    each_cancel(d->each, &e->each);
    ledger_end(d->ledger, e, outcome);
}

void fate_end_as(struct dispatch *d, struct entry *e, enum outcome_kind kind, enum miss miss)
{
    struct outcome outcome = {.kind = kind, .reason = miss == MISS_NONE ? NULL : miss_labels[miss]};
    if (kind == OUTCOME_DROPPED && !e->record->is_orphan)
        metric_add_labelled(METRIC_DROPPED, miss, 1);
    fate_end(d, e, &outcome);
}

void fate_leave(struct dispatch *d, struct entry *e, struct outcome *outcome)
{
    struct flow *flow = e->item.flow;
    bool is_gone = flow ? flow_remove(&e->item) : true;
    fate_end(d, e, outcome);
    if (!is_gone)
        durable_settle(d, flow);
}

bool fate_is_wanted(const struct dispatch *d, const struct entry *e)
{
    return !e->record->is_orphan && !delivery_is_expired(e->record, loop_wall_ms(d->loop));
}
