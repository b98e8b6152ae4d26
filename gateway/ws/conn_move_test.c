/* Connections that are idle are moved together when many have left, and notice nothing. */
#include "gateway/ws/conn_test_world.h"

#include <sys/resource.h>

#include "gateway/ws/conn_internal.h"

enum { CROWD = 1800, STAYS = 10 /* one of so many */ };

/* To another place, if it can go now. */
static bool move(struct world *w)
{
    struct conn *old = w->conn, *to = slab_get(w->conns->slab);
    memcpy(to, old, sizeof(*old));
    bool is_moved = conn_move(w->conns, old, to);
    slab_put(w->conns->slab, is_moved ? old : to);
    w->conn = is_moved ? to : old;
    return is_moved;
}

static void goes_on_where_it_is_moved_to(void **state)
{
    struct world *w = *state;
    struct client client = client_upgrade(w);
    w->is_echoing = true;
    for (size_t i = 1; i <= 3; i++) {
        assert_true(move(w));
        client_frame(&client, FRAME_TEXT, "hello", 5);
        UNTIL(w, &client, frames_len(&client) == 7 * i);
        UNTIL(w, NULL, w->conn->outq == NULL);
    }
    assert_int_equal(w->moved_count, 3);
    assert_int_equal(conns_count(w->conns, CONN_OPEN), 1);
    client_free(&client);
    UNTIL(w, NULL, w->closed_count == 1 && conns_count(w->conns, CONN_CLOSING) == 0);
}

static void its_deadlines_move_with_it(void **state)
{
    struct world *w = *state;
    w->settings.ping_interval_ms = 300;
    struct client client = client_upgrade(w);
    assert_true(move(w));
    UNTIL(w, &client, frames_len(&client) == 2);
    assert_memory_equal(frames(&client), "\x89\x00", 2); /* a ping */
    client_free(&client);
    UNTIL(w, NULL, w->closed_count == 1);
}

static void stays_while_something_is_under_way(void **state)
{
    struct world *w = *state;
    struct client client = client_upgrade(w);
    send_text(w, "frame", 5, 1);
    assert_false(move(w)); /* to be written at the end of the turn */
    UNTIL(w, &client, w->fate_counts[ERR_OK] == 1);
    client_write(&client, "\x81\x85\0\0\0\0ha", 8);
    UNTIL(w, NULL, w->conn->codec != NULL);
    assert_false(move(w)); /* in the middle of a message */
    client_write(&client, "llo", 3);
    UNTIL(w, NULL, w->message_count == 1);
    assert_true(move(w));
    conn_close(w->conn, CLOSE_SHUTDOWN, NULL);
    assert_false(move(w)); /* closing */
    client_free(&client);
    UNTIL(w, NULL, w->closed_count == 1);
}

static void let_many_be_open(void)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_true(limit.rlim_max > 2 * CROWD + 100);
}

static void memory_comes_back_when_most_have_left(void **state)
{
    static struct client clients[CROWD];
    struct world *w = *state;
    let_many_be_open();
    w->settings.connections_max = CROWD;
    w->is_echoing = true;
    for (size_t i = 0; i < CROWD; i++)
        clients[i] = client_upgrade(w);
    size_t most = slab_bytes(w->conns->slab);
    for (size_t i = 0; i < CROWD; i++)
        if (i % STAYS)
            client_free(&clients[i]);
    UNTIL(w, NULL, w->closed_count == CROWD - CROWD / STAYS && slab_bytes(w->conns->slab) < most / 2);
    assert_true(w->moved_count > 0);
    assert_int_equal(metric_get(METRIC_WS_CONN_BYTES), slab_bytes(w->conns->slab));
    for (size_t i = 0; i < CROWD; i += STAYS) {
        client_frame(&clients[i], FRAME_TEXT, "hello", 5);
        UNTIL(w, &clients[i], frames_len(&clients[i]) == 7);
        client_free(&clients[i]);
    }
    UNTIL(w, NULL, w->closed_count == CROWD);
}

int main(void)
{
    metric_setup(gateway_metrics, 1);
    log_setup(LOG_ERROR, LOG_FORMAT_TEXT, "test", NULL);
    const struct CMUnitTest tests[] = {
        WS_TEST(goes_on_where_it_is_moved_to),
        WS_TEST(its_deadlines_move_with_it),
        WS_TEST(stays_while_something_is_under_way),
        WS_TEST(memory_comes_back_when_most_have_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
