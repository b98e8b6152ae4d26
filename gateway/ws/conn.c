#include "gateway/ws/conn.h"

#include <arpa/inet.h>
#include <string.h>

#include "common/check.h"
#include "gateway/metrics.h"
#include "gateway/ws/conn_internal.h"

enum { PING_BURSTS = 32 /* in the interval between pings */ };

const char *const close_reason_names[] = {
#define X(name, label, code) label,
    CLOSE_REASON_LIST(X)
#undef X
        NULL,
};

const char *const conn_state_names[] = {"head", "auth", "open", "closing", NULL};
const char *const ws_frame_kind_names[] = {"text", "binary", "ping", "pong", "close", NULL};

static void count_state(struct conn *c, unsigned state, int change)
{
    struct conns *conns = c->conns;
    conns->counts[state] += (uint32_t)change;
    if (state == CONN_GONE)
        return;
    if (c->is_own)
        conns->own_counts[state] += (uint32_t)change;
    metric_set_labelled(METRIC_WS_CONNECTIONS, state, conns_count(conns, (enum conn_state)state));
}

struct conn *conn_new(struct conns *conns, int fd, const struct in6_addr *peer, bool is_own)
{
    struct conn *c = slab_get(conns->slab);
    c->magic = CONN_MAGIC;
    poll_member_init(&c->socket, fd);
    c->conns = conns;
    c->is_own = is_own;
    c->id = ++conns->last_id;
    c->heard_ms = c->sent_ms = loop_now_ms(conns->loop);
    c->until_ms = c->heard_ms + (uint64_t)conns->settings->head_timeout_ms;
    c->peer = *peer;
    wheel_entry_init(&c->deadline);
    poll_set_want(conns->sockets, &c->socket, LOOP_READ);
    c->state = CONN_HEAD;
    list_push(&conns->states[CONN_HEAD], &c->link);
    count_state(c, CONN_HEAD, 1);
    conn_arm(c);
    return c;
}

void conn_free(struct conn *c)
{
    CHECK(c->state == CONN_GONE && c->pending_fates == 0 && !c->outq);
    c->magic = 0;
    slab_put(c->conns->slab, c);
}

/* Then only its list, the wheel, its socket's watch and its owner point to it. */
static bool is_at_rest(const struct conn *c)
{
    return c->state == CONN_OPEN && !c->outq && !c->codec && c->pending_fates == 0;
}

bool conn_move(void *arg, void *from, void *to)
{
    struct conn *old = from, *c = to;
    struct conns *conns = arg;
    MAGIC_CHECK(c, CONN_MAGIC);
    if (!is_at_rest(c))
        return false;
    list_moved(&old->link, &c->link);
    wheel_entry_moved(&old->deadline, &c->deadline);
    poll_set_moved(conns->sockets, &c->socket);
    old->magic = 0;
    conns->events->moved(conns->arg, c);
    return true;
}

void conn_enter(struct conn *c, unsigned state)
{
    struct conns *conns = c->conns;
    list_remove(&c->link);
    count_state(c, c->state, -1);
    c->state = (uint8_t)state;
    list_push(&conns->states[state], &c->link);
    count_state(c, state, 1);
    if (state == CONN_GONE)
        wheel_remove(conns->wheel, &c->deadline);
    else
        conn_arm(c);
}

static uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* What is held waits for Redis, which says nothing about the client. */
static uint64_t queue_due_ms(const struct conn *c)
{
    if (!c->outq || !c->outq->first || c->is_held)
        return UINT64_MAX;
    return outq_oldest_ms(c->outq) + (uint64_t)c->conns->settings->queue_max_age_ms;
}

/* Pings go out in bursts, a little later than they might: the pongs then come in bursts, too, many to a wake-up. For a
 * million idle connections that is what there is to do. Each worker has its own moments for it. */
