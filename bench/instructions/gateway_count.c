/*
 * What a message costs a gateway worker, in instructions (count.h): from ZeroMQ's envelope to sendmsg(), the client's
 * acknowledgement, the results back to the router; a broadcast; and what a connection costs, from accept() to the
 * auth_response and from the client's end to the route's removal. Wired as in gateway/worker.c. Sockets are real ones,
 * on the loopback: the kernel's part is not in the count.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "bench/instructions/count.h"
#include "bench/instructions/fake_bus.h"
#include "bench/instructions/fake_redis.h"
#include "common/check.h"
#include "common/jwt_sign.h"
#include "common/link.h"
#include "common/loop_fake.h"
#include "common/net.h"
#include "gateway/link/box_fates.h"
#include "gateway/metrics.h"
#include "gateway/settings.h"

enum {
    STANDING = 2 * BATCH, /* connections that messages go to */
    CONNECTIONS = STANDING + BATCH,
    GENERATION = 7,
    ROUTER_GENERATION = 1,
    LIFE = 1700000000,
    TRIES = 10000,
    TRY_US = 100,
    FDS = 16 /* those of the loop are the lowest */
};

#define INSTANCE "node1-0"
#define ROUTER_ID "node1-r0"
#define LOCALHOST "127.0.0.1"

static struct {
    struct gateway_settings settings;
    struct loop *loop;
    struct bus *bus;
    struct redis *redis;
    struct auth *auth;
    struct inbox *inbox;
    struct peers *peers;
    struct returns *returns;
    struct upstream *upstream;
    struct box_fates *box_fates;
    struct sessions *sessions;
    struct conns *conns;
    int listener;
    int clients[CONNECTIONS];
    char requests[CONNECTIONS][1024];
    uint64_t seqs[STANDING]; /* of the last durable push that each has */
    uint64_t sent, run;
    bool is_durable;
    char *envelope;
    size_t envelope_len;
} g;

/* --- wiring --- */

static void on_result(void *arg, void *receipt, const struct session_result *result)
{
    (void)arg;
    returns_report(g.returns, receipt, result);
}

static enum err on_upstream(void *arg, struct session *s, const struct upstream_request *request)
{
    (void)arg;
    return upstream_send(g.upstream, s, request);
}

static void on_letter(void *arg, const char *user, const char *device, const struct letter *letter)
{
    (void)arg;
    box_fates_tell(g.box_fates, user, device, letter);
}

static void load_settings(void)
{
    static const struct option *const tables[] = {daemon_options, gateway_options, NULL};
    static const char *const set[] = {"auth.secret=" JWT_DEV_SECRET};
    const struct option_set options = {.tables = tables, .settings = &g.settings, .program = "count", .summary = ""};
    CHECK(option_load(&options, NULL, NULL, set, sizeof(set) / sizeof(set[0]), stderr) == ERR_OK);
}

static void make_link(void)
{
    const struct gateway_settings *s = &g.settings;
    const struct inbox_parts parts = {g.loop, g.bus, INSTANCE, GENERATION};
    CHECK(inbox_new(&parts, &s->inbox, &g.inbox) == ERR_OK);
    g.peers = peers_new(g.loop, g.bus, &s->peers, INSTANCE, GENERATION, "tcp://10.0.0.1:1");
    g.returns = returns_new(g.loop);
    g.upstream = upstream_new(g.loop, g.peers, &s->upstream);
    g.box_fates = box_fates_new(g.loop, g.peers, (uint32_t)s->box_fates_max);
}

static void make_sessions(void)
{
    static const struct session_events events = {on_result, on_upstream, on_letter};
    const struct gateway_settings *s = &g.settings;
    g.sessions = sessions_new(&(struct sessions_parts){.loop = g.loop,
                                                       .settings = &s->session,
                                                       .auth = g.auth,
                                                       .redis = g.redis,
                                                       .redis_options = &s->redis,
                                                       .instance = INSTANCE,
                                                       .generation = GENERATION,
                                                       .events = &events});
    inbox_start(g.inbox, g.peers, g.returns, g.upstream, g.box_fates, g.sessions);
    g.conns = conns_new(g.loop, &s->conn, &sessions_conn_events, g.sessions);
    sessions_start(g.sessions, g.conns);
}

static void on_redis(void *arg, bool is_up)
{
    (void)arg;
    sessions_redis_state(g.sessions, is_up);
}

/* The router's first words. */
static void say_hello(void)
{
    Herald__V1__Hello hello = HERALD__V1__HELLO__INIT;
    struct link_out out;
    char endpoint[] = "tcp://10.0.0.1:3";
    size_t len;
    hello.endpoint = endpoint;
    hello.sent_us = 1;
    link_out_init(&out, ROUTER_ID, ROUTER_GENERATION, INSTANCE, GENERATION);
    link_put_hello(&out, &hello);
    char *bytes = link_take(&out, &len);
    fake_bus_receive(bytes, len);
    free(bytes);
    fake_bus_connected();
    loop_fake_end_turn(g.loop);
}

