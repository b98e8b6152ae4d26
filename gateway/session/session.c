#include "gateway/session/session.h"

#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/slabs.h"
#include "common/table.h"
#include "gateway/metrics.h"
#include "gateway/session/backlog.h"
#include "gateway/session/box.h"
#include "gateway/session/drain.h"
#include "gateway/session/once.h"
#include "gateway/session/outbox.h"
#include "gateway/session/overflow.h"
#include "gateway/session/expiry.h"
#include "gateway/session/receipt.h"
#include "gateway/session/replies.h"
#include "gateway/session/routes.h"
#include "gateway/session/sessions.h"

static void count(struct session *s, int change)
{
    struct sessions *sessions = s->sessions;
    sessions->count += (uint32_t)change;
    if (conn_is_own(s->conn))
        sessions->own_count += (uint32_t)change;
    metric_set(METRIC_SESSIONS, sessions->count - sessions->own_count);
    metric_set(METRIC_USERS, users_count(sessions->users) - sessions->own_count);
}

struct session *session_new(struct sessions *sessions, struct conn *conn, const struct identity *identity)
{
    size_t device_len = strlen(identity->device);
    struct session *s = slabs_get(sessions->memory, sizeof *s + device_len + 1);
    s->magic = SESSION_MAGIC;
    s->refs = 1;
    s->state = SESSION_REGISTERING;
    s->sessions = sessions;
    s->conn = conn;
    s->begun_ms = loop_now_ms(sessions->loop);
    s->device_len = (uint8_t)device_len;
    memcpy(s->device, identity->device, device_len + 1);
    wheel_entry_init(&s->refresh);
    wheel_entry_init(&s->expiry);
    expiry_set(s, identity->expires_ms);
    users_attach(sessions->users, identity->user, strlen(identity->user), s);
    count(s, 1);
    drain_open(s);
    conn_set_owner(conn, s);
    conn_authenticated(conn);
    return s;
}

void session_free(struct session *s)
{
    s->magic = 0;
    taken_free(&s->taken);
    slabs_put(s);
}

/* Only its connection, its user and the wheels point to it then. */
static bool is_at_rest(const struct session *s)
{
    return s->state == SESSION_OPEN && s->refs == 1 && !s->drain && !s->backlog;
}

bool session_move(void *arg, void *from, void *to)
{
    struct session *old = from, *s = to;
    (void)arg;
    MAGIC_CHECK(s, SESSION_MAGIC);
    if (!is_at_rest(s))
        return false;
    struct session **at = &s->user->sessions;
    while (*at != old)
        at = &(*at)->next;
    *at = s;
    conn_set_owner(s->conn, s);
    taken_moved(&s->taken);
    wheel_entry_moved(&old->refresh, &s->refresh);
    wheel_entry_moved(&old->expiry, &s->expiry);
    old->magic = 0;
    return true;
}

bool session_is_device(const struct session *s, const char *device, size_t len)
{
    return s->device_len == len && memcmp(s->device, device, len) == 0;
}

struct session *session_ref(struct session *s)
{
    s->refs++;
    return s;
}

void session_unref(struct session *s)
{
    CHECK(s->refs > 0);
    if (--s->refs > 0)
        return;
    CHECK(s->state == SESSION_ENDED);
    s->next = s->sessions->dead;
    s->sessions->dead = s;
    loop_reap(s->sessions->loop, &s->sessions->reap);
}

/* --- pushes ----------------------------------------------------------------------------------------------------------
 */

void session_report(struct session *s, void *receipt, const struct session_result *result)
{
    s->sessions->events->result(s->sessions->arg, receipt, result);
}

static void refuse(struct session *s, void *receipt, enum refusal why)
{
    metric_add_labelled(METRIC_PUSHES_REFUSED, why, 1);
    session_report(s, receipt,
                   &(struct session_result){
                       .kind = HERALD__V1__RESULT_KIND__RESULT_REFUSED, .reason = refusal_names[why], .device = ""});
}

static uint64_t count_unacked(const struct session *s)
{
    return (uint64_t)unacked_count(s->unacked) + backlog_durable_count(s->backlog);
}

/* Only those who take no more now: what goes out at once needs no memory. */
static bool is_crowded(const struct session *s)
{
    return message_held() >= s->sessions->frames_max && conn_is_blocked(s->conn);
}

static bool has_room(const struct session *s)
{
    const struct session_settings *settings = &s->sessions->settings;
    uint64_t unwritten_max = (uint64_t)settings->unwritten_max >> s->sessions->squeeze;
    return count_unacked(s) < (uint64_t)settings->ack_window && !is_crowded(s) &&
           unacked_unwritten(s->unacked) + backlog_bytes(s->backlog, true) < unwritten_max;
}

static enum refusal why_no_room(const struct session *s)
{
    if (count_unacked(s) >= (uint64_t)s->sessions->settings.ack_window)
        return REFUSAL_WINDOW;
    return is_crowded(s) ? REFUSAL_MEMORY : REFUSAL_SLOW;
}

