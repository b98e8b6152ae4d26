#include "priority.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>

#include "check.h"

static const struct priority_weights weights = {{16, 4, 1}};

struct thing {
    struct list link;
    enum priority_class class;
    int number;
    size_t cost;
};

static struct thing *put(struct priority_queue *queue, enum priority_class class, int number, size_t cost)
{
    struct thing *thing = xcalloc(1, sizeof *thing);
    thing->class = class;
    thing->number = number;
    thing->cost = cost;
    priority_push(queue, class, &thing->link);
    return thing;
}

static struct thing *take(struct priority_queue *queue)
{
    enum priority_class class = priority_next(queue);
    struct thing *first = container_of(priority_first(queue, class), struct thing, link);
    assert_ptr_equal(priority_pop(queue, class, first->cost, &weights), &first->link);
    assert_int_equal(first->class, class);
    return first;
}

static void test_high_first(void **state)
{
    struct priority_queue queue;
    (void)state;
    priority_init(&queue);
    put(&queue, PRIORITY_LOW, 0, 100);
    put(&queue, PRIORITY_NORMAL, 1, 100);
    put(&queue, PRIORITY_HIGH, 2, 100);
    for (int i = 0; i < 3; i++) {
        struct thing *thing = take(&queue);
        assert_int_equal(thing->class, (enum priority_class)i);
        free(thing);
    }
    assert_int_equal(queue.count, 0);
}

/* While all wait, bytes leave by weight, whatever the sizes: low is slow, and never starves. */
static void test_shares_by_bytes(void **state)
{
    struct priority_queue queue;
    size_t left[PRIORITY_COUNT] = {0}, bytes[PRIORITY_COUNT] = {0};
    const size_t sizes[PRIORITY_COUNT] = {100, 1000, 50};
    (void)state;
    priority_init(&queue);
    for (int class = 0; class < PRIORITY_COUNT; class ++)
        for (int i = 0; i < 2000; i++, left[class]++)
            put(&queue, (enum priority_class) class, i, sizes[class]);
    for (int gap = 0; left[0] > 0 && left[1] > 0 && left[2] > 0;) {
        struct thing *thing = take(&queue);
        bytes[thing->class] += thing->cost;
        left[thing->class]--;
        gap = thing->class == PRIORITY_LOW ? 0 : gap + 1;
        assert_true(gap < 60);
        free(thing);
    }
    size_t all = bytes[0] + bytes[1] + bytes[2];
    assert_in_range(bytes[0] * 21 * 100 / all, 1550, 1650);
    assert_in_range(bytes[1] * 21 * 100 / all, 370, 430);
    assert_in_range(bytes[2] * 21 * 100 / all, 90, 110);
    while (queue.count > 0)
        free(take(&queue));
}

/* A class that wanted nothing for long does not make up for it. */
static void test_no_credit_for_silence(void **state)
{
    struct priority_queue queue;
    (void)state;
    priority_init(&queue);
    for (int i = 0; i < 1000; i++)
        put(&queue, PRIORITY_HIGH, i, 100);
    for (int i = 0; i < 500; i++)
        free(take(&queue));
    for (int i = 0; i < 100; i++)
        put(&queue, PRIORITY_LOW, i, 100);
    int low = 0;
    for (int i = 0; i < 170; i++) {
        struct thing *thing = take(&queue);
        low += thing->class == PRIORITY_LOW;
        free(thing);
    }
    assert_in_range(low, 9, 12);
    while (queue.count > 0)
        free(take(&queue));
}

/* Random pushes, takes and removals: order within each class, nothing lost, nobody waits for ever. */
static void test_random(void **state)
{
    enum { THINGS = 20000 };
    static struct thing *waiting[THINGS];
    struct priority_queue queue;
    int next[PRIORITY_COUNT] = {0}, seen[PRIORITY_COUNT] = {-1, -1, -1}, count = 0, taken = 0, removed = 0;
    (void)state;
    srand(7);
    priority_init(&queue);
    for (int made = 0; made < THINGS || queue.count > 0;) {
        int what = rand() % 100;
        if (what < 50 && made < THINGS) {
            enum priority_class class = (enum priority_class)(rand() % PRIORITY_COUNT);
            waiting[count++] = put(&queue, class, next[class]++, (size_t)(rand() % 3000));
            made++;
        } else if (queue.count > 0 && what < 95) {
            struct thing *thing = take(&queue);
            assert_true(thing->number > seen[thing->class]);
            seen[thing->class] = thing->number;
            thing->number = -1;
            taken++;
        } else if (count > 0) {
            struct thing *thing = waiting[rand() % count];
            if (thing->number >= 0 && !list_is_empty(&thing->link)) {
                priority_remove(&queue, &thing->link);
                removed++;
            }
        }
    }
    assert_int_equal(taken + removed, THINGS);
    for (int i = 0; i < count; i++)
        free(waiting[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_high_first),
        cmocka_unit_test(test_shares_by_bytes),
        cmocka_unit_test(test_no_credit_for_silence),
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
