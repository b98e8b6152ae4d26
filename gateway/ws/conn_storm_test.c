/* Many new connections at once: who is let in, who is told to come later, and that those who are there are served. */
#include <netinet/tcp.h>

#include "gateway/ws/conn_internal.h"
#include "gateway/ws/conn_test_world.h"

static struct client ask(struct world *w)
{
    struct client client = client_connect(w, 0);
    client_write(&client, request, sizeof(request) - 1);
    UNTIL(w, &client, has_answer(&client));
    return client;
}

static long retry_after(const struct client *client)
{
    static const char name[] = "\r\nRetry-After: ";
    const char *at = strstr(client->in.bytes, name);
    assert_non_null(at);
    return strtol(at + sizeof(name) - 1, NULL, 10);
}

/* One whose clock stands still, however long the test takes. */
static void set_bucket(struct world *w, int64_t rate, int64_t burst)
{
    bucket_init(&w->conns->bucket, rate, burst, loop_now_ms(w->loop) + 3600 * 1000);
}

static void beyond_the_burst_come_later(void **state)
{
    struct world *w = *state;
    uint64_t refused = metric_get_labelled(METRIC_WS_REFUSED, GATE_RATE);
    w->is_echoing = true;
    w->settings.retry_max_ms = 60000;
    set_bucket(w, 1, 1);
    struct client first = ask(w);
    assert_memory_equal(first.in.bytes, "HTTP/1.1 101 ", 13);
    for (unsigned i = 1; i <= 10; i++) {
        struct client other = ask(w);
        assert_memory_equal(other.in.bytes, "HTTP/1.1 503 ", 13);
        assert_in_range(retry_after(&other), i + 1, i + 2); /* each behind those before */
        UNTIL(w, &other, other.is_eof);
        client_free(&other);
    }
    assert_int_equal(metric_get_labelled(METRIC_WS_REFUSED, GATE_RATE) - refused, 10);
    assert_int_equal(w->upgraded_count, 1); /* nobody looked at their tokens */
    assert_int_equal(conns_count(w->conns, CONN_CLOSING), 0);
    client_frame(&first, FRAME_TEXT, "still", 5);
    UNTIL(w, &first, frames_len(&first) == 7);
    assert_memory_equal(frames(&first), "\x81\x05still", 7);
    set_bucket(w, 1, 1);
    struct client later = ask(w);
    assert_memory_equal(later.in.bytes, "HTTP/1.1 101 ", 13);
    client_free(&later);
    client_free(&first);
}

static void a_promise_has_an_end(void **state)
{
    struct world *w = *state;
    w->settings.retry_max_ms = 3000;
    set_bucket(w, 1, 1);
    for (unsigned i = 0; i < 10; i++) {
        struct client client = ask(w);
        assert_true(i == 0 || retry_after(&client) <= 3);
        client_free(&client);
    }
}

/* The answer to one who has said more already arrives whole, too. */
static void early_bytes_do_not_cut_the_answer(void **state)
{
    struct world *w = *state;
    w->settings.retry_max_ms = 60000;
    set_bucket(w, 1, 1);
    struct client first = ask(w), second = client_connect(w, 0);
    struct buf all;
    buf_init(&all);
    buf_add(&all, request, sizeof(request) - 1);
    buf_add(&all, "\x81\x85\0\0\0\0early", 11);
    client_write(&second, all.bytes, all.len);
    UNTIL(w, &second, second.is_eof);
    assert_memory_equal(second.in.bytes, "HTTP/1.1 503 ", 13);
    assert_non_null(strstr(second.in.bytes, gate_text(GATE_RATE)));
    buf_release(&all);
    client_free(&second);
    client_free(&first);
}

