#include "gateway/session/outbox.h"

#include <string.h>

#include "common/table.h"
#include "gateway/metrics.h"
#include "gateway/session/backlog.h"
#include "gateway/session/drain.h"
#include "gateway/session/receipt.h"
#include "gateway/session/sessions.h"

enum {
    AHEAD_BYTES = 64 << 10 /* given to a connection at once: enough to keep the kernel busy, little to stand behind */
};

bool outbox_is_waiting(const struct session *s)
{
    return s->backlog || conn_is_blocked(s->conn);
}

static enum priority_class class_of(const Herald__V1__Delivery *delivery)
{
    if (delivery->priority == HERALD__V1__PRIORITY__PRIORITY_HIGH)
        return PRIORITY_HIGH;
    return delivery->priority == HERALD__V1__PRIORITY__PRIORITY_LOW ? PRIORITY_LOW : PRIORITY_NORMAL;
}

/* Its references end here. */
static void report(struct session *s, struct backlog_entry *entry, Herald__V1__ResultKind kind, const char *reason)
{
    session_report(s, entry->receipt, &(struct session_result){.kind = kind, .reason = reason, .device = ""});
    message_unref(&entry->frame);
    message_unref(&entry->cancel);
}

static void refuse(struct session *s, struct backlog_entry *entry, enum refusal why)
{
    metric_add_labelled(METRIC_PUSHES_REFUSED, why, 1);
    report(s, entry, HERALD__V1__RESULT_KIND__RESULT_REFUSED, refusal_names[why]);
}

void outbox_add(struct session *s, struct push_frame *frame, void *receipt)
{
    const Herald__V1__Delivery *d = frame->delivery;
    struct backlog_entry old, entry = {.receipt = receipt,
                                       .id_hash = table_hash(d->id, strlen(d->id)),
                                       .collapse_hash = *d->collapse ? table_hash(d->collapse, strlen(d->collapse)) : 0,
                                       .expires_at_ms = d->expires_at_ms,
                                       .is_durable = d->class_ == HERALD__V1__CLASS__CLASS_DURABLE,
                                       .class = (uint8_t)class_of(d),
                                       .traffic = (uint8_t)overflow_class_of(d)};
    entry.frame = message_ref(push_frame_shared(frame));
    entry.split = push_frame_split(frame);
    entry.cancel = d->once && entry.is_durable ? push_frame_cancel(frame) : NULL;
    if (backlog_take_older(&s->backlog, &entry, &old))
        refuse(s, &old, REFUSAL_COLLAPSED);
    backlog_add(&s->backlog, &entry);
    metric_add(METRIC_PUSHES_WAITED, 1);
}

bool outbox_drop_older(struct session *s, const struct push_frame *frame)
{
    struct backlog_entry old;
    const Herald__V1__Delivery *d = frame->delivery;
    if (!backlog_take_oldest(&s->backlog, (uint8_t)overflow_class_of(d), class_of(d), &old))
        return false;
    refuse(s, &old, REFUSAL_SLOW);
    return true;
}

static void send(struct session *s, struct backlog_entry *entry)
{
    if (entry->is_durable) {
        struct message *m = push_frame_numbered(entry->frame, entry->split, ++s->seq);
        const struct unacked_entry unacked = {.id_hash = entry->id_hash,
                                              .receipt = entry->receipt,
                                              .cancel = entry->cancel,
                                              .len = (uint32_t)message_len(m),
                                              .origin = UNACKED_LIVE};
        unacked_add(&s->unacked, s->seq, &unacked);
        conn_send(s->conn, m, receipt_of_seq(s->seq));
        message_unref(&m);
    } else {
        conn_send(s->conn, entry->frame, entry->receipt);
    }
    metric_add_labelled(METRIC_PUSHES, entry->is_durable ? PUSH_SORT_DURABLE : PUSH_SORT_VOLATILE, 1);
    message_unref(&entry->frame);
}

void outbox_continue(struct session *s)
{
    struct backlog_entry entry;
    if (s->state == SESSION_ENDED)
        return;
    while (!conn_is_blocked(s->conn) && conn_queued(s->conn) < AHEAD_BYTES &&
           backlog_take(&s->backlog, &s->sessions->settings.weights, &entry)) {
        if (entry.expires_at_ms > 0 && (uint64_t)entry.expires_at_ms <= loop_wall_ms(s->sessions->loop))
            refuse(s, &entry, REFUSAL_EXPIRED);
        else
            send(s, &entry);
    }
    if (!s->backlog)
        drain_continue(s);
}

void outbox_withdraw(struct session *s, uint64_t id_hash)
{
    struct backlog_entry entry;
    while (backlog_take_id(&s->backlog, id_hash, &entry))
        refuse(s, &entry, REFUSAL_WITHDRAWN);
}

void outbox_end(struct session *s)
{
    struct backlog_entry entry;
    while (backlog_take(&s->backlog, &s->sessions->settings.weights, &entry))
        report(s, &entry, HERALD__V1__RESULT_KIND__RESULT_CLOSED, "");
}
