/* How much the dispatch has in hand. */
#include "common/metric.h"
#include "router/dispatch/dispatch_internal.h"
#include "router/metrics.h"

void dispatch_gauges(const struct dispatch *d, struct dispatch_gauges *gauges_r)
{
    const struct ledger_counts *counts = ledger_counts(d->ledger);
    *gauges_r = (struct dispatch_gauges){.targets = counts->in_flight - counts->canaries,
                                         .records = inflight_records(d->inflight),
                                         .record_bytes = inflight_record_bytes(d->inflight),
                                         .slots = inflight_count(d->inflight),
                                         .flows = flows_count(d->flows),
                                         .stalled = spill_stalled(d->spill),
                                         .claims = dedup_waiting(d->dedup)};
}

void dispatch_show(const struct dispatch *d)
{
    struct dispatch_gauges gauges;
    dispatch_gauges(d, &gauges);
    metric_set(METRIC_TARGETS_IN_FLIGHT, gauges.targets);
    metric_set(METRIC_WINDOW_RECORDS, gauges.records);
    metric_set(METRIC_WINDOW_BYTES, (int64_t)gauges.record_bytes);
    metric_set(METRIC_FLOWS, gauges.flows);
    metric_set(METRIC_SPILL_STALLED, gauges.stalled);
    metric_set(METRIC_DEDUP_WAITING, gauges.claims);
    metric_set(METRIC_LANES, lanes_live(d->lanes));
    metric_set(METRIC_LANE_WAITING, lanes_waiting(d->lanes));
    metric_set(METRIC_LANE_UNREAD, (int64_t)lanes_unread(d->lanes));
    metric_set(METRIC_LANE_MESSAGES, lanes_messages(d->lanes));
    metric_set(METRIC_LOOKUPS_OPEN, resolver_lookups(d->resolver));
    metric_set(METRIC_ROUTES_CACHED, resolver_cached(d->resolver));
    metric_set(METRIC_ROUTES_CACHING, resolver_is_caching(d->resolver));
}
