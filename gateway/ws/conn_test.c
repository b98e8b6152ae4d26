/* Upgrade, messages and closing, over real sockets. */
#include "gateway/ws/conn_test_world.h"

/* --- upgrade and messages */

static void upgrade_and_echo(void **state)
{
    struct world *w = *state;
    w->is_echoing = true;
    struct client client = client_upgrade(w);
    assert_int_equal(w->upgraded_count, 1);
    assert_int_equal(conn_state(w->conn), CONN_OPEN);
    assert_int_equal(conns_count(w->conns, CONN_OPEN), 1);
    client_frame(&client, FRAME_TEXT, "hello", 5);
    UNTIL(w, &client, frames_len(&client) == 7);
    assert_memory_equal(frames(&client), "\x81\x05hello", 7);
    assert_string_equal(w->messages.bytes, "hello|");
    client_free(&client);
    UNTIL(w, NULL, w->closed_count == 1);
    assert_int_equal(w->reason, CLOSE_LOST);
    assert_int_equal(conns_count(w->conns, CONN_OPEN), 0);
}

static void everything_one_byte_at_a_time(void **state)
{
    struct world *w = *state;
    struct client client = client_connect(w, 0);
    struct buf all;
    buf_init(&all);
    buf_add(&all, request, sizeof(request) - 1);
    buf_add(&all, "\x01\x83\0\0\0\0one\x89\x80\0\0\0\0\x80\x83\0\0\0\0two", 24);
    for (size_t i = 0; i < all.len; i++) {
        client_write(&client, all.bytes + i, 1);
        loop_turn(w->loop);
    }
    UNTIL(w, &client, w->message_count == 1 && frames_len(&client) == 2);
    assert_string_equal(w->messages.bytes, "onetwo|");
    assert_memory_equal(frames(&client), "\x8A\x00", 2); /* the ping between was answered */
    buf_release(&all);
    client_free(&client);
}

static void early_bytes_are_not_lost(void **state)
{
    struct world *w = *state;
    struct client client = client_connect(w, 0);
    struct buf all;
    buf_init(&all);
    buf_add(&all, request, sizeof(request) - 1);
    buf_add(&all, "\x81\x85\0\0\0\0early\x81\x84\0\0\0\0ha", 19); /* the second frame is not complete */
    client_write(&client, all.bytes, all.len);
    UNTIL(w, &client, has_answer(&client) && w->message_count == 1);
    client_write(&client, "lf", 2);
    UNTIL(w, &client, w->message_count == 2);
    assert_string_equal(w->messages.bytes, "early|half|");
    buf_release(&all);
    client_free(&client);
}

static void a_turn_is_one_write(void **state)
{
    struct world *w = *state;
    struct client client = client_upgrade(w);
    uint64_t writes = metric_get(METRIC_WS_WRITES), sent = metric_get(METRIC_WS_FRAMES_OUT);
    for (unsigned i = 1; i <= 10; i++)
        send_text(w, "0123456789", 10, i);
    assert_int_equal(w->fate_counts[ERR_OK], 0);
    UNTIL(w, &client, frames_len(&client) == 120);
    assert_int_equal(metric_get(METRIC_WS_WRITES) - writes, 1);
    assert_int_equal(metric_get(METRIC_WS_FRAMES_OUT) - sent, 10);
    assert_int_equal(w->fate_counts[ERR_OK], 10);
    client_free(&client);
}

static void what_is_held_leaves_in_one_write(void **state)
{
    struct world *w = *state;
    w->is_holding = true;
    struct client client = client_connect(w, 0);
    uint64_t writes = metric_get(METRIC_WS_WRITES);
    client_write(&client, request, sizeof(request) - 1);
    UNTIL(w, &client, w->upgraded_count == 1);
    for (int turn = 0; turn < 5; turn++)
        loop_turn(w->loop);
    assert_int_equal(metric_get(METRIC_WS_WRITES) - writes, 0);
    send_text(w, "welcome", 7, 1);
    conn_release(w->conn);
    UNTIL(w, &client, has_answer(&client) && frames_len(&client) == 9);
    assert_memory_equal(frames(&client), "\x81\x07welcome", 9);
    assert_int_equal(metric_get(METRIC_WS_WRITES) - writes, 1);
    assert_int_equal(w->fates[1], 1 + ERR_OK);
    conn_release(w->conn); /* no-op */
    client_free(&client);
}

