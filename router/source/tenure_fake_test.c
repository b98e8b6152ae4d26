/* Owning partitions, on the fake loop: what is asked of Redis and when, and what its answers lead to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/loop_fake.h"
#include "common/metric.h"
#include "router/metrics.h"
#include "router/router_fake_redis.h"
#include "router/source/tenure.h"

static struct {
    struct loop *loop;
    struct redis *redis;
    struct tenures *tenures;
    bool is_beginning; /* inside tenures_begin() */
    int32_t generation;
    int64_t committed;
    int begun, lost, stuck;
    int64_t life;
    int32_t begun_generation, partition;
    int asked; /* calls of the script */
    char key[64], asked_generation[16], asked_offset[24], asked_life[24];
    int64_t answer;
} t;

static int32_t on_generation(void *arg)
{
    (void)arg;
    return t.generation;
}

static int64_t on_committed(void *arg, int32_t partition)
{
    (void)arg, (void)partition;
    return t.committed;
}

static void on_begun(void *arg, int32_t partition, int64_t life, int32_t generation)
{
    (void)arg;
    assert_false(t.is_beginning);
    t.begun++;
    t.partition = partition;
    t.life = life;
    t.begun_generation = generation;
}

static void on_lost(void *arg, int32_t partition)
{
    (void)arg;
    t.lost++;
    t.partition = partition;
}

static void on_stuck(void *arg, int32_t partition)
{
    (void)arg, (void)partition;
    t.stuck++;
}

static enum err take_script(struct redis *redis, enum redis_script script, redis_fn *fn, void *arg,
                            const char *const *argv)
{
    assert_int_equal(script, REDIS_SCRIPT_SOURCE_BEGIN);
    struct fake_pending *pending = fake_pend(redis, fn, arg);
    pending->reply.kind = REDIS_INTEGER;
    pending->reply.integer = t.answer;
    t.asked++;
    snprintf(t.key, sizeof(t.key), "%s", argv[0]);
    snprintf(t.asked_generation, sizeof(t.asked_generation), "%s", argv[1]);
    snprintf(t.asked_offset, sizeof(t.asked_offset), "%s", argv[2]);
    snprintf(t.asked_life, sizeof(t.asked_life), "%s", argv[3]);
    return ERR_OK;
}

