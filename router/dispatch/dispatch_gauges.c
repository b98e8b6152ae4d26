/* How much the dispatch has in hand. */
#include "router/dispatch/dispatch_internal.h"

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
