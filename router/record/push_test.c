/* The JSON form of a push, and what both forms have in common. */
#include "push.pb-c.h"
#include "router/record/push_test_world.h"

static void reads_a_user_with_defaults(void **state)
{
    (void)state;
    struct push push;
    assert_int_equal(parse(&push, "{\"to\":{\"user\":\"42\"},\"content\":{\"a\":1}}"), PUSH_ERROR_NONE);
    assert_int_equal(push.to, PUSH_TO_USER);
    assert_true(push.is_durable);
    assert_false(push.is_once);
    assert_false(push.is_outcome_wanted);
    assert_int_equal(push.priority, HERALD__V1__PRIORITY__PRIORITY_NORMAL);
    assert_str(push.user, "42");
    assert_int_equal(push.user.at[2], '\0');
    assert_str(push.content, "{\"a\":1}");
    assert_str(push.id, "");
    assert_str(push.device, "");
    assert_str(push.from, "");
    assert_int_equal(push.ttl_ms, 0);
    push_release(&push);
}

static void reads_every_member(void **state)
{
    (void)state;
    struct push push;
    assert_int_equal(parse(&push,
                           "{\"id\":\"m1\",\"to\":{\"user\":\"42\",\"device\":\"web-1\",\"later\":[1]},\"content\":[],"
                           "\"class\":\"volatile\",\"ttlMs\":60000,\"priority\":\"high\",\"collapse\":\"key\","
                           "\"deliverAt\":1700000000000,\"everyMs\":5000,\"untilMs\":1700000100000,\"once\":true,"
                           "\"outcome\":true,\"from\":\"orders\",\"unknown\":{\"x\":[null]}}"),
                     PUSH_ERROR_NONE);
    assert_int_equal(push.to, PUSH_TO_DEVICE);
    assert_str(push.id, "m1");
    assert_str(push.user, "42");
    assert_str(push.device, "web-1");
    assert_str(push.collapse, "key");
    assert_str(push.from, "orders");
    assert_false(push.is_durable);
    assert_true(push.is_once);
    assert_true(push.is_outcome_wanted);
    assert_int_equal(push.priority, HERALD__V1__PRIORITY__PRIORITY_HIGH);
    assert_int_equal(push.ttl_ms, 60000);
    assert_true(push.deliver_at_ms == INT64_C(1700000000000));
    assert_int_equal(push.every_ms, 5000);
    assert_true(push.until_ms == INT64_C(1700000100000));
    push_release(&push);
}

