/* The worker's client to itself, over a socket pair, with real connections at the other end. */
#include "gateway/canary/canary_client.h"
#include "gateway/ws/conn_test_world.h"

struct bird {
    struct world *world;
    struct canary_client *client;
    unsigned pushes;
    char content[64];
};

static void on_push(void *arg, const char *content, size_t len)
{
    struct bird *bird = arg;
    assert_in_range(len, 1, sizeof(bird->content) - 1);
    memcpy(bird->content, content, len);
    bird->content[len] = '\0';
    bird->pushes++;
}

static void send_json(const struct bird *bird, const char *text)
{
    send_text(bird->world, text, strlen(text), 0);
}

static void open_client(struct bird *bird, struct world *w)
{
    *bird = (struct bird){.world = w, .client = canary_client_new(w->loop, w->conns, "/ws", on_push, bird)};
    canary_client_connect(bird->client);
    UNTIL(w, NULL, w->upgraded_count == 1);
    assert_false(canary_client_is_open(bird->client));
    send_json(bird, "{\"type\":\"auth_response\",\"code\":200}");
    UNTIL(w, NULL, canary_client_is_open(bird->client));
}

static void close_client(struct bird *bird)
{
    unsigned closed = bird->world->closed_count;
    canary_client_free(&bird->client);
    UNTIL(bird->world, NULL, bird->world->closed_count == closed + 1);
}

static void what_it_sees_is_told_and_acknowledged(void **state)
{
    struct world *w = *state;
    struct bird bird;
    open_client(&bird, w);
    send_json(&bird, "{\"type\":\"push\",\"id\":\"a\",\"seq\":1,\"content\":{\"number\":7}}");
    send_json(&bird, "{\"type\":\"push\",\"id\":\"b\",\"seq\":2,\"content\":{\"number\":8}}");
    UNTIL(w, NULL, w->message_count == 2);
    assert_int_equal(bird.pushes, 2);
    assert_string_equal(bird.content, "{\"number\":8}");
    assert_string_equal(w->messages.bytes, "{\"type\":\"ack\",\"seq\":1}|{\"type\":\"ack\",\"seq\":2}|");
    close_client(&bird);
}

static void a_long_frame_is_read_too(void **state)
{
    struct world *w = *state;
    struct bird bird;
    char text[600];
    open_client(&bird, w);
    snprintf(text, sizeof text, "{\"type\":\"push\",\"seq\":1,\"content\":9,\"from\":\"%0400d\"}", 0);
    send_json(&bird, text);
    UNTIL(w, NULL, w->message_count == 1);
    assert_string_equal(bird.content, "9");
    close_client(&bird);
}

static void a_ping_is_answered(void **state)
{
    struct world *w = *state;
    struct bird bird;
    w->settings.ping_interval_ms = 200;
    w->settings.idle_timeout_ms = 1000;
    open_client(&bird, w);
    uint64_t pongs = metric_get_labelled(METRIC_WS_FRAMES_IN, WS_FRAME_PONG);
    UNTIL(w, NULL,
          metric_get_labelled(METRIC_WS_FRAMES_IN, WS_FRAME_PONG) >= pongs + 8); /* longer than the idle time */
    assert_int_equal(w->closed_count, 0);
    close_client(&bird);
}

static void after_a_close_it_connects_again(void **state)
{
    struct world *w = *state;
    struct bird bird;
    open_client(&bird, w);
    conn_close(w->conn, CLOSE_SHUTDOWN, "bye");
    UNTIL(w, NULL, w->closed_count == 1);
    assert_false(canary_client_is_open(bird.client));
    canary_client_connect(bird.client);
    UNTIL(w, NULL, w->upgraded_count == 2);
    close_client(&bird);
}

static void what_is_no_push_ends_it(void **state)
{
    struct world *w = *state;
    struct bird bird;
    open_client(&bird, w);
    send_json(&bird, "no JSON");
    UNTIL(w, NULL, w->closed_count == 1);
    assert_false(canary_client_is_open(bird.client));
    canary_client_free(&bird.client);
}

/* No limit keeps it out, and nobody counts it. */
static void it_is_nobodys_connection(void **state)
{
    struct world *w = *state;
    struct bird bird;
    w->settings.connections_max = 1;
    struct client client = client_upgrade(w);
    assert_false(conn_is_own(w->conn));
    w->upgraded_count = 0;
    open_client(&bird, w);
    assert_true(conn_is_own(w->conn));
    assert_int_equal(conns_count(w->conns, CONN_OPEN), 1);
    assert_int_equal(metric_get_labelled(METRIC_WS_CONNECTIONS, CONN_OPEN), 1);
    close_client(&bird);
    assert_int_equal(conns_count(w->conns, CONN_OPEN), 1);
    w->upgraded_count = 2;
    client_free(&client);
    UNTIL(w, NULL, w->closed_count == 2);
}

int main(void)
{
    metric_setup(gateway_metrics, 1);
    log_setup(LOG_ERROR, LOG_FORMAT_TEXT, "test", NULL);
    const struct CMUnitTest tests[] = {
        WS_TEST(what_it_sees_is_told_and_acknowledged),
        WS_TEST(a_long_frame_is_read_too),
        WS_TEST(a_ping_is_answered),
        WS_TEST(after_a_close_it_connects_again),
        WS_TEST(what_is_no_push_ends_it),
        WS_TEST(it_is_nobodys_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
