#include "gateway/session/once.h"

#include "gateway/metrics.h"
#include "gateway/session/box.h"
#include "gateway/session/drain.h"
#include "gateway/session/outbox.h"
#include "gateway/session/sessions.h"

struct withdrawing {
    struct session *session;
    struct box_acks boxes;
};

/* Another device has it, so nobody need wait for this one: what was in a mailbox leaves it. */
static void withdrawn(void *arg, uint64_t seq, const struct unacked_entry *entry)
{
    struct withdrawing *withdrawing = arg;
    struct session *s = withdrawing->session;
    (void)seq;
    metric_add_labelled(METRIC_PUSHES_REFUSED, REFUSAL_WITHDRAWN, 1);
    if (entry->cancel)
        conn_send(s->conn, entry->cancel, NULL);
    if (entry->origin != UNACKED_LIVE) {
        drain_entry_acked(s, entry->origin);
        box_acks_add(&withdrawing->boxes, entry->origin, entry->letter, LETTER_UNREADABLE);
        return;
    }
    session_report(s, entry->receipt,
                   &(struct session_result){.kind = HERALD__V1__RESULT_KIND__RESULT_REFUSED,
                                            .reason = refusal_names[REFUSAL_WITHDRAWN],
                                            .device = ""});
}

void once_withdraw(struct session *s, uint64_t id_hash)
{
    struct withdrawing withdrawing = {.session = s};
    outbox_withdraw(s, id_hash);
    box_acks_init(&withdrawing.boxes, s);
    if (unacked_ack_id(&s->unacked, id_hash, withdrawn, &withdrawing) == 0)
        return;
    box_acks_flush(&withdrawing.boxes);
    drain_continue(s);
}

void once_acked(struct session *s, uint64_t id_hash)
{
    for (struct session *sibling = s->user->sessions; sibling; sibling = sibling->next)
        if (sibling != s)
            once_withdraw(sibling, id_hash);
}