static uint64_t ping_due_ms(const struct conn *c)
{
    uint64_t interval_ms = (uint64_t)c->conns->settings->ping_interval_ms, grid_ms = interval_ms / PING_BURSTS + 1;
    bool is_blocked = c->outq && c->outq->is_blocked; /* then there is enough to be written */
    if (interval_ms == 0 || is_blocked)
        return UINT64_MAX;
    uint64_t due_ms = c->sent_ms + interval_ms, beyond_ms = (due_ms + c->conns->ping_phase) % grid_ms;
    return beyond_ms > 0 ? due_ms + grid_ms - beyond_ms : due_ms;
}

static uint64_t idle_due_ms(const struct conn *c)
{
    return c->heard_ms + (uint64_t)c->conns->settings->idle_timeout_ms;
}

void conn_arm(struct conn *c)
{
    uint64_t due_ms = c->until_ms;
    if (c->state == CONN_OPEN)
        due_ms = min_u64(idle_due_ms(c), ping_due_ms(c));
    if (c->state == CONN_OPEN || c->state == CONN_AUTH)
        due_ms = min_u64(due_ms, queue_due_ms(c));
    wheel_add(c->conns->wheel, &c->deadline, due_ms);
}

/* Reading and writing do not move the entry, so it may fire before its time has come: then it is only put on again. */
static void check_time(struct conn *c, uint64_t now_ms)
{
    bool is_speaking = c->state == CONN_AUTH || c->state == CONN_OPEN;
    if (c->state == CONN_HEAD && now_ms >= c->until_ms) {
        conn_gone(c, CLOSE_HEAD_TIMEOUT);
    } else if (c->state == CONN_CLOSING && now_ms >= c->until_ms) {
        conn_gone(c, c->reason);
    } else if (c->state == CONN_AUTH && now_ms >= c->until_ms) {
        conn_close(c, CLOSE_TIMEOUT, "authentication timeout");
    } else if (is_speaking && now_ms >= queue_due_ms(c)) {
        conn_close(c, CLOSE_SLOW, "too slow");
    } else if (c->state == CONN_OPEN && now_ms >= idle_due_ms(c)) {
        conn_close(c, CLOSE_TIMEOUT, "heartbeat timeout");
    } else if (c->state == CONN_OPEN && now_ms >= ping_due_ms(c)) {
        conn_queue(c, c->conns->ping, NULL);
        c->sent_ms = now_ms;
        metric_add(METRIC_WS_PINGS_OUT, 1);
    }
}

void conn_due(struct wheel_entry *entry, void *arg)
{
    struct conn *c = container_of(entry, struct conn, deadline);
    CHECK(c->magic == CONN_MAGIC);
    (void)arg;
    check_time(c, loop_now_ms(c->conns->loop));
    if (c->state != CONN_GONE && !wheel_has(&c->deadline))
        conn_arm(c);
}

void conn_mark_dirty(struct conn *c)
{
    struct conns *conns = c->conns;
    if (!c->outq)
        c->outq = outq_get(conns->outqs, c);
    if (c->outq->is_blocked || c->is_held || !list_is_empty(&c->outq->dirty))
        return;
    wheel_remove(conns->late, &c->outq->late);
    list_push(&conns->dirty, &c->outq->dirty);
    loop_defer(conns->loop, &conns->end_turn);
}

void conn_hold(struct conn *c)
{
    MAGIC_CHECK(c, CONN_MAGIC);
    if (c->state != CONN_AUTH && c->state != CONN_OPEN)
        return;
    c->is_held = true;
    if (c->outq)
        list_remove(&c->outq->dirty);
}

void conn_release(struct conn *c)
{
    MAGIC_CHECK(c, CONN_MAGIC);
    if (!c->is_held)
        return;
    c->is_held = false;
    if (c->outq)
        conn_mark_dirty(c);
}

/* Has the queue flushed then, if nothing takes it along before. */
static void mark_late(struct conn *c, uint64_t delay_ms)
{
    struct conns *conns = c->conns;
    uint64_t due_ms = loop_now_ms(conns->loop) + delay_ms;
    if (!c->outq)
        c->outq = outq_get(conns->outqs, c);
    bool is_sooner = wheel_has(&c->outq->late) && c->outq->late.due_ms <= due_ms;
    if (c->outq->is_blocked || c->is_held || !list_is_empty(&c->outq->dirty) || is_sooner)
        return;
    wheel_add(conns->late, &c->outq->late, due_ms);
    if (conns->late_until_ms < due_ms)
        conns->late_until_ms = due_ms;
    if (!conns->is_late_ticking)
        loop_timer_start(conns->late_timer, LATE_TICK_MS, 0);
    conns->is_late_ticking = true;
}

