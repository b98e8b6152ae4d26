/* Slow readers, timeouts and refusals, over real sockets, with short times. */
#include "gateway/ws/conn_test_world.h"

/* --- slow readers */

/* Sends until a frame is dropped; returns how many were sent. */
static unsigned fill(struct world *w)
{
    static char big[32768];
    unsigned number = 0;
    uint64_t dropped = metric_get(METRIC_WS_DROPPED);
    while (metric_get(METRIC_WS_DROPPED) == dropped) {
        assert_true(number + 1 < RECEIPTS_MAX);
        send_text(w, big, sizeof(big), ++number);
    }
    loop_turn(w->loop);
    return number;
}

static struct client upgrade_slow(struct world *w)
{
    struct client client = client_connect(w, 4096);
    client_write(&client, request, sizeof(request) - 1);
    UNTIL(w, &client, has_answer(&client));
    return client;
}

static void a_full_queue_drops_what_comes_next_and_recovers(void **state)
{
    struct world *w = *state;
    uint64_t dropped = metric_get(METRIC_WS_DROPPED);
    struct client client = upgrade_slow(w);
    unsigned sent = fill(w);
    assert_int_equal(w->fates[sent], 1 + ERR_FULL);
    assert_true(conn_is_blocked(w->conn) && conn_queued(w->conn) > 0);
    assert_int_equal(w->room_count, 0);
    assert_int_equal(metric_get(METRIC_WS_DROPPED) - dropped, 1);
    size_t queued = (size_t)metric_get(METRIC_WS_QUEUED_BYTES);
    assert_in_range(queued, w->settings.queue_max_bytes - 40000, w->settings.queue_max_bytes);
    UNTIL(w, &client, w->fate_counts[ERR_OK] == sent - 1); /* it reads again: all others arrive, in order */
    size_t whole = (size_t)(sent - 1) * (32768 + 4);
    UNTIL(w, &client, frames_len(&client) == whole);
    for (unsigned i = 0; i < sent - 1; i++)
        assert_memory_equal(frames(&client) + (size_t)i * (32768 + 4), "\x81\x7E\x80\x00", 4);
    send_text(w, "again", 5, sent + 1);
    UNTIL(w, &client, frames_len(&client) == whole + 7);
    assert_int_equal(conn_state(w->conn), CONN_OPEN);
    assert_int_equal(metric_get(METRIC_WS_QUEUED_BYTES), 0);
    assert_false(conn_is_blocked(w->conn));
    assert_in_range(w->room_count, 1, sent); /* it was told */
    client_free(&client);
}

static void one_turn_may_bring_more_than_the_queue_holds(void **state)
{
    struct world *w = *state;
    w->settings.queue_max_bytes = 4096;
    struct client client = client_upgrade(w);
    char text[1000] = {0};
    for (unsigned i = 1; i <= 20; i++)
        send_text(w, text, sizeof(text), i);
    assert_int_equal(w->fate_counts[ERR_OK], 0); /* written, but not told inside conn_send() */
    UNTIL(w, &client, frames_len(&client) == (size_t)20 * 1004);
    assert_int_equal(w->fate_counts[ERR_OK], 20);
    static char bigger[5000];
    send_text(w, bigger, sizeof(bigger), 21); /* would never fit */
    UNTIL(w, &client, w->fates[21] == 1 + ERR_FULL);
    client_free(&client);
}

static void a_queue_that_grows_old_closes_as_slow(void **state)
{
    struct world *w = *state;
    w->settings.queue_max_age_ms = 200;
    w->settings.close_timeout_ms = 200;
    struct client client = upgrade_slow(w);
    unsigned sent = fill(w);
    UNTIL(w, NULL, w->closed_count == 1);
    assert_int_equal(w->reason, CLOSE_SLOW);
    assert_int_equal(w->fate_counts[ERR_OK] + w->fate_counts[ERR_FULL] + w->fate_counts[ERR_CLOSED], sent);
    assert_true(w->fate_counts[ERR_CLOSED] > 0);
    client_free(&client);
}

