#include "router/box/spill.h"

#include "common/check.h"
#include "common/metric.h"
#include "router/metrics.h"

#include <stdlib.h>

struct spill {
    struct mailbox *mailbox;
    struct spill_events events;
    void *arg;
    struct list stalled; /* entries, each the first of its flow's run, by stalled_link */
    uint32_t stalled_count;
};

static struct entry *entry_of(const struct flow_item *item)
{
    struct entry *e = container_of((struct flow_item *)(uintptr_t)item, struct entry, item);
    MAGIC_CHECK(e, ENTRY_MAGIC);
    return e;
}

struct spill *spill_new(struct mailbox *mailbox, const struct spill_events *events, void *arg)
{
    struct spill *spill = xcalloc(1, sizeof(*spill));
    spill->mailbox = mailbox;
    spill->events = *events;
    spill->arg = arg;
    list_init(&spill->stalled);
    return spill;
}

void spill_free(struct spill **spill)
{
    if (!*spill)
        return;
    CHECK(list_is_empty(&(*spill)->stalled));
    free(*spill);
    *spill = NULL;
}

uint32_t spill_stalled(const struct spill *spill)
{
    return spill->stalled_count;
}

/* By the first entry of its run. */
static void stall(struct spill *spill, struct entry *first)
{
    list_push(&spill->stalled, &first->stalled_link);
    spill->stalled_count++;
}

/* Where the reply finds its way back: the run's flow, which stays while the run is under way, and the spill. */
struct way {
    struct spill *spill;
    struct flow *flow;
};

static void on_appended(void *arg, enum err err, const bool *is_refused)
{
    struct way way = *(struct way *)arg;
    bool is_gone = false;
    free(arg);
    if (err) {
        stall(way.spill, entry_of(flow_run_next(way.flow, NULL)));
        return;
    }
    metric_add(METRIC_SPILL_RUNS, 1);
    for (uint32_t i = 0; !is_gone; i++) {
        struct flow_item *item = flow_stored(way.flow, &is_gone);
        if (!item)
            break;
        if (is_refused[i])
            way.spill->events.refused(way.spill->arg, entry_of(item));
        else
            way.spill->events.stored(way.spill->arg, entry_of(item));
    }
    if (!is_gone)
        spill_flow(way.spill, way.flow);
}

/* False: Redis does not take anything now. */
static bool send_run(struct spill *spill, struct flow *flow)
{
    struct way *way = xmalloc(sizeof(*way));
    way->spill = spill;
    way->flow = flow;
    if (mailbox_send(spill->mailbox, on_appended, way)) {
        free(way);
        stall(spill, entry_of(flow_run_next(flow, NULL)));
        return false;
    }
    return true;
}

/* Takes the next held entry that is still wanted into the run; NULL at the end (then the flow may be gone), or when
 * the next one is not to be taken yet. */
static struct entry *take(struct spill *spill, struct flow *flow, bool *is_gone_r)
{
    struct flow_item *item;
    *is_gone_r = false;
    while ((item = flow_held(flow))) {
        struct entry *e = entry_of(item);
        resolver_cancel(&e->waiter);
        if (spill->events.is_wanted(spill->arg, e)) {
            if (dedup_is_claiming(&e->claim))
                return NULL; /* is it a duplicate? It and all behind it go in a later run */
            CHECK(flow_run_take(flow) == item);
            return e;
        }
        *is_gone_r = flow_remove(item);
        spill->events.unwanted(spill->arg, e);
        if (*is_gone_r)
            return NULL;
    }
    return NULL;
}

void spill_flow(struct spill *spill, struct flow *flow)
{
    struct flow_item *out;
    bool is_gone, has_room = true;
    if (!flow_wants_run(flow))
        return;
    while ((out = flow_recall(flow)))
        spill->events.recalled(spill->arg, entry_of(out));
    struct entry *e = take(spill, flow, &is_gone);
    if (!e)
        return;
    mailbox_begin(spill->mailbox, e->waiter.user, e->waiter.device);
    do
        has_room = mailbox_put(spill->mailbox, e->record);
    while (has_room && (e = take(spill, flow, &is_gone)));
    (void)send_run(spill, flow);
}

/* The run of a flow once more, without what is not wanted any more. False: Redis does not take anything now. */
static bool resend(struct spill *spill, struct flow *flow)
{
    struct flow_item *item = flow_run_next(flow, NULL), *next;
    struct entry *first = NULL;
    for (; item; item = next) {
        struct entry *e = entry_of(item);
        next = flow_run_next(flow, item);
        if (spill->events.is_wanted(spill->arg, e)) {
            if (!first)
                mailbox_begin(spill->mailbox, e->waiter.user, e->waiter.device);
            first = first ? first : e;
            (void)mailbox_put(spill->mailbox, e->record); /* it fitted before */
            continue;
        }
        bool is_gone = flow_remove(item);
        spill->events.unwanted(spill->arg, e);
        if (is_gone)
            return true;
    }
    if (first)
        return send_run(spill, flow);
    spill_flow(spill, flow);
    return true;
}

void spill_retry(struct spill *spill)
{
    struct list again;
    if (list_is_empty(&spill->stalled) || !mailbox_is_up(spill->mailbox))
        return;
    list_init(&again);
    list_splice(&again, &spill->stalled);
    struct list *at;
    bool is_taking = true;
    while (is_taking && (at = list_pop(&again))) {
        spill->stalled_count--;
        is_taking = resend(spill, container_of(at, struct entry, stalled_link)->item.flow);
    }
    list_splice(&spill->stalled, &again);
}

/* Is it in a run that Redis has been given? */
static bool is_sent(const struct entry *e)
{
    return e->item.place == FLOW_RUN && list_is_empty(&entry_of(flow_run_next(e->item.flow, NULL))->stalled_link);
}

struct entry *spill_first_free(const struct record *record)
{
    list_each (at, &record->targets) {
        struct entry *e = container_of(at, struct entry, record_link);
        MAGIC_CHECK(e, ENTRY_MAGIC);
        if (!is_sent(e))
            return e;
    }
    return NULL;
}

void spill_drop(struct spill *spill, struct entry *e)
{
    struct flow *flow = e->item.flow;
    CHECK(e->item.place == FLOW_RUN && !is_sent(e));
    struct flow_item *first = flow_run_next(flow, NULL), *second = flow_run_next(flow, first);
    if (first == &e->item) {
        list_remove(&e->stalled_link);
        spill->stalled_count--;
    }
    if (first == &e->item && second)
        stall(spill, entry_of(second));
    bool is_gone = flow_remove(&e->item);
    spill->events.unwanted(spill->arg, e);
    if (!is_gone)
        spill_flow(spill, flow);
}