void conn_late_due(struct wheel_entry *entry, void *arg)
{
    (void)arg;
    conn_mark_dirty(container_of(entry, struct outq, late)->conn);
}

void conn_queue(struct conn *c, struct message *frame, void *receipt)
{
    conn_mark_dirty(c);
    outq_push(c->conns->outqs, c->outq, frame, receipt, loop_now_ms(c->conns->loop));
}

bool conn_has_room(struct conn *c, size_t frame_len)
{
    size_t max = (size_t)c->conns->settings->queue_max_bytes, cost = frame_len + OUTQ_FRAME_COST;
    if (cost > max)
        return false;
    if (!c->outq || c->outq->cost <= max - cost)
        return true;
    /* One turn may bring more than the queue holds although the client is not slow. A failed write comes up again at
     * the end of the turn. */
    return !c->outq->is_blocked && conn_write(c) && c->outq->cost <= max - cost;
}

static void queue_late(struct conn *c, struct message *frame, void *receipt, uint64_t delay_ms)
{
    if (delay_ms == 0) {
        conn_queue(c, frame, receipt);
        return;
    }
    mark_late(c, delay_ms);
    outq_push(c->conns->outqs, c->outq, frame, receipt, loop_now_ms(c->conns->loop));
}

void conn_send(struct conn *c, struct message *frame, void *receipt)
{
    conn_send_late(c, frame, receipt, 0);
}

void conn_send_late(struct conn *c, struct message *frame, void *receipt, uint64_t delay_ms)
{
    MAGIC_CHECK(c, CONN_MAGIC);
    if (c->is_deflate && !c->is_takeover)
        frame = deflate_frame(c->conns->deflate, frame);
    if (c->state != CONN_AUTH && c->state != CONN_OPEN) {
        conn_add_fate(c, receipt, ERR_CLOSED);
    } else if (!conn_has_room(c, message_len(frame) + (c->is_takeover ? TAKEOVER_GROWTH : 0))) {
        metric_add(METRIC_WS_DROPPED, 1);
        conn_add_fate(c, receipt, ERR_FULL);
    } else if (c->is_takeover) { /* only now: what its window has seen must be sent */
        struct message *own = takeover_frame(c->conns->takeover, c->id, frame);
        queue_late(c, own, receipt, delay_ms);
        message_unref(&own);
    } else {
        queue_late(c, frame, receipt, delay_ms);
    }
}

void conn_authenticated(struct conn *c)
{
    MAGIC_CHECK(c, CONN_MAGIC);
    if (c->state == CONN_AUTH)
        conn_enter(c, CONN_OPEN);
}

void conn_set_owner(struct conn *c, void *owner)
{
    c->owner = owner;
}

void *conn_owner(const struct conn *c)
{
    return c->owner;
}

enum conn_state conn_state(const struct conn *c)
{
    return c->state == CONN_GONE ? CONN_CLOSING : (enum conn_state)c->state;
}

bool conn_is_own(const struct conn *c)
{
    return c->is_own;
}

const char *conn_peer(const struct conn *c)
{
    char *text = c->conns->peer_text;
    bool is_v4 = IN6_IS_ADDR_V4MAPPED(&c->peer);
    const void *address = is_v4 ? &c->peer.s6_addr[12] : &c->peer.s6_addr[0];
    CHECK(inet_ntop(is_v4 ? AF_INET : AF_INET6, address, text, INET6_ADDRSTRLEN));
    return text;
}

uint64_t conn_id(const struct conn *c)
{
    return c->id;
}

bool conn_is_blocked(const struct conn *c)
{
    return c->outq && c->outq->is_blocked;
}

size_t conn_queued(const struct conn *c)
{
    return c->outq ? c->outq->cost : 0;
}
