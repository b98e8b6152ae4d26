/* Writes that wait for company. */
#include "gateway/ws/conn_test_world.h"

enum { LONG_MS = 60000, SHORT_MS = 30 };

static void send_late(struct world *w, const char *text, unsigned number, uint64_t delay_ms)
{
    struct message *frame = frame_new(FRAME_TEXT, text, strlen(text));
    conn_send_late(w->conn, frame, receipt(number), delay_ms);
    message_unref(&frame);
}

static uint64_t writes(void)
{
    return metric_get(METRIC_WS_WRITES);
}

static void one_write_takes_all(void **state)
{
    struct world *w = *state;
    struct client client = client_upgrade(w);
    uint64_t before = writes();
    uint64_t begin_ms = clock_mono_ms();
    send_late(w, "a", 1, SHORT_MS);
    loop_turn(w->loop);
    send_late(w, "b", 2, SHORT_MS);
    UNTIL(w, &client, frames_len(&client) == 6);
    assert_true(clock_mono_ms() - begin_ms >= SHORT_MS);
    assert_memory_equal(frames(&client),
                        "\x81\x01"
                        "a\x81\x01"
                        "b",
                        6);
    assert_int_equal(writes() - before, 1);
    assert_int_equal(w->fate_counts[ERR_OK], 2);
    client_free(&client);
}

static void what_does_not_wait_takes_it_along(void **state)
{
    struct world *w = *state;
    struct client client = client_upgrade(w);
    uint64_t before = writes();
    send_late(w, "a", 1, LONG_MS);
    send_text(w, "b", 1, 2);
    UNTIL(w, &client, frames_len(&client) == 6);
    assert_memory_equal(frames(&client),
                        "\x81\x01"
                        "a\x81\x01"
                        "b",
                        6);
    assert_int_equal(writes() - before, 1);
    client_free(&client);
}

static void the_shorter_delay_counts(void **state)
{
    struct world *w = *state;
    struct client client = client_upgrade(w);
    send_late(w, "a", 1, LONG_MS);
    send_late(w, "b", 2, SHORT_MS);
    send_late(w, "c", 3, LONG_MS);
    UNTIL(w, &client, frames_len(&client) == 9);
    assert_int_equal(w->fate_counts[ERR_OK], 3);
    client_free(&client);
}

static void a_close_takes_it_along(void **state)
{
    struct world *w = *state;
    struct client client = client_upgrade(w);
    send_late(w, "a", 1, LONG_MS);
    conn_close(w->conn, CLOSE_SHUTDOWN, NULL);
    UNTIL(w, &client, frames_len(&client) == 7);
    assert_memory_equal(frames(&client),
                        "\x81\x01"
                        "a\x88\x02\x03\xE9",
                        7);
    client_free(&client);
    UNTIL(w, NULL, w->closed_count == 1);
}

static void a_connection_that_goes_tells_its_fate(void **state)
{
    struct world *w = *state;
    struct client client = client_upgrade(w);
    send_late(w, "a", 1, LONG_MS);
    client_free(&client);
    UNTIL(w, NULL, w->closed_count == 1);
    assert_int_equal(w->fate_counts[ERR_CLOSED], 1);
}

/* More than the kernel takes: the rest goes when there is room, not when the delay is over. */
static void a_blocked_connection_forgets_the_delay(void **state)
{
    struct world *w = *state;
    w->settings.queue_max_bytes = 32 << 20;
    struct client client = client_upgrade(w);
    static char big[8 << 20];
    memset(big, 'x', sizeof(big) - 1);
    send_late(w, big, 1, SHORT_MS);
    UNTIL(w, NULL, conn_is_blocked(w->conn));
    send_late(w, "b", 2, LONG_MS);
    UNTIL(w, &client, w->fate_counts[ERR_OK] == 2);
    client_free(&client);
}

int main(void)
{
    metric_setup(gateway_metrics, 1);
    log_setup(LOG_ERROR, LOG_FORMAT_TEXT, "test", NULL);
    const struct CMUnitTest tests[] = {
        WS_TEST(one_write_takes_all),
        WS_TEST(what_does_not_wait_takes_it_along),
        WS_TEST(the_shorter_delay_counts),
        WS_TEST(a_close_takes_it_along),
        WS_TEST(a_connection_that_goes_tells_its_fate),
        WS_TEST(a_blocked_connection_forgets_the_delay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