static void what_is_held_does_not_grow_old(void **state)
{
    struct world *w = *state;
    w->is_holding = true;
    w->settings.queue_max_age_ms = 200;
    struct client client = client_connect(w, 0);
    client_write(&client, request, sizeof(request) - 1);
    UNTIL(w, &client, w->upgraded_count == 1);
    uint64_t old_ms = clock_mono_ms() + 600; /* time itself: two ticks of the wheel beyond that age */
    UNTIL(w, &client, clock_mono_ms() >= old_ms);
    assert_int_equal(w->closed_count, 0);
    conn_release(w->conn);
    UNTIL(w, &client, has_answer(&client));
    assert_true(conn_state(w->conn) != CONN_CLOSING);
    client_free(&client);
}

static void closing_ends_a_hold(void **state)
{
    struct world *w = *state;
    w->is_holding = true;
    struct client client = client_connect(w, 0);
    client_write(&client, request, sizeof(request) - 1);
    UNTIL(w, &client, w->upgraded_count == 1);
    conn_close(w->conn, CLOSE_UNAUTHORISED, "no");
    UNTIL(w, &client, has_answer(&client) && frames_len(&client) == 6);
    assert_memory_equal(frames(&client), "\x88\x04\x11\x31no", 6); /* 4401 */
    client_free(&client);
}

static void a_ping_is_answered_with_its_payload(void **state)
{
    struct world *w = *state;
    struct client client = client_upgrade(w);
    client_frame(&client, FRAME_PING, "payload", 7);
    UNTIL(w, &client, frames_len(&client) == 9);
    assert_memory_equal(frames(&client), "\x8A\x07payload", 9);
    client_free(&client);
}

/* --- closing */

static void the_client_closes(void **state)
{
    struct world *w = *state;
    struct client client = client_upgrade(w);
    send_text(w, "last", 4, 1);
    client_frame(&client, FRAME_CLOSE, "\x0F\xA1why", 5);
    UNTIL(w, &client, client.is_eof);
    assert_int_equal(frames_len(&client), 6 + 4);
    assert_memory_equal(frames(&client), "\x81\x04last\x88\x02\x0F\xA1", 10);
    UNTIL(w, NULL, w->closed_count == 1);
    assert_int_equal(w->reason, CLOSE_PEER);
    assert_int_equal(w->fates[1], 1 + ERR_OK);
    client_free(&client);
}

static void we_close(void **state)
{
    struct world *w = *state;
    struct client client = client_upgrade(w);
    send_text(w, "last", 4, 1);
    conn_close(w->conn, CLOSE_REPLACED, "newer");
    conn_close(w->conn, CLOSE_INTERNAL, "no-op");
    assert_int_equal(conn_state(w->conn), CONN_CLOSING);
    send_text(w, "too late", 8, 2);
    assert_int_equal(w->fates[2], 0);
    UNTIL(w, &client, frames_len(&client) == 6 + 9);
    assert_memory_equal(frames(&client), "\x81\x04last\x88\x07\x11\x39newer", 15); /* 4409 */
    assert_int_equal(w->fates[1], 1 + ERR_OK);
    assert_int_equal(w->fates[2], 1 + ERR_CLOSED);
    client_frame(&client, FRAME_TEXT, "ignored", 7);
    client_frame(&client, FRAME_CLOSE, "\x11\x39", 2);
    UNTIL(w, &client, client.is_eof);
    UNTIL(w, NULL, w->closed_count == 1);
    assert_int_equal(w->reason, CLOSE_REPLACED);
    assert_int_equal(w->message_count, 0);
    client_free(&client);
}

static void a_close_that_is_not_answered_ends_by_time(void **state)
{
    struct world *w = *state;
    w->settings.close_timeout_ms = 200;
    struct client client = client_upgrade(w);
    uint64_t start_ms = clock_mono_ms();
    conn_close(w->conn, CLOSE_SHUTDOWN, NULL);
    UNTIL(w, &client, w->closed_count == 1);
    assert_in_range(clock_mono_ms() - start_ms, 200, 5000);
    assert_int_equal(w->reason, CLOSE_SHUTDOWN);
    client_free(&client);
}

static void closing_from_an_upcall_ends_the_messages(void **state)
{
    struct world *w = *state;
    w->close_on_message = CLOSE_POLICY;
    struct client client = client_upgrade(w);
    client_write(&client, "\x81\x81\0\0\0\0a\x81\x81\0\0\0\0b", 14);
    UNTIL(w, &client, frames_len(&client) == 7);
    assert_memory_equal(frames(&client),
                        "\x88\x05\x03\xF0"
                        "bye",
                        7);
    assert_string_equal(w->messages.bytes, "a|");
    client_free(&client);
    UNTIL(w, NULL, w->closed_count == 1);
    assert_int_equal(w->reason, CLOSE_POLICY);
}

