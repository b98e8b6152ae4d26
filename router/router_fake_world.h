/*
 * For router_fake_test.c: a dispatch on the fake loop, the fake Redis, and gateways in place of common/bus.c, whose
 * part the test plays.
 */
#ifndef HERALD_ROUTER_ROUTER_FAKE_WORLD_H
#define HERALD_ROUTER_ROUTER_FAKE_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/bus_fake.h"
#include "common/loop_fake.h"
#include "common/metric.h"
#include "router/dispatch/dispatch.h"
#include "router/metrics.h"
#include "router/record/record.h"
#include "router/router_fake_redis.h"

enum { GATEWAYS = 4, INBOX = 4096, RECORDS = 4000, BASE_REFS = 1000, ACK_WAIT = 5000, DELIVERIES_MAX = 64 };

/* A target as a gateway got it. */
struct arrival {
    char id[FAKE_NAME], user[FAKE_NAME], device[FAKE_NAME];
    uint32_t slot, slot_generation;
    uint64_t connection, run;
    uint32_t run_index;
};

struct bus_push {
    int gateway;
    bus_event_fn *on_event;
    void *arg;
};
static struct bus_push *last_push;

static struct {
    struct loop *loop;
    struct redis *redis;
    struct dispatch *d;
    struct arrival inbox[GATEWAYS][INBOX];
    int arrived[GATEWAYS];
    int envelopes[GATEWAYS], deliveries[GATEWAYS], pokes[GATEWAYS];
    char poked[FAKE_NAME];
    struct record *records[RECORDS];
    int record_count;
    int outcomes[RECORDS];  /* how many the record had */
    uint8_t kinds[RECORDS]; /* and the last of them */
    enum outcome_kind last_kind;
    char last_reason[64], last_device[64];
    int laters; /* outcomes of what had been stored */
    char later_id[FAKE_NAME], later_user[FAKE_NAME];
    int fulls, rooms;
    uint64_t generation[GATEWAYS], hello_us[GATEWAYS]; /* of the last hello */
    void (*on_arrival)(int gateway, const struct arrival *arrival, bool is_durable);
    void (*on_poke)(int gateway, const char *user);
    void (*on_outcome)(const struct outcome *outcome);
} t;

/* For the next setup(). */
static int world_lane_messages, world_lane_waiting, world_silence_ms, world_records, world_unread; /* 0: the usual */
static struct dedup_settings world_dedup;                                                          /* off at first */
static int world_box_max, world_box_policy, world_outcomes_max;

/* --- the gateways' side of the bus --- */

enum err bus_push_connect(struct bus *bus, const char *endpoint, int hwm, bus_event_fn *on_event, loop_fn *on_room,
                          void *arg, struct bus_push **push_r)
{
    (void)bus, (void)hwm, (void)on_room;
    *push_r = xcalloc(1, sizeof(**push_r));
    (*push_r)->gateway = endpoint[strlen(endpoint) - 1] - '0';
    (*push_r)->on_event = on_event;
    (*push_r)->arg = arg;
    last_push = *push_r;
    return ERR_OK;
}

static void take_delivery(int g, const Herald__V1__Delivery *delivery)
{
    t.deliveries[g]++;
    for (size_t i = 0; i < delivery->n_targets; i++) {
        struct arrival *arrival = &t.inbox[g][t.arrived[g]++ % INBOX];
        snprintf(arrival->id, FAKE_NAME, "%s", delivery->id);
        snprintf(arrival->user, FAKE_NAME, "%s", delivery->targets[i]->user);
        snprintf(arrival->device, FAKE_NAME, "%s", delivery->targets[i]->device);
        arrival->slot = delivery->targets[i]->slot;
        arrival->slot_generation = delivery->targets[i]->slot_generation;
        arrival->connection = delivery->targets[i]->connection;
        arrival->run = delivery->targets[i]->run;
        arrival->run_index = delivery->targets[i]->run_index;
        if (t.on_arrival)
            t.on_arrival(g, arrival, delivery->class_ == HERALD__V1__CLASS__CLASS_DURABLE);
    }
}

