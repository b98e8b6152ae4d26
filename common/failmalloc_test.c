/* What of common/ reads input, or remembers it, without memory: see tests/unit/failmalloc.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "json_scan.h"
#include "jwt_sign.h"
#include "lease.h"
#include "link.h"
#include "members.h"
#include "memory.h"
#include "message.h"
#include "slab.h"
#include "table.h"
#include "tests/unit/failmalloc.h"
#include "wheel.h"

static bool json_text(void)
{
    static const char text[] = "{\"a\":\"x\\u00e4\\ny\",\"n\":12,\"l\":[\"\\\"q\\\"\",true]}";
    static const char *const names[] = {"a", "n", "l"};
    struct json_span spans[3], element;
    struct buf scratch;
    const char *str;
    size_t len, cursor = 0;
    int64_t n;
    buf_init(&scratch);
    TRIAL(json_scan_object(text, strlen(text), names, 3, spans, NULL, NULL) == ERR_OK);
    TRIAL(json_span_str(&spans[0], &scratch, &str, &len) == ERR_OK && len == 5 && memcmp(str, "xä\ny", 5) == 0);
    TRIAL(json_span_int(&spans[1], &n) == ERR_OK && n == 12);
    buf_clear(&scratch);
    TRIAL(json_scan_array_next(&spans[2], &cursor, &element));
    TRIAL(json_span_str(&element, &scratch, &str, &len) == ERR_OK && len == 3 && memcmp(str, "\"q\"", 3) == 0);
    buf_clear(&scratch);
    for (int i = 0; i < 100; i++)
        buf_add_json_str(&scratch, "a\"\n", 3);
    buf_printf(&scratch, "%0*d", 2000, 7);
    TRIAL(scratch.len == 100 * 7 + 2000 && strncmp(scratch.bytes, "\"a\\\"\\n\"\"a", 9) == 0);
    buf_release(&scratch);
    return true;
}

static bool match(const void *item, const void *key, size_t len)
{
    return len == sizeof(int) && memcmp(item, key, len) == 0;
}

static bool tables(void)
{
    static int items[3000];
    struct table *table = table_new(match);
    for (int i = 0; i < 3000; i++) {
        items[i] = i;
        table_add(table, &i, sizeof i, &items[i]);
    }
    for (int i = 0; i < 3000; i += 2)
        TRIAL(table_remove(table, &i, sizeof i) == &items[i]);
    TRIAL(table_count(table) == 1500);
    for (int i = 0; i < 3000; i++)
        TRIAL(table_find(table, &i, sizeof i) == (i % 2 ? &items[i] : NULL));
    table_free(&table);
    return true;
}

static bool slabs(void)
{
    static char *objects[400];
    struct slab *slab = slab_new("trial", 1000);
    for (int i = 0; i < 400; i++) {
        objects[i] = slab_get(slab);
        TRIAL(objects[i][0] == 0 && objects[i][999] == 0);
        memset(objects[i], i, 1000);
    }
    TRIAL(slab_in_use(slab) == 400);
    for (int i = 0; i < 400; i++) {
        TRIAL(objects[i][999] == (char)i);
        slab_put(slab, objects[i]);
    }
    slab_free(&slab);
    return true;
}

static void count_fired(struct wheel_entry *entry, void *arg)
{
    (void)entry;
    ++*(int *)arg;
}

static bool wheels_and_messages(void)
{
    static struct wheel_entry entries[100];
    int fired = 0;
    struct wheel *wheel = wheel_new(100, 0, count_fired, &fired);
    for (int i = 0; i < 100; i++) {
        wheel_entry_init(&entries[i]);
        wheel_add(wheel, &entries[i], (uint64_t)i * 50);
    }
    wheel_advance(wheel, 10000);
    TRIAL(fired == 100);
    wheel_free(&wheel);
    struct message *m = message_copy("bytes", 5), *other = message_ref(m);
    message_unref(&m);
    TRIAL(message_len(other) == 5 && memcmp(message_bytes(other), "bytes", 5) == 0);
    message_unref(&other);
    return true;
}

enum { DELIVERIES = 3000 };

static void put_delivery(struct link_out *out, uint32_t number)
{
    Herald__V1__Target target = HERALD__V1__TARGET__INIT, *targets[] = {&target};
    Herald__V1__Delivery delivery = HERALD__V1__DELIVERY__INIT;
    target.user = (char[]){"a user's name"};
    target.slot = number;
    delivery.id = (char[]){"an id"};
    delivery.content = (ProtobufCBinaryData){3, (uint8_t *)(char[]){"{}\n"}};
    delivery.n_targets = 1;
    delivery.targets = targets;
    link_put_delivery(out, &delivery);
}

static bool envelopes(void)
{
    struct link_out out;
    const Herald__V1__Envelope *envelope;
    struct link_arena *arena = link_arena_new(16 << 20);
    size_t len;
    link_out_init(&out, "rt1-r0", 7, "gw1-0", 100);
    for (uint32_t i = 0; i < DELIVERIES; i++)
        put_delivery(&out, i);
    char *bytes = link_take(&out, &len);
    for (int round = 0; round < 2; round++) { /* the second in what the first has left */
        TRIAL(link_unpack(arena, bytes, len, "gw1-0", 100, &envelope) == ERR_OK);
        TRIAL(envelope->n_deliveries == DELIVERIES && strcmp(envelope->from, "rt1-r0") == 0);
        for (uint32_t i = 0; i < DELIVERIES; i++)
            TRIAL(envelope->deliveries[i]->targets[0]->slot == i && envelope->deliveries[i]->content.len == 3);
    }
    TRIAL(link_unpack(arena, "\xff", 1, "gw1-0", 100, &envelope) == ERR_INVALID);
    free(bytes);
    link_arena_free(&arena);
    return true;
}