static void start(void)
{
    metric_setup(gateway_metrics, 1);
    load_settings();
    g.loop = loop_new();
    fake_redis_setup(NULL, (int64_t)loop_wall_ms(g.loop));
    CHECK(auth_new(&g.settings.auth, &g.auth) == ERR_OK);
    CHECK(net_listen(LOCALHOST, 0, CONNECTIONS, false, &g.listener) == ERR_OK);
    g.bus = bus_new(g.loop);
    g.redis = redis_new(g.loop, &g.settings.redis, "commands", on_redis, NULL);
    make_link();
    make_sessions();
    conns_start_accepting(g.conns, g.listener);
    fake_redis_up();
    fake_redis_answer();
    say_hello();
}

/* --- what is counted --- */

/* A turn of the loop for each descriptor that it watches: the listener, and the set of the connections. */
static void turn(void)
{
    for (int fd = 0; fd < FDS; fd++)
        (void)loop_fake_ready(g.loop, fd, LOOP_READ);
}

/* accept(), the request, the token, the session, its registration; and 101 to the client. */
HOP(handshake)(void)
{
    turn();
}

/* Redis has the route: auth_response. */
HOP(registered)(void)
{
    fake_redis_answer();
    loop_fake_end_turn(g.loop);
}

HOP(deliver)(void)
{
    fake_bus_receive(g.envelope, g.envelope_len);
}

/* One sendmsg() a connection. */
HOP(write)(void)
{
    loop_fake_end_turn(g.loop);
}

HOP(ack)(void)
{
    turn();
}

/* The results that waited for company leave. */
HOP(results)(void)
{
    loop_fake_advance(g.loop, (uint64_t)g.settings.peers.results_delay_ms);
}

HOP(leave)(void)
{
    turn();
    fake_redis_answer();
}

/* --- the clients --- */

static void pause_for_kernel(int *tries)
{
    CHECK(++*tries < TRIES);
    usleep(TRY_US);
}

static void connect_client(int i)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(net_local_port(g.listener))};
    inet_pton(AF_INET, LOCALHOST, &address.sin_addr);
    g.clients[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(g.clients[i] >= 0 && connect(g.clients[i], (struct sockaddr *)&address, sizeof(address)) == 0);
    size_t len = strlen(g.requests[i]);
    CHECK(send(g.clients[i], g.requests[i], len, MSG_NOSIGNAL) == (ssize_t)len);
}

static void write_request(int i)
{
    char user[16];
    snprintf(user, sizeof(user), "b%d", i);
    uint64_t now_s = loop_wall_ms(g.loop) / 1000;
    char *token = jwt_sign_hs256(&(struct jwt_claims){.user = user, .issued_s = now_s, .expires_s = now_s + 86400},
                                 JWT_DEV_SECRET, strlen(JWT_DEV_SECRET));
    snprintf(g.requests[i], sizeof(g.requests[i]),
             "GET /ws?device=bench&token=%s HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\n"
             "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
             token);
    free(token);
}

static void connect_some(int first, int count)
{
    int tries = 0;
    uint32_t before = conns_count(g.conns, CONN_OPEN);
    for (int i = first; i < first + count; i++)
        connect_client(i);
    while (conns_count(g.conns, CONN_OPEN) < before + (uint32_t)count) {
        hop_handshake();
        pause_for_kernel(&tries);
    }
    hop_registered();
}

static void connect_standing(void)
{
    for (int i = 0; i < CONNECTIONS; i++)
        write_request(i);
    connect_some(0, BATCH);
    connect_some(BATCH, STANDING - BATCH);
}

/* Reads everything that is there; returns how often `what` stood in it. */
static uint32_t read_client(int i, const char *what)
{
    static char bytes[65536];
    uint32_t found = 0;
    ssize_t n = recv(g.clients[i], bytes, sizeof(bytes) - 1, MSG_DONTWAIT);
    bytes[n > 0 ? n : 0] = '\0';
    for (const char *at = bytes, *end = bytes + (n > 0 ? n : 0); at < end; at += strlen(at) + 1) {
        for (const char *hit = at; (hit = strstr(hit, what)); hit++)
            found++;
        const char *seq = strstr(at, "\"seq\":");
        if (seq && i < STANDING)
            g.seqs[i] = strtoull(seq + 6, NULL, 10);
    }
    return found;
}

static void read_clients(int first, int count, const char *what)
{
    int tries = 0;
    for (int i = first; i < first + count; i++)
        while (read_client(i, what) == 0)
            pause_for_kernel(&tries);
}

static void send_acks(int first, int count)
{
    for (int i = first; i < first + count; i++) {
        char frame[128];
        int len = snprintf(frame + 6, sizeof(frame) - 6, "{\"type\":\"ack\",\"seq\":%llu}",
                           (unsigned long long)g.seqs[i]);
        frame[0] = (char)0x81;
        frame[1] = (char)(0x80 | len);
        memset(frame + 2, 0, 4); /* a mask of zeros changes nothing */
        CHECK(send(g.clients[i], frame, (size_t)len + 6, MSG_NOSIGNAL) == len + 6);
    }
}

