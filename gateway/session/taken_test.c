#include "gateway/session/taken.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

static struct slab *memory;

static int setup(void **state)
{
    (void)state;
    memory = taken_memory_new();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    slab_free(&memory); /* ends the test when some are left in it */
    return 0;
}

static void test_takes_what_follows(void **state)
{
    struct taken *taken = NULL;
    (void)state;
    assert_false(taken_admits(taken, 7, 1)); /* what came before went elsewhere */
    assert_true(taken_admits(taken, 7, 0));
    taken_live(&taken, memory, 7, 0);
    assert_true(taken_admits(taken, 7, 1));
    assert_false(taken_admits(taken, 7, 2));
    taken_live(&taken, memory, 7, 1);
    assert_false(taken_admits(taken, 7, 1)); /* twice */
    assert_true(taken_admits(taken, 7, 2));
    assert_true(taken_admits(taken, 7, 0));
    assert_true(taken_admits(taken, 8, 0));
    assert_false(taken_admits(taken, 8, 2)); /* the number is of another run */
    taken_free(&taken);
}

static void test_what_was_refused_is_not_overtaken(void **state)
{
    struct taken *taken = NULL;
    (void)state;
    taken_live(&taken, memory, 7, 0);
    /* 1 was refused */
    for (uint32_t i = 2; i < 10; i++)
        assert_false(taken_admits(taken, 7, i));
    taken_live(&taken, memory, 8, 0); /* the next run */
    assert_true(taken_admits(taken, 8, 1));
    assert_false(taken_admits(taken, 7, 2));
    taken_free(&taken);
}

static void test_some_runs_side_by_side(void **state)
{
    struct taken *taken = NULL;
    (void)state;
    for (uint32_t index = 0; index < 5; index++)
        for (uint64_t run = 1; run <= TAKEN_RUNS; run++) {
            assert_true(taken_admits(taken, run, index));
            taken_live(&taken, memory, run, index);
        }
    taken_live(&taken, memory, 1, 5); /* used of late */
    taken_live(&taken, memory, 99, 0);
    assert_true(taken_admits(taken, 1, 6));
    assert_false(taken_admits(taken, 2, 5)); /* forgotten: refused */
    taken_free(&taken);
}

static void test_unnumbered(void **state)
{
    struct taken *taken = NULL;
    (void)state;
    assert_true(taken_admits(taken, 0, 0));
    taken_live(&taken, memory, 0, 0);
    assert_true(taken_admits(taken, 0, 5));
    assert_false(taken_admits(taken, 1, 1));
    taken_free(&taken);
}

static void test_forgotten_when_long_unused(void **state)
{
    struct taken *taken = NULL;
    (void)state;
    taken_age(&taken);
    taken_live(&taken, memory, 7, 0);
    taken_age(&taken);
    assert_true(taken_admits(taken, 7, 1)); /* taken since the last time */
    taken_live(&taken, memory, 7, 1);
    taken_age(&taken);
    assert_true(taken_admits(taken, 7, 2));
    taken_age(&taken);
    assert_null(taken);
    assert_false(taken_admits(taken, 7, 2));
    assert_true(taken_admits(taken, 7, 0));
    taken_free(&taken);
}

static void read_entry(struct taken **taken, const char *source, int64_t life, bool is_device)
{
    Herald__V1__Delivery delivery = HERALD__V1__DELIVERY__INIT;
    delivery.source = (char *)(uintptr_t)source;
    delivery.life = life;
    taken_entry(taken, memory, &delivery, is_device);
}

static bool is_overtaken(const struct taken *taken, const char *source, int64_t life, bool is_device)
{
    Herald__V1__Delivery delivery = HERALD__V1__DELIVERY__INIT;
    delivery.source = (char *)(uintptr_t)source;
    delivery.life = life;
    return taken_is_overtaken(taken, &delivery, is_device);
}

static void test_what_a_mailbox_has_overtaken(void **state)
{
    struct taken *taken = NULL;
    (void)state;
    assert_false(is_overtaken(taken, "push/5/12", 1, false));
    read_entry(&taken, "push/5/12", 1, false);
    assert_true(is_overtaken(taken, "push/5/11", 1, false));
    assert_true(is_overtaken(taken, "push/5/12", 1, false));
    assert_false(is_overtaken(taken, "push/5/13", 1, false));
    read_entry(&taken, "push/5/9", 1, false); /* again, from its beginning */
    assert_true(is_overtaken(taken, "push/5/12", 1, false));
    taken_free(&taken);
}

