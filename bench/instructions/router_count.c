/*
 * What a message costs a router, in instructions (count.h): from Kafka's record to the envelope that ZeroMQ gets, and
 * from the gateway's envelope of results to the offset that is to be committed. Wired as in router/router.c; what
 * carries nothing of an online user's message (mailbox, outcomes to Kafka, membership) stands idle or is left out.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/instructions/count.h"
#include "bench/instructions/fake_bus.h"
#include "bench/instructions/fake_kafka.h"
#include "bench/instructions/fake_redis.h"
#include "common/check.h"
#include "common/link.h"
#include "common/loop_fake.h"
#include "common/metric.h"
#include "router/dispatch/dispatch.h"
#include "router/link/results.h"
#include "router/metrics.h"
#include "router/outcome/outcome.h"
#include "router/settings.h"
#include "router/source/source.h"

enum { USERS = WARM_ROUNDS * BATCH, GATEWAYS = 2, GATEWAY_GENERATION = 7, RECORD_MAX = 320, LIFE = 1700000000 };

#define ROUTER_ID "node1-r0"

static const char *const gateways[GATEWAYS] = {"node1-0", "node1-1"};
static const char *const endpoints[GATEWAYS] = {"tcp://10.0.0.1:1", "tcp://10.0.0.1:2"};

static struct {
    struct router_settings settings;
    struct loop *loop;
    struct dispatch *dispatch;
    struct outcome_log *outcomes;
    struct source *source;
    struct results *results;
    bool is_durable;
    uint64_t sent, ended[OUTCOME_KIND_COUNT];
    struct {
        char text[RECORD_MAX], key[16];
        size_t len, key_len;
    } records[BATCH];
    struct link_out answers[GATEWAYS];
    char *envelopes[GATEWAYS];
    size_t envelope_lens[GATEWAYS];
} r;

/* --- wiring --- */

static void on_outcome(void *arg, const struct outcome *outcome)
{
    (void)arg;
    r.ended[outcome->kind]++;
    outcome_report(r.outcomes, outcome);
}

static void on_hold(void *arg, struct record *record)
{
    (void)arg;
    ledger_hold(dispatch_ledger(r.dispatch), record);
}

static void on_release(void *arg, struct record *record)
{
    (void)arg;
    ledger_release(dispatch_ledger(r.dispatch), record);
}

static void on_full(void *arg)
{
    (void)arg;
    CHECK(!"the window is full");
}

static void on_room(void *arg)
{
    (void)arg;
}

static void on_begin(void *arg, int32_t partition, int64_t first_offset)
{
    (void)arg, (void)partition, (void)first_offset;
}

static void on_record(void *arg, struct record *record)
{
    (void)arg;
    dispatch_accept(r.dispatch, record);
}

static void on_result(void *arg, uint32_t number, const Herald__V1__Result *result)
{
    (void)arg;
    dispatch_result(r.dispatch, number, result);
}

/* Even users are on the first gateway, odd ones on the second. */
static void route_of(const char *key, char *text_r, size_t size)
{
    unsigned long user = strtoul(strchr(key, '{') + 2, NULL, 10);
    snprintf(text_r, size, "%s %d %lu 1750000000000", gateways[user % GATEWAYS], GATEWAY_GENERATION, user + 1);
}

static void load_settings(void)
{
    static const struct option *const tables[] = {daemon_options, router_options, NULL};
    const struct option_set options = {.tables = tables, .settings = &r.settings, .program = "count", .summary = ""};
    CHECK(option_load(&options, NULL, NULL, NULL, 0, stderr) == ERR_OK);
}

static void make_dispatch(void)
{
    static const struct ledger_events events = {on_outcome, on_full, on_room};
    const struct router_settings *s = &r.settings;
    const struct dispatch_settings settings = settings_of_dispatch(s, ROUTER_ID, 1, "tcp://10.0.0.1:3");
    struct bus *bus = bus_new(r.loop);
    struct redis *redis = redis_new(r.loop, &s->redis, "main", NULL, NULL);
    r.dispatch = dispatch_new(r.loop, bus, redis, &settings, &events, NULL);
    CHECK(results_new(bus, s->link_listen, (uint32_t)s->link_hwm, (uint32_t)s->link_receive_max, &r.results) == ERR_OK);
}

static void make_source(void)
{
    static const struct source_events events = {.begin = on_begin, .record = on_record};
    static const struct outcome_events outcome_events = {on_hold, on_release, NULL};
    const struct outcome_settings settings = {
        .topic = r.settings.source.outcome_topic, .router = ROUTER_ID, .later_max = 100};
    struct kafka_producer *producer;
    CHECK(kafka_producer_new(r.loop, &r.settings.kafka, &producer) == ERR_OK);
    r.outcomes = outcome_log_new(r.loop, producer, &settings, &outcome_events, NULL);
    CHECK(source_new(r.loop, &r.settings.kafka, &r.settings.source, producer, r.outcomes, &events, NULL, &r.source) ==
          ERR_OK);
}

