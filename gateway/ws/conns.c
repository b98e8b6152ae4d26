/* All connections of a worker: listener, pools, timing wheel, and the end of the turn. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/check.h"
#include "common/log.h"
#include "common/net.h"
#include "common/recycle.h"
#include "gateway/metrics.h"
#include "gateway/ws/conn_internal.h"
#include "gateway/ws/frame.h"

enum {
    WHEEL_TICK_MS = 100,
    MOVES_MAX = 64,           /* a tick, where many have left */
    ACCEPT_PAUSE_MS = 200,    /* after descriptors ran out */
    REFUSED_CLOSING_MAX = 512 /* beyond so many that are closing, one too many gets no 503 but is dropped */
};

/* --- end of the turn */

static void flush_dirty(struct conns *conns)
{
    struct list now;
    list_init(&now);
    list_splice(&now, &conns->dirty);
    for (struct list *link; (link = list_pop(&now));) {
        struct conn *c = container_of(link, struct outq, dirty)->conn;
        MAGIC_CHECK(c, CONN_MAGIC);
        conn_flush(c);
    }
}

static void end_turn(void *arg)
{
    struct conns *conns = arg;
    MAGIC_CHECK(conns, CONNS_MAGIC);
    flush_dirty(conns);
    conn_tell(conns);
    metric_set(METRIC_WS_QUEUED_BYTES, (int64_t)outq_pool_cost(conns->outqs));
}

static void reap(void *arg)
{
    struct conns *conns = arg;
    MAGIC_CHECK(conns, CONNS_MAGIC);
    for (struct list *link; (link = list_pop(&conns->told));)
        conn_free(container_of(link, struct conn, link));
    metric_set(METRIC_WS_CONN_BYTES, (int64_t)slab_bytes(conns->slab));
}

static void on_tick(void *arg)
{
    struct conns *conns = arg;
    MAGIC_CHECK(conns, CONNS_MAGIC);
    wheel_advance(conns->wheel, loop_now_ms(conns->loop));
    (void)slab_compact(conns->slab, MOVES_MAX, conn_move, conns);
    metric_set(METRIC_WS_CONN_BYTES, (int64_t)slab_bytes(conns->slab));
    if (conns->counts[CONN_HEAD] == 0 && conns->head_count > 0) /* one at a time: others may come at once */
        http_head_free(&conns->heads[--conns->head_count]);
    metric_set(METRIC_WS_PROMISED, bucket_promised(&conns->bucket, loop_now_ms(conns->loop)));
}

/* Ticks only while a write waits. */
static void on_late_tick(void *arg)
{
    struct conns *conns = arg;
    MAGIC_CHECK(conns, CONNS_MAGIC);
    uint64_t now_ms = loop_now_ms(conns->loop);
    wheel_advance(conns->late, now_ms);
    conns->is_late_ticking = now_ms < conns->late_until_ms + LATE_TICK_MS;
    if (conns->is_late_ticking)
        loop_timer_start(conns->late_timer, LATE_TICK_MS, 0);
}

/* --- accepting */

static uint32_t live_count(const struct conns *conns)
{
    return conns->counts[CONN_HEAD] + conns->counts[CONN_AUTH] + conns->counts[CONN_OPEN];
}

static void take_connection(struct conns *conns, int fd, const struct in6_addr *peer)
{
    metric_add(METRIC_WS_ACCEPTED, 1);
    const struct gate_load load = {.connections = live_count(conns),
                                   .unauthenticated = conns_count(conns, CONN_HEAD) + conns_count(conns, CONN_AUTH),
                                   .connections_max = conns->settings->connections_max,
                                   .unauthenticated_max = conns->settings->unauthenticated_max};
    enum gate_refusal refusal = gate_ask(&conns->gate, &load);
    bool is_refused = refusal != GATE_REFUSAL_COUNT;
    if (is_refused)
        metric_add_labelled(METRIC_WS_REFUSED, refusal, 1);
    if (is_refused && conns->counts[CONN_CLOSING] >= REFUSED_CLOSING_MAX) {
        metric_add_labelled(METRIC_WS_HTTP_REFUSED, http_status_index(503), 1);
        metric_add_labelled(METRIC_WS_CLOSED, CLOSE_BAD_REQUEST, 1);
        close(fd);
        return;
    }
    struct conn *c = conn_new(conns, fd, peer, false);
    if (is_refused)
        conn_refuse(c, CLOSE_BAD_REQUEST, 503, gate_text(refusal));
}

void conns_adopt(struct conns *conns, int fd)
{
    static const struct in6_addr loopback = IN6ADDR_LOOPBACK_INIT;
    (void)conn_new(conns, fd, &loopback, true);
}

void conns_close_gate(struct conns *conns, enum gate_refusal refusal, bool is_closed)
{
    conns->gate.is_closed[refusal] = is_closed;
}

static void pause_accepting(struct conns *conns)
{
    log_limited(LOG_WARN, "out of descriptors, accepting is paused", F_UINT("connections", live_count(conns)));
    metric_add(METRIC_WS_ACCEPT_PAUSES, 1);
    loop_fd_want(&conns->listener_watch, 0);
    loop_timer_start(conns->accept_timer, ACCEPT_PAUSE_MS, 0);
}

static void resume_accepting(void *arg)
{
    struct conns *conns = arg;
    MAGIC_CHECK(conns, CONNS_MAGIC);
    if (conns->listener >= 0)
        loop_fd_want(&conns->listener_watch, LOOP_READ);
}

