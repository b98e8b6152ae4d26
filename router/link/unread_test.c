#include "router/link/unread.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static void what_was_sent_before_an_echo_is_taken(void **state)
{
    struct unread u = {0};
    (void)state;
    unread_mark(&u, 10);
    unread_sent(&u, 100);
    assert_false(unread_echoed(&u, 10)); /* nothing was before it */
    assert_int_equal(unread_bytes(&u), 100);
    unread_mark(&u, 20);
    unread_sent(&u, 50);
    unread_mark(&u, 30);
    assert_true(unread_echoed(&u, 20));
    assert_int_equal(unread_bytes(&u), 50);
    assert_false(unread_echoed(&u, 20)); /* again */
    assert_false(unread_echoed(&u, 25)); /* never sent */
    assert_true(unread_echoed(&u, 30));
    assert_int_equal(unread_bytes(&u), 0);
    assert_false(unread_echoed(&u, 20)); /* late */
    assert_int_equal(unread_bytes(&u), 0);
}

/* Marks are made often enough that those kept span all that may be unread. */
static void marks_span_the_bound(void **state)
{
    enum { MAX = 8000 };
    struct unread u = {0};
    uint64_t us = 0;
    (void)state;
    while (unread_bytes(&u) < MAX) {
        unread_sent(&u, 100);
        if (unread_wants_mark(&u, MAX))
            unread_mark(&u, ++us);
    }
    assert_in_range(us, UNREAD_MARKS - 2, UNREAD_MARKS);
    assert_true(unread_echoed(&u, 1));
    assert_true(unread_bytes(&u) < MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_sent_before_an_echo_is_taken),
        cmocka_unit_test(marks_span_the_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
