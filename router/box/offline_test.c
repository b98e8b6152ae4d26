#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "router/box/offline.h"

static Herald__V1__Delivery delivery(const char *content)
{
    Herald__V1__Delivery d = HERALD__V1__DELIVERY__INIT;
    d.id = (char *)"m\"1";
    d.content.data = (uint8_t *)(uintptr_t)content;
    d.content.len = strlen(content);
    d.timestamp_ms = 1000;
    d.source = (char *)"herald.push/3/17";
    return d;
}

static json_t *record(const Herald__V1__Delivery *d, const char *device, uint64_t now_ms)
{
    struct buf out;
    buf_init(&out);
    offline_add_record(d, "42", device, "[{\"device\":\"web\",\"lastSeenMs\":5}]", 1500, now_ms, &out);
    json_t *object = json_loadb(out.bytes, out.len, JSON_REJECT_DUPLICATES, NULL);
    buf_release(&out);
    assert_non_null(object);
    return object;
}

static const char *text(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

static void says_all_that_a_bridge_needs(void **state)
{
    (void)state;
    Herald__V1__Delivery d = delivery("{\"text\":\"hello\"}");
    d.from = (char *)"orders";
    d.collapse = (char *)"cart";
    d.priority = HERALD__V1__PRIORITY__PRIORITY_HIGH;
    d.expires_at_ms = 9000;
    json_t *object = record(&d, "", 2000);
    assert_string_equal(text(object, "id"), "m\"1");
    assert_string_equal(text(object, "user"), "42");
    assert_string_equal(text(object, "from"), "orders");
    assert_string_equal(text(object, "collapse"), "cart");
    assert_string_equal(text(object, "priority"), "high");
    assert_string_equal(text(object, "offset"), "herald.push/3/17");
    assert_string_equal(text(json_object_get(object, "content"), "text"), "hello");
    assert_int_equal(json_integer_value(json_object_get(object, "timestamp")), 1000);
    assert_int_equal(json_integer_value(json_object_get(object, "storedMs")), 1500);
    assert_int_equal(json_integer_value(json_object_get(object, "expiresAt")), 9000);
    assert_int_equal(json_integer_value(json_object_get(object, "ttlMs")), 7000);
    const json_t *device = json_array_get(json_object_get(object, "devices"), 0);
    assert_string_equal(text(device, "device"), "web");
    json_decref(object);
}

static void leaves_out_what_does_not_apply(void **state)
{
    (void)state;
    Herald__V1__Delivery d = delivery("");
    json_t *object = record(&d, "web", 2000);
    assert_string_equal(text(object, "device"), "web");
    assert_string_equal(text(object, "priority"), "normal");
    assert_true(json_is_null(json_object_get(object, "content")));
    assert_null(json_object_get(object, "from"));
    assert_null(json_object_get(object, "collapse"));
    assert_null(json_object_get(object, "ttlMs"));
    json_decref(object);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_all_that_a_bridge_needs),
        cmocka_unit_test(leaves_out_what_does_not_apply),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
