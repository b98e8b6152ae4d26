/*
 * Flows against a naive reference: random users, sends, acknowledgements, failures and runs; after each step the
 * reference looks through everything that ever happened to see whether order holds and nothing is lost or twice.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "router/flow/flow.h"

enum { USERS = 3, MESSAGES = 400, STEPS = 3000, SEEDS = 150, RUN_MAX = 4 };

enum fate { UNBORN, WAITING, OUT, ENDED_ACKED, ENDED_STORED, ENDED_EXPIRED };

struct message {
    struct flow_item item;
    int user, number; /* per user, in order */
    enum fate fate;
    uint64_t stamp;
};

struct world {
    struct flows *flows;
    struct message messages[MESSAGES];
    int count, per_user[USERS];
    int last_stored[USERS]; /* number of the last one in the mailbox; -1 */
    uint64_t stamp[USERS];
    bool is_append_open[USERS];
    unsigned seed;
};

static struct world w;

static unsigned dice(unsigned sides)
{
    w.seed = w.seed * 1103515245u + 12345u;
    return (w.seed >> 16) % sides;
}

static struct message *message_of(struct flow_item *item)
{
    return container_of(item, struct message, item);
}

static bool is_unfinished(const struct message *m)
{
    return m->fate == WAITING || m->fate == OUT;
}

/* A message may go out only when everything older of its user that is unfinished is out, by the same route. */
static void check_sent(const struct message *sent)
{
    for (int i = 0; i < w.count; i++) {
        const struct message *m = &w.messages[i];
        if (m->user != sent->user || m->number >= sent->number || !is_unfinished(m))
            continue;
        assert_int_equal(m->fate, OUT);
        assert_true(m->stamp == sent->stamp);
    }
}

/* A message may enter the mailbox only when everything older is finished or in there, and only once. */
static void check_stored(const struct message *stored)
{
    assert_true(stored->number > w.last_stored[stored->user]);
    for (int i = 0; i < w.count; i++) {
        const struct message *m = &w.messages[i];
        if (m->user == stored->user && m->number < stored->number)
            assert_false(is_unfinished(m));
    }
}

static void user_name(int user, char *name, size_t size)
{
    /* the last one is a device's flow with the same user as the first, and a long name */
    memset(name, 0, size);
    snprintf(name, size, "%s", user == 1 ? "bob" : "a-user-whose-name-does-not-fit-into-the-flow-itself-at-all");
}

static void add(int user)
{
    char name[80];
    if (w.count == MESSAGES)
        return;
    struct message *m = &w.messages[w.count++];
    user_name(user, name, sizeof(name));
    m->user = user;
    m->number = w.per_user[user]++;
    m->fate = WAITING;
    flow_add(w.flows, &m->item, name, strlen(name), user == 2 ? "phone" : "", user == 2 ? 5 : 0);
}

static struct message *pick(int user, enum fate fate)
{
    int first = (int)dice((unsigned)w.count + 1);
    for (int i = 0; i < w.count; i++) {
        struct message *m = &w.messages[(first + i) % w.count];
        if (m->user == user && m->fate == fate)
            return m;
    }
    return NULL;
}

static struct flow *flow_of(int user)
{
    for (int i = 0; i < w.count; i++)
        if (w.messages[i].user == user && is_unfinished(&w.messages[i]))
            return w.messages[i].item.flow;
    return NULL;
}

static void send_some(int user)
{
    struct flow *flow = flow_of(user);
    struct flow_item *item;
    while (flow && (item = flow_held(flow)) && flow_may_send(flow, w.stamp[user])) {
        struct message *m = message_of(item);
        m->stamp = w.stamp[user];
        check_sent(m);
        flow_sent(item, m->stamp);
        m->fate = OUT;
    }
}

static void begin_run(int user)
{
    struct flow *flow = flow_of(user);
    struct flow_item *item;
    if (!flow || !flow_wants_run(flow))
        return;
    assert_false(w.is_append_open[user]);
    while ((item = flow_recall(flow))) {
        assert_int_equal(message_of(item)->fate, OUT);
        message_of(item)->fate = WAITING;
    }
    int taken = 0;
    while (taken < RUN_MAX && flow_run_take(flow))
        taken++;
    assert_true(taken > 0);
    w.is_append_open[user] = true;
}

static void end_run(int user)
{
    struct flow *flow = flow_of(user);
    bool is_gone = false;
    if (!w.is_append_open[user])
        return;
    int previous = -1;
    for (struct flow_item *item = flow_run_next(flow, NULL); item; item = flow_run_next(flow, item)) {
        assert_true(message_of(item)->number > previous);
        previous = message_of(item)->number;
    }
    while (!is_gone) {
        struct flow_item *item = flow_stored(flow, &is_gone);
        if (!item)
            break;
        check_stored(message_of(item));
        message_of(item)->fate = ENDED_STORED;
        w.last_stored[user] = message_of(item)->number;
    }
    w.is_append_open[user] = false;
    assert_true(is_gone == !flow_of(user));
}