static bool leases(void)
{
    Herald__V1__Lease body = HERALD__V1__LEASE__INIT, *lease;
    struct buf packed;
    body.instance = (char[]){"gw1-0"};
    body.generation = 100;
    body.endpoint = (char[]){"tcp://127.0.0.1:1"};
    buf_init(&packed);
    lease_pack(&body, &packed);
    TRIAL(lease_parse(NULL, packed.bytes, packed.len, &lease) == ERR_OK);
    TRIAL(strcmp(lease->instance, "gw1-0") == 0 && lease->generation == 100);
    TRIAL(strcmp(lease->endpoint, "tcp://127.0.0.1:1") == 0);
    herald__v1__lease__free_unpacked(lease, NULL);
    buf_release(&packed);
    return true;
}

static bool memberships(void)
{
    Herald__V1__Members body = HERALD__V1__MEMBERS__INIT, *members;
    Herald__V1__Lease one = HERALD__V1__LEASE__INIT, *all[40];
    char text[4096] = "12\n";
    one.instance = (char[]){"gw1-0"};
    one.endpoint = (char[]){"tcp://127.0.0.1:1"};
    for (int i = 0; i < 40; i++)
        all[i] = &one;
    body.n_leases = 40;
    body.leases = all;
    size_t len = 3 + herald__v1__members__pack(&body, (uint8_t *)text + 3);
    TRIAL(members_parse(NULL, text, len, &members) == ERR_OK);
    TRIAL(members->version == 12 && members->n_leases == 40);
    TRIAL(strcmp(members->leases[39]->endpoint, "tcp://127.0.0.1:1") == 0);
    herald__v1__members__free_unpacked(members, NULL);
    return true;
}

static bool signing(void)
{
    const struct jwt_claims claims = {.user = "u1", .device = "d1", .issued_s = 1, .expires_s = 2};
    char *token = jwt_sign_hs256(&claims, "secret", 6);
    TRIAL(token);
    TRIAL(strcmp(token, "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."
                        "eyJzdWIiOiJ1MSIsImlhdCI6MSwiZXhwIjoyLCJkZXYiOiJkMSJ9."
                        "BzDkHpiwqoDBQ3TAVlHrNC_CeiaW3vWES25YDJV8Chw") == 0);
    free(token);
    return true;
}

#define PART(fn)                                                                                                       \
    static void fn##_without_memory(void **unused)                                                                     \
    {                                                                                                                  \
        (void)unused;                                                                                                  \
        trial(#fn, fn);                                                                                                \
    }
PART(json_text)
PART(tables)
PART(slabs)
PART(wheels_and_messages)
PART(envelopes)
PART(leases)
PART(memberships)
PART(signing)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_text_without_memory),   cmocka_unit_test(tables_without_memory),
        cmocka_unit_test(slabs_without_memory),       cmocka_unit_test(wheels_and_messages_without_memory),
        cmocka_unit_test(envelopes_without_memory),   cmocka_unit_test(leases_without_memory),
        cmocka_unit_test(memberships_without_memory), cmocka_unit_test(signing_without_memory),
    };
    memory_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
