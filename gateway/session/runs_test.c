#include "gateway/session/runs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static struct slab *memory;

static int setup(void **state)
{
    (void)state;
    memory = runs_memory_new();
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
    struct runs *runs = NULL;
    (void)state;
    assert_false(runs_may_take(runs, 7, 1)); /* what came before went elsewhere */
    assert_true(runs_may_take(runs, 7, 0));
    runs_took(&runs, memory, 7, 0);
    assert_true(runs_may_take(runs, 7, 1));
    assert_false(runs_may_take(runs, 7, 2));
    runs_took(&runs, memory, 7, 1);
    assert_false(runs_may_take(runs, 7, 1)); /* twice */
    assert_true(runs_may_take(runs, 7, 2));
    assert_true(runs_may_take(runs, 7, 0));
    assert_true(runs_may_take(runs, 8, 0));
    assert_false(runs_may_take(runs, 8, 2)); /* the number is of another run */
    runs_free(&runs);
}

static void test_what_was_refused_is_not_overtaken(void **state)
{
    struct runs *runs = NULL;
    (void)state;
    runs_took(&runs, memory, 7, 0);
    /* 1 was refused */
    for (uint32_t i = 2; i < 10; i++)
        assert_false(runs_may_take(runs, 7, i));
    runs_took(&runs, memory, 8, 0); /* the next run */
    assert_true(runs_may_take(runs, 8, 1));
    assert_false(runs_may_take(runs, 7, 2));
    runs_free(&runs);
}

static void test_some_runs_side_by_side(void **state)
{
    struct runs *runs = NULL;
    (void)state;
    for (uint32_t index = 0; index < 5; index++)
        for (uint64_t run = 1; run <= RUNS_KEPT; run++) {
            assert_true(runs_may_take(runs, run, index));
            runs_took(&runs, memory, run, index);
        }
    runs_took(&runs, memory, 1, 5); /* used of late */
    runs_took(&runs, memory, 99, 0);
    assert_true(runs_may_take(runs, 1, 6));
    assert_false(runs_may_take(runs, 2, 5)); /* forgotten: refused */
    runs_free(&runs);
}

static void test_unnumbered(void **state)
{
    struct runs *runs = NULL;
    (void)state;
    assert_true(runs_may_take(runs, 0, 0));
    runs_took(&runs, memory, 0, 0);
    assert_true(runs_may_take(runs, 0, 5));
    assert_false(runs_may_take(runs, 1, 1));
    runs_free(&runs);
}

static void test_forgotten_when_long_unused(void **state)
{
    struct runs *runs = NULL;
    (void)state;
    runs_age(&runs);
    runs_took(&runs, memory, 7, 0);
    runs_age(&runs);
    assert_true(runs_may_take(runs, 7, 1)); /* taken since the last time */
    runs_took(&runs, memory, 7, 1);
    runs_age(&runs);
    assert_true(runs_may_take(runs, 7, 2));
    runs_age(&runs);
    assert_null(runs);
    assert_false(runs_may_take(runs, 7, 2));
    assert_true(runs_may_take(runs, 7, 0));
    runs_free(&runs);
}

/* Those of the few who stay, after many had some, are found where they are moved to; so are they when it is their
 * session that moves. */
static void test_moved(void **state)
{
    enum { COUNT = 5000 };
    static struct runs *of[COUNT], *elsewhere[COUNT];
    size_t most, before;
    (void)state;
    for (uint32_t i = 0; i < COUNT; i++)
        runs_took(&of[i], memory, 7, i + 1);
    most = slab_bytes(memory);
    for (uint32_t i = 0; i < COUNT; i++) {
        if (i % 10)
            runs_free(&of[i]);
        elsewhere[i] = of[i];
        runs_moved(&elsewhere[i]);
    }
    do {
        before = slab_bytes(memory);
        while (runs_compact(memory, 64) > 0)
            ;
    } while (slab_bytes(memory) < before);
    assert_true(slab_bytes(memory) <= most / 2);
    for (uint32_t i = 0; i < COUNT; i += 10) {
        assert_true(runs_may_take(elsewhere[i], 7, i + 2));
        assert_false(runs_may_take(elsewhere[i], 7, i + 1));
        runs_free(&elsewhere[i]);
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
        cmocka_unit_test_setup_teardown(test_moved, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
