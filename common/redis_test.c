#include "redis_test_server.h"

#include "log.h"

static struct test_server server;
static struct loop *loop;
static struct loop_timer *ticker;

static int ups, downs;

static void count_state(void *arg, bool is_up)
{
    (void)arg;
    ups += is_up;
    downs += !is_up;
}

static struct redis *open_redis(const struct redis_options *options)
{
    ups = downs = 0;
    struct redis *r = redis_new(loop, options, "test", count_state, NULL);
    assert_false(redis_is_up(r));
    return r;
}

static struct redis *open_up(void)
{
    struct redis_options options = test_options(&server);
    struct redis *r = open_redis(&options);
    TURN_UNTIL(loop, redis_is_up(r));
    assert_int_equal(ups, 1);
    return r;
}

/* --- commands ----------------------------------------------------------------------------------------------------- */

static int next_expected;

static void expect_next(void *arg, enum err err, const struct redis_reply *reply)
{
    assert_int_equal(err, ERR_OK);
    assert_int_equal(*(int *)arg, next_expected);
    assert_int_equal(redis_reply_int(reply), ++next_expected);
}

static void test_pipelined_replies_come_in_order(void **state)
{
    (void)state;
    struct redis *r = open_up();
    static int numbers[1000];
    next_expected = 0;
    for (int i = 0; i < 1000; i++) {
        numbers[i] = i;
        assert_int_equal(redis_words(r, expect_next, &numbers[i], "INCR", "order", NULL), ERR_OK);
    }
    assert_int_equal(redis_pending(r), 1000);
    assert_int_equal(redis_words(r, NULL, NULL, "PING", NULL), ERR_FULL); /* pending_max of test_options() */
    assert_int_equal(redis_counts(r)->full, 1);
    TURN_UNTIL(loop, next_expected == 1000);
    assert_int_equal(redis_pending(r), 0);
    assert_int_equal(redis_words(r, NULL, NULL, "DEL", "order", NULL), ERR_OK);
    redis_free(&r);
}

/* As with an error, and beyond the end of an array. */
static void test_no_reply_reads_as_nil(void **state)
{
    size_t len = 1;
    (void)state;
    assert_int_equal(redis_reply_kind(NULL), REDIS_NIL);
    assert_string_equal(redis_reply_str(redis_reply_at(NULL, 1), &len), "");
    assert_int_equal(len, 0);
    assert_int_equal(redis_reply_int(NULL), 0);
    assert_int_equal(redis_reply_count(NULL), 0);
}

static void test_reply_kinds(void **state)
{
    (void)state;
    struct redis *r = open_up();
    assert_string_equal(ASK(loop, r, "SET", "k", "v"), "OK");
    assert_string_equal(ASK(loop, r, "GET", "k"), "v");
    assert_string_equal(ASK(loop, r, "GET", "absent"), "nil");
    assert_string_equal(ASK(loop, r, "RPUSH", "l", "a", "b"), "2");
    assert_string_equal(ASK(loop, r, "LRANGE", "l", "0", "-1"), "[a, b]");
    assert_string_equal(ASK(loop, r, "LRANGE", "absent", "0", "-1"), "[]");
    assert_string_equal(ASK(loop, r, "EVAL", "return {1, {'x'}, false}", "0"), "[1, [x], nil]");
    assert_true(!strncmp(ASK(loop, r, "INCR", "k"), "-ERR value is not an integer", 20));
    assert_int_equal(redis_counts(r)->errors, 1);
    redis_free(&r);
}

static void test_arguments_are_binary_safe_and_large(void **state)
{
    (void)state;
    struct redis *r = open_up();
    size_t len = 20 << 20; /* more than any socket buffer: the write must be continued */
    char *big = malloc(len);
    memset(big, 'x', len);
    memcpy(big, "\0\r\n$", 4);
    struct test_answer set = {0}, got = {0};
    buf_init(&set.text);
    buf_init(&got.text);
    const char *put[] = {"SET", "big", big}, *get[] = {"GET", "big"};
    assert_int_equal(redis_command(r, test_answered, &set, 3, put, (size_t[]){3, 3, len}), ERR_OK);
    assert_int_equal(redis_command(r, test_answered, &got, 2, get, NULL), ERR_OK);
    TURN_UNTIL(loop, got.calls);
    assert_string_equal(set.text.bytes, "OK");
    assert_int_equal(got.text.len, len);
    assert_memory_equal(got.text.bytes, big, len);
    free(big);
    buf_release(&set.text);
    buf_release(&got.text);
    redis_free(&r);
}

