/* What came of attempts: results of gateways, lanes that failed, deadlines. */
#include "common/check.h"
#include "common/metric.h"
#include "router/dispatch/dispatch_internal.h"
#include "router/metrics.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* All its attempts failed. */
static void missed(struct dispatch *d, struct entry *e)
{
    metric_add_labelled(METRIC_MISSES, e->miss, 1);
    if (!e->item.flow) {
        volatile_missed(d, e);
        return;
    }
    struct flow *flow = e->item.flow;
    bool is_expired = e->miss == MISS_EXPIRED;
    if (is_expired || e->miss == MISS_COLLAPSED) { /* collapsed: the newer one waits where this one did */
        bool is_gone = flow_remove(&e->item);
        fate_end_as(d, e, is_expired ? OUTCOME_EXPIRED : OUTCOME_DROPPED, is_expired ? MISS_NONE : MISS_COLLAPSED);
        if (!is_gone)
            durable_settle(d, flow);
        return;
    }
    flow_failed(&e->item);
    durable_settle(d, flow);
}

void verdict_of_all(struct dispatch *d, struct entry *e)
{
    char total[40];
    struct outcome outcome = {.kind = OUTCOME_WRITTEN, .reason = total};
    if (!list_is_empty(&e->slots))
        return;
    if (e->written_count == 0) {
        fate_end_as(d, e, OUTCOME_DROPPED, e->miss);
        return;
    }
    snprintf(total, sizeof(total), "sessions=%" PRIu64, e->session_count);
    fate_end(d, e, &outcome);
}

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

void verdict_failed(struct dispatch *d, struct slot *slot, enum miss miss)
{
    struct entry *e = slot->entry;
    MAGIC_CHECK(e, ENTRY_MAGIC);
    attempt_release(d, slot);
    e->miss = miss;
    if (e->record->push.to == PUSH_TO_ALL)
        verdict_of_all(d, e);
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
        attempt_release(d, slot);
        lanes_withdraw(d->lanes, number, e->waiter.user, e->record->id);
    }
}

static void succeeded(struct dispatch *d, struct slot *slot, const Herald__V1__Result *result)
{
    struct entry *e = slot->entry;
    MAGIC_CHECK(e, ENTRY_MAGIC);
    if (e->record->push.to == PUSH_TO_ALL) {
        e->written_count++;
        e->session_count += result->count;
        attempt_release(d, slot);
        verdict_of_all(d, e);
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
    fate_leave(d, e, &outcome);
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
        succeeded(d, slot, result);
    else
        verdict_failed(d, slot, miss_of(result));
}

static void on_lane_failed(void *arg, struct slot *slot, enum lane_failure failure)
{
    struct dispatch *d = arg;
    MAGIC_CHECK(d, DISPATCH_MAGIC);
    verdict_failed(d, slot, failure == LANE_GONE ? MISS_GONE : MISS_LANE_FULL);
}

const struct lanes_events verdict_lanes_events = {on_lane_failed};
