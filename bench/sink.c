/*
 * In place of gateways, to measure the router alone: one instance with a lease, where all users have a route, that
 * takes deliveries and acknowledges each at once. Results wait up to 3 ms for company, as the gateway's do
 * (link.results_delay). Numbers of each user are judged as the load client does it.
 *
 *     herald-sink --redis HOST:PORT --users N [--prefix P] --expect N[,N...]
 *
 * Prints "ready" when the routes are written and a router has said hello, then a line of JSON each time that many
 * messages more have come. Goes on until it is killed: leaving would leave the router with what is unacknowledged.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/order.h"
#include "common/bus.h"
#include "common/check.h"
#include "common/clock.h"
#include "common/lease.h"
#include "common/link.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/redis.h"

enum {
    HWM = 20000,
    ENVELOPE_MAX = 4 << 20,
    ARENA_MAX = 64 << 20,
    RESULTS_DELAY_MS = 3,
    ROUTES_AT_ONCE = 1000,
    ROUTERS_MAX = 8
};
static const char instance[] = "sink-0";

struct sink;

struct sink_router {
    struct sink *sink;
    char *name, *endpoint;
    uint64_t generation;
    bool is_connected;
    struct bus_push *push;
    struct link_out out;
};

struct sink {
    struct loop *loop;
    struct bus *bus;
    struct bus_pull *pull;
    struct redis *redis;
    struct lease *lease;
    struct link_arena *arena;
    struct loop_timer *results;
    bool is_results_running;
    char endpoint[64];
    uint64_t generation;
    const char *prefix, *expect;
    uint32_t users, routes_sent, routes_written;
    bool has_said_ready;
    struct sink_router routers[ROUTERS_MAX];
    size_t router_count;
    struct order *orders;
    uint64_t received, lost, late, repeated, left, begun_us, envelopes;
};

static void say_ready(struct sink *sink)
{
    if (sink->has_said_ready || sink->router_count == 0 || sink->routes_written < sink->users)
        return;
    sink->has_said_ready = true;
    printf("ready\n");
    fflush(stdout);
}

/* --- routes ----------------------------------------------------------------------------------------------------------
 */

static void write_routes(struct sink *sink);

static void on_route(void *arg, enum err err, const struct redis_reply *reply)
{
    struct sink *sink = arg;
    (void)reply;
    CHECK(err == ERR_OK);
    if (++sink->routes_written == sink->routes_sent)
        write_routes(sink);
    say_ready(sink);
}

static void write_routes(struct sink *sink)
{
    for (uint32_t i = 0; i < ROUTES_AT_ONCE && sink->routes_sent < sink->users; i++) {
        char key[96], value[96];
        snprintf(key, sizeof key, "herald:route:{%s%u}", sink->prefix, sink->routes_sent);
        snprintf(value, sizeof value, "%s %lu %u %lu", instance, (unsigned long)sink->generation, sink->routes_sent + 1,
                 (unsigned long)sink->generation);
        CHECK(redis_words(sink->redis, on_route, sink, "HSET", key, "bench", value, NULL) == ERR_OK);
        sink->routes_sent++;
    }
}

static void on_state(void *arg, bool is_up)
{
    struct sink *sink = arg;
    if (!is_up)
        return;
    lease_renew(sink->lease);
    if (sink->routes_sent == 0)
        write_routes(sink);
}

static void fill(void *arg, Herald__V1__Lease *lease)
{
    const struct sink *sink = arg;
    lease->users = lease->sessions = lease->connections = sink->users;
}

static void lost(void *arg)
{
    (void)arg;
    CHECK(!"another sink runs");
}

/* --- routers ---------------------------------------------------------------------------------------------------------
 */

static void send_out(struct sink_router *router)
{
    size_t len;
    char *bytes = router->is_connected ? link_take(&router->out, &len) : NULL;
    if (bytes)
        CHECK(bus_push_send(router->push, bytes, len) == ERR_OK);
}