/* --- losing and coming back --------------------------------------------------------------------------------------- */

struct tally {
    int ok, away, closed, other;
};

static void tally_up(void *arg, enum err err, const struct redis_reply *reply)
{
    struct tally *tally = arg;
    if (err == ERR_OK)
        tally->ok++;
    else if (err == ERR_AWAY)
        tally->away++;
    else if (err == ERR_CLOSED)
        tally->closed++;
    else
        tally->other++;
    assert_true((err == ERR_OK || err == ERR_REFUSED) == (reply != NULL));
}

static void test_killed_server_fails_each_command_once_and_comes_back(void **state)
{
    (void)state;
    struct redis *r = open_up();
    struct tally tally = {0};
    assert_string_equal(ASK(loop, r, "CLIENT", "PAUSE", "60000", "ALL"), "OK");
    for (int i = 0; i < 100; i++)
        assert_int_equal(redis_words(r, tally_up, &tally, "PING", NULL), ERR_OK);
    loop_turn(loop);
    assert_int_equal(tally.ok, 0);
    test_server_kill(&server);
    TURN_UNTIL(loop, downs);
    assert_int_equal(tally.away, 100);
    assert_int_equal(tally.ok + tally.closed + tally.other, 0);
    assert_int_equal(redis_words(r, tally_up, &tally, "PING", NULL), ERR_AWAY);
    assert_int_equal(redis_client_id(r), 0);
    assert_int_equal(tally.away, 100);
    test_server_run(&server, NULL, NULL);
    TURN_UNTIL(loop, ups == 2);
    assert_int_equal(downs, 1);
    assert_string_equal(ASK(loop, r, "PING"), "PONG");
    assert_int_equal(redis_counts(r)->losses, 1);
    redis_free(&r);
}

static void test_silent_server_is_dropped(void **state)
{
    (void)state;
    struct redis_options options = test_options(&server);
    options.connect_timeout_ms = 200;
    struct redis *r = open_redis(&options);
    TURN_UNTIL(loop, redis_is_up(r));
    struct tally tally = {0};
    kill(server.pid, SIGSTOP);
    assert_int_equal(redis_words(r, tally_up, &tally, "PING", NULL), ERR_OK);
    TURN_UNTIL(loop, downs == 1);
    assert_int_equal(tally.away, 1);
    /* the stopped server's kernel accepts connections, but nobody answers the greeting: that must not count as up */
    test_turn_for(loop, 500);
    assert_int_equal(ups, 1);
    kill(server.pid, SIGCONT);
    TURN_UNTIL(loop, ups == 2);
    redis_free(&r);
}

static void test_idle_connection_notices_a_dead_peer(void **state)
{
    (void)state;
    struct redis_options options = test_options(&server);
    options.connect_timeout_ms = 200;
    struct redis *r = open_redis(&options);
    TURN_UNTIL(loop, redis_is_up(r));
    test_turn_for(loop, 500);
    assert_int_equal(downs, 0); /* pings keep a live one */
    kill(server.pid, SIGSTOP);
    TURN_UNTIL(loop, downs == 1);
    kill(server.pid, SIGCONT);
    redis_free(&r);
}

static void test_nobody_there(void **state)
{
    (void)state;
    struct redis_options options = test_options(&server);
    char address[32];
    snprintf(address, sizeof address, "127.0.0.1:%u", test_free_port());
    options.address = address;
    struct redis *r = open_redis(&options);
    test_turn_for(loop, 300);
    assert_int_equal(ups + downs, 0);
    assert_int_equal(redis_words(r, NULL, NULL, "PING", NULL), ERR_AWAY);
    redis_free(&r);
}

static void test_free_calls_back_with_closed(void **state)
{
    (void)state;
    struct redis *r = open_up();
    struct tally tally = {0};
    const char *lease[] = {"herald:lease:a", "herald:instances", "a", "1"};
    assert_int_equal(redis_words(r, tally_up, &tally, "SET", "last", "words", NULL), ERR_OK);
    assert_int_equal(redis_script(r, REDIS_SCRIPT_LEASE_RELEASE, tally_up, &tally, 2, 4, lease, NULL), ERR_OK);
    redis_free(&r);
    assert_null(r);
    assert_int_equal(tally.closed, 2);
    r = open_up(); /* what was given before the free had still been handed to the kernel */
    TURN_UNTIL(loop, !strcmp(ASK(loop, r, "GET", "last"), "words"));
    redis_free(&r);
}

