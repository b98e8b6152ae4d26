#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#include "registry/claim.h"

enum { TTL = 4000, START = 50000 };

static void nobody_leads_before_an_answer(void **state)
{
    (void)state;
    struct claim c;
    claim_init(&c, TTL);
    assert_true(claim_is_due(&c, START));
    claim_asked(&c, START);
    assert_false(claim_is_held(&c, START));
    assert_false(claim_is_due(&c, START + CLAIM_TRY_MS - 1));
    assert_true(claim_is_due(&c, START + CLAIM_TRY_MS));
}

static void grant_counts_from_the_question(void **state)
{
    (void)state;
    struct claim c;
    claim_init(&c, TTL);
    claim_asked(&c, START);
    claim_answered(&c, START, true, 9, "r1"); /* however late the answer came */
    assert_true(claim_is_held(&c, START + TTL - 1));
    assert_false(claim_is_held(&c, START + TTL));
    assert_int_equal(c.token, 9);
    assert_string_equal(c.holder, "r1");
}

static void holder_renews_each_second(void **state)
{
    (void)state;
    struct claim c;
    claim_init(&c, TTL);
    claim_asked(&c, START);
    claim_answered(&c, START, true, 9, "r1");
    assert_false(claim_is_due(&c, START + CLAIM_RENEW_MS - 1));
    assert_true(claim_is_due(&c, START + CLAIM_RENEW_MS));
}

/* The lock as Redis keeps it, and one look at it as leader_acquire does. */
struct lock {
    const char *holder;
    uint64_t until_ms;
};

static void step(struct claim *c, const char *id, struct lock *lock, uint64_t now_ms)
{
    if (!claim_is_due(c, now_ms))
        return;
    claim_asked(c, now_ms);
    bool is_granted = now_ms >= lock->until_ms || strcmp(lock->holder, id) == 0;
    if (is_granted)
        *lock = (struct lock){id, now_ms + TTL};
    claim_answered(c, now_ms, is_granted, 1, lock->holder);
}

/* The leader is killed at any moment: the other one leads less than 5 s later, and never both at once. */
static void take_over_is_within_five_seconds(void **state)
{
    (void)state;
    for (uint64_t killed_ms = START + 3000; killed_ms < START + 4100; killed_ms += 50) {
        struct claim one, two;
        claim_init(&one, TTL);
        claim_init(&two, TTL);
        struct lock lock = {"", 0};
        uint64_t taken_ms = 0;
        for (uint64_t now = START; now < killed_ms + 10000 && !taken_ms; now += 10) {
            if (now < killed_ms)
                step(&one, "r1", &lock, now);
            step(&two, "r2", &lock, now);
            assert_false(claim_is_held(&one, now) && claim_is_held(&two, now));
            if (claim_is_held(&two, now))
                taken_ms = now;
        }
        assert_in_range(taken_ms - killed_ms, 1, 4500); /* half a second is left for round trips */
    }
}

static void denial_ends_it(void **state)
{
    (void)state;
    struct claim c;
    claim_init(&c, TTL);
    claim_asked(&c, START);
    claim_answered(&c, START, true, 9, "r1");
    claim_asked(&c, START + 1000);
    claim_answered(&c, START + 1000, false, 10, "r2");
    assert_false(claim_is_held(&c, START + 1000));
    assert_string_equal(c.holder, "r2");
    assert_true(claim_is_due(&c, START + 1000 + CLAIM_TRY_MS));
}

static void dropped_claim_is_not_held(void **state)
{
    (void)state;
    struct claim c;
    claim_init(&c, TTL);
    claim_asked(&c, START);
    claim_answered(&c, START, true, 9, "r1");
    claim_drop(&c);
    assert_false(claim_is_held(&c, START));
    assert_string_equal(c.holder, "");
}

static void long_holder_name_is_cut(void **state)
{
    (void)state;
    char name[300];
    memset(name, 'x', sizeof(name));
    name[299] = '\0';
    struct claim c;
    claim_init(&c, TTL);
    claim_answered(&c, START, false, 1, name);
    assert_int_equal(strlen(c.holder), CLAIM_HOLDER_MAX - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_leads_before_an_answer),    cmocka_unit_test(grant_counts_from_the_question),
        cmocka_unit_test(holder_renews_each_second),        cmocka_unit_test(denial_ends_it),
        cmocka_unit_test(take_over_is_within_five_seconds), cmocka_unit_test(dropped_claim_is_not_held),
        cmocka_unit_test(long_holder_name_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
