/*
 * For tests of the session layer: all of it on the fake loop, over the fake Redis (session_fake_redis.h), under a link
 * and over connections whose parts the test plays. Such a test is linked without gateway/ws/conn*.c.
 */
#ifndef HERALD_GATEWAY_SESSION_SESSION_FAKE_WORLD_H
#define HERALD_GATEWAY_SESSION_SESSION_FAKE_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/loop_fake.h"
#include "common/metric.h"
#include "gateway/metrics.h"
#include "gateway/session/drain.h"
#include "gateway/session/handlers.h"
#include "gateway/session/lapse.h"
#include "gateway/session/login.h"
#include "gateway/session/routes.h"
#include "gateway/session/session_fake_redis.h"
#include "gateway/session/sessions.h"
#include "gateway/ws/ws_metrics.h"

enum { ROUTE_TTL_MS = 300000, BEHIND_MS = 3000, SPREAD_MS = 5000, CONNS = 8, SEEN = 64, GENERATION = 100 };

#define USER_BOX "herald:box:{u}"
#define DEVICE_BOX "herald:box:{u}:d"

struct conn {
    uint64_t id;
    enum conn_state state;
    enum close_reason reason;
    bool is_blocked, is_held;
    void *owner;
    int pushes, auths;
    char ids[SEEN][16]; /* of the pushes, in order */
    uint64_t seqs[SEEN];
    bool is_own;
    uint64_t delay_ms; /* that the last frame was given */
};

static struct {
    struct loop *loop;
    struct sessions *sessions;
    struct auth *auth;
    struct conn conns[CONNS];
    int conn_count;
    int results[6]; /* by enum Herald__V1__ResultKind */
    char reason[24];
    void *receipt;       /* of the last result */
    int letters;         /* that ended */
    uint64_t connection; /* that deliveries name; 0: any */
} t;

/* --- gateway/ws/conn.h --- */

const char *const close_reason_names[] = {
#define X(name, label, code) label,
    CLOSE_REASON_LIST(X)
#undef X
        NULL};
const char *const conn_state_names[] = {"head", "auth", "open", "closing", NULL};
const char *const ws_frame_kind_names[] = {"text", "binary", "ping", "pong", "close", NULL};

void conn_authenticated(struct conn *c)
{
    c->state = CONN_OPEN;
}

void conn_hold(struct conn *c)
{
    c->is_held = true;
}

void conn_release(struct conn *c)
{
    c->is_held = false;
}

void conn_close(struct conn *c, enum close_reason reason, const char *text)
{
    (void)text;
    if (c->state != CONN_CLOSING)
        c->reason = reason;
    c->is_held = false;
    c->state = CONN_CLOSING;
}

uint64_t conn_id(const struct conn *c)
{
    return c->id;
}

bool conn_is_blocked(const struct conn *c)
{
    return c->is_blocked;
}

size_t conn_queued(const struct conn *c)
{
    return c->is_blocked ? 1 << 20 : 0;
}

void *conn_owner(const struct conn *c)
{
    return c->owner;
}

void conn_set_owner(struct conn *c, void *owner)
{
    c->owner = owner;
}

const char *conn_peer(const struct conn *c)
{
    (void)c;
    return "client";
}

enum conn_state conn_state(const struct conn *c)
{
    return c->state;
}

bool conn_is_own(const struct conn *c)
{
    return c->is_own;
}

void conns_each(struct conns *conns, enum conn_state state, void (*fn)(void *arg, struct conn *c), void *arg)
{
    (void)conns;
    for (int i = 0; i < t.conn_count; i++)
        if (t.conns[i].state == state)
            fn(arg, &t.conns[i]);
}

void conn_send(struct conn *c, struct message *frame, void *receipt)
{
    char text[512];
    size_t len = message_len(frame) < sizeof(text) - 1 ? message_len(frame) : sizeof(text) - 1;
    memcpy(text, message_bytes(frame), len);
    memset(text, ' ', 2); /* the frame's head */
    text[len] = '\0';
    (void)receipt;
    c->auths += strstr(text, "\"auth_response\"") != NULL;
    const char *id = strstr(text, "\"id\":\""), *seq = strstr(text, "\"seq\":");
    if (!strstr(text, "\"push\"") || !id || !seq || c->pushes == SEEN)
        return;
    (void)sscanf(id, "\"id\":\"%15[^\"]", c->ids[c->pushes]);
    c->seqs[c->pushes++] = strtoull(seq + 6, NULL, 10);
}

void conn_send_late(struct conn *c, struct message *frame, void *receipt, uint64_t delay_ms)
{
    c->delay_ms = delay_ms;
    conn_send(c, frame, receipt);
}

/* --- the link's part --- */

static inline void on_result(void *arg, void *receipt, const struct session_result *result)
{
    (void)arg;
    t.receipt = receipt;
    t.results[result->kind]++;
    snprintf(t.reason, sizeof(t.reason), "%s", result->reason);
}

static inline enum err on_upstream(void *arg, struct session *s, const struct upstream_request *request)
{
    (void)arg, (void)s, (void)request;
    return ERR_AWAY;
}

static inline void on_letter(void *arg, const char *user, const char *device, const struct letter *letter)
{
    (void)arg, (void)user, (void)device, (void)letter;
    t.letters++;
}

/* --- what the test does --- */

static inline void come_all(void)
{
    do
        loop_fake_end_turn(t.loop);
    while (fake_come(fake.commands));
}

