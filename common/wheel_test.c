#include "wheel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

enum { TICK_MS = 100, START_MS = 123456789, ENTRY_COUNT = 2000 };

struct thing {
    struct wheel_entry entry;
    uint64_t due_ms; /* the model; 0: not on the wheel */
    uint64_t again_ms;
    int fired;
};

static uint64_t seed;
static uint64_t next_random(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static struct wheel *wheel;
static uint64_t now_ms, slack_ms;

static void on_due(struct wheel_entry *entry, void *arg)
{
    struct thing *thing = container_of(entry, struct thing, entry);
    assert_ptr_equal(arg, &now_ms);
    assert_false(wheel_has(entry));
    assert_true(thing->due_ms != 0);
    assert_true(now_ms >= thing->due_ms);                     /* never early */
    assert_true(now_ms < thing->due_ms + TICK_MS + slack_ms); /* at most a tick late, as often as it is asked */
    thing->due_ms = 0;
    thing->fired++;
    if (thing->again_ms) {
        thing->due_ms = now_ms + thing->again_ms;
        wheel_add(wheel, entry, thing->due_ms);
    }
}

static int setup(void **state)
{
    (void)state;
    seed = 0x1234567;
    now_ms = START_MS;
    slack_ms = 0;
    wheel = wheel_new(TICK_MS, now_ms, on_due, &now_ms);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    wheel_free(&wheel);
    assert_null(wheel);
    return 0;
}

static void advance(uint64_t ms)
{
    slack_ms = ms;
    now_ms += ms;
    wheel_advance(wheel, now_ms);
}

/* From the next millisecond to four revolutions away, which is 409 s. */
static uint64_t any_distance(void)
{
    static const uint64_t ranges[] = {1, 100, 1000, 102400, 409600};
    return 1 + next_random() % ranges[next_random() % 5];
}

static void test_against_a_model(void **state)
{
    (void)state;
    struct thing *things = calloc(ENTRY_COUNT, sizeof(*things));
    for (size_t i = 0; i < ENTRY_COUNT; i++)
        wheel_entry_init(&things[i].entry);
    size_t fired = 0;
    for (size_t step = 0; step < 60000; step++) {
        for (int k = 0; k < 4; k++) {
            struct thing *thing = &things[next_random() % ENTRY_COUNT];
            assert_int_equal(wheel_has(&thing->entry), thing->due_ms != 0);
            if (next_random() % 4 == 0) {
                wheel_remove(wheel, &thing->entry);
                thing->due_ms = 0;
            } else { /* adds, or moves */
                thing->due_ms = now_ms + any_distance();
                wheel_add(wheel, &thing->entry, thing->due_ms);
            }
        }
        /* mostly small steps; at times a pause of many revolutions */
        advance(step % 5000 == 4999 ? next_random() % 1000000 : next_random() % 70);
        /* nothing that is a tick late is still there */
        for (size_t i = step % 16; i < ENTRY_COUNT; i += 16)
            assert_true(things[i].due_ms == 0 || things[i].due_ms + TICK_MS > now_ms);
    }
    advance(600000);
    for (size_t i = 0; i < ENTRY_COUNT; i++) {
        assert_int_equal(things[i].due_ms, 0);
        assert_false(wheel_has(&things[i].entry));
        fired += (size_t)things[i].fired;
    }
    assert_true(fired > 10000);
    free(things);
}

static void test_exact_edges(void **state)
{
    (void)state;
    struct thing thing = {0};
    wheel_entry_init(&thing.entry);
    for (uint64_t distance_ms = 1; distance_ms < 3 * 102400; distance_ms = distance_ms * 5 / 4 + 1) {
        thing.due_ms = now_ms + distance_ms;
        wheel_add(wheel, &thing.entry, thing.due_ms);
        uint64_t due_ms = thing.due_ms;
        int before = thing.fired;
        now_ms = due_ms - 1;
        wheel_advance(wheel, now_ms);
        assert_int_equal(thing.fired, before);
        now_ms = due_ms + TICK_MS - 1;
        wheel_advance(wheel, now_ms);
        assert_int_equal(thing.fired, before + 1);
    }
}

static void test_past_is_due_at_the_next_tick(void **state)
{
    (void)state;
    struct thing thing = {.due_ms = 1};
    wheel_entry_init(&thing.entry);
    wheel_add(wheel, &thing.entry, thing.due_ms);
    thing.due_ms = now_ms; /* what the model takes it for */
    wheel_advance(wheel, now_ms);
    assert_int_equal(thing.fired, 0);
    advance(TICK_MS);
    assert_int_equal(thing.fired, 1);
}

static void test_time_does_not_go_back(void **state)
{
    (void)state;
    struct thing thing = {0};
    wheel_entry_init(&thing.entry);
    wheel_add(wheel, &thing.entry, thing.due_ms = now_ms + 500);
    wheel_advance(wheel, now_ms - 100000);
    assert_true(wheel_has(&thing.entry));
    advance(600);
    assert_int_equal(thing.fired, 1);
}

static void test_entry_adds_itself_again(void **state)
{
    (void)state;
    struct thing thing = {.again_ms = 1000};
    wheel_entry_init(&thing.entry);
    wheel_add(wheel, &thing.entry, thing.due_ms = now_ms + 1000);
    for (int i = 0; i < 1100; i++)
        advance(100);
    assert_in_range(thing.fired, 99, 110);
    wheel_remove(wheel, &thing.entry);
    wheel_remove(wheel, &thing.entry); /* harmless */
}

/* --- what fn does to others that are due in the same tick */

static struct wheel *own;
static struct wheel_entry first, second, third;
static int calls;

static void remove_and_move(struct wheel_entry *entry, void *arg)
{
    (void)entry;
    (void)arg;
    if (calls++ > 0)
        return;
    wheel_remove(own, &second);
    wheel_add(own, &third, 5000);
}

static void test_others_change_while_firing(void **state)
{
    (void)state;
    own = wheel_new(10, 0, remove_and_move, NULL);
    struct wheel_entry *const entries[] = {&first, &second, &third};
    for (int i = 0; i < 3; i++) {
        wheel_entry_init(entries[i]);
        wheel_add(own, entries[i], 100);
    }
    wheel_advance(own, 4999);
    assert_int_equal(calls, 1);
    assert_false(wheel_has(&first) || wheel_has(&second));
    assert_true(wheel_has(&third));
    wheel_advance(own, 5010);
    assert_int_equal(calls, 2);
    wheel_add(own, &first, 9000);
    wheel_free(&own);
    assert_false(wheel_has(&first)); /* forgotten, and may go on another */
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_against_a_model),
        TEST(test_exact_edges),
        TEST(test_past_is_due_at_the_next_tick),
        TEST(test_time_does_not_go_back),
        TEST(test_entry_adds_itself_again),
        TEST(test_others_change_while_firing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