/* --- the router --- */

static void put_delivery(struct link_out *out, char *user, Herald__V1__Kind kind)
{
    char id[32], source[32], empty[] = "";
    Herald__V1__Target target = HERALD__V1__TARGET__INIT, *targets[] = {&target};
    Herald__V1__Delivery delivery = HERALD__V1__DELIVERY__INIT;
    g.sent++;
    snprintf(id, sizeof(id), "herald.push-0-%llu", (unsigned long long)g.sent);
    snprintf(source, sizeof(source), "herald.push/0/%llu", (unsigned long long)g.sent);
    delivery.id = id;
    delivery.source = source;
    delivery.kind = kind;
    delivery.class_ = g.is_durable ? HERALD__V1__CLASS__CLASS_DURABLE : HERALD__V1__CLASS__CLASS_VOLATILE;
    delivery.content = (ProtobufCBinaryData){sizeof(CONTENT) - 1, (uint8_t *)(uintptr_t)CONTENT};
    delivery.timestamp_ms = (int64_t)loop_wall_ms(g.loop);
    delivery.life = LIFE;
    delivery.generation = 3;
    delivery.targets = targets;
    delivery.n_targets = 1;
    target.user = user ? user : empty;
    target.slot = (uint32_t)g.sent % 1000;
    target.slot_generation = (uint32_t)g.sent / 1000;
    target.run = g.is_durable ? LIFE + g.sent : 0;
    link_put_delivery(out, &delivery);
}

static void take_envelope(struct link_out *out)
{
    g.envelope = link_take(out, &g.envelope_len);
    link_out_release(out);
}

/* What went to the router; how many results there were. */
static uint32_t take_results(void)
{
    uint32_t count = 0;
    size_t len;
    const char *to;
    for (char *bytes; (bytes = fake_bus_take(&len, &to)); free(bytes)) {
        Herald__V1__Envelope *envelope = herald__v1__envelope__unpack(NULL, len, (const uint8_t *)bytes);
        CHECK(envelope);
        for (size_t i = 0; i < envelope->n_results; i++)
            count += envelope->results[i]->kind == HERALD__V1__RESULT_KIND__RESULT_WRITTEN ||
                     envelope->results[i]->kind == HERALD__V1__RESULT_KIND__RESULT_ACKED;
        herald__v1__envelope__free_unpacked(envelope, NULL);
    }
    return count;
}

/* --- rounds --- */

static void start_delivery(void)
{
    start();
    connect_standing();
    read_clients(0, STANDING, "auth_response");
}

static void start_durable(void)
{
    g.is_durable = true;
    start_delivery();
}

static void round_of_messages(void)
{
    int first = (int)(g.sent % STANDING), tries = 0;
    struct link_out out;
    link_out_init(&out, ROUTER_ID, ROUTER_GENERATION, INSTANCE, GENERATION);
    for (int i = first; i < first + BATCH; i++) {
        char user[16];
        snprintf(user, sizeof(user), "b%d", i);
        put_delivery(&out, user, HERALD__V1__KIND__KIND_PUSH);
    }
    take_envelope(&out);
    hop_deliver();
    hop_write();
    free(g.envelope);
    read_clients(first, BATCH, "\"push\"");
    if (g.is_durable)
        send_acks(first, BATCH);
    uint32_t results = 0;
    while (results < BATCH) {
        if (g.is_durable)
            hop_ack();
        hop_results();
        results += take_results();
        if (results < BATCH)
            pause_for_kernel(&tries);
    }
}

/* One message, STANDING frames. */
static void round_of_broadcast(void)
{
    struct link_out out;
    link_out_init(&out, ROUTER_ID, ROUTER_GENERATION, INSTANCE, GENERATION);
    put_delivery(&out, NULL, HERALD__V1__KIND__KIND_BROADCAST);
    take_envelope(&out);
    hop_deliver();
    hop_write();
    free(g.envelope);
    read_clients(0, STANDING, "\"broadcast\"");
    hop_results();
    CHECK(take_results() == 1);
}

static void round_of_connections(void)
{
    int tries = 0;
    connect_some(STANDING, BATCH);
    read_clients(STANDING, BATCH, "auth_response");
    for (int i = STANDING; i < STANDING + BATCH; i++)
        close(g.clients[i]);
    while (conns_count(g.conns, CONN_OPEN) > STANDING) {
        hop_leave();
        pause_for_kernel(&tries);
    }
}

int main(int argc, char **argv)
{
    static const struct script scripts[] = {
        {"volatile", BATCH, start_delivery, round_of_messages},
        {"durable", BATCH, start_durable, round_of_messages},
        {"broadcast", STANDING, start_delivery, round_of_broadcast},
        {"connection", BATCH, start_delivery, round_of_connections},
    };
    return count_main(argc, argv, scripts, sizeof(scripts) / sizeof(scripts[0]));
}