static bool has_room_for_volatile(const struct session *s)
{
    uint64_t backlog_max = (uint64_t)s->sessions->settings.backlog_max >> s->sessions->squeeze;
    return backlog_bytes(s->backlog, false) < backlog_max;
}

static enum overflow_policy overflow_policy(const struct session *s, enum overflow_class class)
{
    return (enum overflow_policy)s->sessions->settings.overflow[class];
}

bool session_has_room(const struct session *s)
{
    return !s->backlog && has_room(s);
}

/* How long this push may wait for others to the same connection. */
static uint64_t delay_ms(const struct session *s, const Herald__V1__Delivery *d)
{
    const struct session_settings *settings = &s->sessions->settings;
    bool is_durable = d->class_ == HERALD__V1__CLASS__CLASS_DURABLE;
    if (d->priority == HERALD__V1__PRIORITY__PRIORITY_HIGH)
        return 0;
    return (uint64_t)(is_durable ? settings->delay_durable_ms : settings->delay_volatile_ms);
}

static void send_durable(struct session *s, struct push_frame *frame, struct unacked_entry *entry, enum push_sort sort)
{
    const char *id = frame->delivery->id;
    struct message *m = push_frame_with_seq(frame, ++s->seq);
    entry->len = (uint32_t)message_len(m);
    entry->id_hash = table_hash(id, strlen(id));
    entry->cancel = frame->delivery->once ? push_frame_cancel(frame) : NULL;
    unacked_add(&s->unacked, s->seq, entry);
    metric_add_labelled(METRIC_PUSHES, sort, 1);
    conn_send_late(s->conn, m, receipt_of_seq(s->seq), delay_ms(s, frame->delivery));
    message_unref(&m);
}

static void push_durable(struct session *s, struct push_frame *frame, const struct addressee *to, void *receipt)
{
    if (s->drain) {
        refuse(s, receipt, REFUSAL_DRAINING);
    } else if (taken_is_overtaken(s->taken, frame->delivery, *to->device != '\0')) {
        refuse(s, receipt, REFUSAL_OVERTAKEN);
    } else if (!taken_admits(s->taken, to->run, to->run_index)) {
        refuse(s, receipt, REFUSAL_GAP);
    } else if (!has_room(s)) {
        enum refusal why = why_no_room(s);
        refuse(s, receipt, why);
        drain_fall_behind(s);
        if (why == REFUSAL_SLOW)
            overflow_happened(s->sessions->overflow, s, OVERFLOW_DURABLE, overflow_policy(s, OVERFLOW_DURABLE));
    } else {
        struct unacked_entry entry = {.receipt = receipt, .origin = UNACKED_LIVE};
        taken_live(&s->taken, s->sessions->taken_memory, to->run, to->run_index);
        if (outbox_is_waiting(s))
            outbox_add(s, frame, receipt);
        else
            send_durable(s, frame, &entry, PUSH_SORT_DURABLE);
    }
}

/* It waits for a connection that takes no more. */
static void queue_volatile(struct session *s, struct push_frame *frame, void *receipt)
{
    enum overflow_class class = overflow_class_of(frame->delivery);
    enum overflow_policy policy = overflow_policy(s, class);
    if (is_crowded(s)) {
        refuse(s, receipt, REFUSAL_MEMORY);
        return;
    }
    while (policy == OVERFLOW_DROP_OLDEST && !has_room_for_volatile(s) && outbox_drop_older(s, frame))
        overflow_happened(s->sessions->overflow, s, class, policy);
    if (has_room_for_volatile(s)) {
        outbox_add(s, frame, receipt);
    } else {
        refuse(s, receipt, REFUSAL_SLOW);
        overflow_happened(s->sessions->overflow, s, class, policy);
    }
}

bool session_push(struct session *s, struct push_frame *frame, const struct addressee *to, void *receipt)
{
    const Herald__V1__Delivery *d = frame->delivery;
    bool is_durable = d->class_ == HERALD__V1__CLASS__CLASS_DURABLE;
    if (s->state == SESSION_REGISTERING && !is_durable)
        return false; /* its client has not been told yet that it is in */
    if (d->expires_at_ms > 0 && (uint64_t)d->expires_at_ms <= loop_wall_ms(s->sessions->loop)) {
        if (is_durable && !s->drain && taken_admits(s->taken, to->run, to->run_index))
            taken_live(&s->taken, s->sessions->taken_memory, to->run,
                       to->run_index); /* this is its fate: what follows does not overtake it */
        refuse(s, receipt, REFUSAL_EXPIRED);
    } else if (is_durable) {
        push_durable(s, frame, to, receipt);
    } else if (!outbox_is_waiting(s)) {
        metric_add_labelled(METRIC_PUSHES, PUSH_SORT_VOLATILE, 1);
        conn_send_late(s->conn, push_frame_shared(frame), receipt, delay_ms(s, d));
    } else {
        queue_volatile(s, frame, receipt);
    }
    return true;
}