static void expire_held(int user)
{
    struct flow *flow = flow_of(user);
    struct flow_item *item = flow ? flow_held(flow) : NULL;
    if (!item)
        return;
    message_of(item)->fate = ENDED_EXPIRED;
    (void)flow_remove(item);
}

static void fail_one(int user)
{
    struct message *m = pick(user, OUT);
    struct flow *flow = flow_of(user);
    if (m && m->item.place == FLOW_OUT)
        flow_failed(&m->item);
    else if (flow && flow_held(flow) && flow_mode(flow) == FLOW_LIVE)
        flow_failed(flow_held(flow)); /* was offline from the start */
}

static void step(void)
{
    int user = (int)dice(USERS);
    struct message *m = pick(user, OUT);
    switch (dice(8)) {
    case 0:
    case 1:
        add(user);
        break;
    case 2:
        w.stamp[user] += dice(3) == 0;
        send_some(user);
        break;
    case 3:
        if (m && m->item.place == FLOW_OUT) {
            m->fate = ENDED_ACKED;
            (void)flow_remove(&m->item);
        }
        break;
    case 4:
        if (dice(4) == 0)
            fail_one(user);
        break;
    case 5:
        begin_run(user);
        break;
    case 6:
        end_run(user);
        break;
    default:
        if (dice(6) == 0)
            expire_held(user);
    }
}

static void quiesce(void)
{
    for (int user = 0; user < USERS; user++) {
        for (int i = 0; i < MESSAGES * 4 && flow_of(user); i++) {
            end_run(user);
            begin_run(user);
            struct message *m = pick(user, OUT);
            if (m && m->item.place == FLOW_OUT) {
                m->fate = ENDED_ACKED;
                (void)flow_remove(&m->item);
            } else if (m) {
                fail_one(user);
            }
            send_some(user);
        }
    }
}

static void test_random(void **state)
{
    int stored = 0, acked = 0;
    (void)state;
    for (unsigned seed = 1; seed <= SEEDS; seed++) {
        memset(&w, 0, sizeof(w));
        memset(w.last_stored, 0xff, sizeof(w.last_stored));
        w.seed = seed;
        w.flows = flows_new(0);
        for (int i = 0; i < STEPS; i++)
            step();
        quiesce();
        for (int i = 0; i < w.count; i++) {
            assert_false(is_unfinished(&w.messages[i]));
            stored += w.messages[i].fate == ENDED_STORED;
            acked += w.messages[i].fate == ENDED_ACKED;
        }
        assert_int_equal(flows_count(w.flows), 0);
        flows_free(&w.flows);
    }
    assert_true(stored > 1000 && acked > 1000); /* it really went both ways */
}

static void test_failure_waits_for_those_ahead(void **state)
{
    struct flows *flows = flows_new(0);
    struct flow_item a = {0}, b = {0}, c = {0};
    (void)state;
    flow_add(flows, &a, "42", 2, "", 0);
    flow_add(flows, &b, "42", 2, "", 0);
    flow_add(flows, &c, "42", 2, "", 0);
    struct flow *flow = a.flow;
    flow_sent(&a, 7);
    flow_sent(&b, 7);
    flow_sent(&c, 7);
    flow_failed(&b);
    assert_false(flow_wants_run(flow)); /* a may still fail, and would then be behind b in the mailbox */
    assert_false(flow_remove(&a));
    assert_true(flow_wants_run(flow));
    assert_ptr_equal(flow_recall(flow), &c);
    assert_null(flow_recall(flow));
    assert_ptr_equal(flow_run_take(flow), &b);
    assert_ptr_equal(flow_run_take(flow), &c);
    assert_null(flow_run_take(flow));
    bool is_gone;
    assert_ptr_equal(flow_stored(flow, &is_gone), &b);
    assert_false(is_gone);
    assert_ptr_equal(flow_stored(flow, &is_gone), &c);
    assert_true(is_gone);
    flows_free(&flows);
}

/* An item goes to several devices by one number; one that did not go out after all leaves its number to the next. */
static void test_one_number_for_all_devices(void **state)
{
    struct flows *flows = flows_new(0);
    struct flow_item a = {0}, b = {0}, c = {0};
    (void)state;
    flow_add(flows, &a, "42", 2, "", 0);
    flow_add(flows, &b, "42", 2, "", 0);
    struct flow *flow = a.flow;
    struct flow_position first = flow_next(flow), again = flow_next(flow);
    assert_true(first.run == again.run && first.index == 0 && again.index == 0);
    flow_sent(&a, 7);
    assert_true(flow_next(flow).run == first.run);
    assert_int_equal(flow_next(flow).index, 1);
    flow_sent(&b, 7);
    assert_true(flow_is_last_out(&b) && !flow_is_last_out(&a));
    flow_add(flows, &c, "42", 2, "", 0);
    flow_unsent(&b);
    assert_false(flow_remove(&b));
    assert_int_equal(flow_next(flow).index, 1);
    flow_sent(&c, 7);
    assert_false(flow_remove(&a));
    assert_true(flow_remove(&c));
    flow_add(flows, &a, "42", 2, "", 0);
    assert_true(flow_next(a.flow).run != first.run);
    assert_true(flow_remove(&a));
    flows_free(&flows);
}

