/* Mailboxes being emptied: what arrives late, what is lost on the way, and what makes up for it. */
#include "gateway/session/session_fake_world.h"

static int setup_narrow(void **state)
{
    world_window = 2;
    world_page = 2;
    int failed = setup(state);
    world_window = world_page = 0;
    return failed;
}

/* Opens, with both boxes empty. */
static struct conn *open_live(void)
{
    struct conn *c = open_conn();
    come_all();
    assert_true(is_live(c));
    return c;
}

static void test_empties_both_boxes_in_order(void **state)
{
    (void)state;
    fake_append(USER_BOX, "a", 0);
    fake_append(USER_BOX, "b", 0);
    fake_append(DEVICE_BOX, "x", 0);
    struct conn *c = open_conn();
    come_all();
    assert_string_equal(seen(c), "a b");
    assert_int_equal(fake_box(USER_BOX)->count, 2); /* until acknowledged */
    ack(c, 1);
    come_all();
    assert_int_equal(fake_box(USER_BOX)->count, 1);
    assert_string_equal(seen(c), "a b");
    ack(c, 2);
    come_all();
    assert_string_equal(seen(c), "a b x");
    assert_false(is_live(c));
    ack(c, 3);
    come_all();
    assert_true(is_live(c));
    assert_int_equal(fake_box(DEVICE_BOX)->count, 0);
    assert_int_equal(t.letters, 3);
}

/* Before it is known whether there is a mailbox, while it is emptied, and until Redis has said that it is gone. */
static void test_refuses_live_until_seen_empty(void **state)
{
    (void)state;
    fake_append(USER_BOX, "a", 0);
    struct conn *c = open_conn();
    assert_int_equal(deliver("live"), 1);
    assert_string_equal(t.reason, "draining");
    come_all();
    deliver("live");
    ack(c, 1);
    deliver("live"); /* box_ack is under way */
    assert_int_equal(t.results[HERALD__V1__RESULT_KIND__RESULT_REFUSED], 3);
    come_all();
    deliver("live");
    assert_int_equal(t.results[HERALD__V1__RESULT_KIND__RESULT_REFUSED], 3);
    assert_string_equal(seen(c), "a live");
}

/* Rule 4 of the promise: a poke that is lost is made up for by the refresh of the route, a third of its life later. */
static void test_lost_poke_is_made_up_for(void **state)
{
    (void)state;
    struct conn *c = open_live();
    fake_append(USER_BOX, "a", 0);
    fake_append(DEVICE_BOX, "x", 0);
    advance(ROUTE_TTL_MS / 3 + 1000);
    ack(c, 1);
    come_all();
    assert_string_equal(seen(c), "a x");
    ack(c, 2);
    come_all();
    assert_true(is_live(c));
    fake_append(USER_BOX, "b", 0); /* and again */
    advance(ROUTE_TTL_MS / 3 + 1000);
    assert_string_equal(seen(c), "a x b");
}

/* What a session refused is in the mailbox before long; when its poke is lost, the session looks by itself. */
static void test_looks_by_itself_after_a_refusal(void **state)
{
    (void)state;
    struct conn *c = open_live();
    deliver("r0");
    deliver("r1");
    deliver("r2");
    assert_string_equal(t.reason, "window");
    fake_append(USER_BOX, "r2", 0);
    ack(c, 2);
    come_all();
    deliver("r3"); /* there is room, but it must not overtake */
    assert_string_equal(t.reason, "draining");
    fake_append(USER_BOX, "r3", 0);
    assert_string_equal(seen(c), "r0 r1");
    advance(BEHIND_MS + 200);
    assert_string_equal(seen(c), "r0 r1 r2 r3");
}

static uint32_t deliver_from(const char *id, const char *source)
{
    Herald__V1__Delivery delivery = HERALD__V1__DELIVERY__INIT;
    delivery.class_ = HERALD__V1__CLASS__CLASS_DURABLE;
    delivery.source = (char *)(uintptr_t)source;
    return deliver_as(&delivery, id, 7, 0);
}

/* A lane was held up for so long that its router stored what was on it. The newer "b" came by the mailbox, out of which
 * "a" had gone, as "b" has its collapse key. Then the lane goes on. */
static void test_what_was_held_up_does_not_come_behind_the_mailbox(void **state)
{
    (void)state;
    struct conn *c = open_live();
    fake_append_from(USER_BOX, "b", "push/5/12", 0);
    poke("");
    come_all();
    ack(c, 1);
    come_all();
    assert_true(is_live(c));
    assert_int_equal(deliver_from("a", "push/5/11"), 1);
    assert_string_equal(t.reason, "overtaken");
    deliver_from("b", "push/5/12");
    assert_int_equal(t.results[HERALD__V1__RESULT_KIND__RESULT_REFUSED], 2);
    deliver_from("c", "push/5/13");
    deliver_from("other", "push/4/1");
    assert_string_equal(seen(c), "b c other");
}

/* Also when the newer one was too old to be sent. */
static void test_what_was_held_up_does_not_come_behind_an_expired_one(void **state)
{
    (void)state;
    struct conn *c = open_live();
    fake_append_from(USER_BOX, "b", "push/5/12", 1);
    poke("");
    come_all();
    assert_true(is_live(c));
    deliver_from("a", "push/5/11");
    assert_string_equal(t.reason, "overtaken");
    assert_string_equal(seen(c), "");
}

static void test_poke_goes_before_that(void **state)
{
    (void)state;
    struct conn *c = open_live();
    deliver("r0");
    deliver("r1");
    deliver("r2");
    fake_append(USER_BOX, "r2", 0);
    ack(c, 2);
    poke("");
    come_all();
    assert_string_equal(seen(c), "r0 r1 r2");
}

