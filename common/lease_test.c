#include "lease.h"

#include "redis_test_server.h"

static struct test_server server;
static struct loop *loop;
static struct loop_timer *ticker;
static struct redis *r;

static int fills, losses, vanishings;

static void fill(void *arg, Herald__V1__Lease *body)
{
    (void)arg;
    body->connections = (uint32_t)++fills;
}

static void lost(void *arg)
{
    losses++;
    if (arg)
        lease_free(arg);
}

static void vanished(void *arg)
{
    (void)arg;
    vanishings++;
}

static Herald__V1__Lease body_of(uint64_t generation)
{
    Herald__V1__Lease body = HERALD__V1__LEASE__INIT;
    body.instance = (char *)(uintptr_t) "gw1-0";
    body.generation = generation;
    body.role = HERALD__V1__ROLE__ROLE_GATEWAY;
    body.endpoint = (char *)(uintptr_t) "tcp://127.0.0.1:1";
    return body;
}

static Herald__V1__Lease *read_lease(void)
{
    static struct buf value;
    if (!value.bytes)
        buf_init(&value);
    struct test_answer answer = {0};
    buf_init(&answer.text);
    assert_int_equal(redis_words(r, test_answered, &answer, "GET", "herald:lease:gw1-0", NULL), ERR_OK);
    TURN_UNTIL(loop, answer.calls);
    Herald__V1__Lease *body;
    enum err err = lease_parse(NULL, answer.text.bytes, answer.text.len, &body);
    assert_int_equal(err == ERR_OK, body != NULL);
    buf_release(&answer.text);
    return body;
}

static uint32_t connections_told(void)
{
    Herald__V1__Lease *body = read_lease();
    uint32_t connections = body ? body->connections : 0;
    if (body)
        herald__v1__lease__free_unpacked(body, NULL);
    return connections;
}

static void test_renews_by_itself(void **state)
{
    (void)state;
    Herald__V1__Lease body = body_of(100);
    fills = 0;
    struct lease *lease = lease_new(loop, r, &body, fill, lost, NULL);
    assert_int_equal(lease_renewed_ms(lease), 0);
    TURN_UNTIL(loop, lease_renewed_ms(lease));
    Herald__V1__Lease *told = read_lease();
    assert_string_equal(told->instance, "gw1-0");
    assert_string_equal(told->endpoint, "tcp://127.0.0.1:1");
    assert_int_equal(told->generation, 100);
    uint64_t beat = told->beat;
    herald__v1__lease__free_unpacked(told, NULL);
    TURN_UNTIL(loop, connections_told() >= 3); /* by the timer */
    lease_renew(lease);
    TURN_UNTIL(loop, (int)connections_told() == fills);
    told = read_lease();
    assert_true(told->beat > beat);
    herald__v1__lease__free_unpacked(told, NULL);
    assert_string_equal(ASK(loop, r, "SMEMBERS", "herald:instances"), "[gw1-0]");
    lease_free(&lease);
    assert_null(lease);
    assert_string_equal(ASK(loop, r, "EXISTS", "herald:lease:gw1-0"), "0");
    assert_string_equal(ASK(loop, r, "SMEMBERS", "herald:instances"), "[]");
}

static void test_lower_generation_is_told_that_it_lost(void **state)
{
    (void)state;
    Herald__V1__Lease old_body = body_of(100), new_body = body_of(101);
    losses = 0;
    struct lease *old = NULL;
    old = lease_new(loop, r, &old_body, NULL, lost, &old); /* frees itself when told */
    TURN_UNTIL(loop, lease_renewed_ms(old));
    struct lease *new = lease_new(loop, r, &new_body, NULL, lost, NULL);
    TURN_UNTIL(loop, lease_renewed_ms(new));
    lease_renew(old);
    lease_renew(old);
    TURN_UNTIL(loop, losses);
    assert_null(old);
    ASK(loop, r, "PING");
    assert_int_equal(losses, 1);
    Herald__V1__Lease *told = read_lease(); /* the loser's release did not touch it */
    assert_int_equal(told->generation, 101);
    herald__v1__lease__free_unpacked(told, NULL);
    lease_free(&new);
}

static void test_goes_on_after_redis_came_back(void **state)
{
    (void)state;
    Herald__V1__Lease body = body_of(100);
    fills = losses = 0;
    struct lease *lease = lease_new(loop, r, &body, fill, lost, NULL);
    TURN_UNTIL(loop, lease_renewed_ms(lease));
    lease_renew(lease); /* under way when the server dies */
    test_server_kill(&server);
    TURN_UNTIL(loop, !redis_is_up(r));
    lease_renew(lease);
    test_server_run(&server, NULL, NULL);
    TURN_UNTIL(loop, redis_is_up(r));
    TURN_UNTIL(loop, connections_told() > 0);
    assert_int_equal(losses, 0);
    lease_renew(lease);
    lease_free(&lease); /* with one under way */
    ASK(loop, r, "PING");
}

static void test_tells_that_redis_was_emptied(void **state)
{
    (void)state;
    Herald__V1__Lease body = body_of(100);
    vanishings = losses = 0;
    struct lease *lease = lease_new(loop, r, &body, NULL, lost, NULL);
    lease_on_vanished(lease, vanished);
    TURN_UNTIL(loop, lease_renewed_ms(lease));
    lease_renew(lease);
    ASK(loop, r, "PING");
    assert_int_equal(vanishings, 0); /* not at the first time, and not while it is there */
    ASK(loop, r, "FLUSHALL");
    TURN_UNTIL(loop, vanishings); /* by the timer */
    assert_int_equal(connections_told(), 0);
    assert_string_equal(ASK(loop, r, "EXISTS", "herald:lease:gw1-0"), "1");
    lease_renew(lease);
    ASK(loop, r, "PING");
    assert_int_equal(vanishings, 1);
    assert_int_equal(losses, 0);
    lease_free(&lease);
}

static void test_values(void **state)
{
    (void)state;
    Herald__V1__Lease body = body_of(UINT64_MAX), *back;
    struct buf value;
    buf_init(&value);
    lease_pack(&body, &value);
    assert_memory_equal(value.bytes, "18446744073709551615\n", 21);
    assert_int_equal(lease_parse(NULL, value.bytes, value.len, &back), ERR_OK);
    assert_true(back->generation == UINT64_MAX);
    assert_string_equal(back->instance, "gw1-0");
    herald__v1__lease__free_unpacked(back, NULL);
    size_t refused = 0;
    for (size_t cut = 0; cut < value.len; cut++) {
        char *exact = malloc(cut + 1);
        memcpy(exact, value.bytes, cut);
        exact = realloc(exact, cut ? cut : 1);
        if (lease_parse(NULL, exact, cut, &back) == ERR_OK)
            herald__v1__lease__free_unpacked(back, NULL);
        else
            refused++;
        free(exact);
    }
    assert_true(refused > 21);
    static const char *const bad[] = {"", "\n", "x\n", "12", "-1\n", " 1\n", "18446744073709551616\n", "1\n\xff"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(lease_parse(NULL, bad[i], strlen(bad[i]), &back), ERR_INVALID);
        assert_null(back);
    }
    buf_release(&value);
}

static int set_up(void **state)
{
    (void)state;
    test_redis_up(&server, &loop, &ticker, &r);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    test_redis_down(&server, &loop, &ticker, &r);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_renews_by_itself),
        cmocka_unit_test(test_lower_generation_is_told_that_it_lost),
        cmocka_unit_test(test_goes_on_after_redis_came_back),
        cmocka_unit_test(test_tells_that_redis_was_emptied),
        cmocka_unit_test(test_values),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
