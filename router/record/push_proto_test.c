/* The protobuf form of a push. */
#include "push.pb-c.h"
#include "router/record/push_test_world.h"

static uint8_t packed[70000];
static enum push_error parse_proto(struct push *push, const Herald__V1__Push *message)
{
    assert_true(herald__v1__push__get_packed_size(message) <= sizeof packed);
    size_t len = herald__v1__push__pack(message, packed);
    enum push_error error = parse_bytes(push, packed, len, proto_type);
    memset(last_value, 0xee, len); /* nothing may point into it */
    return error;
}

static void set_content(Herald__V1__Push *message, const char *content)
{
    message->content = (ProtobufCBinaryData){.data = (uint8_t *)content, .len = strlen(content)};
}

static void reads_protobuf(void **state)
{
    (void)state;
    Herald__V1__Push message = HERALD__V1__PUSH__INIT;
    Herald__V1__Push__To to = HERALD__V1__PUSH__TO__INIT;
    message.to = &to;
    set_content(&message, " {\"n\": 1.10}\n");
    message.id = (char *)"m1";
    message.from = (char *)"orders";
    message.collapse = (char *)"k";
    message.ttl_ms = 1000;
    message.priority = HERALD__V1__PUSH__PRIORITY__PRIORITY_LOW;
    message.class_ = HERALD__V1__PUSH__CLASS__CLASS_VOLATILE;
    message.once = message.outcome = 1;
    to.user = (char *)"42";
    to.device = (char *)"web";
    struct push push;
    assert_int_equal(parse_proto(&push, &message), PUSH_ERROR_NONE);
    assert_int_equal(push.to, PUSH_TO_DEVICE);
    assert_str(push.id, "m1");
    assert_str(push.user, "42");
    assert_str(push.device, "web");
    assert_str(push.from, "orders");
    assert_str(push.collapse, "k");
    assert_str(push.content, " {\"n\": 1.10}\n");
    assert_int_equal(push.ttl_ms, 1000);
    assert_int_equal(push.priority, HERALD__V1__PRIORITY__PRIORITY_LOW);
    assert_false(push.is_durable);
    assert_true(push.is_once && push.is_outcome_wanted);
    push_release(&push);
}

static void reads_protobuf_users(void **state)
{
    (void)state;
    Herald__V1__Push message = HERALD__V1__PUSH__INIT;
    Herald__V1__Push__To to = HERALD__V1__PUSH__TO__INIT;
    const char *users[] = {"a", "b", "a", "c", "d", "e"};
    message.to = &to;
    set_content(&message, "null");
    to.users = (char **)users;
    to.n_users = 5;
    struct push push;
    assert_int_equal(parse_proto(&push, &message), PUSH_ERROR_NONE);
    assert_int_equal(push.user_count, 4);
    assert_str(push.users[3], "d");
    assert_true(push.is_durable);
    push_release(&push);
    to.n_users = 6;
    assert_int_equal(parse_proto(&push, &message), PUSH_ERROR_USERS_COUNT);
    push_release(&push);
    to.n_users = 2;
    users[1] = "";
    assert_int_equal(parse_proto(&push, &message), PUSH_ERROR_USER);
    push_release(&push);
}

static void wants_json_in_protobuf(void **state)
{
    (void)state;
    static const struct {
        const char *content;
        enum push_error error;
    } cases[] = {
        {"1", PUSH_ERROR_NONE},
        {"[1,2]", PUSH_ERROR_NONE},
        {"\t\"x\" ", PUSH_ERROR_NONE},
        {"", PUSH_ERROR_CONTENT_MISSING},
        {" ", PUSH_ERROR_CONTENT_SYNTAX},
        {"1,\"x\":2", PUSH_ERROR_CONTENT_SYNTAX},
        {"1,\"c\":2", PUSH_ERROR_CONTENT_SYNTAX},
        {"1}", PUSH_ERROR_CONTENT_SYNTAX},
        {"\"\xff\"", PUSH_ERROR_CONTENT_SYNTAX},
        {"1 ,\"c\":1", PUSH_ERROR_CONTENT_SYNTAX},
        {"{", PUSH_ERROR_CONTENT_SYNTAX},
        {"hello", PUSH_ERROR_CONTENT_SYNTAX},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        Herald__V1__Push message = HERALD__V1__PUSH__INIT;
        Herald__V1__Push__To to = HERALD__V1__PUSH__TO__INIT;
        struct push push;
        message.to = &to;
        to.all = 1;
        set_content(&message, cases[i].content);
        assert_int_equal(parse_proto(&push, &message), cases[i].error);
        push_release(&push);
    }
}

static void refuses_bad_protobuf(void **state)
{
    (void)state;
    Herald__V1__Push message = HERALD__V1__PUSH__INIT;
    Herald__V1__Push__To to = HERALD__V1__PUSH__TO__INIT;
    struct push push;
    set_content(&message, "1");
    assert_int_equal(parse_proto(&push, &message), PUSH_ERROR_TO_MISSING);
    push_release(&push);
    message.to = &to;
    assert_int_equal(parse_proto(&push, &message), PUSH_ERROR_TO_MISSING);
    push_release(&push);
    to.user = (char *)"1";
    to.topic = (char *)"t";
    assert_int_equal(parse_proto(&push, &message), PUSH_ERROR_TO_AMBIGUOUS);
    push_release(&push);
    to.topic = (char *)"";
    to.user = (char *)"a\xff";
    assert_int_equal(parse_proto(&push, &message), PUSH_ERROR_PROTOBUF);
    push_release(&push);
    to.user = (char *)"a{";
    assert_int_equal(parse_proto(&push, &message), PUSH_ERROR_USER);
    push_release(&push);
    to.user = (char *)"";
    to.all = 1;
    message.class_ = HERALD__V1__PUSH__CLASS__CLASS_DURABLE;
    assert_int_equal(parse_proto(&push, &message), PUSH_ERROR_CLASS_TARGET);
    push_release(&push);
    message.class_ = 9;
    assert_int_equal(parse_proto(&push, &message), PUSH_ERROR_CLASS);
    push_release(&push);
    message.class_ = 0;
    message.priority = (Herald__V1__Push__Priority)17;
    assert_int_equal(parse_proto(&push, &message), PUSH_ERROR_PRIORITY);
    push_release(&push);
}

/* "a\0b" must not be delivered to "a". */
static void refuses_nul_in_protobuf_strings(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {0x12, 5, 0x0a, 3, 'a', 0, 'b', 0x1a, 1, '1'};
    static const uint8_t good[] = {0x12, 5, 0x0a, 3, 'a', 'x', 'b', 0x1a, 1, '1'};
    struct push push;
    assert_int_equal(parse_bytes(&push, bytes, sizeof bytes, proto_type), PUSH_ERROR_PROTOBUF);
    push_release(&push);
    assert_int_equal(parse_bytes(&push, good, sizeof good, proto_type), PUSH_ERROR_NONE);
    assert_str(push.user, "axb");
    push_release(&push);
    for (size_t len = 1; len < sizeof good; len++) {
        assert_int_not_equal(parse_bytes(&push, good, len, proto_type), PUSH_ERROR_NONE);
        push_release(&push);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_protobuf),
        cmocka_unit_test(reads_protobuf_users),
        cmocka_unit_test(wants_json_in_protobuf),
        cmocka_unit_test(refuses_bad_protobuf),
        cmocka_unit_test(refuses_nul_in_protobuf_strings),
    };
    return cmocka_run_group_tests(tests, NULL, drop_value);
}