static int setup(void **state)
{
    static const struct tenures_events events = {on_generation, on_committed, on_begun, on_lost, on_stuck};
    (void)state;
    memset(&t, 0, sizeof(t));
    t.generation = 4;
    t.committed = -1;
    t.answer = 1700;
    t.loop = loop_new();
    t.redis = redis_new(t.loop, NULL, "commands", NULL, NULL);
    t.redis->is_up = true;
    fake_script_hook = take_script;
    t.tenures = tenures_new(t.loop, t.redis, "herald.push", &events, NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    redis_free(&t.redis);
    tenures_free(&t.tenures);
    loop_free(&t.loop);
    return 0;
}

static void begin(int32_t partition, int64_t first_offset)
{
    t.is_beginning = true;
    tenures_begin(t.tenures, partition, first_offset);
    t.is_beginning = false;
}

static void begin_and_answer(void)
{
    begin(3, 100);
    fake_deliver_replies();
    assert_int_equal(t.begun, 1);
}

static void test_begins_with_the_answer(void **state)
{
    (void)state;
    begin(3, 100);
    assert_string_equal(t.key, "herald:source:herald.push/3");
    assert_string_equal(t.asked_generation, "4");
    assert_string_equal(t.asked_offset, "100");
    assert_string_equal(t.asked_life, "0");
    loop_fake_advance(t.loop, 5000); /* one question is enough while it is not answered */
    assert_int_equal(t.asked, 1);
    assert_int_equal(t.begun, 0);
    fake_deliver_replies();
    assert_int_equal(t.begun, 1);
    assert_int_equal(t.life, 1700);
    assert_int_equal(t.begun_generation, 4);
}

/* Each second it shows itself, with what Kafka has as committed, in the life and generation in which it began. */
static void test_goes_on(void **state)
{
    (void)state;
    begin_and_answer();
    t.generation = 9; /* of the group: the partition stayed, what was sent carries the older one */
    t.committed = 150;
    loop_fake_advance(t.loop, 1000);
    assert_int_equal(t.asked, 2);
    assert_string_equal(t.asked_generation, "4");
    assert_string_equal(t.asked_offset, "150");
    assert_string_equal(t.asked_life, "1700");
    fake_deliver_replies();
    assert_int_equal(t.begun, 1);
    assert_int_equal(t.lost, 0);
}

static void test_waits_while_another_one_is_believed(void **state)
{
    (void)state;
    t.answer = 0;
    begin(3, 100);
    fake_deliver_replies();
    assert_int_equal(t.begun + t.lost, 0);
    loop_fake_advance(t.loop, 1000);
    t.answer = 1800;
    fake_deliver_replies(); /* still the old answer */
    loop_fake_advance(t.loop, 1000);
    fake_deliver_replies();
    assert_int_equal(t.asked, 3);
    assert_int_equal(t.life, 1800);
}

/* In no generation, as between two: not asked, and then with the later one. */
static void test_waits_for_a_generation(void **state)
{
    (void)state;
    t.generation = -1;
    begin(3, 100);
    loop_fake_advance(t.loop, 3000);
    assert_int_equal(t.asked, 0);
    t.generation = 5;
    loop_fake_advance(t.loop, 1000);
    assert_string_equal(t.asked_generation, "5");
    fake_deliver_replies();
    assert_int_equal(t.begun_generation, 5);
}

static void test_another_owner_is_told_once(void **state)
{
    (void)state;
    begin_and_answer();
    t.answer = 0;
    loop_fake_advance(t.loop, 1000);
    fake_deliver_replies();
    assert_int_equal(t.lost, 1);
    assert_int_equal(t.partition, 3);
    loop_fake_advance(t.loop, 10000); /* it claims nothing any more */
    assert_int_equal(t.asked, 2);
    assert_int_equal(t.lost, 1);
    assert_int_equal(t.stuck, 0);
}

/* Kafka does not take the partition away: a minute later, and each minute. */
static void test_stuck(void **state)
{
    (void)state;
    begin_and_answer();
    t.answer = 0;
    loop_fake_advance(t.loop, 1000);
    fake_deliver_replies();
    loop_fake_advance(t.loop, 60000);
    assert_int_equal(t.stuck, 0);
    loop_fake_advance(t.loop, 1000);
    assert_int_equal(t.stuck, 1);
    loop_fake_advance(t.loop, 61000);
    assert_int_equal(t.stuck, 2);
    tenures_end(t.tenures, 3);
    loop_fake_advance(t.loop, 200000);
    assert_int_equal(t.stuck, 2);
}

/* The partition went while the answer was on its way: it is for nobody, also when the partition is here again. */
static void test_answer_after_the_end(void **state)
{
    (void)state;
    begin(3, 100);
    tenures_end(t.tenures, 3);
    t.answer = 1900;
    t.generation = 6;
    begin(3, 120);
    assert_int_equal(t.asked, 2);
    assert_true(fake_deliver_one(t.redis, ERR_OK));
    assert_int_equal(t.begun, 0);
    fake_deliver_replies();
    assert_int_equal(t.begun, 1);
    assert_int_equal(t.life, 1900);
    assert_int_equal(t.begun_generation, 6);
    tenures_end(t.tenures, 8); /* no such */
}

static void test_refusal_after_the_end(void **state)
{
    (void)state;
    begin_and_answer();
    t.answer = 0;
    loop_fake_advance(t.loop, 1000);
    tenures_end(t.tenures, 3);
    fake_deliver_replies();
    assert_int_equal(t.lost, 0);
}

/* Nobody is lost for Redis being away; those that have not begun ask as soon as it is back. */
static void test_redis_goes_and_comes(void **state)
{
    (void)state;
    begin_and_answer();
    loop_fake_advance(t.loop, 1000);
    begin(5, 7);
    assert_int_equal(t.asked, 3);
    while (fake_deliver_one(t.redis, ERR_AWAY))
        ;
    t.redis->is_up = false;
    loop_fake_advance(t.loop, 3000);
    assert_int_equal(t.asked, 3);
    t.redis->is_up = true;
    tenures_redis_up(t.tenures);
    assert_int_equal(t.asked, 4);
    assert_string_equal(t.key, "herald:source:herald.push/5");
    fake_deliver_replies();
    assert_int_equal(t.begun, 2);
    assert_int_equal(t.lost, 0);
}

int main(void)
{
    metric_setup(router_metrics, 1);
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_begins_with_the_answer),
        TEST(test_goes_on),
        TEST(test_waits_while_another_one_is_believed),
        TEST(test_waits_for_a_generation),
        TEST(test_another_owner_is_told_once),
        TEST(test_stuck),
        TEST(test_answer_after_the_end),
        TEST(test_refusal_after_the_end),
        TEST(test_redis_goes_and_comes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