static void on_listener(int listener, short events, void *arg)
{
    struct conns *conns = arg;
    MAGIC_CHECK(conns, CONNS_MAGIC);
    (void)events;
    for (int64_t i = 0; i < conns->settings->accept_batch; i++) {
        int fd;
        struct in6_addr peer;
        enum err err = net_accept(listener, &fd, &peer);
        if (err == ERR_AWAY)
            return;
        if (err != ERR_OK) {
            if (err != ERR_FULL)
                log_limited(LOG_WARN, "accept failed", F_ERRNO(errno));
            pause_accepting(conns);
            return;
        }
        take_connection(conns, fd, &peer);
    }
}

void conns_start_accepting(struct conns *conns, int listener)
{
    CHECK(conns->listener < 0);
    conns->listener = listener;
    loop_fd_init(conns->loop, &conns->listener_watch, listener, on_listener, conns);
    loop_fd_want(&conns->listener_watch, LOOP_READ);
}

void conns_stop_accepting(struct conns *conns)
{
    if (conns->listener < 0)
        return;
    loop_timer_stop(conns->accept_timer);
    loop_fd_release(&conns->listener_watch);
    conns->listener = -1;
}

/* --- the whole */

struct conns *conns_new(struct loop *loop, const struct conn_settings *settings, const struct conn_events *events,
                        void *arg)
{
    struct conns *conns = xcalloc(1, sizeof(*conns));
    conns->magic = CONNS_MAGIC;
    conns->loop = loop;
    conns->settings = settings;
    conns->events = events;
    conns->arg = arg;
    conns->listener = -1;
    conns->ping_phase = (uint64_t)random();
    bucket_init(&conns->bucket, settings->connect_rate, settings->connect_burst, loop_now_ms(loop));
    for (size_t i = 0; i <= CONN_GONE; i++)
        list_init(&conns->states[i]);
    list_init(&conns->told);
    list_init(&conns->dirty);
    loop_task_init(&conns->end_turn, end_turn, conns);
    loop_task_init(&conns->reap, reap, conns);
    conns->wheel = wheel_new(WHEEL_TICK_MS, loop_now_ms(loop), conn_due, conns);
    conns->wheel_timer = loop_timer_new(loop, on_tick, conns);
    loop_timer_start(conns->wheel_timer, WHEEL_TICK_MS, WHEEL_TICK_MS);
    conns->late = wheel_new(LATE_TICK_MS, loop_now_ms(loop), conn_late_due, conns);
    conns->late_timer = loop_timer_new(loop, on_late_tick, conns);
    conns->accept_timer = loop_timer_new(loop, resume_accepting, conns);
    conns->sockets = poll_set_new(loop, conn_on_ready);
    conns->slab = slab_new("conn", sizeof(struct conn));
    conns->outqs = outq_pool_new();
    conns->deflate = deflate_new((int)settings->deflate_level, (size_t)settings->deflate_min);
    conns->takeover = takeover_new(&settings->takeover, (int)settings->deflate_level);
    conns->codecs = ws_codec_pool_new((size_t)settings->message_max, conns->deflate);
    conns->ping = frame_new(FRAME_PING, NULL, 0);
    buf_init(&conns->answer);
    return conns;
}

void conns_close_all(struct conns *conns, enum close_reason reason)
{
    list_each (link, &conns->states[CONN_HEAD])
        conn_refuse(container_of(link, struct conn, link), reason, 503, "shutting down");
    for (unsigned state = CONN_AUTH; state <= CONN_OPEN; state++)
        list_each (link, &conns->states[state])
            conn_close(container_of(link, struct conn, link), reason, NULL);
}

void conns_trim(struct conns *conns)
{
    while (conns->head_count > 0)
        http_head_free(&conns->heads[--conns->head_count]);
    if (conns->codecs)
        ws_codec_pool_trim(conns->codecs);
    takeover_trim(conns->takeover);
    recycle_trim();
    free(conns->fates_spare.items);
    conns->fates_spare = (struct fates){0};
}

uint32_t conns_count(const struct conns *conns, enum conn_state state)
{
    return conns->counts[state] - conns->own_counts[state];
}

void conns_each(struct conns *conns, enum conn_state state, void (*fn)(void *arg, struct conn *c), void *arg)
{
    list_each (link, &conns->states[state])
        fn(arg, container_of(link, struct conn, link));
}

/* Those that have not come to their end by now get it without ceremony. */
static void end_all(struct conns *conns)
{
    for (unsigned state = 0; state < CONN_GONE; state++)
        list_each (link, &conns->states[state])
            conn_gone(container_of(link, struct conn, link), CLOSE_SHUTDOWN);
    while (conns->counts[CONN_GONE] > 0)
        conn_tell(conns);
    reap(conns);
}

void conns_free(struct conns **conns_p)
{
    struct conns *conns = *conns_p;
    if (!conns)
        return;
    *conns_p = NULL;
    conns_stop_accepting(conns);
    end_all(conns);
    loop_task_cancel(conns->loop, &conns->end_turn);
    loop_task_cancel(conns->loop, &conns->reap);
    loop_timer_free(&conns->wheel_timer);
    loop_timer_free(&conns->late_timer);
    loop_timer_free(&conns->accept_timer);
    wheel_free(&conns->wheel);
    wheel_free(&conns->late);
    poll_set_free(&conns->sockets);
    slab_free(&conns->slab);
    outq_pool_free(&conns->outqs);
    ws_codec_pool_free(&conns->codecs);
    conns_trim(conns);
    deflate_free(&conns->deflate);
    takeover_free(&conns->takeover);
    message_unref(&conns->ping);
    buf_release(&conns->answer);
    free(conns->fates.items);
    conns->magic = 0;
    free(conns);
}
