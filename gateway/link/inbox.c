#include "gateway/link/inbox.h"

#include <stdlib.h>

#include "common/check.h"
#include "common/link.h"
#include "common/log.h"
#include "gateway/link/fence.h"
#include "gateway/metrics.h"

enum { INBOX_MAGIC = 0x1B0C0001, ARENA_FACTOR = 8 /* unpacked is larger than packed: pointers, defaults */ };

struct inbox {
    uint32_t magic;
    struct inbox_parts parts;
    struct bus_pull *pull;
    struct link_arena *arena;
    struct peers *peers; /* NULL until started */
    struct returns *returns;
    struct upstream *upstream;
    struct box_fates *box_fates;
    struct sessions *sessions;
    struct push_frame frame;
    struct fence *fence;
};

static void refused(enum link_refusal why, const char *from)
{
    metric_add_labelled(METRIC_LINK_REFUSED, why, 1);
    log_limited(LOG_WARN, "envelope refused", F_STR("why", link_refusal_names[why]), F_STR("from", from));
}

static uint32_t deliver_to(struct inbox *inbox, const Herald__V1__Delivery *delivery, const Herald__V1__Target *target,
                           struct pending *p)
{
    const struct addressee to = {target->user, target->device, target->connection, target->run, target->run_index};
    if (delivery->kind == HERALD__V1__KIND__KIND_BROADCAST)
        return sessions_broadcast(inbox->sessions, &inbox->frame, p);
    return sessions_deliver(inbox->sessions, &inbox->frame, &to, p);
}

/* Its router has lost the partition. Every target still has its one result. */
static void refuse_old_owner(struct inbox *inbox, struct peer *peer, const Herald__V1__Delivery *delivery)
{
    static const struct session_result result = {
        .kind = HERALD__V1__RESULT_KIND__RESULT_REFUSED, .reason = "old_owner", .device = ""};
    bool is_broadcast = delivery->kind == HERALD__V1__KIND__KIND_BROADCAST;
    metric_add(METRIC_OLD_OWNERS, delivery->n_targets);
    for (size_t i = 0; i < delivery->n_targets; i++) {
        struct pending *p = returns_expect(inbox->returns, peer, delivery->targets[i], is_broadcast);
        returns_report(inbox->returns, p, &result);
        pending_seal(p, 1);
    }
}

static void deliver(struct inbox *inbox, struct peer *peer, const Herald__V1__Delivery *delivery)
{
    bool is_broadcast = delivery->kind == HERALD__V1__KIND__KIND_BROADCAST;
    if (!fence_admits(inbox->fence, delivery->source, delivery->life, delivery->generation)) {
        refuse_old_owner(inbox, peer, delivery);
        return;
    }
    push_frame_set(&inbox->frame, delivery);
    metric_add(METRIC_DELIVERIES, delivery->n_targets);
    for (size_t i = 0; i < delivery->n_targets; i++) {
        const Herald__V1__Target *target = delivery->targets[i];
        struct pending *p = returns_expect(inbox->returns, peer, target, is_broadcast);
        pending_seal(p, deliver_to(inbox, delivery, target, p));
    }
}

static void take(struct inbox *inbox, const Herald__V1__Envelope *e)
{
    if (e->hello) {
        enum err err = peers_hello(inbox->peers, e->from, e->from_generation, e->hello);
        if (err != ERR_OK)
            refused(err == ERR_FULL ? LINK_REFUSAL_PEERS_FULL : LINK_REFUSAL_INVALID, e->from);
    }
    struct peer *peer = peers_find(inbox->peers, e->from, e->from_generation);
    if (!peer) {
        if (!e->hello)
            refused(LINK_REFUSAL_UNKNOWN_PEER, e->from);
        return;
    }
    for (size_t i = 0; i < e->n_deliveries; i++)
        deliver(inbox, peer, e->deliveries[i]);
    for (size_t i = 0; i < e->n_pokes; i++)
        sessions_poke(inbox->sessions, e->pokes[i]->user, e->pokes[i]->device);
    for (size_t i = 0; i < e->n_withdrawals; i++)
        sessions_withdraw(inbox->sessions, e->withdrawals[i]->user, e->withdrawals[i]->id);
    for (size_t i = 0; i < e->n_upstream_results; i++)
        upstream_answered(inbox->upstream, e->upstream_results[i]);
    for (size_t i = 0; i < e->n_box_fate_results; i++)
        box_fates_answered(inbox->box_fates, e->box_fate_results[i]);
}

static void on_envelope(void *arg, const void *bytes, size_t len)
{
    struct inbox *inbox = arg;
    MAGIC_CHECK(inbox, INBOX_MAGIC);
    const Herald__V1__Envelope *envelope;
    metric_add(METRIC_LINK_ENVELOPES_IN, 1);
    metric_add(METRIC_LINK_BYTES_IN, len);
    if (!inbox->peers)
        return;
    switch (link_unpack(inbox->arena, bytes, len, inbox->parts.self, inbox->parts.generation, &envelope)) {
    case ERR_OK:
        take(inbox, envelope);
        break;
    case ERR_UNSUPPORTED:
        refused(LINK_REFUSAL_VERSION, "");
        break;
    case ERR_REFUSED:
        refused(LINK_REFUSAL_MISDIRECTED, "");
        break;
    case ERR_TOO_LARGE:
        refused(LINK_REFUSAL_TOO_LARGE, "");
        break;
    default:
        refused(LINK_REFUSAL_INVALID, "");
    }
}

enum err inbox_new(const struct inbox_parts *parts, const struct inbox_settings *settings, struct inbox **inbox_r)
{
    struct inbox *inbox = xcalloc(1, sizeof *inbox);
    inbox->magic = INBOX_MAGIC;
    inbox->parts = *parts;
    enum err err = bus_pull_bind(parts->bus, settings->listen, (int)settings->hwm, (size_t)settings->envelope_max,
                                 on_envelope, inbox, &inbox->pull);
    if (err != ERR_OK) {
        free(inbox);
        return err;
    }
    inbox->arena = link_arena_new((size_t)settings->envelope_max * ARENA_FACTOR);
    push_frame_init(&inbox->frame);
    inbox->fence = fence_new();
    *inbox_r = inbox;
    return ERR_OK;
}

uint16_t inbox_port(const struct inbox *inbox)
{
    return bus_pull_port(inbox->pull);
}

void inbox_start(struct inbox *inbox, struct peers *peers, struct returns *returns, struct upstream *upstream,
                 struct box_fates *box_fates, struct sessions *sessions)
{
    inbox->peers = peers;
    inbox->returns = returns;
    inbox->upstream = upstream;
    inbox->box_fates = box_fates;
    inbox->sessions = sessions;
}

void inbox_free(struct inbox **inbox)
{
    if (!*inbox)
        return;
    bus_pull_free(&(*inbox)->pull);
    link_arena_free(&(*inbox)->arena);
    push_frame_release(&(*inbox)->frame);
    fence_free(&(*inbox)->fence);
    free(*inbox);
    *inbox = NULL;
}