void session_push_entry(struct session *s, struct push_frame *frame, enum unacked_origin origin, struct letter *letter)
{
    struct unacked_entry entry = {.letter = letter, .origin = (uint8_t)origin};
    send_durable(s, frame, &entry, PUSH_SORT_BOX);
}

/* --- fates -----------------------------------------------------------------------------------------------------------
 */

/* What the acknowledgements of one message from the client do together. */
struct acking {
    struct session *session;
    struct box_acks boxes;
};

/* How long the client took, by the clock that wraps around. */
static uint32_t client_ms(const struct session *s, const struct unacked_entry *entry)
{
    return entry->written_ms ? (uint32_t)loop_now_ms(s->sessions->loop) - entry->written_ms : 0;
}

static void acked(void *arg, uint64_t seq, const struct unacked_entry *entry)
{
    struct acking *acking = arg;
    struct session *s = acking->session;
    if (entry->origin != UNACKED_LIVE) {
        drain_entry_acked(s, entry->origin);
        entry->letter->seq = seq;
        box_acks_add(&acking->boxes, entry->origin, entry->letter, LETTER_ACKED);
    } else {
        session_report(s, entry->receipt,
                       &(struct session_result){.kind = HERALD__V1__RESULT_KIND__RESULT_ACKED,
                                                .reason = "",
                                                .device = s->device,
                                                .seq = seq,
                                                .client_ms = client_ms(s, entry)});
    }
    if (entry->cancel) {
        box_acks_flush(&acking->boxes); /* before the siblings', so that it is this one's acknowledgement that counts */
        once_acked(s, entry->id_hash);
    }
}

static void end_acking(struct acking *acking, uint32_t count)
{
    metric_add(METRIC_ACKS, count);
    box_acks_flush(&acking->boxes);
    drain_continue(acking->session);
}

enum err session_ack(struct session *s, uint64_t seq)
{
    if (seq > s->seq)
        return ERR_INVALID;
    struct acking acking = {.session = s};
    box_acks_init(&acking.boxes, s);
    end_acking(&acking, unacked_ack_through(&s->unacked, seq, acked, &acking));
    return ERR_OK;
}

void session_ack_id(struct session *s, const char *id, size_t len)
{
    struct acking acking = {.session = s};
    box_acks_init(&acking.boxes, s);
    end_acking(&acking, unacked_ack_id(&s->unacked, table_hash(id, len), acked, &acking));
}

void session_fate(struct session *s, uint64_t seq, enum err fate)
{
    if (fate == ERR_OK) {
        unacked_mark_written(s->unacked, seq, (uint32_t)loop_now_ms(s->sessions->loop));
        drain_continue(s);
    } else if (fate == ERR_CLOSED) {
        session_end(s, false); /* it is closing: what is unacknowledged cannot be any more */
    } else {
        session_close(s, CLOSE_SLOW,
                      "too slow"); /* there is a gap now: what follows must not be acknowledged over it */
    }
}

static void closed(void *arg, uint64_t seq, const struct unacked_entry *entry)
{
    struct session *s = arg;
    struct letter *letter = entry->letter;
    (void)seq;
    if (entry->origin != UNACKED_LIVE)
        letter_free(&letter);
    else
        session_report(
            s, entry->receipt,
            &(struct session_result){.kind = HERALD__V1__RESULT_KIND__RESULT_CLOSED, .reason = "", .device = ""});
}

/* --- its life --------------------------------------------------------------------------------------------------------
 */

void session_answer_message(struct session *s, const char *id, size_t id_len, int code)
{
    if (s->state != SESSION_ENDED)
        reply_message(s->sessions, s->conn, id, id_len, code);
}

void session_opened(struct session *s)
{
    if (s->state != SESSION_REGISTERING)
        return;
    s->state = SESSION_OPEN;
    reply_auth_ok(s);
    conn_release(s->conn);
}

void session_end(struct session *s, bool has_successor)
{
    struct sessions *sessions = s->sessions;
    if (s->state == SESSION_ENDED)
        return;
    s->state = SESSION_ENDED;
    outbox_end(s);
    metric_add(METRIC_UNACKED_CLOSED, unacked_take_all(&s->unacked, closed, s));
    drain_free(s);
    expiry_forget(s);
    routes_forget(s, !has_successor);
    users_detach(sessions->users, s);
    count(s, -1);
    conn_set_owner(s->conn, NULL);
    s->conn = NULL;
    session_unref(s);
}

void session_close(struct session *s, enum close_reason reason, const char *text)
{
    struct conn *conn = s->conn;
    session_end(s, reason == CLOSE_REPLACED);
    conn_close(conn, reason, text);
}
