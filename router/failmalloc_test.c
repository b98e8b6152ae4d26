/* What of the router reads records and remembers what is under way, without memory: see tests/unit/failmalloc.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/memory.h"
#include "push.pb-c.h"
#include "router/outcome/audit.h"
#include "router/flow/flow.h"
#include "router/flow/inflight.h"
#include "router/record/push.h"
#include "router/record/record.h"
#include "router/route/route.h"
#include "router/source/tracker.h"
#include "tests/unit/failmalloc.h"

static const struct push_limits limits = {.content_max = 65536, .users_max = 100};

static bool is_str(struct push_str str, const char *text)
{
    return str.len == strlen(text) && memcmp(str.at, text, str.len) == 0;
}

static bool push_in_json(void)
{
    static const char text[] =
        "{\"id\":\"m\\u00e4\",\"to\":{\"user\":\"a user with \\\"quotes\\\"\",\"device\":\"d-1\"},\"content\":[1.10],"
        "\"collapse\":\"a collapse key that is so long that the strings do not fit into the push itself\\t.\","
        "\"from\":\"orders and more orders\",\"ttlMs\":60000,\"once\":true,\"outcome\":true}";
    static const char good[] = "{\"to\":{\"user\":\"u\"},\"content\":\"a\\u00e4\",\"from\":\"x\\u00e4\"}";
    struct push push;
    enum push_error error = push_parse(&push, text, strlen(text), NULL, 0, &limits);
    TRIAL(error == PUSH_ERROR_COLLAPSE); /* a control character */
    push_release(&push);
    TRIAL(push_parse(&push, good, strlen(good), "application/json", 16, &limits) == PUSH_ERROR_NONE);
    TRIAL(push.to == PUSH_TO_USER && push.is_durable && is_str(push.user, "u") && is_str(push.from, "xä"));
    TRIAL(is_str(push.content, "\"a\\u00e4\""));
    push_release(&push);
    return true;
}

enum { USERS = 60 };

static bool push_to_many(void)
{
    char text[4096], name[24];
    size_t len = (size_t)snprintf(text, sizeof text, "{\"content\":{},\"to\":{\"users\":[\"n0\"");
    for (int i = 0; i < USERS; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, ",\"n\\u00e4 %d\"", i);
    len += (size_t)snprintf(text + len, sizeof text - len, ",\"n0\"]}}");
    struct push push;
    TRIAL(push_parse(&push, text, len, NULL, 0, &limits) == PUSH_ERROR_NONE);
    TRIAL(push.to == PUSH_TO_USERS && push.user_count == USERS + 1 && is_str(push.users[0], "n0"));
    for (int i = 0; i < USERS; i++) {
        snprintf(name, sizeof name, "nä %d", i);
        TRIAL(is_str(push.users[i + 1], name));
    }
    push_release(&push);
    return true;
}

static bool push_in_protobuf(void)
{
    uint8_t bytes[2048];
    Herald__V1__Push message = HERALD__V1__PUSH__INIT;
    Herald__V1__Push__To to = HERALD__V1__PUSH__TO__INIT;
    char *users[] = {(char[]){"alice"}, (char[]){"bob"}, (char[]){"alice"}};
    static char content[] = "{\"n\":1.10}";
    message.id = (char[]){"m1"};
    message.collapse = (char[]){
        "a collapse key that is so long that the strings do not fit into the push itself......."};
    message.to = &to;
    to.n_users = 3;
    to.users = users;
    message.content = (ProtobufCBinaryData){sizeof content - 1, (uint8_t *)content};
    size_t len = herald__v1__push__pack(&message, bytes);
    struct push push;
    TRIAL(push_parse(&push, bytes, len, "application/x-protobuf", 22, &limits) == PUSH_ERROR_NONE);
    TRIAL(push.to == PUSH_TO_USERS && push.user_count == 2 && is_str(push.users[1], "bob"));
    TRIAL(is_str(push.id, "m1") && is_str(push.content, content) && push.collapse.len > 80);
    push_release(&push);
    TRIAL(push_parse(&push, "\x0a\x05xx", 4, "application/x-protobuf", 22, &limits) == PUSH_ERROR_PROTOBUF);
    push_release(&push);
    return true;
}

static bool tracking(void)
{
    enum { COUNT = 2000 };
    static uint64_t positions[COUNT];
    struct tracker *tracker = tracker_new(COUNT);
    for (int i = 0; i < COUNT; i++)
        TRIAL(tracker_add(tracker, 100 + i, &positions[i]) == ERR_OK);
    uint64_t none;
    TRIAL(tracker_add(tracker, 100 + COUNT, &none) == ERR_FULL);
    for (int i = COUNT - 1; i > 0; i--)
        TRIAL(!tracker_done(tracker, positions[i]));
    TRIAL(tracker_next(tracker) == 100 && tracker_pending(tracker) == 1 && tracker_oldest(tracker) == 100);
    TRIAL(tracker_done(tracker, positions[0]) && tracker_next(tracker) == 100 + COUNT);
    tracker_free(&tracker);
    return true;
}