static void a_bad_request_takes_no_place(void **state)
{
    static const char bad[] = "GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n";
    struct world *w = *state;
    set_bucket(w, 1, 1);
    struct client lost = client_connect(w, 0);
    client_write(&lost, bad, sizeof(bad) - 1);
    UNTIL(w, &lost, has_answer(&lost));
    assert_memory_equal(lost.in.bytes, "HTTP/1.1 404 ", 13);
    struct client good = ask(w);
    assert_memory_equal(good.in.bytes, "HTTP/1.1 101 ", 13);
    client_free(&good);
    client_free(&lost);
}

/* The canary comes and goes as if nothing were, and takes nobody's place. */
static void the_worker_itself_is_always_let_in(void **state)
{
    struct world *w = *state;
    int fds[2];
    set_bucket(w, 1, 1);
    w->settings.unauthenticated_max = 1;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
        struct client own = {.fd = fds[0]};
        buf_init(&own.in);
        conns_adopt(w->conns, fds[1]);
        client_write(&own, request, sizeof(request) - 1);
        UNTIL(w, &own, has_answer(&own));
        assert_memory_equal(own.in.bytes, "HTTP/1.1 101 ", 13);
        client_free(&own);
    }
    struct client other = ask(w);
    assert_memory_equal(other.in.bytes, "HTTP/1.1 101 ", 13);
    client_free(&other);
}

static void who_does_not_authenticate_takes_a_bounded_place(void **state)
{
    struct world *w = *state;
    uint64_t refused = metric_get_labelled(METRIC_WS_REFUSED, GATE_UNAUTHENTICATED);
    w->settings.unauthenticated_max = 2;
    struct client silent = client_connect(w, 0), slow = client_connect(w, 0);
    UNTIL(w, NULL, conns_count(w->conns, CONN_HEAD) == 2);
    struct client third = client_connect(w, 0);
    client_write(&third, request, sizeof(request) - 1);
    UNTIL(w, &third, third.is_eof);
    assert_memory_equal(third.in.bytes, "HTTP/1.1 503 ", 13);
    assert_int_equal(metric_get_labelled(METRIC_WS_REFUSED, GATE_UNAUTHENTICATED) - refused, 1);
    client_write(&slow, request, sizeof(request) - 1);
    UNTIL(w, &slow, has_answer(&slow));
    struct client fourth = ask(w);
    assert_memory_equal(fourth.in.bytes, "HTTP/1.1 101 ", 13);
    client_free(&fourth);
    client_free(&third);
    client_free(&slow);
    client_free(&silent);
}

static void those_who_are_there_are_served_between(void **state)
{
    enum { BATCH = 3, WAITING = 12 };
    struct world *w = *state;
    struct client there = client_upgrade(w), waiting[WAITING];
    w->settings.accept_batch = BATCH;
    assert_int_equal(setsockopt(there.fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)), 0); /* all at once */
    for (int i = 0; i < WAITING; i++)
        waiting[i] = client_connect(w, 0);
    for (unsigned turn = 1; turn <= WAITING / BATCH; turn++) {
        client_frame(&there, FRAME_TEXT, "x", 1);
        loop_turn(w->loop);
        assert_int_equal(conns_count(w->conns, CONN_HEAD), turn * BATCH);
        assert_int_equal(w->message_count, turn);
    }
    for (int i = 0; i < WAITING; i++)
        client_free(&waiting[i]);
    client_free(&there);
}

int main(void)
{
    metric_setup(gateway_metrics, 1);
    log_setup(LOG_ERROR, LOG_FORMAT_TEXT, "test", NULL);
    const struct CMUnitTest tests[] = {
        WS_TEST(beyond_the_burst_come_later),
        WS_TEST(a_promise_has_an_end),
        WS_TEST(early_bytes_do_not_cut_the_answer),
        WS_TEST(a_bad_request_takes_no_place),
        WS_TEST(the_worker_itself_is_always_let_in),
        WS_TEST(who_does_not_authenticate_takes_a_bounded_place),
        WS_TEST(those_who_are_there_are_served_between),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
