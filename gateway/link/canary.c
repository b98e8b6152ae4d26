#include "gateway/link/canary.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/log.h"
#include "common/redis_script.h"
#include "gateway/link/beat.h"
#include "gateway/metrics.h"
#include "gateway/session/session.h"

enum { CANARY_MAGIC = 0xCA4A0001, TICK_MS = 100, KEY_MAX = 300, WORDS = 11, CONTENT_MAX = 120 };
#define DEVICE "canary"
#define CONNECTION "0" /* no connection has that number */

struct canary {
    uint32_t magic;
    struct loop *loop;
    struct redis *redis;
    struct peers *peers;
    struct canary_settings settings;
    uint64_t generation;
    const char *instance;
    char user[USER_LEN_MAX + 1];
    struct beat beat;
    struct loop_timer *tick;
    bool is_registering, is_lost_told;
    uint64_t since_ms;
};

/* --- its route -------------------------------------------------------------------------------------------------------
 */

static void make_key(const struct canary *c, char key[KEY_MAX], const char *noun, const char *device)
{
    snprintf(key, KEY_MAX, "herald:%s:{%s}%s", noun, c->user, device);
}

static void empty_box(struct canary *c)
{
    char box[KEY_MAX];
    make_key(c, box, "box", "");
    if (redis_words(c->redis, NULL, NULL, "UNLINK", box, NULL) != ERR_OK)
        log_debug("the canary's mailbox stays");
}

static void ask(struct canary *c)
{
    char key[USER_LEN_MAX + 24];
    uint64_t now_ms = loop_now_ms(c->loop);
    /* by another router each time: one that cannot reach Kafka must not speak for all */
    int len = snprintf(key, sizeof key, "%s %" PRIu64, c->user, c->beat.sent_count);
    struct peer *peer = peers_pick(c->peers, key, (size_t)len);
    Herald__V1__CanaryRequest request = HERALD__V1__CANARY_REQUEST__INIT;
    if (!peer)
        return; /* at the next tick */
    request.user = c->user;
    request.generation = c->generation;
    request.ttl_ms = (uint64_t)c->settings.timeout_ms;
    request.number = beat_sent(&c->beat, now_ms);
    metric_add_labelled(METRIC_CANARIES, CANARY_EVENT_SENT, 1);
    if (!peer_put_canary(peer, &request))
        metric_add_labelled(METRIC_CANARIES, CANARY_EVENT_UNSENT, 1);
}

static void on_registered(void *arg, enum err err, const struct redis_reply *reply)
{
    struct canary *c = arg;
    MAGIC_CHECK(c, CANARY_MAGIC);
    c->is_registering = false;
    if (err || redis_reply_count(reply) < 3 || redis_reply_int(redis_reply_at(reply, 2)) != 1)
        return; /* at the next tick again */
    c->since_ms = (uint64_t)redis_reply_int(redis_reply_at(reply, 0));
    if (redis_reply_int(redis_reply_at(reply, 1)) > 0)
        empty_box(c);
    ask(c);
}

/* Before each message: so a route that Redis lost is there again, and the look-up is tried, too. */
static void register_route(struct canary *c)
{
    char route[KEY_MAX], devices[KEY_MAX], box[KEY_MAX], device_box[KEY_MAX], generation[24], since[24], ttl[24];
    make_key(c, route, "route", "");
    make_key(c, devices, "devices", "");
    make_key(c, box, "box", "");
    make_key(c, device_box, "box", ":" DEVICE);
    snprintf(generation, sizeof generation, "%" PRIu64, c->generation);
    snprintf(since, sizeof since, "%" PRIu64, c->since_ms);
    snprintf(ttl, sizeof ttl, "%" PRId64, (c->settings.timeout_ms + c->settings.interval_ms) * 2);
    const char *words[WORDS] = {route,      devices,    box,   device_box, DEVICE, c->instance,
                                generation, CONNECTION, since, ttl,        ttl};
    size_t lens[WORDS];
    for (int i = 0; i < WORDS; i++)
        lens[i] = strlen(words[i]);
    c->is_registering = redis_script(c->redis, REDIS_SCRIPT_ROUTE_REGISTER, on_registered, c, 4, WORDS, words, lens) ==
                        ERR_OK;
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

static void on_tick(void *arg)
{
    struct canary *c = arg;
    MAGIC_CHECK(c, CANARY_MAGIC);
    uint64_t now_ms = loop_now_ms(c->loop);
    tell(c, now_ms);
    if (!c->is_registering && beat_is_due(&c->beat, now_ms) && redis_is_up(c->redis) &&
        peers_pick(c->peers, c->user, strlen(c->user)))
        register_route(c);
}

/* {"generation":1700000000000,"number":7} */
static bool read_content(const ProtobufCBinaryData *content, uint64_t *generation_r, uint64_t *number_r)
{
    char text[CONTENT_MAX + 1];
    size_t len = content->len < CONTENT_MAX ? content->len : CONTENT_MAX;
    memcpy(text, content->data, len);
    text[len] = '\0';
    return sscanf(text, "{\"generation\":%" SCNu64 ",\"number\":%" SCNu64 "}", generation_r, number_r) == 2;
}

void canary_take(struct canary *c, const Herald__V1__Delivery *delivery)
{
    uint64_t now_ms = loop_now_ms(c->loop), generation, number, latency_ms;
    if (!read_content(&delivery->content, &generation, &number) || generation != c->generation ||
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

void canary_poke(struct canary *c)
{
    metric_add_labelled(METRIC_CANARIES, CANARY_EVENT_STORED, 1);
    empty_box(c);
}

bool canary_is_user(const struct canary *c, const char *user)
{
    return *user == CANARY_USER_PREFIX[0] && strcmp(user, c->user) == 0;
}

bool canary_is_well(const struct canary *c)
{
    return !c->settings.is_enabled || beat_is_passing(&c->beat, loop_now_ms(c->loop));
}

struct canary *canary_new(struct loop *loop, struct redis *redis, struct peers *peers,
                          const struct canary_settings *settings, const char *instance, uint64_t generation)
{
    struct canary *c = xcalloc(1, sizeof *c);
    *c = (struct canary){.magic = CANARY_MAGIC,
                         .loop = loop,
                         .redis = redis,
                         .peers = peers,
                         .settings = *settings,
                         .generation = generation,
                         .instance = instance};
    snprintf(c->user, sizeof c->user, CANARY_USER_PREFIX "%s", instance);
    beat_init(&c->beat, (uint64_t)settings->interval_ms, (uint64_t)settings->timeout_ms);
    metric_set(METRIC_CANARY_PASSING, !settings->is_enabled);
    c->tick = loop_timer_new(loop, on_tick, c);
    if (settings->is_enabled)
        loop_timer_start(c->tick, TICK_MS, TICK_MS);
    return c;
}

void canary_free(struct canary **canary)
{
    if (!*canary)
        return;
    loop_timer_free(&(*canary)->tick);
    (*canary)->magic = 0;
    free(*canary);
    *canary = NULL;
}
