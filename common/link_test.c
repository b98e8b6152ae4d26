#include "link.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct link_arena *arena;

static const Herald__V1__Envelope *unpack_ok(const char *bytes, size_t len)
{
    const Herald__V1__Envelope *envelope;
    assert_int_equal(link_unpack(arena, bytes, len, "gw1-0", 100, &envelope), ERR_OK);
    return envelope;
}

static void put_deliveries(struct link_out *out, int count)
{
    for (int i = 0; i < count; i++) {
        Herald__V1__Target target = HERALD__V1__TARGET__INIT, *targets[] = {&target};
        Herald__V1__Delivery delivery = HERALD__V1__DELIVERY__INIT;
        char id[16];
        snprintf(id, sizeof id, "m%d", i);
        target.user = (char[]){"42"};
        target.slot = (uint32_t)i;
        delivery.id = id;
        delivery.content = (ProtobufCBinaryData){3, (uint8_t *)(char[]){"{}\n"}};
        delivery.n_targets = 1;
        delivery.targets = targets;
        link_put_delivery(out, &delivery);
    }
}

static char *pack_all(struct link_out *out, size_t *len_r)
{
    Herald__V1__Hello hello = HERALD__V1__HELLO__INIT;
    hello.endpoint = (char[]){"tcp://127.0.0.1:1"};
    hello.sent_us = 77;
    link_put_hello(out, &hello);
    put_deliveries(out, 3);
    Herald__V1__Result result = HERALD__V1__RESULT__INIT;
    result.slot = 5;
    result.kind = HERALD__V1__RESULT_KIND__RESULT_ACKED;
    link_put_result(out, &result);
    Herald__V1__Poke poke = HERALD__V1__POKE__INIT;
    poke.user = (char[]){"42"};
    link_put_poke(out, &poke);
    Herald__V1__Upstream upstream = HERALD__V1__UPSTREAM__INIT;
    upstream.request = 9;
    link_put_upstream(out, &upstream);
    Herald__V1__UpstreamResult answer = HERALD__V1__UPSTREAM_RESULT__INIT;
    answer.code = 200;
    link_put_upstream_result(out, &answer);
    put_deliveries(out, 1); /* pieces of one kind need not stand together */
    return link_take(out, len_r);
}

static void test_round_trip_in_pieces(void **state)
{
    (void)state;
    struct link_out out;
    link_out_init(&out, "rt-1", 50, "gw1-0", 100);
    size_t len;
    assert_null(link_take(&out, &len));
    assert_int_equal(len, 0);
    char *bytes = pack_all(&out, &len);
    assert_int_equal(out.pieces, 0);
    assert_int_equal(out.packed.len, 0);
    const Herald__V1__Envelope *e = unpack_ok(bytes, len);
    assert_string_equal(e->from, "rt-1");
    assert_int_equal(e->from_generation, 50);
    assert_int_equal(e->hello->sent_us, 77);
    assert_int_equal(e->n_deliveries, 4);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(e->deliveries[i]->targets[0]->slot, i);
    assert_string_equal(e->deliveries[3]->id, "m0");
    assert_memory_equal(e->deliveries[2]->content.data, "{}\n", 3);
    assert_int_equal(e->results[0]->slot, 5);
    assert_string_equal(e->pokes[0]->user, "42");
    assert_int_equal(e->upstreams[0]->request, 9);
    assert_int_equal(e->upstream_results[0]->code, 200);
    free(bytes);
    bytes = pack_all(&out, &len); /* a second envelope has its head again */
    assert_int_equal(unpack_ok(bytes, len)->n_deliveries, 4);
    free(bytes);
    put_deliveries(&out, 2);
    assert_int_equal(out.pieces, 2);
    link_out_release(&out);
    assert_int_equal(out.packed.len, 0);
}

static void test_large_pieces(void **state)
{
    (void)state;
    struct link_out out;
    link_out_init(&out, "rt-1", 50, "gw1-0", 0);
    for (size_t size = 0; size < 70000; size += 9973) {
        Herald__V1__Delivery delivery = HERALD__V1__DELIVERY__INIT;
        delivery.content.data = calloc(1, size + 1);
        delivery.content.len = size;
        link_put_delivery(&out, &delivery);
        free(delivery.content.data);
    }
    size_t len;
    char *bytes = link_take(&out, &len);
    const Herald__V1__Envelope *e = unpack_ok(bytes, len);
    assert_int_equal(e->n_deliveries, 8);
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(e->deliveries[i]->content.len, i * 9973);
    free(bytes);
}

static void test_truncated_at_every_byte(void **state)
{
    (void)state;
    struct link_out out;
    link_out_init(&out, "rt-1", 50, "gw1-0", 100);
    size_t len;
    char *bytes = pack_all(&out, &len);
    size_t refused = 0;
    for (size_t cut = 0; cut < len; cut++) {
        char *exact = malloc(cut + 1); /* of its own, so that reading beyond it is seen */
        memcpy(exact, bytes, cut);
        exact = realloc(exact, cut ? cut : 1);
        const Herald__V1__Envelope *e;
        refused += link_unpack(arena, exact, cut, "gw1-0", 100, &e) != ERR_OK;
        free(exact);
    }
    assert_true(refused > len / 2); /* cuts between pieces are valid envelopes */
    free(bytes);
}