static void reads_every_target(void **state)
{
    (void)state;
    static const struct {
        const char *to;
        enum push_to kind;
        bool is_durable;
    } cases[] = {
        {"{\"user\":\"42\"}", PUSH_TO_USER, true},
        {"{\"user\":\"42\",\"device\":\"d\"}", PUSH_TO_DEVICE, true},
        {"{\"user\":\"42\",\"devices\":\"each\"}", PUSH_TO_EACH, true},
        {"{\"users\":[\"42\",\"43\"]}", PUSH_TO_USERS, true},
        {"{\"topic\":\"stock.AAPL\"}", PUSH_TO_TOPIC, false},
        {"{\"all\":true}", PUSH_TO_ALL, false},
        {"{\"where\":{\"attr\":\"vip\",\"eq\":\"1\"}}", PUSH_TO_WHERE, false},
        {"{\"user\":\"42\",\"device\":null,\"users\":null,\"all\":null}", PUSH_TO_USER, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char json[256];
        struct push push;
        snprintf(json, sizeof json, "{\"content\":0,\"to\":%s}", cases[i].to);
        assert_int_equal(parse(&push, json), PUSH_ERROR_NONE);
        assert_int_equal(push.to, cases[i].kind);
        assert_int_equal(push.is_durable, cases[i].is_durable);
        push_release(&push);
    }
    struct push push;
    assert_int_equal(parse(&push, "{\"content\":0,\"to\":{\"where\":{\"attr\":\"vip\",\"eq\":\"1\"}}}"), 0);
    assert_str(push.where_attr, "vip");
    assert_str(push.where_eq, "1");
    push_release(&push);
}

static void names_each_user_once(void **state)
{
    (void)state;
    struct push push;
    assert_int_equal(parse(&push, "{\"content\":0,\"to\":{\"users\":[\"b\",\"a\",\"b\",\"\\u0061\",\"c\"]}}"), 0);
    assert_int_equal(push.user_count, 3);
    assert_str(push.users[0], "b");
    assert_str(push.users[1], "a");
    assert_str(push.users[2], "c");
    push_release(&push);
}

static void unescapes_strings_but_not_content(void **state)
{
    (void)state;
    static const char content[] = "{ \"n\" : 1.10, \"big\":12345678901234567890,\"s\":\"\\u00e9\\/\", \"a\":[ ] }";
    char json[512];
    struct push push;
    snprintf(json, sizeof json,
             " {\"content\":  %s  ,\"to\":{\"user\":\"a\\/\\u00e9\\ud83d\\ude00\"},\"from\":\"\\\"x\\\"\"}", content);
    assert_int_equal(parse(&push, json), PUSH_ERROR_NONE);
    assert_str(push.content, content);
    assert_true(push.content.at > last_value && push.content.at < last_value + strlen(json)); /* not copied */
    assert_str(push.user, "a/\xc3\xa9\xf0\x9f\x98\x80");
    assert_str(push.from, "\"x\"");
    push_release(&push);
}

static void keeps_any_json_as_content(void **state)
{
    (void)state;
    static const char *const contents[] = {"null", "true", "0", "-1.5e10", "\"\"", "[]", "{}", "\"\xe2\x82\xac\""};
    for (size_t i = 0; i < sizeof contents / sizeof contents[0]; i++) {
        char json[128];
        struct push push;
        snprintf(json, sizeof json, "{\"to\":{\"all\":true},\"content\":%s}", contents[i]);
        assert_int_equal(parse(&push, json), PUSH_ERROR_NONE);
        assert_str(push.content, contents[i]);
        push_release(&push);
    }
}

static void refuses_with_the_right_error(void **state)
{
    (void)state;
#define U "\"to\":{\"user\":\"42\"},\"content\":1"
    static const struct {
        const char *json;
        enum push_error error;
    } cases[] = {
        {"", PUSH_ERROR_EMPTY},
        {" ", PUSH_ERROR_SYNTAX},
        {"[]", PUSH_ERROR_SYNTAX},
        {"{" U "}x", PUSH_ERROR_SYNTAX},
        {"{" U ",}", PUSH_ERROR_SYNTAX},
        {"{\"to\":{\"user\":\"\xff\"},\"content\":1}", PUSH_ERROR_SYNTAX},
        {"{\"to\":{\"user\":\"42\"}}", PUSH_ERROR_CONTENT_MISSING},
        {"{\"content\":1}", PUSH_ERROR_TO_MISSING},
        {"{\"content\":1,\"to\":null}", PUSH_ERROR_TO_MISSING},
        {"{\"content\":1,\"to\":\"42\"}", PUSH_ERROR_TO_MISSING},
        {"{\"content\":1,\"to\":{}}", PUSH_ERROR_TO_MISSING},
        {"{\"content\":1,\"to\":{\"device\":\"d\"}}", PUSH_ERROR_TO_MISSING},
        {"{\"content\":1,\"to\":{\"user\":\"1\",\"users\":[\"2\"]}}", PUSH_ERROR_TO_AMBIGUOUS},
        {"{\"content\":1,\"to\":{\"user\":\"1\",\"all\":false}}", PUSH_ERROR_TO_AMBIGUOUS},
        {"{\"content\":1,\"to\":{\"topic\":\"1\",\"where\":{}}}", PUSH_ERROR_TO_AMBIGUOUS},
        {"{\"content\":1,\"to\":{\"user\":42}}", PUSH_ERROR_USER},
        {"{\"content\":1,\"to\":{\"user\":\"\"}}", PUSH_ERROR_USER},
        {"{\"content\":1,\"to\":{\"user\":\"a}b\"}}", PUSH_ERROR_USER},
        {"{\"content\":1,\"to\":{\"user\":\"a{b\"}}", PUSH_ERROR_USER},
        {"{\"content\":1,\"to\":{\"user\":\"a\\nb\"}}", PUSH_ERROR_USER},
        {"{\"content\":1,\"to\":{\"user\":\"a\\u0000b\"}}", PUSH_ERROR_USER},
        {"{\"content\":1,\"to\":{\"user\":\"a\\u007f\"}}", PUSH_ERROR_USER},
        {"{\"content\":1,\"to\":{\"user\":\"a\\u0085\"}}", PUSH_ERROR_USER},
        {"{\"content\":1,\"to\":{\"users\":[]}}", PUSH_ERROR_USERS},
        {"{\"content\":1,\"to\":{\"users\":\"1\"}}", PUSH_ERROR_USERS},
        {"{\"content\":1,\"to\":{\"users\":[\"1\",2]}}", PUSH_ERROR_USER},
        {"{\"content\":1,\"to\":{\"users\":[\"1\",\"\"]}}", PUSH_ERROR_USER},
        {"{\"content\":1,\"to\":{\"users\":[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\"]}}", PUSH_ERROR_USERS_COUNT},
        {"{\"content\":1,\"to\":{\"users\":[\"1\"],\"device\":\"d\"}}", PUSH_ERROR_DEVICE},
        {"{\"content\":1,\"to\":{\"user\":\"1\",\"device\":7}}", PUSH_ERROR_DEVICE},
        {"{\"content\":1,\"to\":{\"user\":\"1\",\"device\":\"\"}}", PUSH_ERROR_DEVICE},
        {"{\"content\":1,\"to\":{\"user\":\"1\",\"devices\":\"all\"}}", PUSH_ERROR_DEVICES},
        {"{\"content\":1,\"to\":{\"user\":\"1\",\"device\":\"d\",\"devices\":\"each\"}}", PUSH_ERROR_DEVICES},
        {"{\"content\":1,\"to\":{\"all\":true,\"devices\":\"each\"}}", PUSH_ERROR_DEVICES},
        {"{\"content\":1,\"to\":{\"topic\":\"\"}}", PUSH_ERROR_TOPIC},
        {"{\"content\":1,\"to\":{\"topic\":[]}}", PUSH_ERROR_TOPIC},
        {"{\"content\":1,\"to\":{\"all\":false}}", PUSH_ERROR_ALL},
        {"{\"content\":1,\"to\":{\"all\":1}}", PUSH_ERROR_ALL},
        {"{\"content\":1,\"to\":{\"where\":{\"attr\":\"vip\"}}}", PUSH_ERROR_WHERE},
        {"{\"content\":1,\"to\":{\"where\":{\"attr\":\"vip\",\"eq\":1}}}", PUSH_ERROR_WHERE},
        {"{\"content\":1,\"to\":{\"where\":7}}", PUSH_ERROR_WHERE},
        {"{" U ",\"class\":\"solid\"}", PUSH_ERROR_CLASS},
        {"{" U ",\"class\":1}", PUSH_ERROR_CLASS},
        {"{\"content\":1,\"to\":{\"all\":true},\"class\":\"durable\"}", PUSH_ERROR_CLASS_TARGET},
        {"{\"content\":1,\"to\":{\"topic\":\"t\"},\"class\":\"durable\"}", PUSH_ERROR_CLASS_TARGET},
        {"{" U ",\"ttlMs\":0}", PUSH_ERROR_TTL},
        {"{" U ",\"ttlMs\":-1}", PUSH_ERROR_TTL},
        {"{" U ",\"ttlMs\":1.5}", PUSH_ERROR_TTL},
        {"{" U ",\"ttlMs\":\"60\"}", PUSH_ERROR_TTL},
        {"{" U ",\"ttlMs\":31536000001}", PUSH_ERROR_TTL},
        {"{" U ",\"ttlMs\":99999999999999999999}", PUSH_ERROR_TTL},
        {"{" U ",\"priority\":\"urgent\"}", PUSH_ERROR_PRIORITY},
        {"{" U ",\"priority\":3}", PUSH_ERROR_PRIORITY},
        {"{" U ",\"collapse\":\"\"}", PUSH_ERROR_COLLAPSE},
        {"{" U ",\"deliverAt\":-5}", PUSH_ERROR_SCHEDULE},
        {"{" U ",\"deliverAt\":\"now\"}", PUSH_ERROR_SCHEDULE},
        {"{" U ",\"everyMs\":999}", PUSH_ERROR_SCHEDULE},
        {"{" U ",\"untilMs\":5}", PUSH_ERROR_SCHEDULE},
        {"{" U ",\"once\":1}", PUSH_ERROR_ONCE},
        {"{" U ",\"outcome\":\"yes\"}", PUSH_ERROR_OUTCOME},
        {"{" U ",\"id\":\"\"}", PUSH_ERROR_ID},
        {"{" U ",\"id\":7}", PUSH_ERROR_ID},
        {"{" U ",\"id\":\"a\\tb\"}", PUSH_ERROR_ID},
        {"{" U ",\"from\":{}}", PUSH_ERROR_FROM},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct push push;
        enum push_error error = parse(&push, cases[i].json);
        if (error != cases[i].error)
            fail_msg("%s: %s, not %s", cases[i].json, push_error_label(error), push_error_label(cases[i].error));
        assert_true(strlen(push_error_text(error)) > 0);
        push_release(&push);
    }
}

/* `member` filled with one byte more than `max` is refused, with exactly `max` taken. */
static void check_length(const char *before, const char *after, int max, enum push_error error)
{
    for (int over = 0; over < 2; over++) {
        char filled[200], json[400];
        struct push push;
        memset(filled, 'x', sizeof filled);
        filled[max + over] = '\0';
        snprintf(json, sizeof json, "%s%s%s", before, filled, after);
        assert_int_equal(parse(&push, json), over ? error : PUSH_ERROR_NONE);
        push_release(&push);
    }
}

static void limits_lengths(void **state)
{
    (void)state;
    check_length("{\"content\":1,\"to\":{\"user\":\"", "\"}}", 128, PUSH_ERROR_USER);
    check_length("{\"content\":1,\"to\":{\"users\":[\"", "\"]}}", 128, PUSH_ERROR_USER);
    check_length("{\"content\":1,\"to\":{\"user\":\"1\",\"device\":\"", "\"}}", 64, PUSH_ERROR_DEVICE);
    check_length("{" U ",\"id\":\"", "\"}", 128, PUSH_ERROR_ID);
    check_length("{" U ",\"from\":\"", "\"}", 128, PUSH_ERROR_FROM);
    check_length("{" U ",\"collapse\":\"", "\"}", 128, PUSH_ERROR_COLLAPSE);
    check_length("{\"content\":1,\"to\":{\"topic\":\"", "\"}}", 128, PUSH_ERROR_TOPIC);
}

static void limits_content(void **state)
{
    (void)state;
    for (int over = 0; over < 2; over++) {
        size_t fill = 65536 - 2 + (size_t)over;
        char *json = malloc(fill + 100);
        size_t len = (size_t)snprintf(json, fill + 100, "{\"to\":{\"user\":\"1\"},\"content\":\"");
        memset(json + len, 'x', fill);
        memcpy(json + len + fill, "\"}", 3);
        struct push push;
        assert_int_equal(parse(&push, json), over ? PUSH_ERROR_CONTENT_SIZE : PUSH_ERROR_NONE);
        push_release(&push);
        free(json);
    }
}

static void survives_every_truncation(void **state)
{
    (void)state;
    static const char json[] =
        "{\"id\":\"m\\n\",\"to\":{\"users\":[\"a\",\"b\"]},\"content\":{\"x\":[1,\"\\ud83d\\ude00\"]}}";
    for (size_t len = 0; len < sizeof json - 1; len++) {
        struct push push;
        assert_int_not_equal(parse_bytes(&push, json, len, NULL), PUSH_ERROR_NONE);
        push_release(&push);
    }
}

static void looks_at_the_content_type(void **state)
{
    (void)state;
    static const struct {
        const char *type;
        enum push_error error;
    } cases[] = {
        {"application/json", PUSH_ERROR_NONE},
        {"Application/JSON; charset=utf-8", PUSH_ERROR_NONE},
        {"application/cloudevents+json", PUSH_ERROR_NONE},
        {"text/plain ;x=y", PUSH_ERROR_NONE},
        {"", PUSH_ERROR_NONE},
        {"application/x-protobuf", PUSH_ERROR_PROTOBUF},
        {"application/avro", PUSH_ERROR_CONTENT_TYPE},
        {"+json", PUSH_ERROR_CONTENT_TYPE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct push push;
        assert_int_equal(parse_bytes(&push, "{" U "}", strlen("{" U "}"), cases[i].type), cases[i].error);
        push_release(&push);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_user_with_defaults),
        cmocka_unit_test(reads_every_member),
        cmocka_unit_test(reads_every_target),
        cmocka_unit_test(names_each_user_once),
        cmocka_unit_test(unescapes_strings_but_not_content),
        cmocka_unit_test(keeps_any_json_as_content),
        cmocka_unit_test(refuses_with_the_right_error),
        cmocka_unit_test(limits_lengths),
        cmocka_unit_test(limits_content),
        cmocka_unit_test(survives_every_truncation),
        cmocka_unit_test(looks_at_the_content_type),
    };
    return cmocka_run_group_tests(tests, NULL, drop_value);
}
