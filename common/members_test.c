#include "members.h"

#include "redis_test_server.h"

static struct test_server server;
static struct loop *loop;
static struct loop_timer *ticker;
static struct redis *r;
static struct members *view;
static struct buf events;

static void joined(void *arg, struct member *m)
{
    assert_ptr_equal(arg, &events);
    assert_null(m->user);
    m->user = &events;
    assert_ptr_equal(members_find(view, m->instance, strlen(m->instance)), m);
    buf_printf(&events, "+%s/%llu ", m->instance, (unsigned long long)m->generation);
}

static void gone(void *arg, struct member *m)
{
    assert_ptr_equal(arg, &events);
    assert_ptr_equal(m->user, &events);
    assert_null(members_find(view, m->instance, strlen(m->instance)));
    buf_printf(&events, "-%s/%llu ", m->instance, (unsigned long long)m->generation);
}

/* Writes the snapshot as the script does: "gw1-0/100 gw2-0/100". is_told: with the word on the channel. */
static void publish(uint64_t version, const char *text, bool is_told)
{
    char copy[256], *at = copy, *word;
    static Herald__V1__Lease leases[16];
    Herald__V1__Lease *list[16];
    Herald__V1__Members snapshot = HERALD__V1__MEMBERS__INIT;
    snprintf(copy, sizeof copy, "%s", text);
    while ((word = strsep(&at, " ")) && *word) {
        Herald__V1__Lease *lease = list[snapshot.n_leases] = &leases[snapshot.n_leases];
        snapshot.n_leases++;
        *lease = (Herald__V1__Lease)HERALD__V1__LEASE__INIT;
        lease->instance = strsep(&word, "/");
        lease->generation = strtoull(word, NULL, 10);
        lease->role = HERALD__V1__ROLE__ROLE_GATEWAY;
        lease->endpoint = (char *)(uintptr_t) "tcp://127.0.0.1:1";
    }
    snapshot.leases = list;
    struct buf value;
    buf_init(&value);
    buf_printf(&value, "%llu\n", (unsigned long long)version);
    size_t len = herald__v1__members__get_packed_size(&snapshot);
    value.len += herald__v1__members__pack(&snapshot, (uint8_t *)buf_reserve(&value, len));
    const char *argv[] = {"SET", "herald:members", value.bytes};
    assert_int_equal(redis_command(r, NULL, NULL, 3, argv, (size_t[]){3, 14, value.len}), ERR_OK);
    if (is_told)
        ASK(loop, r, "PUBLISH", "herald:membership", "1");
    buf_release(&value);
}

static void open_view(void)
{
    struct redis_options options = test_options(&server);
    buf_clear(&events);
    view = members_new(loop, r, &options, &(struct members_events){joined, gone}, &events);
}

static bool has_seen(const char *text)
{
    return events.bytes && !strcmp(events.bytes, text);
}

static void test_changes(void **state)
{
    (void)state;
    open_view();
    publish(1, "gw1-0/100", false);
    TURN_UNTIL(loop, has_seen("+gw1-0/100 ")); /* found by reading: nobody said anything */
    assert_int_equal(members_version(view), 1);
    TURN_UNTIL(loop, strtoll(ASK(loop, r, "PUBLISH", "herald:membership", "1"), NULL, 10) == 1);
    publish(2, "gw1-0/100 gw2-0/100", true);
    TURN_UNTIL(loop, has_seen("+gw1-0/100 +gw2-0/100 "));
    buf_clear(&events);
    publish(3, "gw1-0/101 gw2-0/100", true); /* a restart is gone, then joined */
    TURN_UNTIL(loop, has_seen("-gw1-0/100 +gw1-0/101 "));
    assert_int_equal(members_find(view, "gw1-0", 5)->generation, 101);
    assert_null(members_find(view, "gw1", 3));
    assert_null(members_find(view, "gw3-0", 5));
    size_t cursor = 0, count = 0;
    while (members_next(view, &cursor))
        count++;
    assert_int_equal(count, 2);
    buf_clear(&events);
    publish(5, "gw1-0/101", true);
    TURN_UNTIL(loop, has_seen("-gw2-0/100 "));
    publish(4, "gw9-0/1", true); /* older: ignored */
    ASK(loop, r, "PING");
    test_turn_for(loop, 100);
    assert_true(has_seen("-gw2-0/100 "));
    publish(6, "gw1-0/101 gw1-0/101", true); /* named twice: one member */
    TURN_UNTIL(loop, members_version(view) == 6);
    assert_true(has_seen("-gw2-0/100 "));
    publish(7, "", true);
    TURN_UNTIL(loop, has_seen("-gw2-0/100 -gw1-0/101 "));
    members_free(&view);
    assert_null(view);
}