static void test_every_byte_changed(void **state)
{
    (void)state;
    struct link_out out;
    link_out_init(&out, "rt-1", 50, "gw1-0", 100);
    size_t len;
    char *bytes = pack_all(&out, &len);
    size_t refused = 0;
    for (size_t i = 0; i < len; i++)
        for (int bit = 0; bit < 8; bit++) {
            bytes[i] ^= (char)(1 << bit);
            const Herald__V1__Envelope *e;
            refused += link_unpack(arena, bytes, len, "gw1-0", 100, &e) != ERR_OK;
            bytes[i] ^= (char)(1 << bit);
        }
    assert_true(refused > 0);
    free(bytes);
}

static void test_arena_limit(void **state)
{
    (void)state;
    struct link_out out;
    link_out_init(&out, "rt-1", 50, "gw1-0", 100);
    put_deliveries(&out, 200);
    size_t len, fits_at = 0;
    char *bytes = link_take(&out, &len);
    for (size_t max = 0; max < 200000; max += 251) {
        struct link_arena *small = link_arena_new(max);
        const Herald__V1__Envelope *e;
        enum err err = link_unpack(small, bytes, len, "gw1-0", 100, &e);
        if (err == ERR_OK && !fits_at)
            fits_at = max;
        if (fits_at)
            assert_int_equal(err, ERR_OK);
        else
            assert_int_equal(err, ERR_TOO_LARGE);
        if (err == ERR_OK) { /* and again, in memory that is used again */
            assert_int_equal(link_unpack(small, bytes, len, "gw1-0", 100, &e), ERR_OK);
            assert_int_equal(e->n_deliveries, 200);
        }
        link_arena_free(&small);
    }
    assert_true(fits_at > 10000);
    free(bytes);
}

static enum err unpack_as(const char *bytes, size_t len, const char *self, uint64_t generation)
{
    const Herald__V1__Envelope *e;
    enum err err = link_unpack(arena, bytes, len, self, generation, &e);
    assert_int_equal(err == ERR_OK, e != NULL);
    return err;
}

static void test_wrong_receiver_life_or_version(void **state)
{
    (void)state;
    struct link_out out;
    link_out_init(&out, "rt-1", 50, "gw1-0", 100);
    put_deliveries(&out, 1);
    size_t len;
    char *bytes = link_take(&out, &len);
    assert_int_equal(unpack_as(bytes, len, "gw1-0", 100), ERR_OK);
    assert_int_equal(unpack_as(bytes, len, "gw1-1", 100), ERR_REFUSED);
    assert_int_equal(unpack_as(bytes, len, "gw1-0", 101), ERR_REFUSED);
    free(bytes);
    link_out_init(&out, "rt-1", 50, "gw1-0", 0); /* any life */
    put_deliveries(&out, 1);
    bytes = link_take(&out, &len);
    assert_int_equal(unpack_as(bytes, len, "gw1-0", 101), ERR_OK);
    bytes[1] = 2; /* the version is the first field */
    assert_int_equal(unpack_as(bytes, len, "gw1-0", 101), ERR_UNSUPPORTED);
    free(bytes);
    assert_int_equal(unpack_as("", 0, "gw1-0", 101), ERR_UNSUPPORTED);
    assert_int_equal(unpack_as("GET / HTTP/1.1\r\n", 16, "gw1-0", 101), ERR_INVALID);
}

static void test_unknown_fields_are_skipped(void **state)
{
    (void)state;
    struct link_out out;
    link_out_init(&out, "rt-1", 50, "gw1-0", 100);
    put_deliveries(&out, 1);
    size_t len;
    char *bytes = link_take(&out, &len);
    static const char field_99[] = "\x9a\x06\x03new"; /* number 99, three bytes */
    bytes = realloc(bytes, len + sizeof field_99 - 1);
    memcpy(bytes + len, field_99, sizeof field_99 - 1);
    const Herald__V1__Envelope *e = unpack_ok(bytes, len + sizeof field_99 - 1);
    assert_int_equal(e->n_deliveries, 1);
    free(bytes);
}

static int set_up(void **state)
{
    (void)state;
    arena = link_arena_new(4 << 20);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    link_arena_free(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip_in_pieces),
        cmocka_unit_test(test_large_pieces),
        cmocka_unit_test(test_truncated_at_every_byte),
        cmocka_unit_test(test_every_byte_changed),
        cmocka_unit_test(test_arena_limit),
        cmocka_unit_test(test_wrong_receiver_life_or_version),
        cmocka_unit_test(test_unknown_fields_are_skipped),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