static void send_results(void *arg)
{
    struct sink *sink = arg;
    sink->is_results_running = false;
    for (size_t i = 0; i < sink->router_count; i++)
        send_out(&sink->routers[i]);
}

static void on_event(void *arg, enum bus_event event)
{
    struct sink_router *router = arg;
    router->is_connected = event == BUS_CONNECTED;
    send_out(router);
}

static struct sink_router *router_of(struct sink *sink, const Herald__V1__Envelope *e)
{
    for (size_t i = 0; i < sink->router_count; i++)
        if (strcmp(sink->routers[i].name, e->from) == 0 && sink->routers[i].generation == e->from_generation)
            return &sink->routers[i];
    CHECK(e->hello && sink->router_count < ROUTERS_MAX);
    struct sink_router *router = &sink->routers[sink->router_count++];
    *router = (struct sink_router){.sink = sink,
                                   .name = xstrdup(e->from),
                                   .endpoint = xstrdup(e->hello->endpoint),
                                   .generation = e->from_generation};
    CHECK(bus_push_connect(sink->bus, router->endpoint, HWM, on_event, NULL, router, &router->push) == ERR_OK);
    link_out_init(&router->out, instance, sink->generation, router->name, router->generation);
    say_ready(sink);
    return router;
}

static void answer_hello(struct sink *sink, struct sink_router *router, const Herald__V1__Hello *hello)
{
    Herald__V1__Hello mine = HERALD__V1__HELLO__INIT;
    mine.endpoint = sink->endpoint;
    mine.sent_us = clock_wall_us();
    mine.echo_us = hello->sent_us;
    link_put_hello(&router->out, &mine);
    send_out(router);
}

/* --- deliveries ------------------------------------------------------------------------------------------------------
 */

static void judge(struct sink *sink, const char *user, const Herald__V1__Delivery *delivery)
{
    static const char head[] = "{\"s\":0,\"n\":";
    size_t prefix_len = strlen(sink->prefix);
    if (strncmp(user, sink->prefix, prefix_len) != 0 || delivery->content.len < sizeof head ||
        memcmp(delivery->content.data, head, sizeof head - 1) != 0)
        return;
    uint32_t index = (uint32_t)strtoul(user + prefix_len, NULL, 10), missed;
    CHECK(index < sink->users);
    /* content is followed by other bytes of the envelope, and ends with a brace */
    uint32_t number = (uint32_t)strtoul((const char *)delivery->content.data + sizeof head - 1, NULL, 10);
    enum order_verdict verdict = order_take(&sink->orders[index], number, &missed);
    sink->lost += missed;
    sink->lost -= verdict == ORDER_LATE;
    sink->late += verdict == ORDER_LATE;
    sink->repeated += verdict == ORDER_REPEATED;
    if (sink->received == 0)
        sink->begun_us = clock_mono_us();
    sink->received++;
    sink->left--;
}

static void report(struct sink *sink)
{
    printf(
        "{\"received\": %lu, \"lost\": %lu, \"late\": %lu, \"repeated\": %lu, \"envelopes\": %lu, \"seconds\": %.4f}\n",
        (unsigned long)sink->received, (unsigned long)sink->lost, (unsigned long)sink->late,
        (unsigned long)sink->repeated, (unsigned long)sink->envelopes,
        (double)(clock_mono_us() - sink->begun_us) / 1e6);
    fflush(stdout);
}

static void next_expectation(struct sink *sink)
{
    sink->left = strtoull(sink->expect, NULL, 10);
    const char *comma = strchr(sink->expect, ',');
    sink->expect = comma ? comma + 1 : "";
}