static void test_what_is_lost_on_the_channel_is_read_within_a_second(void **state)
{
    (void)state;
    publish(1, "gw1-0/100", false);
    open_view();
    TURN_UNTIL(loop, has_seen("+gw1-0/100 "));
    uint64_t start_ms = clock_mono_ms();
    publish(2, "gw1-0/100 gw2-0/100", false);
    TURN_UNTIL(loop, has_seen("+gw1-0/100 +gw2-0/100 "));
    assert_true(clock_mono_ms() - start_ms < 3000);
    members_free(&view);
}

static void test_the_last_view_stands(void **state)
{
    (void)state;
    publish(1, "gw1-0/100", false);
    open_view();
    TURN_UNTIL(loop, has_seen("+gw1-0/100 "));
    ASK(loop, r, "DEL", "herald:members");
    ASK(loop, r, "PUBLISH", "herald:membership", "x");
    test_turn_for(loop, 50);
    ASK(loop, r, "SET", "herald:members", "9\n\xff\xff");
    ASK(loop, r, "PUBLISH", "herald:membership", "x");
    test_turn_for(loop, 50);
    ASK(loop, r, "DEL", "herald:members");
    ASK(loop, r, "LPUSH", "herald:members", "not even a string");
    ASK(loop, r, "PUBLISH", "herald:membership", "x");
    test_turn_for(loop, 50);
    assert_non_null(members_find(view, "gw1-0", 5));
    test_server_kill(&server);
    TURN_UNTIL(loop, !redis_is_up(r));
    assert_non_null(members_find(view, "gw1-0", 5));
    test_server_run(&server, NULL, NULL); /* empty */
    TURN_UNTIL(loop, redis_is_up(r));
    test_turn_for(loop, 200);
    assert_true(has_seen("+gw1-0/100 "));
    publish(2, "gw1-0/100 gw2-0/7", false);
    TURN_UNTIL(loop, has_seen("+gw1-0/100 +gw2-0/7 "));
    members_free(&view);
}

static void test_free_with_a_read_under_way(void **state)
{
    (void)state;
    publish(1, "gw1-0/100", false);
    open_view();
    TURN_UNTIL(loop, redis_pending(r) || has_seen("+gw1-0/100 "));
    TURN_UNTIL(loop, redis_pending(r)); /* the timer's next look */
    members_free(&view);
    ASK(loop, r, "PING");
}

static int set_up(void **state)
{
    (void)state;
    test_server_start(&server, NULL, NULL);
    loop = loop_new();
    ticker = test_ticker(loop);
    buf_init(&events);
    struct redis_options options = test_options(&server);
    r = redis_new(loop, &options, "commands", NULL, NULL);
    TURN_UNTIL(loop, redis_is_up(r));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    redis_free(&r);
    loop_timer_free(&ticker);
    loop_free(&loop);
    buf_release(&events);
    test_server_stop(&server);
    return 0;
}

static int flush_all(void **state)
{
    (void)state;
    ASK(loop, r, "FLUSHALL");
    return 0;
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup(fn, flush_all)
    const struct CMUnitTest tests[] = {
        TEST(test_changes),
        TEST(test_what_is_lost_on_the_channel_is_read_within_a_second),
        TEST(test_the_last_view_stands),
        TEST(test_free_with_a_read_under_way),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
