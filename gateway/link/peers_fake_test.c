/* The routers that a worker knows, on the fake loop: their hellos, lives, silences, and what is collected for them. */
#include "gateway/link/peers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bus_fake.h"
#include "common/check.h"
#include "common/loop_fake.h"
#include "common/metric.h"
#include "gateway/metrics.h"

enum { SILENCE_MS = 10000, HELD_MAX = 2000, DELAY_MS = 2, PUSHES = 8 };

struct bus_push {
    char endpoint[64];
    bus_event_fn *on_event;
    void *arg;
};

static struct {
    struct loop *loop;
    struct peers *peers;
    struct bus_push *pushes[PUSHES]; /* in the order of connecting; NULL once freed */
    int push_count;
    bool is_full, is_refused; /* ZeroMQ takes nothing; no more sockets */
    int envelopes, results, hellos;
    uint64_t echo_us, to_generation;
    char to[32], endpoint[64];
    size_t bytes; /* of the last envelope */
} t;

/* --- common/bus.h --- */

enum err bus_push_connect(struct bus *bus, const char *endpoint, int hwm, bus_event_fn *on_event, loop_fn *on_room,
                          void *arg, struct bus_push **push_r)
{
    (void)bus, (void)hwm, (void)on_room;
    if (t.is_refused)
        return ERR_FULL;
    CHECK(t.push_count < PUSHES);
    struct bus_push *push = xcalloc(1, sizeof(*push));
    snprintf(push->endpoint, sizeof(push->endpoint), "%s", endpoint);
    push->on_event = on_event;
    push->arg = arg;
    t.pushes[t.push_count++] = push;
    *push_r = push;
    return ERR_OK;
}

enum err bus_push_send(struct bus_push *push, void *bytes, size_t len)
{
    Herald__V1__Envelope *envelope = herald__v1__envelope__unpack(NULL, len, bytes);
    (void)push;
    free(bytes);
    CHECK(envelope);
    if (!t.is_full) {
        t.envelopes++;
        t.bytes = len;
        t.results += (int)envelope->n_results;
        snprintf(t.to, sizeof(t.to), "%s", envelope->to);
        t.to_generation = envelope->to_generation;
        if (envelope->hello) {
            t.hellos++;
            t.echo_us = envelope->hello->echo_us;
            snprintf(t.endpoint, sizeof(t.endpoint), "%s", envelope->hello->endpoint);
        }
    }
    herald__v1__envelope__free_unpacked(envelope, NULL);
    return t.is_full ? ERR_FULL : ERR_OK;
}

void bus_push_free(struct bus_push **push)
{
    for (int i = 0; i < t.push_count; i++)
        if (t.pushes[i] == *push)
            t.pushes[i] = NULL;
    free(*push);
    *push = NULL;
}

/* --- what the test does --- */

static int setup(void **state)
{
    static const struct peers_settings settings = {.peers_max = 3,
                                                   .silence_ms = SILENCE_MS,
                                                   .envelope_max = 1000,
                                                   .held_max = HELD_MAX,
                                                   .hwm = 10,
                                                   .results_delay_ms = DELAY_MS};
    (void)state;
    memset(&t, 0, sizeof(t));
    t.loop = loop_new();
    t.peers = peers_new(t.loop, NULL, &settings, "gw1-0", 100, "tcp://127.0.0.1:7");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    peers_free(&t.peers);
    for (int i = 0; i < t.push_count; i++)
        assert_null(t.pushes[i]);
    loop_free(&t.loop);
    return 0;
}

static enum err hello(const char *name, uint64_t generation, const char *endpoint)
{
    Herald__V1__Hello h = HERALD__V1__HELLO__INIT;
    h.endpoint = (char *)(uintptr_t)endpoint;
    h.sent_us = 4711;
    enum err err = peers_hello(t.peers, name, generation, &h);
    loop_fake_end_turn(t.loop);
    return err;
}

static void connect_last(bool is_up)
{
    struct bus_push *push = t.pushes[t.push_count - 1];
    push->on_event(push->arg, is_up ? BUS_CONNECTED : BUS_DISCONNECTED);
    loop_fake_end_turn(t.loop);
}

static struct peer *known(const char *name)
{
    assert_int_equal(hello(name, 5, "tcp://127.0.0.1:1"), ERR_OK);
    connect_last(true);
    return peers_find(t.peers, name, 5);
}