static void test_what_does_not_compare(void **state)
{
    struct taken *taken = NULL;
    Herald__V1__Delivery urgent = HERALD__V1__DELIVERY__INIT;
    static char source[] = "push/5/11";
    (void)state;
    read_entry(&taken, "push/5/12", 1, false);
    assert_false(is_overtaken(taken, "push/6/11", 1, false));
    assert_false(is_overtaken(taken, "other/5/11", 1, false));
    assert_false(is_overtaken(taken, "push/5/11", 2, false)); /* the topic was made anew */
    assert_false(is_overtaken(taken, "push/5/11", 1, true));  /* for the device: in another mailbox */
    urgent.source = source;
    urgent.life = 1;
    urgent.priority = HERALD__V1__PRIORITY__PRIORITY_HIGH;
    assert_false(taken_is_overtaken(taken, &urgent, false));
    taken_free(&taken);
}

static void test_sources_that_are_no_positions(void **state)
{
    static const char *const sources[] = {
        "", "push", "push/5/", "push/5/x", "push/5/12x", "/", "push/5/99999999999999999999"};
    struct taken *taken = NULL;
    (void)state;
    for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++)
        read_entry(&taken, sources[i], 0, false);
    assert_null(taken);
    read_entry(&taken, "push/5/12", 0, false);
    for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++)
        assert_false(is_overtaken(taken, sources[i], 0, false));
    taken_free(&taken);
}

static void test_some_sources_side_by_side(void **state)
{
    struct taken *taken = NULL;
    char source[32];
    (void)state;
    for (int i = 0; i < TAKEN_SOURCES; i++) {
        snprintf(source, sizeof source, "push/%d/12", i);
        read_entry(&taken, source, 0, false);
    }
    taken_live(&taken, memory, 7, 0); /* beside runs */
    for (int i = 0; i < TAKEN_SOURCES; i++) {
        snprintf(source, sizeof source, "push/%d/11", i);
        assert_true(is_overtaken(taken, source, 0, false));
    }
    read_entry(&taken, "push/0/13", 0, false); /* used of late */
    read_entry(&taken, "push/99/1", 0, false);
    assert_true(is_overtaken(taken, "push/0/13", 0, false));
    assert_false(is_overtaken(taken, "push/1/11", 0, false)); /* forgotten */
    taken_free(&taken);
}

/* Those of the few who stay, after many had some, are found where they are moved to; so are they when it is their
 * session that moves. */
static void test_moved(void **state)
{
    enum { COUNT = 5000 };
    static struct taken *of[COUNT], *elsewhere[COUNT];
    size_t most, before;
    (void)state;
    for (uint32_t i = 0; i < COUNT; i++)
        taken_live(&of[i], memory, 7, i + 1);
    most = slab_bytes(memory);
    for (uint32_t i = 0; i < COUNT; i++) {
        if (i % 10)
            taken_free(&of[i]);
        elsewhere[i] = of[i];
        taken_moved(&elsewhere[i]);
    }
    do {
        before = slab_bytes(memory);
        while (taken_compact(memory, 64) > 0)
            ;
    } while (slab_bytes(memory) < before);
    assert_true(slab_bytes(memory) <= most / 2);
    for (uint32_t i = 0; i < COUNT; i += 10) {
        assert_true(taken_admits(elsewhere[i], 7, i + 2));
        assert_false(taken_admits(elsewhere[i], 7, i + 1));
        taken_free(&elsewhere[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_takes_what_follows, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_was_refused_is_not_overtaken, setup, teardown),
        cmocka_unit_test_setup_teardown(test_some_runs_side_by_side, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unnumbered, setup, teardown),
        cmocka_unit_test_setup_teardown(test_forgotten_when_long_unused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_a_mailbox_has_overtaken, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_does_not_compare, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sources_that_are_no_positions, setup, teardown),
        cmocka_unit_test_setup_teardown(test_some_sources_side_by_side, setup, teardown),
        cmocka_unit_test_setup_teardown(test_moved, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
