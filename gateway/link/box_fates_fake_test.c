/* Ends of mailbox entries, told to routers that the test plays, on the fake loop. */
#include "gateway/link/box_fates.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "common/bus_fake.h"
#include "common/check.h"
#include "common/loop_fake.h"
#include "gateway/metrics.h"

enum { MAX = 4, SILENCE_MS = 5000, ROUTERS = 3 };

struct bus_push {
    int router;
    bus_event_fn *on_event;
    void *arg;
};

static struct {
    struct loop *loop;
    struct peers *peers;
    struct box_fates *fates;
    struct bus_push *newest;
    int told[ROUTERS]; /* fates that came */
    uint64_t last_number;
    char last_id[32], last_user[32];
} t;

enum err bus_push_connect(struct bus *bus, const char *endpoint, int hwm, bus_event_fn *on_event, loop_fn *on_room,
                          void *arg, struct bus_push **push_r)
{
    (void)bus, (void)hwm, (void)on_room;
    t.newest = *push_r = xcalloc(1, sizeof **push_r);
    **push_r = (struct bus_push){endpoint[strlen(endpoint) - 1] - '0', on_event, arg};
    return ERR_OK;
}

enum err bus_push_send(struct bus_push *push, void *bytes, size_t len)
{
    Herald__V1__Envelope *e = herald__v1__envelope__unpack(NULL, len, bytes);
    assert_non_null(e);
    for (size_t i = 0; i < e->n_box_fates; i++) {
        t.told[push->router]++;
        t.last_number = e->box_fates[i]->number;
        strncpy(t.last_id, e->box_fates[i]->id, sizeof t.last_id - 1);
        strncpy(t.last_user, e->box_fates[i]->user, sizeof t.last_user - 1);
    }
    herald__v1__envelope__free_unpacked(e, NULL);
    free(bytes);
    return ERR_OK;
}

void bus_push_free(struct bus_push **push)
{
    free(*push);
    *push = NULL;
}

static int setup(void **state)
{
    static const struct peers_settings settings = {
        .peers_max = 10, .silence_ms = SILENCE_MS, .envelope_max = 100000, .held_max = 100000, .hwm = 10};
    (void)state;
    memset(&t, 0, sizeof t);
    t.loop = loop_new();
    t.peers = peers_new(t.loop, NULL, &settings, "gw0", 1, "tcp://gw:1");
    t.fates = box_fates_new(t.loop, t.peers, MAX);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    box_fates_free(&t.fates);
    peers_free(&t.peers);
    loop_free(&t.loop);
    return 0;
}

static void hello(int router, uint64_t generation, bool is_new)
{
    char name[] = "r0", endpoint[] = "tcp://r:0";
    Herald__V1__Hello h = HERALD__V1__HELLO__INIT;
    name[1] = endpoint[8] = (char)('0' + router);
    h.endpoint = endpoint;
    h.answers_fates = router != 2; /* that one is older */
    assert_int_equal(peers_hello(t.peers, name, generation, &h), ERR_OK);
    if (is_new)
        t.newest->on_event(t.newest->arg, BUS_CONNECTED);
    loop_fake_end_turn(t.loop);
}

static void tell(const char *router)
{
    char id[] = "m1", source[] = "push/0/1", name[8], user[] = "u1";
    struct stream_id at = {1, 1};
    Herald__V1__Delivery delivery = HERALD__V1__DELIVERY__INIT;
    snprintf(name, sizeof name, "%s", router);
    delivery.id = id;
    delivery.source = source;
    delivery.router = name;
    struct letter *letter = letter_new(&at, &delivery);
    letter->end = LETTER_ACKED;
    box_fates_tell(t.fates, user, "d1", letter);
    letter_free(&letter);
    memset(user, 'x', 2); /* it has copies of its own */
    loop_fake_end_turn(t.loop);
}

static void answer(bool is_taken)
{
    Herald__V1__BoxFateResult result = HERALD__V1__BOX_FATE_RESULT__INIT;
    result.number = t.last_number;
    result.taken = is_taken;
    box_fates_answered(t.fates, &result);
}

static int64_t pending(void)
{
    return (int64_t)metric_get(METRIC_BOX_FATES_PENDING);
}

static void kept_until_answered(void **state)
{
    (void)state;
    hello(0, 5, true);
    hello(1, 5, true);
    tell("r1");
    assert_int_equal(t.told[1], 1);
    assert_int_equal(t.told[0], 0);
    assert_string_equal(t.last_id, "m1");
    assert_string_equal(t.last_user, "u1");
    assert_int_equal(pending(), 1);
    answer(true);
    assert_int_equal(pending(), 0);
    answer(true); /* once more: nothing */
}

static void waits_for_a_router(void **state)
{
    (void)state;
    tell("r1");
    loop_fake_advance(t.loop, 60000);
    assert_int_equal(pending(), 1);
    hello(0, 5, true);
    loop_fake_advance(t.loop, 1000);
    assert_int_equal(t.told[0], 1);
    answer(true);
    assert_int_equal(pending(), 0);
}

/* It was killed: its next life is told, or another router. */
static void told_again_when_its_router_is_gone(void **state)
{
    (void)state;
    hello(1, 5, true);
    tell("r1");
    uint64_t number = t.last_number;
    hello(1, 6, true);
    loop_fake_advance(t.loop, 1000);
    assert_int_equal(t.told[1], 2);
    assert_int_equal(t.last_number, number);
    for (int i = 0; i < 10; i++) { /* r1 is silent, r0 is heard */
        hello(0, 5, i == 0);
        loop_fake_advance(t.loop, 1000);
    }
    assert_int_equal(t.told[0], 1);
    answer(true);
    assert_int_equal(pending(), 0);
}

static void told_again_when_it_was_not_taken(void **state)
{
    (void)state;
    hello(0, 5, true);
    tell("r0");
    answer(false);
    assert_int_equal(t.told[0], 1);
    loop_fake_advance(t.loop, 1000);
    assert_int_equal(t.told[0], 2);
    loop_fake_advance(t.loop, 2000); /* told: now it is patient */
    assert_int_equal(t.told[0], 2);
    answer(true);
    assert_int_equal(pending(), 0);
}

static void older_router_does_not_answer(void **state)
{
    (void)state;
    hello(2, 5, true);
    tell("r2");
    assert_int_equal(t.told[2], 1);
    assert_int_equal(pending(), 0);
}

static void bounded(void **state)
{
    (void)state;
    uint64_t lost = metric_get(METRIC_BOX_FATES_LOST);
    for (int i = 0; i < MAX + 2; i++)
        tell("r0");
    assert_int_equal(pending(), MAX);
    assert_int_equal(metric_get(METRIC_BOX_FATES_LOST), lost + 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(kept_until_answered),
        TEST(waits_for_a_router),
        TEST(told_again_when_its_router_is_gone),
        TEST(told_again_when_it_was_not_taken),
        TEST(older_router_does_not_answer),
        TEST(bounded),
    };
    metric_setup(gateway_metrics, 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
