/* The ways in which a connection ends; see conn.h. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/check.h"
#include "common/log.h"
#include "gateway/metrics.h"
#include "gateway/ws/conn_internal.h"
#include "gateway/ws/frame.h"
#include "gateway/ws/http_status.h"
#include "gateway/ws/upgrade.h"

enum { CLOSE_TEXT_MAX = 123, RETRY_MIN_S = 5, RETRY_SPREAD_S = 6 /* who was refused together comes back apart */ };

static uint16_t close_code(enum close_reason reason)
{
    static const uint16_t codes[] = {
#define X(name, label, code) code,
        CLOSE_REASON_LIST(X)
#undef X
    };
    return codes[reason];
}

static void start_closing(struct conn *c, enum close_reason reason)
{
    struct conns *conns = c->conns;
    c->reason = (uint8_t)reason;
    c->until_ms = loop_now_ms(conns->loop) + (uint64_t)conns->settings->close_timeout_ms;
    c->is_held = false;
    conn_mark_dirty(c);
    conn_enter(c, CONN_CLOSING);
}

static struct message *close_frame(uint16_t code, const char *text)
{
    char payload[2 + CLOSE_TEXT_MAX];
    size_t text_len = text ? strnlen(text, CLOSE_TEXT_MAX) : 0;
    payload[0] = (char)(code >> 8);
    payload[1] = (char)(code & 0xFF);
    if (text_len > 0)
        memcpy(payload + 2, text, text_len);
    return frame_new(FRAME_CLOSE, payload, code == 0 ? 0 : 2 + text_len);
}

void conn_close_code(struct conn *c, enum close_reason reason, uint16_t code, const char *text)
{
    if (c->state != CONN_AUTH && c->state != CONN_OPEN)
        return;
    /* who does not read would not read the rest either: what he gets, if anything, is why */
    if ((reason == CLOSE_SLOW || reason == CLOSE_SHED) && c->outq)
        outq_drop(c->conns->outqs, c->outq, true, conn_fate_closed);
    if (code != 0 || reason == CLOSE_PEER) {
        struct message *frame = close_frame(code, text);
        conn_queue(c, frame, NULL);
        message_unref(&frame);
    } else {
        c->is_deaf = true;
    }
    start_closing(c, reason);
}

void conn_close(struct conn *c, enum close_reason reason, const char *text)
{
    MAGIC_CHECK(c, CONN_MAGIC);
    conn_close_code(c, reason, close_code(reason), text);
}

/* Head, answer, and no more: CLOSING. */
static void refuse(struct conn *c, enum close_reason reason, int status, const char *why, unsigned retry_after_s)
{
    struct conns *conns = c->conns;
    metric_add_labelled(METRIC_WS_HTTP_REFUSED, http_status_index(status), 1);
    conn_head_release(c);
    buf_clear(&conns->answer);
    upgrade_refusal(status, why, retry_after_s, &conns->answer);
    struct message *answer = message_copy(conns->answer.bytes, conns->answer.len);
    conn_queue(c, answer, NULL);
    message_unref(&answer);
    c->is_deaf = true;
    start_closing(c, reason);
}

void conn_refuse(struct conn *c, enum close_reason reason, int status, const char *why)
{
    log_limited(LOG_INFO, "request refused", F_INT("status", status), F_STR("why", why), F_STR("peer", conn_peer(c)));
    refuse(c, reason, status, why, RETRY_MIN_S + (unsigned)random() % RETRY_SPREAD_S);
}

void conn_turn_away(struct conn *c, bool has_more)
{
    struct conns *conns = c->conns;
    uint64_t wait_ms = bucket_promise(&conns->bucket, loop_now_ms(conns->loop));
    uint64_t wait_s = wait_ms / 1000 + 1 + (uint64_t)random() % 2,
             max_s = (uint64_t)conns->settings->retry_max_ms / 1000;
    metric_add_labelled(METRIC_WS_REFUSED, GATE_RATE, 1);
    log_limited(LOG_INFO, "too many new connections: some are told to come later", F_UINT("seconds", wait_s));
    refuse(c, CLOSE_BAD_REQUEST, 503, gate_text(GATE_RATE), (unsigned)(wait_s < max_s ? wait_s : max_s));
    /* All that it said is read, so closing does not reset the connection: no need to wait for the other side, which
     * in a storm would be thousands to wait for. */
    c->is_close_received = !has_more;
}

void conn_closing_drained(struct conn *c)
{
    if (c->is_close_received || c->is_eof) {
        conn_gone(c, c->reason);
    } else if (c->is_deaf && !c->is_shut) {
        /* Closing at once could reset the connection, and with it take away the answer that was just written: so end
         * our side, and wait for the peer to end his, or for the deadline. */
        c->is_shut = true;
        (void)shutdown(c->socket.fd, SHUT_WR);
    }
}

void conn_gone(struct conn *c, enum close_reason reason)
{
    struct conns *conns = c->conns;
    if (c->state == CONN_GONE)
        return;
    if (c->state != CONN_CLOSING)
        c->reason = (uint8_t)reason;
    poll_set_release(conns->sockets, &c->socket);
    close(c->socket.fd);
    c->socket.fd = -1;
    if (c->state == CONN_HEAD)
        conn_head_release(c);
    else if (c->codec)
        ws_codec_put(conns->codecs, &c->codec);
    if (c->outq) {
        outq_drop(conns->outqs, c->outq, false, conn_fate_closed);
        wheel_remove(conns->late, &c->outq->late);
        outq_put(conns->outqs, &c->outq);
    }
    if (c->is_takeover)
        takeover_remove(conns->takeover, c->id);
    metric_add_labelled(METRIC_WS_CLOSED, c->reason, 1);
    log_debug("connection closed", F_UINT("connection", c->id), F_STR("reason", close_reason_names[c->reason]),
              F_STR("peer", conn_peer(c)));
    conn_enter(c, CONN_GONE);
    loop_defer(conns->loop, &conns->end_turn);
}