static void a_slow_client_that_wakes_up_is_told_4008(void **state)
{
    struct world *w = *state;
    w->settings.queue_max_age_ms = 200;
    struct client client = upgrade_slow(w);
    fill(w);
    UNTIL(w, NULL, conn_state(w->conn) == CONN_CLOSING);
    UNTIL(w, &client, ends_with(&client, "\x88\x0A\x0F\xA8too slow", 12));
    /* what came before are whole frames: the stream was not cut */
    assert_int_equal((frames_len(&client) - 12) % (32768 + 4), 0);
    client_free(&client);
}

static void a_slow_client_does_not_hold_up_another(void **state)
{
    struct world *w = *state;
    struct client slow = upgrade_slow(w);
    fill(w);
    w->is_echoing = true;
    struct client quick = client_upgrade(w);
    client_frame(&quick, FRAME_TEXT, "hello", 5);
    UNTIL(w, &quick, frames_len(&quick) == 7);
    client_free(&quick);
    client_free(&slow);
    UNTIL(w, NULL, conns_count(w->conns, CONN_OPEN) == 0);
}

/* --- time */

static void pings_keep_a_silent_client_alive(void **state)
{
    struct world *w = *state;
    w->settings.ping_interval_ms = 200;
    w->settings.idle_timeout_ms = 1000;
    struct client client = client_upgrade(w);
    uint64_t end_ms = clock_mono_ms() + 2000;
    size_t answered = 0;
    while (clock_mono_ms() < end_ms) {
        loop_turn(w->loop);
        client_read(&client);
        for (; answered + 2 <= frames_len(&client); answered += 2) {
            assert_memory_equal(frames(&client) + answered, "\x89\x00", 2);
            client_frame(&client, FRAME_PONG, "", 0);
        }
    }
    assert_in_range(answered / 2, 4, 10);
    assert_int_equal(w->closed_count, 0);
    client_free(&client);
}

static void silence_is_closed_with_4408(void **state)
{
    struct world *w = *state;
    w->settings.ping_interval_ms = 200;
    w->settings.idle_timeout_ms = 500;
    struct client client = client_upgrade(w);
    uint64_t start_ms = clock_mono_ms();
    static const char goodbye[] = "\x88\x13\x11\x38heartbeat timeout";
    UNTIL(w, &client, ends_with(&client, goodbye, sizeof(goodbye) - 1));
    assert_in_range(clock_mono_ms() - start_ms, 450, 5000);
    client_free(&client);
    UNTIL(w, NULL, w->closed_count == 1);
    assert_int_equal(w->reason, CLOSE_TIMEOUT);
}

static void who_does_not_authenticate_is_closed(void **state)
{
    struct world *w = *state;
    w->settings.auth_timeout_ms = 300;
    w->is_authenticating = false;
    struct client client = client_upgrade(w);
    assert_int_equal(conn_state(w->conn), CONN_AUTH);
    UNTIL(w, &client, frames_len(&client) > 4);
    assert_memory_equal(frames(&client),
                        "\x88\x18\x11\x38"
                        "authentication timeout",
                        26);
    client_free(&client);
    UNTIL(w, NULL, w->closed_count == 1);
    assert_int_equal(w->reason, CLOSE_TIMEOUT);
}

static void an_unfinished_request_is_dropped(void **state)
{
    struct world *w = *state;
    w->settings.head_timeout_ms = 300;
    uint64_t closed = metric_get_labelled(METRIC_WS_CLOSED, CLOSE_HEAD_TIMEOUT);
    struct client silent = client_connect(w, 0), slow = client_connect(w, 0);
    client_write(&slow, request, 40);
    UNTIL(w, &silent, silent.is_eof);
    UNTIL(w, &slow, slow.is_eof);
    assert_int_equal(metric_get_labelled(METRIC_WS_CLOSED, CLOSE_HEAD_TIMEOUT) - closed, 2);
    assert_int_equal(count_bytes(&slow), 0);
    assert_int_equal(w->closed_count, 0); /* nobody was told of them */
    client_free(&silent);
    client_free(&slow);
}

/* --- refusals */