static struct redis *to_free;

static void free_inside(void *arg, enum err err, const struct redis_reply *reply)
{
    (void)arg, (void)err, (void)reply;
    redis_free(&to_free);
}

static void free_on_state(void *arg, bool is_up)
{
    (void)arg, (void)is_up;
    redis_free(&to_free);
}

static void test_free_inside_its_callbacks(void **state)
{
    (void)state;
    struct tally tally = {0};
    to_free = open_up();
    assert_int_equal(redis_words(to_free, free_inside, NULL, "PING", NULL), ERR_OK);
    assert_int_equal(redis_words(to_free, tally_up, &tally, "PING", NULL), ERR_OK);
    TURN_UNTIL(loop, !to_free);
    assert_int_equal(tally.closed, 1);
    struct redis_options options = test_options(&server);
    to_free = redis_new(loop, &options, "test", free_on_state, NULL);
    TURN_UNTIL(loop, !to_free);
    loop_turn(loop);
}

/* --- greeting ----------------------------------------------------------------------------------------------------- */

static void test_password_and_database(void **state)
{
    (void)state;
    struct test_server guarded;
    test_server_start(&guarded, "--requirepass", "open sesame");
    struct redis_options options = test_options(&guarded);
    options.password = (char *)(uintptr_t) "open sesame";
    options.database = 7;
    struct redis *r = open_redis(&options);
    TURN_UNTIL(loop, redis_is_up(r));
    assert_non_null(strstr(ASK(loop, r, "CLIENT", "INFO"), " db=7 "));
    redis_free(&r);
    options.user = (char *)(uintptr_t) "default";
    r = open_redis(&options);
    TURN_UNTIL(loop, redis_is_up(r));
    redis_free(&r);
    options.password = (char *)(uintptr_t) "wrong";
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    log_set_fd(pipes[1]);
    r = open_redis(&options);
    test_turn_for(loop, 200);
    assert_int_equal(ups, 0);
    redis_free(&r);
    log_set_fd(STDERR_FILENO);
    close(pipes[1]);
    char text[4096] = {0};
    assert_true(read(pipes[0], text, sizeof text - 1) >= 0);
    assert_null(strstr(text, "wrong"));
    close(pipes[0]);
    test_server_stop(&guarded);
}

static void test_noscript_after_flush_is_sent_whole(void **state)
{
    (void)state;
    struct redis *r = open_up();
    const char *id = "herald:leader";
    assert_string_equal(RUN(loop, r, REDIS_SCRIPT_LEADER_RELEASE, 1, id, "me", "1"), "0");
    assert_int_equal(redis_counts(r)->errors, 0); /* loaded by the greeting */
    assert_string_equal(ASK(loop, r, "SCRIPT", "FLUSH"), "OK");
    assert_string_equal(RUN(loop, r, REDIS_SCRIPT_LEADER_RELEASE, 1, id, "me", "1"), "0");
    assert_int_equal(redis_counts(r)->errors, 1);
    assert_string_equal(RUN(loop, r, REDIS_SCRIPT_LEADER_RELEASE, 1, id, "me", "1"), "0");
    assert_int_equal(redis_counts(r)->errors, 1); /* known again */
    redis_free(&r);
}

/* --- pub/sub ------------------------------------------------------------------------------------------------------ */

static struct buf heard;

static void hear(void *arg, const char *channel, const char *payload, size_t len)
{
    (void)arg;
    buf_printf(&heard, "%s=", channel);
    if (payload)
        buf_add(&heard, payload, len);
    else
        buf_add_str(&heard, "(null)");
    buf_add_char(&heard, ';');
}

static bool has_heard(const char *text)
{
    return heard.bytes && !strcmp(heard.bytes, text);
}

static struct redis *open_listener(void)
{
    struct redis_options options = test_options(&server);
    struct redis *r = redis_new(loop, &options, "listener", NULL, NULL);
    redis_subscribe(r, "news", hear, NULL);
    redis_subscribe(r, "__redis__:invalidate", hear, NULL);
    TURN_UNTIL(loop, redis_is_up(r));
    return r;
}

