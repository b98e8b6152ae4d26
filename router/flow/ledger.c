#include "router/flow/ledger.h"

#include "common/check.h"
#include "common/metric.h"
#include "common/slab.h"
#include "router/record/canary.h"
#include "router/metrics.h"

#include <stdlib.h>

struct ledger {
    struct loop *loop;
    struct inflight *inflight;
    struct ledger_events events;
    void *arg;
    struct slab *slab;
    struct list all;
    struct ledger_counts counts;
    struct audit *audit;
    bool is_full;
};

struct ledger *ledger_new(struct loop *loop, struct inflight *inflight, const struct ledger_events *events, void *arg)
{
    struct ledger *ledger = xcalloc(1, sizeof(*ledger));
    ledger->loop = loop;
    ledger->inflight = inflight;
    ledger->events = *events;
    ledger->arg = arg;
    ledger->slab = slab_new("entry", sizeof(struct entry));
    ledger->audit = audit_new();
    list_init(&ledger->all);
    return ledger;
}

void ledger_free(struct ledger **ledger)
{
    if (!*ledger)
        return;
    CHECK(list_is_empty(&(*ledger)->all));
    audit_free(&(*ledger)->audit);
    slab_free(&(*ledger)->slab);
    free(*ledger);
    *ledger = NULL;
}

static void look_for_full(struct ledger *ledger)
{
    if (ledger->is_full || !inflight_is_full(ledger->inflight))
        return;
    ledger->is_full = true;
    metric_add(METRIC_WINDOW_FULL, 1);
    ledger->events.full(ledger->arg);
}

/* record->user counts what of a record is unfinished; with the last of it the record leaves the window. */
static void leave(struct ledger *ledger, struct record *record)
{
    uintptr_t left = (uintptr_t)record->user - 1;
    record->user = (void *)left;
    if (left == 0)
        inflight_leave(ledger->inflight, record->cost);
    record_done(record);
    if (ledger->is_full && inflight_has_room(ledger->inflight)) {
        ledger->is_full = false;
        ledger->events.room(ledger->arg);
    }
}

void ledger_open(struct ledger *ledger, struct record *record)
{
    record->user = (void *)(uintptr_t)1;
    list_init(&record->targets);
    inflight_enter(ledger->inflight, record->cost);
}

void ledger_close(struct ledger *ledger, struct record *record)
{
    look_for_full(ledger);
    leave(ledger, record);
}

void ledger_hold(struct ledger *ledger, struct record *record)
{
    if (!record->user)
        inflight_enter(ledger->inflight, record->cost);
    record->user = (void *)((uintptr_t)record->user + 1);
    record_ref(record, 1);
    inflight_hold(ledger->inflight);
    look_for_full(ledger);
}

void ledger_release(struct ledger *ledger, struct record *record)
{
    inflight_release(ledger->inflight);
    leave(ledger, record);
}

/* Under which row of the accounts its targets stand. */
static int32_t place_of(const struct record *record)
{
    return canary_is(record) ? AUDIT_CANARY : record->kafka.partition;
}

struct entry *ledger_add(struct ledger *ledger, struct record *record, struct push_str user, struct push_str device)
{
    struct entry *e = slab_get(ledger->slab);
    e->magic = ENTRY_MAGIC;
    e->record = record;
    list_init(&e->slots);
    list_init(&e->stalled_link);
    list_init(&e->claim.link);
    list_push(&ledger->all, &e->all_link);
    list_push(&record->targets, &e->record_link);
    resolver_waiter_init(&e->waiter, user, device);
    record_ref(record, 1);
    record->user = (void *)((uintptr_t)record->user + 1);
    ledger->counts.accepted++;
    ledger->counts.in_flight++;
    inflight_enter_target(ledger->inflight);
    ledger->counts.canaries += canary_is(record);
    audit_accepted(ledger->audit, place_of(record));
    metric_add(canary_is(record) ? METRIC_CANARIES : METRIC_TARGETS, 1);
    return e;
}

static void report(struct ledger *ledger, const struct entry *e, struct outcome *outcome)
{
    const struct record *record = e->record;
    outcome->id = record->id;
    outcome->user = e->waiter.user;
    if (!outcome->device.at)
        outcome->device = e->waiter.device;
    outcome->source = record->source.at;
    outcome->record = e->record;
    outcome->timestamp_ms = record->kafka.timestamp_ms;
    outcome->is_wanted = record->push.is_outcome_wanted;
    ledger->counts.finished[outcome->kind]++;
    audit_finished(ledger->audit, place_of(record), outcome->kind);
    if (canary_is(record)) { /* of no interest to anybody but its gateway, which knows */
        metric_add_labelled(METRIC_CANARY_OUTCOMES, outcome->kind, 1);
        return;
    }
    ledger->events.outcome(ledger->arg, outcome);
    if (outcome->kind == OUTCOME_ACKED || outcome->kind == OUTCOME_WRITTEN)
        metric_observe(METRIC_DELIVERY_TIME, (loop_now_ms(ledger->loop) - record->consumed_ms) * 1000);
}

void ledger_end(struct ledger *ledger, struct entry *e, struct outcome *outcome)
{
    struct record *record = e->record;
    CHECK(list_is_empty(&e->slots) && !e->item.flow && !resolver_is_waiting(&e->waiter) &&
          !dedup_is_claiming(&e->claim));
    if (record->is_orphan) {
        ledger->counts.abandoned++;
        audit_abandoned(ledger->audit, place_of(record));
        metric_add(canary_is(record) ? METRIC_CANARIES_ABANDONED : METRIC_TARGETS_ABANDONED, 1);
    } else {
        report(ledger, e, outcome);
    }
    ledger->counts.in_flight--;
    inflight_leave_target(ledger->inflight);
    ledger->counts.canaries -= canary_is(record);
    list_remove(&e->all_link);
    list_remove(&e->record_link);
    e->magic = 0;
    free(e->device);
    slab_put(ledger->slab, e);
    leave(ledger, record);
}

struct entry *ledger_first(const struct ledger *ledger)
{
    struct list *first = list_first(&ledger->all);
    return first ? container_of(first, struct entry, all_link) : NULL;
}

const struct ledger_counts *ledger_counts(const struct ledger *ledger)
{
    return &ledger->counts;
}

struct audit *ledger_accounts(const struct ledger *ledger)
{
    return ledger->audit;
}

struct audit *ledger_audit(const struct ledger *ledger)
{
    audit_begin(ledger->audit);
    list_each (at, &ledger->all)
        audit_in_flight(ledger->audit, place_of(container_of(at, struct entry, all_link)->record));
    return ledger->audit;
}

bool ledger_is_balanced(const struct ledger *ledger)
{
    uint64_t ended = ledger->counts.abandoned, in_flight = 0;
    for (int i = 0; i < OUTCOME_KIND_COUNT; i++)
        ended += ledger->counts.finished[i];
    list_each (at, &ledger->all)
        in_flight++;
    return audit_imbalance(ledger_audit(ledger)) == 0 && in_flight == ledger->counts.in_flight &&
           ledger->counts.accepted == ended + in_flight && slab_in_use(ledger->slab) == in_flight;
}
