#include "gateway/link/upstream.h"

#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/list.h"
#include "common/table.h"
#include "gateway/metrics.h"

enum { UPSTREAM_MAGIC = 0x0B570001, SWEEP_MS = 100 };

struct request {
    struct list link; /* upstream.waiting, oldest first: all have the same patience */
    uint64_t number, due_ms;
    struct session *session; /* a reference */
    size_t id_len;
    char id[]; /* the client's, NUL-terminated */
};

struct upstream {
    uint32_t magic;
    struct loop *loop;
    struct peers *peers;
    struct upstream_settings settings;
    uint64_t last_number;
    struct list waiting;
    struct table *by_number;
    struct loop_timer *sweep;
};

static bool match(const void *item, const void *key, size_t key_len)
{
    const struct request *r = item;
    return memcmp(&r->number, key, key_len) == 0;
}

static void forget(struct upstream *upstream, struct request *r)
{
    list_remove(&r->link);
    CHECK(table_remove(upstream->by_number, &r->number, sizeof r->number) == r);
    session_unref(r->session);
    free(r);
}

static struct request *remember(struct upstream *upstream, struct session *s, const struct upstream_request *request)
{
    struct request *r = xmalloc(sizeof *r + request->id_len + 1);
    r->number = ++upstream->last_number;
    r->due_ms = loop_now_ms(upstream->loop) + (uint64_t)upstream->settings.timeout_ms;
    r->session = session_ref(s);
    r->id_len = request->id_len;
    memcpy(r->id, request->id, request->id_len);
    r->id[r->id_len] = '\0';
    list_push(&upstream->waiting, &r->link);
    table_add(upstream->by_number, &r->number, sizeof r->number, r);
    return r;
}

enum err upstream_send(struct upstream *upstream, struct session *s, const struct upstream_request *request)
{
    struct peer *peer = peers_pick(upstream->peers, s->user->name, s->user->name_len);
    bool is_full = table_count(upstream->by_number) >= (uint64_t)upstream->settings.requests_max;
    if (!peer || is_full) {
        metric_add_labelled(METRIC_UPSTREAMS, peer ? UPSTREAM_OUTCOME_FULL : UPSTREAM_OUTCOME_NO_ROUTER, 1);
        return peer ? ERR_FULL : ERR_AWAY;
    }
    struct request *r = remember(upstream, s, request);
    Herald__V1__Upstream u = HERALD__V1__UPSTREAM__INIT;
    u.request = r->number;
    u.user = s->user->name;
    u.device = s->device;
    u.id = r->id;
    u.content = (ProtobufCBinaryData){.len = request->content_len, .data = (uint8_t *)request->content};
    u.timestamp_ms = (int64_t)loop_wall_ms(upstream->loop);
    if (peer_put_upstream(peer, &u))
        return ERR_OK;
    metric_add_labelled(METRIC_UPSTREAMS, UPSTREAM_OUTCOME_FULL, 1);
    forget(upstream, r);
    return ERR_FULL;
}

void upstream_answered(struct upstream *upstream, const Herald__V1__UpstreamResult *result)
{
    struct request *r = table_find(upstream->by_number, &result->request, sizeof result->request);
    metric_add_labelled(METRIC_UPSTREAMS, r ? UPSTREAM_OUTCOME_ANSWERED : UPSTREAM_OUTCOME_LATE, 1);
    if (!r)
        return;
    session_answer_message(r->session, r->id, r->id_len, (int)result->code);
    forget(upstream, r);
}

static void sweep(void *arg)
{
    struct upstream *upstream = arg;
    MAGIC_CHECK(upstream, UPSTREAM_MAGIC);
    uint64_t now_ms = loop_now_ms(upstream->loop);
    for (struct list *first; (first = list_first(&upstream->waiting));) {
        struct request *r = container_of(first, struct request, link);
        if (r->due_ms > now_ms)
            return;
        metric_add_labelled(METRIC_UPSTREAMS, UPSTREAM_OUTCOME_TIMEOUT, 1);
        session_answer_message(r->session, r->id, r->id_len, 503);
        forget(upstream, r);
    }
}

struct upstream *upstream_new(struct loop *loop, struct peers *peers, const struct upstream_settings *settings)
{
    struct upstream *upstream = xcalloc(1, sizeof *upstream);
    upstream->magic = UPSTREAM_MAGIC;
    upstream->loop = loop;
    upstream->peers = peers;
    upstream->settings = *settings;
    list_init(&upstream->waiting);
    upstream->by_number = table_new(match);
    upstream->sweep = loop_timer_new(loop, sweep, upstream);
    loop_timer_start(upstream->sweep, SWEEP_MS, SWEEP_MS);
    return upstream;
}

void upstream_free(struct upstream **upstream)
{
    if (!*upstream)
        return;
    list_each (it, &(*upstream)->waiting)
        forget(*upstream, container_of(it, struct request, link));
    table_free(&(*upstream)->by_number);
    loop_timer_free(&(*upstream)->sweep);
    free(*upstream);
    *upstream = NULL;
}