static void deliver(struct sink *sink, struct sink_router *router, const Herald__V1__Delivery *delivery)
{
    bool is_durable = delivery->class_ == HERALD__V1__CLASS__CLASS_DURABLE;
    for (size_t i = 0; i < delivery->n_targets; i++) {
        const Herald__V1__Target *target = delivery->targets[i];
        Herald__V1__Result result = HERALD__V1__RESULT__INIT;
        result.slot = target->slot;
        result.slot_generation = target->slot_generation;
        result.kind = is_durable ? HERALD__V1__RESULT_KIND__RESULT_ACKED : HERALD__V1__RESULT_KIND__RESULT_WRITTEN;
        result.device = (char *)(is_durable ? "bench" : "");
        link_put_result(&router->out, &result);
        uint64_t before = sink->received;
        judge(sink, target->user, delivery);
        if (sink->left == 0 && sink->received > before) {
            report(sink);
            next_expectation(sink);
        }
    }
}

static void on_envelope(void *arg, const void *bytes, size_t len)
{
    struct sink *sink = arg;
    const Herald__V1__Envelope *e;
    if (link_unpack(sink->arena, bytes, len, instance, sink->generation, &e) != ERR_OK)
        return;
    struct sink_router *router = router_of(sink, e);
    sink->envelopes++;
    if (e->hello)
        answer_hello(sink, router, e->hello);
    for (size_t i = 0; i < e->n_deliveries; i++)
        deliver(sink, router, e->deliveries[i]);
    if (router->out.packed.len > (64 << 10))
        send_out(router);
    if (router->out.pieces > 0 && !sink->is_results_running) {
        sink->is_results_running = true;
        loop_timer_start(sink->results, RESULTS_DELAY_MS, 0);
    }
}

/* --- the whole -------------------------------------------------------------------------------------------------------
 */

static void start(struct sink *sink, const char *redis_address)
{
    sink->loop = loop_new();
    sink->bus = bus_new(sink->loop);
    sink->generation = clock_wall_ms();
    sink->arena = link_arena_new(ARENA_MAX);
    sink->orders = xcalloc(sink->users, sizeof *sink->orders);
    sink->results = loop_timer_new(sink->loop, send_results, sink);
    CHECK(bus_pull_bind(sink->bus, "tcp://127.0.0.1:*", HWM, ENVELOPE_MAX, on_envelope, sink, &sink->pull) == ERR_OK);
    snprintf(sink->endpoint, sizeof sink->endpoint, "tcp://127.0.0.1:%u", bus_pull_port(sink->pull));
    struct redis_options options = {.address = (char *)redis_address,
                                    .user = (char *)"",
                                    .password = (char *)"",
                                    .pending_max = 100000,
                                    .connect_timeout_ms = 2000,
                                    .backoff_max_ms = 1000};
    sink->redis = redis_new(sink->loop, &options, "redis", on_state, sink);
    Herald__V1__Lease lease = HERALD__V1__LEASE__INIT;
    lease.instance = (char *)instance;
    lease.generation = sink->generation;
    lease.role = HERALD__V1__ROLE__ROLE_GATEWAY;
    lease.endpoint = sink->endpoint;
    lease.version = (char *)"bench";
    lease.started_ms = sink->generation;
    sink->lease = lease_new(sink->loop, sink->redis, &lease, fill, lost, sink);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"redis", required_argument, NULL, 'r'},
                                            {"users", required_argument, NULL, 'u'},
                                            {"prefix", required_argument, NULL, 'p'},
                                            {"expect", required_argument, NULL, 'e'},
                                            {NULL, 0, NULL, 0}};
    struct sink sink = {.prefix = "b", .users = 10000};
    const char *redis_address = NULL;
    int c;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == 'r')
            redis_address = optarg;
        else if (c == 'u')
            sink.users = (uint32_t)strtoul(optarg, NULL, 10);
        else if (c == 'p')
            sink.prefix = optarg;
        else if (c == 'e')
            sink.expect = optarg;
    }
    if (!redis_address || !sink.expect || sink.users == 0) {
        fprintf(stderr, "usage: herald-sink --redis HOST:PORT --users N [--prefix P] --expect N[,N...]\n");
        return 2;
    }
    log_setup(LOG_WARN, LOG_FORMAT_TEXT, "sink", instance);
    start(&sink, redis_address);
    next_expectation(&sink);
    loop_run(sink.loop);
    return 0;
}