static void test_published_messages_arrive_also_after_reconnection(void **state)
{
    (void)state;
    struct redis *r = open_up(), *listener = open_listener();
    buf_clear(&heard);
    assert_true(redis_client_id(listener) > 0);
    assert_string_equal(ASK(loop, r, "PUBLISH", "news", "one"), "1");
    TURN_UNTIL(loop, has_heard("news=one;"));
    redis_subscribe(listener, "more", hear, NULL);
    TURN_UNTIL(loop, !strcmp(ASK(loop, r, "PUBLISH", "more", ""), "1"));
    TURN_UNTIL(loop, has_heard("news=one;more=;"));
    test_server_kill(&server);
    TURN_UNTIL(loop, !redis_is_up(listener) && !redis_is_up(r));
    test_server_run(&server, NULL, NULL);
    TURN_UNTIL(loop, redis_is_up(listener) && redis_is_up(r));
    buf_clear(&heard);
    assert_string_equal(ASK(loop, r, "PUBLISH", "news", "two"), "1"); /* up means: subscribed */
    assert_string_equal(ASK(loop, r, "PUBLISH", "more", "three"), "1");
    TURN_UNTIL(loop, has_heard("news=two;more=three;"));
    redis_free(&r);
    redis_free(&listener);
}

static void test_invalidation_reaches_the_other_connection(void **state)
{
    (void)state;
    struct redis *cache = open_up(), *writer = open_up(), *listener = open_listener();
    buf_clear(&heard);
    char id[24];
    snprintf(id, sizeof id, "%llu", (unsigned long long)redis_client_id(listener));
    assert_string_equal(ASK(loop, cache, "CLIENT", "TRACKING", "ON", "REDIRECT", id), "OK");
    ASK(loop, writer, "MSET", "a", "1", "b", "2");
    ASK(loop, cache, "GET", "a");
    ASK(loop, cache, "GET", "b");
    ASK(loop, writer, "SET", "a", "3");
    TURN_UNTIL(loop, has_heard("__redis__:invalidate=a;"));
    ASK(loop, writer, "FLUSHALL");
    TURN_UNTIL(loop, has_heard("__redis__:invalidate=a;__redis__:invalidate=(null);"));
    ASK(loop, cache, "GET", "a"); /* several keys in one command are told in arrays: each arrives once */
    ASK(loop, cache, "GET", "b");
    buf_clear(&heard);
    ASK(loop, writer, "MSET", "a", "1", "b", "2");
    TURN_UNTIL(loop, has_heard("__redis__:invalidate=a;__redis__:invalidate=b;"));
    redis_free(&cache);
    redis_free(&writer);
    redis_free(&listener);
}

static void test_silent_server_is_noticed_by_a_listener(void **state)
{
    (void)state;
    struct redis_options options = test_options(&server);
    options.connect_timeout_ms = 200;
    struct redis *r = redis_new(loop, &options, "listener", NULL, NULL);
    redis_subscribe(r, "news", hear, NULL);
    TURN_UNTIL(loop, redis_is_up(r));
    test_turn_for(loop, 500);
    assert_true(redis_is_up(r));
    assert_int_equal(redis_counts(r)->losses, 0);
    kill(server.pid, SIGSTOP);
    TURN_UNTIL(loop, !redis_is_up(r));
    kill(server.pid, SIGCONT);
    redis_free(&r);
}

static int set_up(void **state)
{
    (void)state;
    test_server_start(&server, NULL, NULL);
    loop = loop_new();
    ticker = test_ticker(loop);
    buf_init(&heard);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    loop_timer_free(&ticker);
    loop_free(&loop);
    buf_release(&heard);
    test_server_stop(&server);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pipelined_replies_come_in_order),
        cmocka_unit_test(test_no_reply_reads_as_nil),
        cmocka_unit_test(test_reply_kinds),
        cmocka_unit_test(test_arguments_are_binary_safe_and_large),
        cmocka_unit_test(test_killed_server_fails_each_command_once_and_comes_back),
        cmocka_unit_test(test_silent_server_is_dropped),
        cmocka_unit_test(test_idle_connection_notices_a_dead_peer),
        cmocka_unit_test(test_nobody_there),
        cmocka_unit_test(test_free_calls_back_with_closed),
        cmocka_unit_test(test_free_inside_its_callbacks),
        cmocka_unit_test(test_password_and_database),
        cmocka_unit_test(test_noscript_after_flush_is_sent_whole),
        cmocka_unit_test(test_published_messages_arrive_also_after_reconnection),
        cmocka_unit_test(test_invalidation_reaches_the_other_connection),
        cmocka_unit_test(test_silent_server_is_noticed_by_a_listener),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