static bool slots(void)
{
    enum { COUNT = 3000 };
    static const struct inflight_limits slot_limits = {
        .slots = COUNT, .slot_bytes = 1 << 20, .records = 10, .record_bytes = 1000, .wait_ms = {2000, 5000}};
    static struct slot *all[COUNT];
    struct inflight *inflight = inflight_new(&slot_limits);
    for (uint32_t i = 0; i < COUNT; i++) {
        all[i] = inflight_get(inflight, INFLIGHT_DURABLE, 1, i);
        TRIAL(all[i]); /* NULL would mean that there is no room: but there is */
    }
    TRIAL(!inflight_get(inflight, INFLIGHT_DURABLE, 1, COUNT));
    for (uint32_t i = 0; i < COUNT; i++)
        TRIAL(inflight_find(inflight, all[i]->index, all[i]->generation) == all[i]);
    TRIAL(inflight_due(inflight, 5000) == all[0] && inflight_count(inflight) == COUNT);
    for (uint32_t i = 0; i < COUNT; i++)
        inflight_put(inflight, all[i]);
    inflight_free(&inflight);
    return true;
}

static bool flowing(void)
{
    enum { COUNT = 300, PER_USER = 3 };
    static struct flow_item items[COUNT];
    char user[16];
    bool is_gone;
    struct flows *flows = flows_new(1);
    memset(items, 0, sizeof items);
    for (int i = 0; i < COUNT; i++) {
        snprintf(user, sizeof user, "u%d", i % (COUNT / PER_USER));
        flow_add(flows, &items[i], user, strlen(user), "", 0);
    }
    TRIAL(flows_count(flows) == COUNT / PER_USER);
    for (int i = 0; i < COUNT / PER_USER; i++) {
        struct flow *flow = items[i].flow;
        TRIAL(flow_held(flow) == &items[i]);
        (void)flow_next(flow);
        flow_sent(&items[i], 1);
        flow_failed(&items[i]);
        TRIAL(!flow_recall(flow) && flow_wants_run(flow) && flow_run_take(flow) == &items[i]);
        TRIAL(flow_run_take(flow) == &items[i + COUNT / PER_USER]);
        TRIAL(flow_run_take(flow) == &items[i + 2 * COUNT / PER_USER] && !flow_run_take(flow));
        for (int k = 0; k < PER_USER; k++)
            TRIAL(flow_stored(flow, &is_gone) == &items[i + k * COUNT / PER_USER]);
        TRIAL(is_gone);
    }
    TRIAL(flows_count(flows) == 0);
    flows_free(&flows);
    return true;
}

static bool caching(void)
{
    static const struct route_device device = {.name = "d1", .name_len = 2, .is_online = true, .instance = 3};
    char user[16];
    struct routes *routes = routes_new(50);
    for (int i = 0; i < 100; i++) {
        snprintf(user, sizeof user, "u%d", i);
        struct route *route = route_new(user, strlen(user), i % 2, &device, 1);
        TRIAL(routes_put(routes, route) == (i >= 50));
        route_unref(&route);
    }
    TRIAL(routes_count(routes) == 50 && !routes_find(routes, "u49", 3));
    const struct route *found = routes_find(routes, "u51", 3);
    TRIAL(found && found->has_box && route_device(found, "d1", 2)->instance == 3);
    routes_clear(routes);
    routes_free(&routes);
    return true;
}

static bool auditing(void)
{
    struct buf text;
    struct audit *audit = audit_new();
    buf_init(&text);
    for (int32_t partition = 0; partition < 100; partition++) {
        audit_accepted(audit, partition);
        audit_finished(audit, partition, OUTCOME_ACKED);
    }
    audit_accepted(audit, AUDIT_CANARY);
    audit_begin(audit);
    TRIAL(audit_imbalance(audit) == 1 && audit_row_imbalance(audit_row(audit, AUDIT_CANARY)) == 1);
    audit_add_json(audit, "rt1-r0", 7, 8, &text);
    TRIAL(strstr(text.bytes, "\"imbalance\":1,\"partitions\":["));
    buf_release(&text);
    audit_free(&audit);
    return true;
}

#define PART(fn)                                                                                                       \
    static void fn##_without_memory(void **unused)                                                                     \
    {                                                                                                                  \
        (void)unused;                                                                                                  \
        trial(#fn, fn);                                                                                                \
    }
PART(push_in_json)
PART(push_to_many)
PART(push_in_protobuf)
PART(tracking)
PART(slots)
PART(flowing)
PART(caching)
PART(auditing)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(push_in_json_without_memory),
        cmocka_unit_test(push_to_many_without_memory),
        cmocka_unit_test(push_in_protobuf_without_memory),
        cmocka_unit_test(tracking_without_memory),
        cmocka_unit_test(slots_without_memory),
        cmocka_unit_test(flowing_without_memory),
        cmocka_unit_test(caching_without_memory),
        cmocka_unit_test(auditing_without_memory),
    };
    memory_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