static void broken(struct world *w, const char *bytes, size_t len, const char *answer, enum close_reason reason)
{
    w->closed_count = w->upgraded_count = 0;
    struct client client = client_upgrade(w);
    client_write(&client, bytes, len);
    UNTIL(w, &client, client.is_eof); /* our side is shut down, and waits for the other */
    assert_int_equal(frames_len(&client), 4);
    assert_memory_equal(frames(&client), answer, 4);
    assert_int_equal(w->closed_count, 0);
    client_free(&client);
    UNTIL(w, NULL, w->closed_count == 1);
    assert_int_equal(w->reason, reason);
}

static void broken_frames_are_told_why(void **state)
{
    struct world *w = *state;
    broken(w, "\x81\x01x", 3, "\x88\x02\x03\xEA", CLOSE_PROTOCOL);
    broken(w, "\x81\x81\0\0\0\0\xFF", 7, "\x88\x02\x03\xEF", CLOSE_BAD_UTF8);
    broken(w, "\x82\xFF\0\0\0\0\0\1\0\1\0\0\0\0x", 15, "\x88\x02\x03\xF1", CLOSE_TOO_BIG);
    assert_int_equal(w->message_count, 0);
}

static void a_reset_in_the_middle_of_a_frame(void **state)
{
    struct world *w = *state;
    struct client client = client_upgrade(w);
    client_write(&client, "\x81\xFE\x10\x00\0\0\0\0half", 12);
    struct linger reset = {.l_onoff = 1};
    setsockopt(client.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    client_free(&client);
    send_text(w, "nobody", 6, 1);
    UNTIL(w, NULL, w->closed_count == 1);
    assert_int_equal(w->reason, CLOSE_LOST);
    assert_int_not_equal(w->fates[1], 0);
}

static void end_of_stream_without_a_close_frame(void **state)
{
    struct world *w = *state;
    struct client client = client_upgrade(w);
    shutdown(client.fd, SHUT_WR);
    UNTIL(w, &client, w->closed_count == 1 && client.is_eof);
    assert_int_equal(w->reason, CLOSE_LOST);
    client_free(&client);
}

static void all_are_closed(void **state)
{
    struct world *w = *state;
    struct client one = client_upgrade(w), two = client_upgrade(w), three = client_connect(w, 0);
    UNTIL(w, NULL, conns_count(w->conns, CONN_HEAD) == 1);
    conns_stop_accepting(w->conns);
    conns_close_all(w->conns, CLOSE_SHUTDOWN);
    UNTIL(w, &one, frames_len(&one) == 4);
    UNTIL(w, &two, frames_len(&two) == 4);
    assert_memory_equal(frames(&two), "\x88\x02\x03\xE9", 4);
    UNTIL(w, &three, three.is_eof);
    assert_memory_equal(three.in.bytes, "HTTP/1.1 503 ", 13);
    client_free(&one);
    client_free(&two);
    client_free(&three);
    UNTIL(w, NULL, w->closed_count == 2 && conns_count(w->conns, CONN_CLOSING) == 0);
}

int main(void)
{
    metric_setup(gateway_metrics, 1);
    log_setup(LOG_ERROR, LOG_FORMAT_TEXT, "test", NULL);
    const struct CMUnitTest tests[] = {
        WS_TEST(upgrade_and_echo),
        WS_TEST(everything_one_byte_at_a_time),
        WS_TEST(early_bytes_are_not_lost),
        WS_TEST(a_turn_is_one_write),
        WS_TEST(what_is_held_leaves_in_one_write),
        WS_TEST(what_is_held_does_not_grow_old),
        WS_TEST(closing_ends_a_hold),
        WS_TEST(a_ping_is_answered_with_its_payload),
        WS_TEST(the_client_closes),
        WS_TEST(we_close),
        WS_TEST(a_close_that_is_not_answered_ends_by_time),
        WS_TEST(closing_from_an_upcall_ends_the_messages),
        WS_TEST(broken_frames_are_told_why),
        WS_TEST(a_reset_in_the_middle_of_a_frame),
        WS_TEST(end_of_stream_without_a_close_frame),
        WS_TEST(all_are_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