enum err bus_push_send(struct bus_push *push, void *bytes, size_t len)
{
    Herald__V1__Envelope *envelope = herald__v1__envelope__unpack(NULL, len, bytes);
    int g = push->gateway;
    CHECK(envelope);
    t.envelopes[g]++;
    for (size_t i = 0; i < envelope->n_pokes; i++) {
        t.pokes[g]++;
        snprintf(t.poked, sizeof(t.poked), "%s", envelope->pokes[i]->user);
        if (t.on_poke)
            t.on_poke(g, envelope->pokes[i]->user);
    }
    for (size_t i = 0; i < envelope->n_deliveries; i++)
        take_delivery(g, envelope->deliveries[i]);
    if (envelope->hello)
        t.hello_us[g] = envelope->hello->sent_us;
    herald__v1__envelope__free_unpacked(envelope, NULL);
    free(bytes);
    return ERR_OK;
}

void bus_push_free(struct bus_push **push)
{
    free(*push);
    *push = NULL;
}

/* --- the rest of the world --- */

static void on_outcome(void *arg, const struct outcome *outcome)
{
    (void)arg;
    if (t.on_outcome)
        t.on_outcome(outcome);
    if (outcome->is_later) {
        t.laters++;
        snprintf(t.later_id, sizeof(t.later_id), "%.*s", (int)outcome->id.len, outcome->id.at);
        snprintf(t.later_user, sizeof(t.later_user), "%.*s", (int)outcome->user.len, outcome->user.at);
        return;
    }
    t.last_kind = outcome->kind;
    snprintf(t.last_reason, sizeof(t.last_reason), "%s", outcome->reason ? outcome->reason : "");
    snprintf(t.last_device, sizeof(t.last_device), "%.*s", (int)outcome->device.len, outcome->device.at);
    for (int i = 0; i < t.record_count; i++)
        if (t.records[i]->source.at == outcome->source)
            t.outcomes[i]++, t.kinds[i] = (uint8_t)outcome->kind;
}

static void on_full(void *arg)
{
    (void)arg;
    t.fulls++;
}

static void on_room(void *arg)
{
    (void)arg;
    t.rooms++;
}

static const char *gateway_name(int g)
{
    static const char *const names[GATEWAYS] = {"gw0", "gw1", "gw2", "gw3"};
    return names[g];
}

static void join(int g)
{
    char endpoint[] = "tcp://host:0";
    endpoint[sizeof(endpoint) - 2] = (char)('0' + g);
    lanes_joined(dispatch_lanes(t.d), gateway_name(g), ++t.generation[g], endpoint);
    last_push->on_event(last_push->arg, BUS_CONNECTED); /* never from inside the call */
}

/* Replies, invalidations and end-of-turn work until nothing moves. */
static void settle_all(void)
{
    for (int i = 0; i < 6; i++) {
        loop_fake_end_turn(t.loop);
        fake_deliver_replies();
        fake_deliver_invalidations();
    }
    loop_fake_end_turn(t.loop);
}

static void set_redis(bool is_up)
{
    for (int i = 0; i < FAKE_CONNECTIONS; i++)
        fake_set_up(fake_connections[i], is_up);
}

static int setup(void **state)
{
    static const struct ledger_events events = {on_outcome, on_full, on_room};
    static const struct redis_options options = {0};
    (void)state;
    memset(&t, 0, sizeof(t));
    memset(fake_users, 0, sizeof(fake_users));
    memset(&fake_invalid, 0, sizeof(fake_invalid));
    fake_claim_count = 0;
    fake_device_boxes.count = 0;
    for (int u = 0; u < FAKE_USERS; u++)
        fake_users[u].mark = -1;
    t.loop = loop_new();
    t.redis = redis_new(t.loop, &options, "main", NULL, NULL);
    const struct dispatch_settings settings = {
        .limits = {.slots = 10000,
                   .slot_bytes = 1 << 24,
                   .records = world_records ? (uint32_t)world_records : 100,
                   .record_bytes = 1 << 24,
                   .outcomes = (uint32_t)world_outcomes_max,
                   .wait_ms = {2000, ACK_WAIT}},
        .lanes = {.router = "rt-r0",
                  .generation = 9,
                  .endpoint = "tcp://rt:1",
                  .messages_max = world_lane_messages ? world_lane_messages : 50,
                  .waiting_max = world_lane_waiting,
                  .weights = {{16, 4, 1}},
                  .bytes_max = 1 << 20,
                  .unread_max = world_unread ? world_unread : 1 << 30,
                  .envelope_max = 2000,
                  .silence_ms = world_silence_ms ? world_silence_ms : 1 << 30,
                  .hwm = 100},
        .mailbox = {.count_max = world_box_max ? world_box_max : 1000, .ttl_ms = 1000000, .policy = world_box_policy},
        .resolver = {.redis = &options, .router = "rt-r0", .cache_max = 4},
        .dedup = world_dedup,
    };
    t.d = dispatch_new(t.loop, (struct bus *)&t, t.redis, &settings, &events, NULL);
    set_redis(true);
    for (int g = 0; g < GATEWAYS; g++)
        join(g);
    settle_all();
    assert_true(resolver_is_caching(dispatch_resolver(t.d)));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    t.on_arrival = NULL;
    t.on_poke = NULL;
    redis_free(&t.redis);
    dispatch_abandon_all(t.d);
    assert_true(ledger_is_balanced(dispatch_ledger(t.d)));
    dispatch_free(&t.d);
    loop_free(&t.loop);
    for (int i = 0; i < t.record_count; i++) {
        struct record *record = t.records[i];
        assert_int_equal(record->refs, BASE_REFS); /* every reference came back */
        push_release(&record->push);
        free(record->bytes);
        free(record);
    }
    return 0;
}

