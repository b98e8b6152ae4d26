#include "gateway/ws/takeover.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <cmocka.h>

#include "gateway/metrics.h"
#include "gateway/ws/deflater.h"
#include "gateway/ws/frame.h"

enum { BITS = 11, ROOM = 1 << 17 };

static struct takeover_settings settings;
static struct takeover *takeover;

/* A client's end, which keeps its window: so what it inflates shows that nothing was left out, and in which order. */
struct client {
    uint64_t id;
    z_stream in;
    char text[ROOM];
    size_t deflated; /* bytes on the wire, of the last payload; 0: it came as it was */
};

static void start(int64_t budget, int64_t min_len)
{
    takeover_free(&takeover);
    settings = (struct takeover_settings){.budget = budget, .window_bits = BITS, .min_len = min_len};
    takeover = takeover_new(&settings, 6);
}

static struct client *client_new(uint64_t id, int bits)
{
    struct client *client = calloc(1, sizeof *client);
    client->id = id;
    assert_int_equal(inflateInit2(&client->in, -bits), Z_OK);
    takeover_add(takeover, id, bits);
    return client;
}

static void client_free(struct client *client)
{
    takeover_remove(takeover, client->id);
    inflateEnd(&client->in);
    free(client);
}

static void take(struct client *client, struct message *m)
{
    const char *bytes = message_bytes(m);
    size_t head = frame_head_len(bytes), len = message_len(m) - head;
    unsigned char *payload = malloc(len + 4);
    memcpy(payload, bytes + head, len);
    client->deflated = 0;
    if ((unsigned char)bytes[0] & 0x40) {
        memcpy(payload + len, "\x00\x00\xff\xff", 4);
        client->in.next_in = payload;
        client->in.avail_in = (uInt)(len + 4);
        client->in.next_out = (unsigned char *)client->text;
        client->in.avail_out = ROOM - 1;
        assert_int_equal(inflate(&client->in, Z_SYNC_FLUSH), Z_OK);
        assert_int_equal(client->in.avail_in, 0);
        client->text[ROOM - 1 - client->in.avail_out] = '\0';
        client->deflated = len;
    } else {
        memcpy(client->text, payload, len);
        client->text[len] = '\0';
    }
    free(payload);
}

static struct message *send_to(struct client *client, const char *text)
{
    struct message *frame = frame_new(FRAME_TEXT, text, strlen(text));
    struct message *own = takeover_frame(takeover, client->id, frame);
    message_unref(&frame);
    take(client, own);
    assert_string_equal(client->text, text);
    return own;
}

static size_t wire_len(struct client *client, const char *text)
{
    struct message *own = send_to(client, text);
    message_unref(&own);
    return client->deflated;
}

static void payload_is(struct client *client, const char *text, const char *payload, size_t len)
{
    struct message *own = send_to(client, text);
    assert_int_equal(message_len(own), 2 + len);
    assert_memory_equal(message_bytes(own), ((char[]){(char)0xc1, (char)len}), 2);
    assert_memory_equal(message_bytes(own) + 2, payload, len);
    message_unref(&own);
}

static void example_of_the_rfc(void **state)
{
    (void)state;
    start(1 << 20, 1);
    struct client *client = client_new(1, BITS);
    payload_is(client, "Hello", "\xf2\x48\xcd\xc9\xc9\x07\x00", 7); /* 7.2.3.1 */
    payload_is(client, "Hello", "\xf2\x00\x11\x00\x00", 5);         /* 7.2.3.2: a reference to the first */
    takeover_trim(takeover);
    payload_is(client, "Hello", "\xf2\x48\xcd\xc9\xc9\x07\x00", 7); /* which is forgotten now */
    client_free(client);
}

static void what_resembles_becomes_a_fraction(void **state)
{
    (void)state;
    start(1 << 20, 64);
    struct client *a = client_new(1, BITS), *b = client_new(2, 9);
    size_t first = 0, last = 0;
    for (int i = 0; i < 500; i++) { /* each has its own window: what one was sent, the other was not */
        char text[200];
        snprintf(text, sizeof text,
                 "{\"type\":\"push\",\"id\":\"m-%08x\",\"content\":{\"symbol\":\"%s\",\"price\":%d.%02d}}",
                 (unsigned)i * 2654435761u, i % 3 ? "ACME" : "WXYZ", i % 97, i % 89);
        last = wire_len(i % 2 ? a : b, text);
        first = i == 0 ? last : first;
        assert_true(last > 0);
    }
    assert_true(first > 60 && last < 30);
    client_free(a);
    client_free(b);
}

