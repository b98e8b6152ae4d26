#include "registry/leader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/log.h"
#include "common/redis_script.h"
#include "registry/claim.h"
#include "registry/metrics.h"

enum { LEADER_MAGIC = 0x4c454144, LOOK_MS = 50 };

struct leader {
    uint32_t magic;
    struct loop *loop;
    struct redis *redis;
    struct claim claim;
    struct loop_timer *timer;
    loop_fn *on_change;
    void *arg;
    uint64_t asked_ms; /* the question under way */
    bool is_asking, was_held, is_stopped;
    char *id;
    char holder[CLAIM_HOLDER_MAX];
};

/* Tells it once when the belief has changed, by an answer or by the passing of time. */
static void settle(struct leader *l)
{
    bool is_held = leader_is_held(l);
    snprintf(l->holder, sizeof(l->holder), "%.*s", (int)strcspn(l->claim.holder, " "), l->claim.holder);
    if (is_held == l->was_held)
        return;
    l->was_held = is_held;
    metric_set(METRIC_LEADER, is_held);
    metric_add(METRIC_LEADER_CHANGES, 1);
    if (is_held)
        log_info("leading", F_UINT("token", l->claim.token));
    else
        log_info("not leading any more", F_STR("leader", l->holder));
    l->on_change(l->arg);
}

static void answered(void *arg, enum err err, const struct redis_reply *reply)
{
    struct leader *l = arg;
    MAGIC_CHECK(l, LEADER_MAGIC);
    l->is_asking = false;
    if (err || l->is_stopped || redis_reply_count(reply) < 3)
        return;
    size_t len;
    uint64_t token = (uint64_t)redis_reply_int(redis_reply_at(reply, 0));
    bool is_granted = redis_reply_int(redis_reply_at(reply, 1)) == 1;
    claim_answered(&l->claim, l->asked_ms, is_granted, token, redis_reply_str(redis_reply_at(reply, 2), &len));
    settle(l);
}

static void ask(struct leader *l)
{
    char ttl[24];
    snprintf(ttl, sizeof(ttl), "%llu", (unsigned long long)l->claim.ttl_ms);
    const char *argv[] = {"herald:leader", "herald:leader:token", l->id, ttl};
    uint64_t now_ms = loop_now_ms(l->loop);
    claim_asked(&l->claim, now_ms);
    l->asked_ms = now_ms;
    l->is_asking = redis_script(l->redis, REDIS_SCRIPT_LEADER_ACQUIRE, answered, l, 2, 4, argv, NULL) == ERR_OK;
}

static void look(void *arg)
{
    struct leader *l = arg;
    MAGIC_CHECK(l, LEADER_MAGIC);
    if (l->is_stopped)
        return;
    settle(l);
    if (!l->is_asking && redis_is_up(l->redis) && claim_is_due(&l->claim, loop_now_ms(l->loop)))
        ask(l);
}

struct leader *leader_new(struct loop *loop, struct redis *redis, const char *id, uint64_t ttl_ms, loop_fn *on_change,
                          void *arg)
{
    struct leader *l = xcalloc(1, sizeof(*l));
    l->magic = LEADER_MAGIC;
    l->loop = loop;
    l->redis = redis;
    l->id = xstrdup(id);
    l->on_change = on_change;
    l->arg = arg;
    claim_init(&l->claim, ttl_ms);
    l->timer = loop_timer_new(loop, look, l);
    loop_timer_start(l->timer, 0, LOOK_MS);
    return l;
}

void leader_free(struct leader **leader)
{
    struct leader *l = *leader;
    if (!l)
        return;
    loop_timer_free(&l->timer);
    free(l->id);
    l->magic = 0;
    free(l);
    *leader = NULL;
}

bool leader_is_held(const struct leader *l)
{
    return !l->is_stopped && claim_is_held(&l->claim, loop_now_ms(l->loop));
}

uint64_t leader_token(const struct leader *l)
{
    return l->claim.token;
}

const char *leader_id(const struct leader *l)
{
    return l->id;
}

const char *leader_holder(const struct leader *l)
{
    return l->holder;
}

void leader_refused(struct leader *l)
{
    claim_drop(&l->claim);
    settle(l);
    if (!l->is_asking && !l->is_stopped && redis_is_up(l->redis))
        ask(l);
}

void leader_stop(struct leader *l)
{
    if (l->is_stopped)
        return;
    bool is_held = leader_is_held(l);
    l->is_stopped = true;
    loop_timer_stop(l->timer);
    metric_set(METRIC_LEADER, 0);
    if (!is_held || !redis_is_up(l->redis))
        return;
    char token[24];
    snprintf(token, sizeof(token), "%llu", (unsigned long long)l->claim.token);
    const char *argv[] = {"herald:leader", l->id, token};
    if (redis_script(l->redis, REDIS_SCRIPT_LEADER_RELEASE, NULL, NULL, 1, 3, argv, NULL) == ERR_OK)
        log_info("leader's lock given back");
}