static bool put(struct peer *peer, int kind)
{
    Herald__V1__Result result = HERALD__V1__RESULT__INIT;
    result.kind = (Herald__V1__ResultKind)kind;
    result.slot = 1;
    return peer_put_result(peer, &result);
}

enum { ACKED = HERALD__V1__RESULT_KIND__RESULT_ACKED, REFUSED = HERALD__V1__RESULT_KIND__RESULT_REFUSED };

/* --- hellos and lives --- */

static void test_hello_is_answered(void **state)
{
    (void)state;
    assert_int_equal(hello("rt1-r0", 5, "tcp://127.0.0.1:1"), ERR_OK);
    assert_string_equal(t.pushes[0]->endpoint, "tcp://127.0.0.1:1");
    assert_int_equal(t.envelopes, 0);
    for (int i = 0; i < 5; i++) /* while the connection is not up one answer waits, not five */
        assert_int_equal(hello("rt1-r0", 5, "tcp://127.0.0.1:1"), ERR_OK);
    connect_last(true);
    assert_int_equal(t.envelopes, 1);
    assert_int_equal(t.hellos, 1);
    assert_in_range(t.bytes, 20, 120);
    assert_int_equal(t.echo_us, 4711);
    assert_string_equal(t.to, "rt1-r0");
    assert_int_equal(t.to_generation, 5);
    assert_string_equal(t.endpoint, "tcp://127.0.0.1:7");
    assert_int_equal(t.push_count, 1);
}

static void test_next_life_replaces_the_one_before(void **state)
{
    (void)state;
    (void)known("rt1-r0");
    assert_int_equal(hello("rt1-r0", 6, "tcp://127.0.0.1:2"), ERR_OK);
    assert_null(t.pushes[0]);
    assert_null(peers_find(t.peers, "rt1-r0", 5));
    assert_non_null(peers_find(t.peers, "rt1-r0", 6));
    assert_int_equal(hello("rt1-r0", 5, "tcp://127.0.0.1:1"), ERR_REFUSED); /* last words */
    assert_non_null(peers_find(t.peers, "rt1-r0", 6));
}

static void test_moved_endpoint_is_followed(void **state)
{
    (void)state;
    (void)known("rt1-r0");
    assert_int_equal(hello("rt1-r0", 5, "tcp://127.0.0.1:9"), ERR_OK);
    assert_null(t.pushes[0]);
    assert_string_equal(t.pushes[1]->endpoint, "tcp://127.0.0.1:9");
}

