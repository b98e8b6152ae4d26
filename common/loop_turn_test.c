/* The end of a turn: deferred tasks, then what died. */
#include "loop_test_world.h"

struct step {
    struct loop_task task;
    const char *name;
    int again; /* how often it defers itself */
    struct step *other;
};

static void run_step(void *arg)
{
    struct step *step = arg;
    note(step->name);
    if (step->other)
        loop_defer(loop, &step->other->task);
    if (step->again-- > 0)
        loop_defer(loop, &step->task);
}

static void init_step(struct step *step, const char *name)
{
    *step = (struct step){.name = name};
    loop_task_init(&step->task, run_step, step);
}

static void test_order_at_end_of_turn(void **state)
{
    (void)state;
    struct step a, b, dead;
    init_step(&a, "a");
    init_step(&b, "b");
    init_step(&dead, "+");
    loop_reap(loop, &dead.task); /* queued first, runs last */
    loop_defer(loop, &b.task);
    loop_defer(loop, &a.task);
    loop_defer(loop, &b.task); /* already queued */
    loop_turn(loop);
    assert_string_equal(trace, "ba+");
    assert_false(a.task.is_queued || b.task.is_queued || dead.task.is_queued);
}

static void test_task_defers_itself(void **state)
{
    (void)state;
    struct step a, b;
    init_step(&a, "a");
    init_step(&b, "b");
    a.again = 2;
    a.other = &b;
    loop_defer(loop, &a.task);
    loop_turn(loop);
    assert_string_equal(trace, "ab"); /* b was asked for at the end of this turn, and runs in it */
    loop_turn(loop);                  /* nothing is watched: a loop that waited would never come back */
    loop_turn(loop);
    assert_string_equal(trace, "ababab");
    loop_turn(loop);
    assert_string_equal(trace, "ababab");
}

/* Two that defer each other run once a turn each: descriptors get their turn. */
static void test_tasks_that_defer_each_other(void **state)
{
    (void)state;
    struct step a, b;
    init_step(&a, "a");
    init_step(&b, "b");
    a.other = &b;
    b.other = &a;
    loop_defer(loop, &a.task);
    loop_turn(loop);
    assert_string_equal(trace, "ab");
    loop_turn(loop);
    assert_string_equal(trace, "abab");
    loop_task_cancel(loop, &a.task);
    loop_task_cancel(loop, &b.task);
    loop_turn(loop);
    assert_string_equal(trace, "abab");
}

static struct step *cancelled;
static void cancel_other(void *arg)
{
    (void)arg;
    loop_task_cancel(loop, &cancelled->task);
}

static void test_cancel(void **state)
{
    (void)state;
    struct step a, b;
    struct loop_task cancel;
    init_step(&a, "a");
    init_step(&b, "b");
    loop_task_init(&cancel, cancel_other, NULL);
    cancelled = &b;
    loop_task_cancel(loop, &a.task); /* not queued: nothing */
    loop_defer(loop, &cancel);
    loop_defer(loop, &b.task);
    loop_defer(loop, &a.task);
    loop_turn(loop);
    assert_string_equal(trace, "a");
    loop_defer(loop, &b.task); /* may be used again */
    loop_turn(loop);
    assert_string_equal(trace, "ab");
}

struct dying {
    struct loop_task reap, flush;
    char *memory;
};

static void free_dying(void *arg)
{
    struct dying *dying = arg;
    note("r");
    free(dying->memory);
    free(dying);
}

static void flush_dying(void *arg)
{
    struct dying *dying = arg;
    assert_string_equal(dying->memory, "alive"); /* not yet reaped */
    note("f");
}

static struct dying *dying_new(void)
{
    struct dying *dying = calloc(1, sizeof(*dying));
    dying->memory = strdup("alive");
    loop_task_init(&dying->reap, free_dying, dying);
    loop_task_init(&dying->flush, flush_dying, dying);
    return dying;
}

static void on_fd_dies(int fd, short events, void *arg)
{
    (void)events;
    struct dying *dying = arg;
    eventfd_t value;
    eventfd_read(fd, &value);
    loop_reap(loop, &dying->reap);
    loop_defer(loop, &dying->flush);
}

static void test_reap_after_deferred(void **state)
{
    (void)state;
    struct loop_fd watch;
    int fd = eventfd(1, EFD_NONBLOCK);
    loop_fd_init(loop, &watch, fd, on_fd_dies, dying_new());
    loop_fd_want(&watch, LOOP_READ);
    loop_turn(loop);
    assert_string_equal(trace, "fr");
    loop_fd_release(&watch);
    close(fd);
}

static void test_free_runs_reap(void **state)
{
    (void)state;
    struct loop *own = loop_new();
    struct dying *dying = dying_new();
    loop_reap(own, &dying->reap);
    loop_free(&own); /* AddressSanitizer tells when it is not freed */
    assert_string_equal(trace, "r");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    alarm(30); /* a loop that waits for ever is a failure */
    const struct CMUnitTest tests[] = {
        TEST(test_order_at_end_of_turn),        TEST(test_task_defers_itself),
        TEST(test_tasks_that_defer_each_other), TEST(test_cancel),
        TEST(test_reap_after_deferred),         TEST(test_free_runs_reap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
