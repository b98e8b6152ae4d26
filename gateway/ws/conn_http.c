/* The HTTP phase of a connection: from the first byte to the 101. */
#include <string.h>

#include "common/check.h"
#include "gateway/metrics.h"
#include "gateway/ws/conn_internal.h"
#include "gateway/ws/upgrade.h"

static struct http_head *head_get(struct conns *conns)
{
    struct http_head *head = conns->head_count > 0 ? conns->heads[--conns->head_count] : http_head_new();
    http_head_clear(head, (size_t)conns->settings->head_max);
    return head;
}

static void head_put(struct conns *conns, struct http_head *head)
{
    http_head_clear(head, 0); /* wiped now, not when it is used again */
    if (conns->head_count < CONN_HEADS_KEPT)
        conns->heads[conns->head_count++] = head;
    else
        http_head_free(&head);
}

void conn_head_release(struct conn *c)
{
    CHECK(c->state == CONN_HEAD);
    if (c->head)
        head_put(c->conns, c->head);
    c->head = NULL;
}

static void agree_on_deflate(struct conn *c, const struct deflate_terms *terms)
{
    struct conns *conns = c->conns;
    c->is_deflate = terms->is_agreed;
    c->is_takeover = terms->is_takeover;
    metric_add(METRIC_WS_DEFLATE_AGREED, terms->is_agreed);
    if (terms->is_takeover)
        takeover_add(conns->takeover, c->id, terms->window_bits);
    else if (terms->may_take_over && conns->settings->takeover.budget > 0)
        metric_add(METRIC_WS_TAKEOVER_DENIED, 1);
}

static void accept_upgrade(struct conn *c, const struct upgrade *u)
{
    struct conns *conns = c->conns;
    buf_clear(&conns->answer);
    upgrade_answer(u, &conns->answer);
    struct message *answer = message_copy(conns->answer.bytes, conns->answer.len);
    conn_queue(c, answer, NULL);
    message_unref(&answer);
    metric_add(METRIC_WS_UPGRADED, 1);

    /* the strings of u->request live in the head, so it leaves the connection first, and is put back after the upcall
     */
    struct http_head *head = c->head;
    c->head = NULL;
    c->until_ms += (uint64_t)conns->settings->auth_timeout_ms - (uint64_t)conns->settings->head_timeout_ms;
    c->is_upgraded = true;
    agree_on_deflate(c, &u->deflate);
    conn_enter(c, CONN_AUTH);
    conns->events->upgraded(conns->arg, c, &u->request);
    head_put(conns, head);
}

void conn_head_input(struct conn *c, const char *bytes, size_t len)
{
    if (!c->head)
        c->head = head_get(c->conns);
    size_t used = 0;
    enum http_head_state state = http_head_feed(c->head, bytes, len, &used);
    if (state == HTTP_HEAD_MORE)
        return;
    if (state == HTTP_HEAD_BAD) {
        conn_refuse(c, CLOSE_BAD_REQUEST, http_head_status(c->head), http_head_why(c->head));
        return;
    }
    struct upgrade u;
    upgrade_decide(c->head, c->conns->settings, takeover_bits(c->conns->takeover), &u);
    if (u.status != 101) {
        conn_refuse(c, CLOSE_BAD_REQUEST, u.status, u.why);
        return;
    }
    if (!c->is_own && !bucket_take(&c->conns->bucket, loop_now_ms(c->conns->loop))) {
        conn_turn_away(c, used < len);
        return;
    }
    accept_upgrade(c, &u);
    if (used < len)
        conn_frames_input(c, bytes + used, len - used);
}