static inline void advance(uint64_t ms)
{
    for (; ms > 0; ms -= ms < 50 ? ms : 50) {
        loop_fake_advance(t.loop, ms < 50 ? ms : 50);
        fake.clock_ms += ms < 50 ? (long long)ms : 50;
        come_all();
    }
}

/* A connection of that device of user u authenticates; its registration is on its way. */
static inline struct conn *open_device(const char *device)
{
    const struct upgrade_request request = {.user = "u", .device = device};
    CHECK(t.conn_count < CONNS);
    struct conn *c = &t.conns[t.conn_count++];
    *c = (struct conn){.id = (uint64_t)t.conn_count, .state = CONN_AUTH};
    sessions_conn_events.upgraded(t.sessions, c, &request);
    return c;
}

static inline struct conn *open_conn(void)
{
    return open_device("d");
}

/* The connection is gone. */
static inline void end_conn(struct conn *c)
{
    c->state = CONN_CLOSING;
    sessions_conn_events.closed(t.sessions, c, CLOSE_LOST);
}

static inline void say(struct conn *c, const char *text)
{
    sessions_conn_events.message(t.sessions, c, true, text, strlen(text));
    loop_fake_end_turn(t.loop);
}

static inline void ack(struct conn *c, uint64_t seq)
{
    char text[64];
    snprintf(text, sizeof(text), "{\"type\":\"ack\",\"seq\":%llu}", (unsigned long long)seq);
    say(c, text);
}

static inline void ack_id(struct conn *c, const char *id)
{
    char text[64];
    snprintf(text, sizeof(text), "{\"type\":\"ack\",\"id\":\"%s\"}", id);
    say(c, text);
}

/* A durable message, sent live; how many sessions took it up. */
static inline uint32_t deliver_as(Herald__V1__Delivery *delivery, const char *id, uint64_t run, uint32_t index)
{
    static uint64_t receipt;
    const struct addressee to = {.user = "u", .device = "", .connection = t.connection, .run = run, .run_index = index};
    struct push_frame frame;
    delivery->id = (char *)(uintptr_t)id;
    delivery->content = (ProtobufCBinaryData){1, (uint8_t *)(char[]){"1"}};
    push_frame_init(&frame);
    push_frame_set(&frame, delivery);
    uint32_t count = sessions_deliver(t.sessions, &frame, &to, &receipt);
    push_frame_release(&frame);
    loop_fake_end_turn(t.loop);
    return count;
}

static inline uint32_t deliver_in(const char *id, uint64_t run, uint32_t index, int64_t expires_at_ms)
{
    Herald__V1__Delivery delivery = HERALD__V1__DELIVERY__INIT;
    delivery.class_ = HERALD__V1__CLASS__CLASS_DURABLE;
    delivery.expires_at_ms = expires_at_ms;
    return deliver_as(&delivery, id, run, index);
}

static inline uint32_t deliver(const char *id)
{
    return deliver_in(id, 0, 0, 0);
}

static inline void poke(const char *device)
{
    sessions_poke(t.sessions, "u", device);
    loop_fake_end_turn(t.loop);
}

static inline bool is_live(const struct conn *c)
{
    const struct session *s = c->owner;
    return s && !s->drain;
}

/* All pushes that came, as "a b c". */
static inline const char *seen(const struct conn *c)
{
    static char text[1024];
    size_t len = 0;
    text[0] = '\0';
    for (int i = 0; i < c->pushes; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s", i ? " " : "", c->ids[i]);
    return text;
}

static int world_window, world_page, world_registrations; /* for the next setup(); 0: the usual */

static inline void on_redis(void *arg, bool is_up)
{
    (void)arg;
    sessions_redis_state(t.sessions, is_up);
}

static inline int setup(void **state)
{
    static const struct session_events events = {on_result, on_upstream, on_letter};
    static char device[] = "d";
    static const struct auth_settings auth = {.mode = AUTH_NONE, .token_max = 4096, .device_default = device};
    static const struct redis_options options;
    const struct session_settings settings = {.ack_window = world_window ? world_window : 100,
                                              .unwritten_max = 1 << 20,
                                              .backlog_max = 1 << 20,
                                              .weights = {{16, 4, 1}},
                                              .bad_messages_max = 10,
                                              .drain_page = world_page ? world_page : 50,
                                              .behind_ms = BEHIND_MS,
                                              .route_ttl_ms = ROUTE_TTL_MS,
                                              .devices_ttl_ms = ROUTE_TTL_MS,
                                              .register_spread_ms = SPREAD_MS,
                                              .registrations_max = world_registrations ? world_registrations : 100,
                                              .removals_max = 100};
    (void)state;
    memset(&t, 0, sizeof(t));
    memset(&fake, 0, sizeof(fake));
    fake.clock_ms = 1800000000000;
    t.loop = loop_new();
    assert_int_equal(auth_new(&auth, &t.auth), ERR_OK);
    struct redis *redis = redis_new(t.loop, &options, "commands", on_redis, NULL);
    const struct sessions_parts parts = {.loop = t.loop,
                                         .settings = &settings,
                                         .auth = t.auth,
                                         .redis = redis,
                                         .redis_options = &options,
                                         .instance = "gw1-0",
                                         .generation = GENERATION,
                                         .events = &events};
    t.sessions = sessions_new(&parts);
    return 0;
}

static inline int teardown(void **state)
{
    (void)state;
    sessions_end_all(t.sessions);
    redis_free(&fake.commands);
    sessions_free(&t.sessions);
    auth_free(&t.auth);
    loop_free(&t.loop);
    return 0;
}

#endif
