#include "gateway/canary/canary.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/log.h"
#include "gateway/auth/identity.h"
#include "gateway/canary/beat.h"
#include "gateway/canary/canary_client.h"
#include "gateway/metrics.h"

enum { CANARY_MAGIC = 0xCA4A0001, TICK_MS = 100, CONNECT_PAUSE_MS = 1000, CONTENT_MAX = 120 };

struct canary {
    uint32_t magic;
    struct loop *loop;
    struct peers *peers;
    struct canary_settings settings;
    uint64_t generation;
    struct identity identity;
    struct canary_client *client;
    uint64_t connect_ms; /* not before that */
    struct beat beat;
    struct loop_timer *tick;
    bool is_lost_told;
};

static void ask(struct canary *c)
{
    char key[USER_LEN_MAX + 24];
    uint64_t now_ms = loop_now_ms(c->loop);
    /* by another router each time: one that cannot reach Kafka must not speak for all */
    int len = snprintf(key, sizeof key, "%s %" PRIu64, c->identity.user, c->beat.sent_count);
    struct peer *peer = peers_pick(c->peers, key, (size_t)len);
    Herald__V1__CanaryRequest request = HERALD__V1__CANARY_REQUEST__INIT;
    if (!peer)
        return; /* at the next tick */
    request.user = c->identity.user;
    request.generation = c->generation;
    request.ttl_ms = (uint64_t)c->settings.timeout_ms;
    request.number = beat_sent(&c->beat, now_ms);
    metric_add_labelled(METRIC_CANARIES, CANARY_EVENT_SENT, 1);
    if (!peer_put_canary(peer, &request))
        metric_add_labelled(METRIC_CANARIES, CANARY_EVENT_UNSENT, 1);
}

/* --- what happens ----------------------------------------------------------------------------------------------------
 */

static void tell(struct canary *c, uint64_t now_ms)
{
    bool is_passing = beat_is_passing(&c->beat, now_ms);
    metric_set(METRIC_CANARY_PASSING, is_passing);
    metric_set(METRIC_CANARY_AGE, (int64_t)(beat_age_ms(&c->beat, now_ms) / 1000));
    if (c->beat.has_passed && !is_passing && !c->is_lost_told)
        log_error("no canary came through: messages are not delivered",
                  F_UINT("age_ms", beat_age_ms(&c->beat, now_ms)));
    c->is_lost_told = c->beat.has_passed && !is_passing;
}

/* A connection that was lost is not opened again at once: what ended it may still be there. */
static void connect_client(struct canary *c, uint64_t now_ms)
{
    if (now_ms < c->connect_ms)
        return;
    c->connect_ms = now_ms + CONNECT_PAUSE_MS;
    canary_client_connect(c->client);
}

static void on_tick(void *arg)
{
    struct canary *c = arg;
    MAGIC_CHECK(c, CANARY_MAGIC);
    uint64_t now_ms = loop_now_ms(c->loop);
    tell(c, now_ms);
    if (!canary_client_is_open(c->client))
        connect_client(c, now_ms);
    else if (beat_is_due(&c->beat, now_ms))
        ask(c);
}

/* {"generation":1700000000000,"number":7} */
static bool read_content(const char *content, size_t content_len, uint64_t *generation_r, uint64_t *number_r)
{
    char text[CONTENT_MAX + 1];
    size_t len = content_len < CONTENT_MAX ? content_len : CONTENT_MAX;
    memcpy(text, content, len);
    text[len] = '\0';
    return sscanf(text, "{\"generation\":%" SCNu64 ",\"number\":%" SCNu64 "}", generation_r, number_r) == 2;
}

static void on_push(void *arg, const char *content, size_t len)
{
    struct canary *c = arg;
    MAGIC_CHECK(c, CANARY_MAGIC);
    uint64_t now_ms = loop_now_ms(c->loop), generation, number, latency_ms;
    if (!read_content(content, len, &generation, &number) || generation != c->generation ||
        !beat_arrived(&c->beat, number, now_ms, &latency_ms)) {
        metric_add_labelled(METRIC_CANARIES, CANARY_EVENT_LATE, 1);
        return;
    }
    if (number == 1 || c->is_lost_told)
        log_info("canaries come through", F_UINT("latency_ms", latency_ms));
    metric_add_labelled(METRIC_CANARIES, CANARY_EVENT_PASSED, 1);
    metric_observe(METRIC_CANARY_LATENCY, latency_ms * 1000);
    tell(c, now_ms);
}

bool canary_is_well(const struct canary *c)
{
    return !c->settings.is_enabled || beat_is_passing(&c->beat, loop_now_ms(c->loop));
}

struct canary *canary_new(const struct canary_parts *parts, const struct canary_settings *settings)
{
    struct canary *c = xcalloc(1, sizeof *c);
    *c = (struct canary){.magic = CANARY_MAGIC,
                         .loop = parts->loop,
                         .peers = parts->peers,
                         .settings = *settings,
                         .generation = parts->generation};
    identity_of_canary(parts->instance, &c->identity);
    c->client = canary_client_new(parts->loop, parts->conns, parts->path, on_push, c);
    beat_init(&c->beat, (uint64_t)settings->interval_ms, (uint64_t)settings->timeout_ms);
    metric_set(METRIC_CANARY_PASSING, !settings->is_enabled);
    c->tick = loop_timer_new(parts->loop, on_tick, c);
    if (settings->is_enabled)
        loop_timer_start(c->tick, TICK_MS, TICK_MS);
    return c;
}

void canary_stop(struct canary *c)
{
    loop_timer_stop(c->tick);
    canary_client_drop(c->client);
}

void canary_free(struct canary **canary)
{
    if (!*canary)
        return;
    loop_timer_free(&(*canary)->tick);
    canary_client_free(&(*canary)->client);
    (*canary)->magic = 0;
    free(*canary);
    *canary = NULL;
}
