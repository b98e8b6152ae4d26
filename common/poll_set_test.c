#include "poll_set.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { PAIRS = 700 /* more than one turn serves */ };

struct end {
    struct poll_member member;
    int peer;
    int reads, writes;
};

static struct loop *loop;
static struct poll_set *set;
static struct end ends[PAIRS];
static struct end *victim; /* released by whoever is served first */
static int served;

static void on_ready(struct poll_member *member, int events)
{
    struct end *end = container_of(member, struct end, member);
    char byte;
    served++;
    if (events & LOOP_READ) {
        end->reads++;
        (void)!recv(member->fd, &byte, 1, MSG_DONTWAIT);
    }
    end->writes += (events & LOOP_WRITE) != 0;
    if (victim && victim != end)
        poll_set_release(set, &victim->member);
}

static void open_ends(int count)
{
    for (int i = 0; i < count; i++) {
        int pair[2];
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
        ends[i] = (struct end){.peer = pair[1]};
        poll_member_init(&ends[i].member, pair[0]);
        poll_set_want(set, &ends[i].member, LOOP_READ);
    }
}

static void close_ends(int count)
{
    for (int i = 0; i < count; i++) {
        poll_set_release(set, &ends[i].member);
        close(ends[i].member.fd);
        close(ends[i].peer);
    }
}

static void tell(const struct end *end)
{
    assert_int_equal(send(end->peer, "x", 1, 0), 1);
}

static void do_nothing(void *arg)
{
    (void)arg;
}

/* A turn that does not wait. */
static void turn(void)
{
    struct loop_task task;
    loop_task_init(&task, do_nothing, NULL);
    loop_defer(loop, &task);
    loop_turn(loop);
}

static void test_each_is_told_of_its_own(void **state)
{
    (void)state;
    open_ends(3);
    tell(&ends[1]);
    turn();
    assert_int_equal(ends[0].reads, 0);
    assert_int_equal(ends[1].reads, 1);
    turn();
    assert_int_equal(ends[1].reads, 1);
    tell(&ends[1]);
    tell(&ends[1]); /* level-triggered: what is left is told again */
    turn();
    turn();
    assert_int_equal(ends[1].reads, 3);
    close_ends(3);
}

static void test_only_what_is_wanted(void **state)
{
    (void)state;
    open_ends(1);
    tell(&ends[0]);
    poll_set_want(set, &ends[0].member, LOOP_WRITE);
    turn();
    assert_int_equal(ends[0].reads, 0);
    assert_int_equal(ends[0].writes, 1);
    poll_set_want(set, &ends[0].member, 0);
    turn();
    assert_int_equal(ends[0].writes, 1);
    poll_set_want(set, &ends[0].member, LOOP_READ | LOOP_WRITE);
    turn();
    assert_int_equal(ends[0].reads, 1);
    assert_int_equal(ends[0].writes, 2);
    close_ends(1);
}

static void test_a_turn_serves_a_bounded_number(void **state)
{
    (void)state;
    open_ends(PAIRS);
    for (int i = 0; i < PAIRS; i++)
        tell(&ends[i]);
    served = 0;
    turn();
    assert_true(served > 0 && served < PAIRS);
    turn();
    for (int i = 0; i < PAIRS; i++)
        assert_int_equal(ends[i].reads, 1);
    close_ends(PAIRS);
}

static void test_released_in_the_same_turn(void **state)
{
    (void)state;
    open_ends(2);
    tell(&ends[0]);
    tell(&ends[1]);
    served = 0;
    victim = &ends[1];
    turn();
    if (ends[1].reads == 0) /* it stood behind */
        assert_int_equal(served, 1);
    victim = NULL;
    close_ends(2);
}

static void test_a_broken_one_is_told_only_if_it_wants(void **state)
{
    (void)state;
    open_ends(1);
    close(ends[0].peer);
    poll_set_want(set, &ends[0].member, 0);
    served = 0;
    turn();
    assert_int_equal(served, 0);
    poll_set_want(set, &ends[0].member, LOOP_READ | LOOP_WRITE);
    turn();
    assert_int_equal(ends[0].reads, 1);
    assert_int_equal(ends[0].writes, 1);
    poll_set_release(set, &ends[0].member);
    close(ends[0].member.fd);
}

static int set_up(void **state)
{
    (void)state;
    loop = loop_new();
    set = poll_set_new(loop, on_ready);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    poll_set_free(&set);
    loop_free(&loop);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_is_told_of_its_own),
        cmocka_unit_test(test_only_what_is_wanted),
        cmocka_unit_test(test_a_turn_serves_a_bounded_number),
        cmocka_unit_test(test_released_in_the_same_turn),
        cmocka_unit_test(test_a_broken_one_is_told_only_if_it_wants),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