static void refusals_arrive_whole(void **state)
{
    struct world *w = *state;
    static const struct {
        const char *request, *start;
    } rows[] = {
        {"GET /other HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 404 "},
        {"GET /ws HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 426 "},
        {"POST /ws HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody", "HTTP/1.1 413 "},
        {"\x16\x03\x01 this is TLS", "HTTP/1.1 400 "},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct client client = client_connect(w, 0);
        client_write(&client, rows[i].request, strlen(rows[i].request));
        if (i % 2)
            shutdown(client.fd, SHUT_WR); /* a half-closed client still gets its answer */
        UNTIL(w, &client, client.is_eof);
        assert_memory_equal(client.in.bytes, rows[i].start, 13);
        assert_non_null(strstr(client.in.bytes, "\r\n\r\n"));
        client_free(&client);
        UNTIL(w, NULL, conns_count(w->conns, CONN_CLOSING) == 0);
    }
    assert_int_equal(w->upgraded_count, 0);
}

static void one_too_many_gets_503(void **state)
{
    struct world *w = *state;
    w->settings.connections_max = 1;
    struct client first = client_upgrade(w), second = client_connect(w, 0);
    client_write(&second, request, sizeof(request) - 1);
    UNTIL(w, &second, second.is_eof);
    assert_memory_equal(second.in.bytes, "HTTP/1.1 503 ", 13);
    assert_non_null(strstr(second.in.bytes, "\r\nRetry-After: "));
    client_free(&second);
    client_free(&first);
    UNTIL(w, NULL, w->closed_count == 1);
    w->closed_count = w->upgraded_count = 0;
    struct client third = client_upgrade(w);
    client_free(&third);
}

static void a_closed_gate_gets_503_until_it_opens(void **state)
{
    struct world *w = *state;
    uint64_t refused = metric_get_labelled(METRIC_WS_REFUSED, GATE_MEMORY);
    struct client first = client_upgrade(w);
    conns_close_gate(w->conns, GATE_MEMORY, true);
    struct client second = client_connect(w, 0);
    client_write(&second, request, sizeof(request) - 1);
    UNTIL(w, &second, second.is_eof);
    assert_memory_equal(second.in.bytes, "HTTP/1.1 503 ", 13);
    assert_non_null(strstr(second.in.bytes, "\r\nRetry-After: "));
    assert_int_equal(metric_get_labelled(METRIC_WS_REFUSED, GATE_MEMORY) - refused, 1);
    client_free(&second);
    assert_int_equal(conns_count(w->conns, CONN_OPEN), 1); /* who is in stays in */
    conns_close_gate(w->conns, GATE_MEMORY, false);
    struct client third = client_connect(w, 0);
    client_write(&third, request, sizeof(request) - 1);
    UNTIL(w, &third, has_answer(&third));
    assert_memory_equal(third.in.bytes, "HTTP/1.1 101 ", 13);
    client_free(&third);
    client_free(&first);
}

static void out_of_descriptors_is_waited_for(void **state)
{
    struct world *w = *state;
    uint64_t pauses = metric_get(METRIC_WS_ACCEPT_PAUSES);
    struct rlimit old, low;
    getrlimit(RLIMIT_NOFILE, &old);
    struct client client = client_connect(w, 0); /* waits in the backlog */
    low = old;
    low.rlim_cur = 0;
    setrlimit(RLIMIT_NOFILE, &low);
    client_write(&client, request, sizeof(request) - 1);
    UNTIL(w, &client, metric_get(METRIC_WS_ACCEPT_PAUSES) - pauses >= 2);
    setrlimit(RLIMIT_NOFILE, &old);
    UNTIL(w, &client, has_answer(&client));
    client_free(&client);
}

int main(void)
{
    metric_setup(gateway_metrics, 1);
    log_setup(LOG_ERROR, LOG_FORMAT_TEXT, "test", NULL);
    const struct CMUnitTest tests[] = {
        WS_TEST(a_full_queue_drops_what_comes_next_and_recovers),
        WS_TEST(one_turn_may_bring_more_than_the_queue_holds),
        WS_TEST(a_queue_that_grows_old_closes_as_slow),
        WS_TEST(a_slow_client_that_wakes_up_is_told_4008),
        WS_TEST(a_slow_client_does_not_hold_up_another),
        WS_TEST(pings_keep_a_silent_client_alive),
        WS_TEST(silence_is_closed_with_4408),
        WS_TEST(who_does_not_authenticate_is_closed),
        WS_TEST(an_unfinished_request_is_dropped),
        WS_TEST(refusals_arrive_whole),
        WS_TEST(one_too_many_gets_503),
        WS_TEST(a_closed_gate_gets_503_until_it_opens),
        WS_TEST(out_of_descriptors_is_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