/* Rule 14. The answer "none left" was made before something was appended, whose poke came while there was no room. */
static void test_old_answer_does_not_end_a_new_drain(void **state)
{
    (void)state;
    struct conn *c = open_live();
    deliver("r0");
    fake_append(USER_BOX, "a", 0);
    poke("");
    come_all();
    assert_string_equal(seen(c), "r0 a");
    ack_id(c, "a"); /* r0, before it, still fills the window of 2; box_ack: none left */
    assert_int_equal(fake_box(USER_BOX)->count, 0);
    fake_append(USER_BOX, "b", 0);
    poke("");
    come_all();
    assert_false(is_live(c));
    ack(c, 1);
    come_all();
    assert_string_equal(seen(c), "r0 a b");
}

/* The same while a page is on its way that was read before. */
static void test_poke_while_an_empty_page_is_on_its_way(void **state)
{
    (void)state;
    fake_append(USER_BOX, "a", 0);
    struct conn *c = open_conn();
    while (c->pushes == 0)
        assert_true(fake_come(fake.commands));
    fake_append(USER_BOX, "b", 0);
    poke("");
    come_all();
    assert_string_equal(seen(c), "a b");
    assert_false(is_live(c));
}

/* While the device's box is read, something comes into the user's, which was seen empty. */
static void test_poke_for_the_box_before(void **state)
{
    (void)state;
    fake_append(DEVICE_BOX, "x", 0);
    struct conn *c = open_conn();
    come_all();
    assert_string_equal(seen(c), "x");
    fake_append(USER_BOX, "a", 0);
    poke("");
    come_all();
    ack(c, 1);
    come_all();
    assert_string_equal(seen(c), "x a");
    ack(c, 2);
    come_all();
    assert_true(is_live(c));
}

/* A poke overtakes the answer about the route, which was made before the append. */
static void test_poke_before_the_registration_is_answered(void **state)
{
    (void)state;
    struct conn *c = open_conn(); /* asked: both empty */
    fake_append(USER_BOX, "a", 0);
    poke("");
    assert_int_equal(fake.reads, 0);
    come_all();
    assert_string_equal(seen(c), "a");
}

static void test_pages_follow_as_there_is_room(void **state)
{
    (void)state;
    char id[16];
    for (int i = 0; i < 7; i++) {
        snprintf(id, sizeof(id), "m%d", i);
        fake_append(USER_BOX, id, 0);
    }
    struct conn *c = open_conn();
    come_all();
    for (int i = 0; i < 7; i++) {
        assert_true(c->pushes <= i + 2); /* the window */
        ack(c, (uint64_t)i + 1);
        come_all();
    }
    assert_string_equal(seen(c), "m0 m1 m2 m3 m4 m5 m6");
    assert_true(is_live(c));
}

static void test_reads_again_after_an_error(void **state)
{
    (void)state;
    struct conn *c = open_live();
    fake_append(USER_BOX, "a", 0);
    poke("");
    fake.failing = ERR_INVALID;
    come_all();
    fake.failing = ERR_OK;
    assert_int_equal(c->pushes, 0);
    assert_false(is_live(c));
    advance(1500);
    assert_string_equal(seen(c), "a");
    ack(c, 1);
    fake.failing = ERR_INVALID; /* was it removed? */
    come_all();
    fake.failing = ERR_OK;
    advance(1500);
    assert_true(is_live(c));
    assert_string_equal(seen(c), "a");
}

static void test_useless_entries_are_removed(void **state)
{
    (void)state;
    fake_append_bytes(USER_BOX, "\xff\xff", 2);
    fake_append(USER_BOX, "old", (int64_t)loop_wall_ms(t.loop) - 1);
    fake_append(USER_BOX, "a", 0);
    struct conn *c = open_conn();
    come_all();
    assert_string_equal(seen(c), "a");
    assert_int_equal(fake_box(USER_BOX)->count, 1);
    assert_int_equal(t.letters, 1); /* the expired one has a fate to be told, the unreadable one has not */
    ack(c, 1);
    come_all();
    assert_true(is_live(c));
}

/* What was sent and not acknowledged is there for the next connection. */
static void test_next_connection_begins_anew(void **state)
{
    (void)state;
    fake_append(USER_BOX, "a", 0);
    fake_append(USER_BOX, "b", 0);
    struct conn *first = open_conn();
    come_all();
    ack(first, 1);
    end_conn(first); /* box_ack is on its way */
    come_all();
    struct conn *second = open_conn();
    come_all();
    assert_string_equal(seen(second), "b");
    assert_int_equal(second->seqs[0], 1);
}

int main(void)
{
    metric_setup(gateway_metrics, 1);
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
#define NARROW(fn) cmocka_unit_test_setup_teardown(fn, setup_narrow, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_empties_both_boxes_in_order),
        TEST(test_refuses_live_until_seen_empty),
        TEST(test_lost_poke_is_made_up_for),
        NARROW(test_looks_by_itself_after_a_refusal),
        TEST(test_what_was_held_up_does_not_come_behind_the_mailbox),
        TEST(test_what_was_held_up_does_not_come_behind_an_expired_one),
        NARROW(test_poke_goes_before_that),
        NARROW(test_old_answer_does_not_end_a_new_drain),
        TEST(test_poke_while_an_empty_page_is_on_its_way),
        TEST(test_poke_for_the_box_before),
        TEST(test_poke_before_the_registration_is_answered),
        NARROW(test_pages_follow_as_there_is_room),
        TEST(test_reads_again_after_an_error),
        TEST(test_useless_entries_are_removed),
        TEST(test_next_connection_begins_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