static void test_priorities_are_flows_of_their_own(void **state)
{
    struct flows *flows = flows_new(0);
    struct flow_item items[6] = {0};
    (void)state;
    for (int i = 0; i < 6; i++) {
        items[i].priority = (uint8_t)(i % 3);
        flow_add(flows, &items[i], "42", 2, "d", i < 3 ? 0 : 1);
        for (int k = 0; k < i; k++)
            assert_ptr_not_equal(items[k].flow, items[i].flow);
    }
    for (int i = 0; i < 6; i++)
        assert_true(flow_remove(&items[i]));
    flows_free(&flows);
}

static void test_moved_user_waits(void **state)
{
    struct flows *flows = flows_new(0);
    struct flow_item a = {0}, b = {0};
    (void)state;
    flow_add(flows, &a, "42", 2, "", 0);
    flow_sent(&a, 1);
    flow_add(flows, &b, "42", 2, "", 0);
    assert_true(flow_may_send(b.flow, 1));
    assert_false(flow_may_send(b.flow, 2));
    struct flow *flow = b.flow;
    assert_false(flow_remove(&a));
    assert_true(flow_may_send(flow, 2));
    assert_true(flow_remove(&b));
    flows_free(&flows);
}

static void test_devices_are_apart(void **state)
{
    struct flows *flows = flows_new(0);
    struct flow_item a = {0}, b = {0}, c = {0};
    (void)state;
    flow_add(flows, &a, "42", 2, "", 0);
    flow_add(flows, &b, "42", 2, "d", 1);
    flow_add(flows, &c, "42d", 3, "", 0);
    assert_int_equal(flows_count(flows), 3);
    assert_true(flow_remove(&a) && flow_remove(&b) && flow_remove(&c));
    flows_free(&flows);
}

/* Sends the first held item; its number in its run. */
static uint32_t sent(struct flow_item *item, uint64_t *run_r)
{
    struct flow_position position = flow_next(item->flow);
    flow_sent(item, 1);
    *run_r = position.run;
    return position.index;
}

static void test_runs_are_numbered_without_a_gap(void **state)
{
    struct flows *flows = flows_new(UINT64_MAX - 1);
    struct flow_item a = {0}, b = {0}, c = {0}, other = {0};
    uint64_t run, again;
    (void)state;
    flow_add(flows, &other, "43", 2, "", 0);
    assert_int_equal(sent(&other, &again), 0);
    flow_add(flows, &a, "42", 2, "", 0);
    flow_add(flows, &b, "42", 2, "", 0);
    flow_add(flows, &c, "42", 2, "", 0);
    assert_int_equal(sent(&a, &run), 0);
    assert_true(run != 0 && run != again); /* each flow its own; 0 means none, also when the numbers turn over */
    assert_int_equal(sent(&b, &again), 1);
    assert_true(again == run);
    assert_false(flow_remove(&a));
    assert_false(flow_remove(&b)); /* nothing is out any more */
    assert_int_equal(sent(&c, &again), 0);
    assert_true(again != run && again != 0);
    assert_true(flow_remove(&c) && flow_remove(&other));
    flows_free(&flows);
}

static void test_torn_run_ends_some_time(void **state)
{
    enum { COUNT = 200 };
    static struct flow_item items[COUNT];
    struct flows *flows = flows_new(0);
    uint64_t first, run;
    uint32_t i = 0, before;
    (void)state;
    for (int k = 0; k < COUNT; k++)
        flow_add(flows, &items[k], "42", 2, "", 0);
    struct flow *flow = items[0].flow;
    assert_int_equal(sent(&items[i++], &first), 0);
    flow_torn(flow);
    while (flow_may_send(flow, 1))
        assert_int_equal(sent(&items[i], &run), i), i++;
    assert_true(i > 10 && i < COUNT); /* not at once, or a device that never acknowledges would slow down the others */
    before = i;
    for (uint32_t k = 0; k < before; k++) {
        assert_false(flow_may_send(flow, 1));
        assert_false(flow_remove(&items[k]));
    }
    while (i < COUNT) {
        assert_true(flow_may_send(flow, 1));
        assert_int_equal(sent(&items[i], &run), i - before), i++; /* another run, and whole */
    }
    assert_true(run != first);
    for (uint32_t k = before; k < COUNT; k++)
        (void)flow_remove(&items[k]);
    assert_int_equal(flows_count(flows), 0);
    flows_free(&flows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_failure_waits_for_those_ahead),
        cmocka_unit_test(test_moved_user_waits),
        cmocka_unit_test(test_one_number_for_all_devices),
        cmocka_unit_test(test_priorities_are_flows_of_their_own),
        cmocka_unit_test(test_devices_are_apart),
        cmocka_unit_test(test_runs_are_numbered_without_a_gap),
        cmocka_unit_test(test_torn_run_ends_some_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