static void start(void)
{
    static const struct results_events events = {.result = on_result};
    metric_setup(router_metrics, 1);
    load_settings();
    r.loop = loop_new();
    fake_redis_setup(route_of, (int64_t)loop_wall_ms(r.loop));
    make_dispatch();
    make_source();
    results_start(r.results, ROUTER_ID, 1, dispatch_lanes(r.dispatch), &events, NULL);
    fake_redis_up();
    fake_redis_answer();
    CHECK(resolver_is_caching(dispatch_resolver(r.dispatch)));
    for (int g = 0; g < GATEWAYS; g++) {
        lanes_joined(dispatch_lanes(r.dispatch), gateways[g], GATEWAY_GENERATION, endpoints[g]);
        link_out_init(&r.answers[g], gateways[g], GATEWAY_GENERATION, ROUTER_ID, 1);
    }
    fake_bus_connected();
    fake_kafka_assign();
}

static void start_volatile(void)
{
    start();
}

static void start_durable(void)
{
    r.is_durable = true;
    start();
}

/* --- what is counted --- */

/* A batch of the consumer's, record by record. */
HOP(consume)(int64_t now_ms)
{
    for (int i = 0; i < BATCH; i++)
        fake_kafka_record(r.records[i].key, r.records[i].key_len, r.records[i].text, r.records[i].len, now_ms);
}

/* The lanes pack what the turn brought, and hand it to ZeroMQ. */
HOP(end_turn)(void)
{
    loop_fake_end_turn(r.loop);
}

HOP(results)(int gateway)
{
    fake_bus_receive(r.envelopes[gateway], r.envelope_lens[gateway]);
    loop_fake_end_turn(r.loop);
}

/* --- a round --- */

static void write_records(void)
{
    for (int i = 0; i < BATCH; i++) {
        unsigned long user = (unsigned long)(r.sent++ % USERS);
        r.records[i].key_len = (size_t)snprintf(r.records[i].key, sizeof(r.records[i].key), "b%lu", user);
        r.records[i].len = (size_t)snprintf(r.records[i].text, RECORD_MAX,
                                            "{\"to\":{\"user\":\"b%lu\"},\"class\":\"%s\",\"content\":" CONTENT "}",
                                            user, r.is_durable ? "durable" : "volatile");
    }
}

/* One result for each target: the gateway's part. */
static void put_answers(struct link_out *out, const Herald__V1__Delivery *delivery)
{
    char device[] = "bench";
    for (size_t i = 0; i < delivery->n_targets; i++) {
        Herald__V1__Result result = HERALD__V1__RESULT__INIT;
        result.slot = delivery->targets[i]->slot;
        result.slot_generation = delivery->targets[i]->slot_generation;
        result.kind = HERALD__V1__RESULT_KIND__RESULT_WRITTEN;
        result.gateway_ms = 1;
        if (r.is_durable) {
            result.kind = HERALD__V1__RESULT_KIND__RESULT_ACKED;
            result.device = device;
            result.seq = r.sent;
            result.client_ms = 1;
        }
        link_put_result(out, &result);
    }
}

static uint32_t answer_envelopes(void)
{
    uint32_t count = 0;
    size_t len;
    const char *to;
    for (char *bytes; (bytes = fake_bus_take(&len, &to)); free(bytes)) {
        Herald__V1__Envelope *envelope = herald__v1__envelope__unpack(NULL, len, (const uint8_t *)bytes);
        CHECK(envelope);
        for (size_t i = 0; i < envelope->n_deliveries; i++, count++)
            put_answers(&r.answers[strcmp(to, endpoints[1]) == 0], envelope->deliveries[i]);
        herald__v1__envelope__free_unpacked(envelope, NULL);
    }
    for (int g = 0; g < GATEWAYS; g++)
        r.envelopes[g] = link_take(&r.answers[g], &r.envelope_lens[g]);
    return count;
}

static void round_of_messages(void)
{
    bool is_first = r.sent == 0;
    write_records();
    hop_consume((int64_t)loop_wall_ms(r.loop));
    if (is_first)
        source_begin(r.source, 0, LIFE, 3);
    hop_end_turn();
    if (r.sent <= USERS) { /* it warms up: their routes are asked for */
        fake_redis_answer();
        loop_fake_end_turn(r.loop);
    }
    CHECK(answer_envelopes() == BATCH);
    for (int g = 0; g < GATEWAYS; g++) {
        hop_results(g);
        free(r.envelopes[g]);
    }
    CHECK(r.ended[r.is_durable ? OUTCOME_ACKED : OUTCOME_WRITTEN] == r.sent);
    CHECK(fake_kafka_committed() == (int64_t)r.sent);
}

int main(int argc, char **argv)
{
    static const struct script scripts[] = {
        {"volatile", BATCH, start_volatile, round_of_messages},
        {"durable", BATCH, start_durable, round_of_messages},
    };
    return count_main(argc, argv, scripts, sizeof(scripts) / sizeof(scripts[0]));
}