static void short_ones_are_sent_as_they_are(void **state)
{
    (void)state;
    start(1 << 20, 64);
    struct client *client = client_new(1, BITS);
    assert_int_equal(wire_len(client, "short"), 0);
    assert_int_equal(metric_get(METRIC_WS_TAKEOVER_BYTES), 0); /* nothing was needed yet */
    struct message *ping = frame_new(FRAME_PING, "0123456789012345678901234567890123456789012345678901234567890123",
                                     64);
    struct message *own = takeover_frame(takeover, client->id, ping);
    assert_ptr_equal(own, ping);
    message_unref(&own);
    message_unref(&ping);
    client_free(client);
}

/* It fits nowhere, so the window begins anew, and what follows is right. */
static void noise_is_sent_as_it_is(void **state)
{
    (void)state;
    static char noise[60001];
    uint32_t seed = 1;
    for (size_t i = 0; i + 1 < sizeof noise; i++)
        noise[i] = (char)(1 + ((seed = seed * 1664525 + 1013904223) >> 24) % 255);
    start(1 << 20, 1);
    struct client *client = client_new(1, BITS);
    assert_true(wire_len(client, "Hello, hello, hello") > 0);
    assert_int_equal(wire_len(client, noise), 0);
    assert_true(wire_len(client, "Hello, hello, hello") > 0);
    noise[200] = '\0'; /* a few bytes longer: rather that than to lose the window */
    struct message *own = send_to(client, noise);
    assert_in_range(client->deflated, 200, 200 + TAKEOVER_GROWTH);
    message_unref(&own);
    assert_in_range(wire_len(client, noise), 1, 20);
    client_free(client);
}

static void large_ones(void **state)
{
    (void)state;
    static char text[100001];
    start(1 << 20, 64);
    struct client *client = client_new(1, BITS);
    for (size_t i = 0; i + 1 < sizeof text; i++)
        text[i] = "{\"price\":12.5,\"volume\":17}"[i % 26];
    assert_in_range(wire_len(client, text), 1, 2000);
    assert_in_range(wire_len(client, text), 1, 2000);
    client_free(client);
}

static void the_budget_holds(void **state)
{
    (void)state;
    enum { BUDGET = 200 * 1024 };
    struct client *clients[64];
    uint64_t count = 0;
    start(BUDGET, 1);
    while (takeover_bits(takeover) > 0) {
        assert_in_range(count, 0, 63);
        clients[count] = client_new(count + 1, BITS);
        count++;
    }
    assert_in_range(count, 5, 12);
    assert_int_equal(metric_get(METRIC_WS_TAKEOVER_CONNECTIONS), count);
    assert_int_equal(metric_get(METRIC_WS_TAKEOVER_BYTES), 0);
    for (uint64_t i = 0; i < count; i++)
        (void)wire_len(clients[i], "something to be deflated");
    assert_in_range(metric_get(METRIC_WS_TAKEOVER_BYTES), BUDGET / 2, BUDGET);
    client_free(clients[0]); /* there is room for another one, and for no more */
    assert_int_equal(takeover_bits(takeover), BITS);
    clients[0] = client_new(1000, BITS);
    assert_int_equal(takeover_bits(takeover), 0);
    takeover_trim(takeover);
    assert_int_equal(metric_get(METRIC_WS_TAKEOVER_BYTES), 0);
    (void)wire_len(clients[3], "it comes again");
    assert_true(metric_get(METRIC_WS_TAKEOVER_BYTES) > 0);
    while (count > 0)
        client_free(clients[--count]);
    assert_int_equal(metric_get(METRIC_WS_TAKEOVER_BYTES), 0);
    assert_int_equal(metric_get(METRIC_WS_TAKEOVER_CONNECTIONS), 0);
}

static void without_a_budget(void **state)
{
    (void)state;
    start(0, 64);
    assert_int_equal(takeover_bits(takeover), 0);
    start(1000, 64); /* less than one of them takes */
    assert_int_equal(takeover_bits(takeover), 0);
}

static int set_up(void **state)
{
    (void)state;
    metric_setup(gateway_metrics, 1);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    takeover_free(&takeover);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(example_of_the_rfc),
        cmocka_unit_test(what_resembles_becomes_a_fraction),
        cmocka_unit_test(short_ones_are_sent_as_they_are),
        cmocka_unit_test(noise_is_sent_as_it_is),
        cmocka_unit_test(large_ones),
        cmocka_unit_test(the_budget_holds),
        cmocka_unit_test(without_a_budget),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
