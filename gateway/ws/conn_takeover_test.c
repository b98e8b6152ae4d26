/* permessage-deflate with context takeover, through whole connections. */
#include "gateway/ws/conn_test_world.h"

#include <zlib.h>

enum { TEXT_LEN = 4000, SHORT_LEN = 300 };

static const char offering[] = "GET /ws?device=d1 HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                               "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " KEY "\r\n"
                               "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n";

/* What inflates on the client's side: its window lasts. */
struct reader {
    z_stream in;
    size_t at; /* in frames() */
    char text[TEXT_LEN + 1];
    bool is_deflated;
};

static void start_again(struct world *w, int64_t budget)
{
    conns_free(&w->conns);
    w->settings.is_deflate = true;
    w->settings.deflate_min = 512;
    w->settings.deflate_level = 1;
    w->settings.takeover = (struct takeover_settings){.budget = budget, .window_bits = 11, .min_len = 64};
    w->conns = conns_new(w->loop, &w->settings, &events, w);
    conns_start_accepting(w->conns, w->listener);
}

static struct client offer(struct world *w, int receive_buffer)
{
    struct client client = client_connect(w, receive_buffer);
    client_write(&client, offering, sizeof(offering) - 1);
    UNTIL(w, &client, has_answer(&client));
    assert_non_null(strstr(client.in.bytes, "\r\nSec-WebSocket-Extensions: permessage-deflate; "));
    return client;
}

static bool has_takeover(const struct client *client)
{
    return strstr(client->in.bytes, "server_no_context_takeover") == NULL;
}

static void reader_init(struct reader *reader)
{
    *reader = (struct reader){0};
    assert_int_equal(inflateInit2(&reader->in, -11), Z_OK);
}

/* Takes the next frame; false: it is not whole yet. */
static bool next_text(struct reader *reader, const struct client *client)
{
    size_t left = frames_len(client) - reader->at;
    const unsigned char *frame = (const unsigned char *)frames(client) + reader->at;
    size_t head = left < 2 || frame[1] < 126 ? 2 : 4;
    if (left < head)
        return false;
    size_t len = head == 2 ? frame[1] : (size_t)(frame[2] << 8 | frame[3]);
    if (left < head + len)
        return false;
    unsigned char payload[TEXT_LEN + 32];
    assert_in_range(len, 1, TEXT_LEN + TAKEOVER_GROWTH);
    memcpy(payload, frame + head, len);
    reader->is_deflated = frame[0] == 0xc1;
    reader->at += head + len;
    if (!reader->is_deflated) {
        assert_int_equal(frame[0], 0x81);
        memcpy(reader->text, payload, len);
        reader->text[len] = '\0';
        return true;
    }
    memcpy(payload + len, "\x00\x00\xff\xff", 4);
    reader->in.next_in = payload;
    reader->in.avail_in = (uInt)len + 4;
    reader->in.next_out = (unsigned char *)reader->text;
    reader->in.avail_out = TEXT_LEN;
    assert_int_equal(inflate(&reader->in, Z_SYNC_FLUSH), Z_OK);
    reader->text[TEXT_LEN - reader->in.avail_out] = '\0';
    return true;
}

static void text_of(unsigned number, int text_len, char text_r[TEXT_LEN + 1])
{
    int len = snprintf(text_r, TEXT_LEN + 1, "{\"number\":%u,\"noise\":\"", number);
    uint32_t seed = number;
    while (len < text_len - 2)
        text_r[len++] = (char)('a' + ((seed = seed * 1664525 + 1013904223) >> 24) % 26);
    memcpy(text_r + len, "\"}", 3);
}

static void the_window_lasts(void **state)
{
    struct world *w = *state;
    struct reader reader;
    start_again(w, 1 << 20);
    struct client client = offer(w, 0);
    assert_true(has_takeover(&client));
    reader_init(&reader);
    for (unsigned i = 1; i <= 3; i++) {
        char text[TEXT_LEN + 1];
        text_of(7, SHORT_LEN, text);
        send_text(w, text, SHORT_LEN, i);
        size_t before = reader.at;
        UNTIL(w, &client, next_text(&reader, &client));
        assert_true(reader.is_deflated);
        assert_string_equal(reader.text, text);
        assert_true(i == 1 ? reader.at - before > 100 : reader.at - before < 20);
    }
    inflateEnd(&reader.in);
    client_free(&client);
    UNTIL(w, NULL, w->closed_count == 1);
    assert_int_equal(metric_get(METRIC_WS_TAKEOVER_CONNECTIONS), 0);
    assert_int_equal(metric_get(METRIC_WS_TAKEOVER_BYTES), 0);
}

/* What is not queued must not be in the window either: else all that follows is broken. */
static void what_a_full_queue_drops_is_not_missed(void **state)
{
    struct world *w = *state;
    struct reader reader;
    unsigned sent = 0, read = 0;
    w->settings.queue_max_bytes = 32 * 1024;
    start_again(w, 1 << 20);
    struct client client = offer(w, 4096);
    char text[TEXT_LEN + 1];
    while (w->fate_counts[ERR_FULL] < 20) {
        assert_in_range(++sent, 1, RECEIPTS_MAX - 10);
        text_of(sent, TEXT_LEN, text);
        send_text(w, text, TEXT_LEN, sent);
        loop_turn(w->loop);
    }
    reader_init(&reader);
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = read + 1; i <= sent; i++) {
            UNTIL(w, &client, w->fates[i] != 0);
            if (w->fates[i] != 1 + ERR_OK)
                continue;
            text_of(i, TEXT_LEN, text);
            UNTIL(w, &client, next_text(&reader, &client));
            assert_string_equal(reader.text, text);
        }
        read = sent++; /* and one more, now that there is room */
        text_of(sent, TEXT_LEN, text);
        if (round == 0)
            send_text(w, text, TEXT_LEN, sent);
    }
    assert_int_equal(w->fates[read], 1 + ERR_OK);
    inflateEnd(&reader.in);
    client_free(&client);
}

static void who_comes_when_the_budget_is_spent(void **state)
{
    struct world *w = *state;
    uint64_t denied = metric_get(METRIC_WS_TAKEOVER_DENIED);
    start_again(w, 40 * 1024);
    struct client first = offer(w, 0), second = offer(w, 0);
    assert_true(has_takeover(&first) && !has_takeover(&second));
    assert_int_equal(metric_get(METRIC_WS_TAKEOVER_DENIED) - denied, 1);
    client_free(&first);
    UNTIL(w, NULL, w->closed_count == 1);
    struct client third = offer(w, 0);
    assert_true(has_takeover(&third));
    client_free(&second);
    client_free(&third);
}

static void off_by_default(void **state)
{
    struct world *w = *state;
    uint64_t denied = metric_get(METRIC_WS_TAKEOVER_DENIED);
    start_again(w, 0);
    struct client client = offer(w, 0);
    assert_false(has_takeover(&client));
    assert_int_equal(metric_get(METRIC_WS_TAKEOVER_DENIED), denied);
    client_free(&client);
}

int main(void)
{
    metric_setup(gateway_metrics, 1);
    log_setup(LOG_ERROR, LOG_FORMAT_TEXT, "test", NULL);
    const struct CMUnitTest tests[] = {
        WS_TEST(the_window_lasts),
        WS_TEST(what_a_full_queue_drops_is_not_missed),
        WS_TEST(who_comes_when_the_budget_is_spent),
        WS_TEST(off_by_default),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