static void test_what_cannot_be_a_router(void **state)
{
    (void)state;
    char longest[200];
    memset(longest, 'r', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    assert_int_equal(hello("", 5, "tcp://127.0.0.1:1"), ERR_INVALID);
    assert_int_equal(hello(longest, 5, "tcp://127.0.0.1:1"), ERR_INVALID);
    assert_int_equal(hello("rt1-r0", 5, ""), ERR_INVALID);
    t.is_refused = true;
    assert_int_equal(hello("rt1-r0", 5, "tcp://127.0.0.1:1"), ERR_FULL);
    assert_null(peers_named(t.peers, "rt1-r0"));
    t.is_refused = false;
    assert_int_equal(hello("a", 5, "tcp://1"), ERR_OK);
    assert_int_equal(hello("b", 5, "tcp://1"), ERR_OK);
    assert_int_equal(hello("c", 5, "tcp://1"), ERR_OK);
    assert_int_equal(hello("d", 5, "tcp://1"), ERR_FULL);
    assert_int_equal(hello("c", 5, "tcp://1"), ERR_OK); /* one that is known */
}

/* --- silence --- */

static void test_silent_one_is_dropped(void **state)
{
    (void)state;
    struct peer *peer = peer_ref(known("rt1-r0"));
    for (int i = 0; i < 8; i++)
        loop_fake_advance(t.loop, 1000);
    assert_int_equal(hello("rt1-r0", 5, "tcp://127.0.0.1:1"), ERR_OK);
    for (int i = 0; i < 10; i++)
        loop_fake_advance(t.loop, 1000);
    assert_non_null(peers_named(t.peers, "rt1-r0"));
    for (int i = 0; i < 3; i++)
        loop_fake_advance(t.loop, 1000);
    assert_null(peers_named(t.peers, "rt1-r0"));
    assert_null(t.pushes[0]);
    assert_false(put(peer, ACKED)); /* the memory is still there */
    peer_unref(&peer);
}

/* --- collecting --- */

static void test_a_turn_is_one_envelope(void **state)
{
    (void)state;
    struct peer *peer = known("rt1-r0");
    int before = t.envelopes;
    for (int i = 0; i < 10; i++)
        assert_true(put(peer, REFUSED));
    assert_int_equal(t.envelopes, before);
    loop_fake_end_turn(t.loop);
    assert_int_equal(t.envelopes, before + 1);
    assert_int_equal(t.results, 10);
}

/* Good ones wait for company, not longer than they may; a bad one takes them along. */
static void test_good_results_wait(void **state)
{
    (void)state;
    struct peer *peer = known("rt1-r0");
    assert_true(put(peer, ACKED));
    loop_fake_end_turn(t.loop);
    assert_int_equal(t.results, 0);
    loop_fake_advance(t.loop, DELAY_MS);
    assert_int_equal(t.results, 1);
    assert_true(put(peer, ACKED));
    assert_true(put(peer, REFUSED));
    loop_fake_end_turn(t.loop);
    assert_int_equal(t.results, 3);
}

static void test_large_one_leaves_earlier(void **state)
{
    (void)state;
    struct peer *peer = known("rt1-r0");
    for (int i = 0; i < 400; i++)
        assert_true(put(peer, ACKED));
    assert_true(t.results > 200);
}

static void test_held_while_not_connected_and_bounded(void **state)
{
    (void)state;
    struct peer *peer = known("rt1-r0");
    int taken = 0;
    connect_last(false);
    while (put(peer, REFUSED))
        assert_true(++taken < HELD_MAX);
    loop_fake_advance(t.loop, 100);
    assert_int_equal(t.results, 0);
    assert_true(taken > HELD_MAX / 20);
    connect_last(true);
    assert_int_equal(t.results, taken);
    assert_true(put(peer, REFUSED));
}

/* ZeroMQ has no room: lost, counted, and the next ones go. */
static void test_lost_envelope_is_counted(void **state)
{
    (void)state;
    struct peer *peer = known("rt1-r0");
    uint64_t lost = metric_get(METRIC_RESULTS_LOST);
    t.is_full = true;
    assert_true(put(peer, REFUSED));
    loop_fake_end_turn(t.loop);
    assert_int_equal(metric_get(METRIC_RESULTS_LOST), lost + 1);
    t.is_full = false;
    assert_true(put(peer, REFUSED));
    loop_fake_end_turn(t.loop);
    assert_int_equal(t.results, 1);
}

/* The same router for a key, whoever else comes and goes. */
static void test_pick_is_stable(void **state)
{
    (void)state;
    char key[16];
    const struct peer *before[40];
    assert_null(peers_pick(t.peers, "u", 1));
    struct peer *a = known("rt1-r0"), *b = known("rt2-r0");
    int of_a = 0, moved = 0;
    for (int i = 0; i < 40; i++) {
        snprintf(key, sizeof(key), "u%d", i);
        before[i] = peers_pick(t.peers, key, strlen(key));
        of_a += before[i] == a;
    }
    assert_in_range(of_a, 5, 35);
    struct peer *c = known("rt3-r0");
    for (int i = 0; i < 40; i++) {
        snprintf(key, sizeof(key), "u%d", i);
        const struct peer *now = peers_pick(t.peers, key, strlen(key));
        moved += now == c;
        assert_true(now == before[i] || now == c);
    }
    assert_in_range(moved, 1, 30);
    assert_ptr_equal(peers_named(t.peers, "rt2-r0"), b);
}

int main(void)
{
    metric_setup(gateway_metrics, 1);
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_hello_is_answered),
        TEST(test_next_life_replaces_the_one_before),
        TEST(test_moved_endpoint_is_followed),
        TEST(test_what_cannot_be_a_router),
        TEST(test_silent_one_is_dropped),
        TEST(test_a_turn_is_one_envelope),
        TEST(test_good_results_wait),
        TEST(test_large_one_leaves_earlier),
        TEST(test_held_while_not_connected_and_bounded),
        TEST(test_lost_envelope_is_counted),
        TEST(test_pick_is_stable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