/* --- what a test does --- */

/* A record at that offset, from the members of its JSON text. */
static struct record *accept_at(int offset, const char *json)
{
    char text[640];
    static const struct push_limits limits = {65536, 1000};
    struct record *record = xcalloc(1, sizeof(*record) + 64);
    int number = t.record_count;
    CHECK(number < RECORDS);
    snprintf(text, sizeof(text), "{%s}", json);
    record->magic = RECORD_MAGIC;
    record->refs = BASE_REFS + 1;
    record->bytes = xstrdup(text);
    record->kafka.topic = "herald.push";
    record->kafka.offset = offset;
    record->kafka.timestamp_ms = (int64_t)loop_wall_ms(t.loop);
    record->consumed_ms = loop_now_ms(t.loop);
    record->cost = (uint32_t)strlen(text);
    assert_int_equal(push_parse(&record->push, record->bytes, strlen(text), NULL, 0, &limits), PUSH_ERROR_NONE);
    int len = snprintf(record->names, 64, "herald.push/0/%d", offset);
    record->id = record->push.id.len > 0 ? record->push.id : (struct push_str){record->names, (uint32_t)len};
    record->source = (struct push_str){record->names, (uint32_t)len};
    t.records[t.record_count++] = record;
    dispatch_accept(t.d, record);
    return record;
}

/* With the id m<number>; the next offset. */
static struct record *accept_as(int number, const char *json)
{
    char text[480];
    snprintf(text, sizeof(text), "\"id\":\"m%d\",%s", number, json);
    return accept_at(t.record_count, text);
}

/* The same with an id that nobody had: m<offset>. */
static inline struct record *accept(const char *json)
{
    return accept_as(t.record_count, json);
}

static inline void connect_user(int user, int gateway)
{
    struct fake_user *u = &fake_users[user];
    char name[3] = {'u', (char)('0' + user), '\0'};
    static uint64_t connections;
    u->is_online = true;
    u->generation = t.generation[gateway];
    u->connection = ++connections;
    snprintf(u->instance, sizeof(u->instance), "%s", gateway_name(gateway));
    fake_changed("herald:route:", name);
}

static inline void disconnect_user(int user)
{
    char name[3] = {'u', (char)('0' + user), '\0'};
    fake_users[user].is_online = false;
    fake_changed("herald:route:", name);
}

static inline void answer_with(int g, const struct arrival *arrival, Herald__V1__ResultKind kind, const char *reason)
{
    Herald__V1__Result result = HERALD__V1__RESULT__INIT;
    result.reason = (char *)(uintptr_t)reason;
    result.slot = arrival->slot;
    result.slot_generation = arrival->slot_generation;
    result.kind = kind;
    char device[] = "web";
    if (kind == HERALD__V1__RESULT_KIND__RESULT_ACKED)
        result.device = device;
    result.count = 3;
    dispatch_result(t.d, lanes_number(dispatch_lanes(t.d), gateway_name(g), 3), &result);
}

static inline void answer(int g, const struct arrival *arrival, Herald__V1__ResultKind kind)
{
    answer_with(g, arrival, kind, "");
}

#endif
