#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "registry/roster.h"

enum { TTL = 3000, POLL = 250, FORGET = 60000, START = 100000 };

/* A roster and what it said, in short: "joined:gw1-0 died:gw1-0 ". */
struct stage {
    struct roster *roster;
    char said[512];
};

static void hear(void *arg, enum roster_event event, const struct instance *in)
{
    struct stage *stage = arg;
    size_t len = strlen(stage->said);
    snprintf(stage->said + len, sizeof(stage->said) - len, "%s:%s ", roster_event_name(event), in ? in->name : "-");
}

static int setup(void **state)
{
    struct stage *stage = xcalloc(1, sizeof(*stage));
    struct roster_settings settings = {.lease_ttl_ms = TTL, .forget_ms = FORGET, .instances_max = 3};
    stage->roster = roster_new(&settings, hear, stage);
    *state = stage;
    return 0;
}

static int teardown(void **state)
{
    struct stage *stage = *state;
    roster_free(&stage->roster);
    free(stage);
    return 0;
}

static Herald__V1__Lease make_lease(const char *name, uint64_t generation, uint64_t beat)
{
    Herald__V1__Lease lease = HERALD__V1__LEASE__INIT;
    lease.instance = (char *)name;
    lease.generation = generation;
    lease.beat = beat;
    lease.role = HERALD__V1__ROLE__ROLE_GATEWAY;
    lease.endpoint = (char *)"tcp://127.0.0.1:1";
    return lease;
}

/* One sweep that finds one instance (lease NULL: its name only). */
static void sweep(struct stage *stage, const char *name, const Herald__V1__Lease *lease, int64_t ttl_ms, uint64_t at_ms)
{
    roster_begin(stage->roster);
    roster_see(stage->roster, name, lease, ttl_ms, at_ms);
    roster_end(stage->roster, at_ms);
}

static bool is_live(struct stage *stage, const char *name)
{
    const struct instance *in = roster_find(stage->roster, name);
    return in && in->is_live;
}

static void joins_with_its_first_lease(void **state)
{
    struct stage *stage = *state;
    Herald__V1__Lease lease = make_lease("gw1-0", 7, 1);
    sweep(stage, "gw1-0", &lease, 2900, START);
    assert_string_equal(stage->said, "joined:gw1-0 ");
    assert_true(roster_is_current(stage->roster, "gw1-0", 7));
    assert_false(roster_is_current(stage->roster, "gw1-0", 6));
    assert_false(roster_is_current(stage->roster, "gw1-1", 7));
    assert_int_equal(roster_changes(stage->roster), 1);
}

/* Whenever within a polling interval the last heartbeat was: declared dead more than 2 missed beats later, and less
 * than 3 s after it. */
static void dead_within_three_seconds_of_the_last_heartbeat(void **state)
{
    for (uint64_t phase = 0; phase < POLL; phase += 10) {
        struct stage *stage = *state;
        stage->said[0] = '\0';
        Herald__V1__Lease lease = make_lease("gw1-0", 7 + phase, 1);
        uint64_t beat = START + phase * 1000, at = beat + phase, dead_at = 0;
        for (; !dead_at && at < beat + 10000; at += POLL) {
            int64_t ttl = (int64_t)(beat + TTL) - (int64_t)at;
            sweep(stage, "gw1-0", ttl > 0 ? &lease : NULL, ttl > 0 ? ttl : -2, at);
            if (!is_live(stage, "gw1-0"))
                dead_at = at;
        }
        assert_in_range(dead_at - beat, ROSTER_SILENT_MS, TTL - 1);
        assert_string_equal(stage->said, "joined:gw1-0 died:gw1-0 ");
    }
}

/* A lease whose remaining time says nothing (no expiry, or another program's longer one) is judged by its beat. */
static void beat_that_stands_still_is_death_whatever_the_ttl(void **state)
{
    struct stage *stage = *state;
    const int64_t ttls[] = {-1, 60000};
    for (int i = 0; i < 2; i++) {
        uint64_t at = START + (uint64_t)i * 20000, dead_at = 0;
        Herald__V1__Lease lease = make_lease("gw1-0", 7 + (uint64_t)i, 1);
        sweep(stage, "gw1-0", &lease, ttls[i], at);
        lease.beat = 2; /* between this sweep and the next: at the earliest now */
        uint64_t beat = at;
        while (!dead_at && at < beat + 10000) {
            at += POLL;
            sweep(stage, "gw1-0", &lease, ttls[i], at);
            if (!is_live(stage, "gw1-0"))
                dead_at = at;
        }
        assert_in_range(dead_at - beat, ROSTER_SILENT_MS, TTL - 1);
    }
}

static void two_missed_beats_are_not_death(void **state)
{
    struct stage *stage = *state;
    Herald__V1__Lease lease = make_lease("gw1-0", 7, 1);
    sweep(stage, "gw1-0", &lease, TTL, START);
    sweep(stage, "gw1-0", &lease, 500, START + 2500);
    assert_true(is_live(stage, "gw1-0"));
    lease.beat++;
    sweep(stage, "gw1-0", &lease, 2990, START + 2750);
    sweep(stage, "gw1-0", &lease, 500, START + 5240);
    assert_true(is_live(stage, "gw1-0"));
    assert_string_equal(stage->said, "joined:gw1-0 ");
}

static void released_lease_is_a_polite_leave(void **state)
{
    struct stage *stage = *state;
    Herald__V1__Lease lease = make_lease("gw1-0", 7, 1);
    sweep(stage, "gw1-0", &lease, TTL, START);
    roster_begin(stage->roster);
    roster_end(stage->roster, START + POLL); /* even its name is gone */
    assert_string_equal(stage->said, "joined:gw1-0 left:gw1-0 ");
    assert_true(roster_find(stage->roster, "gw1-0")->has_left);
}

static void restart_is_a_higher_generation(void **state)
{
    struct stage *stage = *state;
    Herald__V1__Lease lease = make_lease("gw1-0", 7, 50);
    sweep(stage, "gw1-0", &lease, TTL, START);
    Herald__V1__Lease next = make_lease("gw1-0", 8, 1);
    sweep(stage, "gw1-0", &next, TTL, START + POLL);
    assert_string_equal(stage->said, "joined:gw1-0 restarted:gw1-0 ");
    assert_true(roster_is_current(stage->roster, "gw1-0", 8));
    assert_false(roster_is_current(stage->roster, "gw1-0", 7));
    /* its stale predecessor comes back with a newer beat: not believed */
    lease.beat = 51;
    sweep(stage, "gw1-0", &lease, TTL, START + 2 * POLL);
    assert_true(roster_is_current(stage->roster, "gw1-0", 8));
    assert_string_equal(stage->said, "joined:gw1-0 restarted:gw1-0 ");
}

static void comes_back_to_life_with_a_new_beat_only(void **state)
{
    struct stage *stage = *state;
    Herald__V1__Lease lease = make_lease("gw1-0", 7, 1);
    sweep(stage, "gw1-0", &lease, TTL, START);
    sweep(stage, "gw1-0", &lease, 300, START + 2700);
    assert_false(is_live(stage, "gw1-0"));
    sweep(stage, "gw1-0", &lease, 100, START + 2900);
    assert_false(is_live(stage, "gw1-0"));
    lease.beat++;
    sweep(stage, "gw1-0", &lease, 2999, START + 3000);
    assert_true(is_live(stage, "gw1-0"));
    assert_string_equal(stage->said, "joined:gw1-0 died:gw1-0 joined:gw1-0 ");
}

static void nearly_lapsed_lease_found_at_start_is_not_alive(void **state)
{
    struct stage *stage = *state;
    Herald__V1__Lease lease = make_lease("gw1-0", 7, 1);
    sweep(stage, "gw1-0", &lease, 200, START);
    assert_false(is_live(stage, "gw1-0"));
    assert_string_equal(stage->said, "");
}

static void nobody_dies_during_a_hold(void **state)
{
    struct stage *stage = *state;
    Herald__V1__Lease lease = make_lease("gw1-0", 7, 1);
    sweep(stage, "gw1-0", &lease, TTL, START);
    roster_hold(stage->roster, START + 5000);
    roster_hold(stage->roster, START + 100); /* a shorter one changes nothing */
    sweep(stage, "gw1-0", NULL, -2, START + 4999);
    assert_true(is_live(stage, "gw1-0"));
    sweep(stage, "gw1-0", NULL, -2, START + 5000);
    assert_false(is_live(stage, "gw1-0"));
}

static void who_renews_during_a_hold_lives_on(void **state)
{
    struct stage *stage = *state;
    Herald__V1__Lease lease = make_lease("gw1-0", 7, 1);
    sweep(stage, "gw1-0", &lease, TTL, START);
    roster_hold(stage->roster, START + 5000);
    sweep(stage, "gw1-0", NULL, -2, START + 4000);
    lease.beat++;
    sweep(stage, "gw1-0", &lease, 2900, START + 4900);
    sweep(stage, "gw1-0", &lease, 2700, START + 5100);
    assert_string_equal(stage->said, "joined:gw1-0 ");
}

static void seeds_live_until_the_hold_is_over(void **state)
{
    struct stage *stage = *state;
    Herald__V1__Lease one = make_lease("gw1-0", 7, 1), two = make_lease("gw2-0", 8, 1);
    roster_hold(stage->roster, START + ROSTER_HOLD_MS);
    roster_seed(stage->roster, &one, START);
    roster_seed(stage->roster, &two, START);
    one.beat = 2;
    sweep(stage, "gw1-0", &one, 2900, START + 2400);
    assert_true(is_live(stage, "gw2-0"));
    sweep(stage, "gw1-0", &one, 2800, START + ROSTER_HOLD_MS);
    assert_true(is_live(stage, "gw1-0"));
    assert_false(is_live(stage, "gw2-0"));
}

static void changed_place_is_told_but_counters_are_not(void **state)
{
    struct stage *stage = *state;
    Herald__V1__Lease lease = make_lease("gw1-0", 7, 1);
    sweep(stage, "gw1-0", &lease, TTL, START);
    uint64_t changes = roster_changes(stage->roster);
    lease.beat++;
    lease.users = 5;
    sweep(stage, "gw1-0", &lease, TTL, START + 1000);
    assert_int_equal(roster_changes(stage->roster), changes);
    assert_int_equal(roster_find(stage->roster, "gw1-0")->lease->users, 5);
    lease.beat++;
    lease.draining = true;
    sweep(stage, "gw1-0", &lease, TTL, START + 2000);
    assert_int_equal(roster_changes(stage->roster), changes + 1);
    lease.beat++;
    lease.endpoint = (char *)"tcp://127.0.0.1:2";
    sweep(stage, "gw1-0", &lease, TTL, START + 3000);
    assert_string_equal(stage->said, "joined:gw1-0 changed:gw1-0 changed:gw1-0 ");
}

static void rates_come_from_beat_to_beat(void **state)
{
    struct stage *stage = *state;
    Herald__V1__Lease lease = make_lease("gw1-0", 7, 1);
    lease.messages_out = 1000;
    sweep(stage, "gw1-0", &lease, TTL, START);
    lease.beat++;
    lease.messages_out = 1500; /* 500 in a second, though this sweep comes 1200 ms later */
    sweep(stage, "gw1-0", &lease, 2800, START + 1200);
    const struct instance *in = roster_find(stage->roster, "gw1-0");
    assert_true(in->out_per_s > 499 && in->out_per_s < 501);
    assert_true(in->in_per_s < 0.5);
    /* after a restart the counters begin again: no rate from the difference */
    Herald__V1__Lease next = make_lease("gw1-0", 8, 1);
    sweep(stage, "gw1-0", &next, TTL, START + 2200);
    assert_true(in->out_per_s < 0.5);
}

static void dead_are_forgotten_when_unlisted(void **state)
{
    struct stage *stage = *state;
    sweep(stage, "gw1-0", NULL, -2, START);
    const struct instance *in = roster_find(stage->roster, "gw1-0");
    assert_false(roster_is_forgettable(stage->roster, in, START + FORGET - 1));
    assert_true(roster_is_forgettable(stage->roster, in, START + FORGET));
    sweep(stage, "gw1-0", NULL, -2, START + FORGET);
    assert_non_null(roster_find(stage->roster, "gw1-0")); /* still listed: the leader has to take it out first */
    roster_begin(stage->roster);
    roster_end(stage->roster, START + FORGET + POLL);
    assert_null(roster_find(stage->roster, "gw1-0"));
}

static void is_bounded_and_sorted(void **state)
{
    struct stage *stage = *state;
    const char *const names[] = {"c", "a", "b", "d"};
    roster_begin(stage->roster);
    for (size_t i = 0; i < 4; i++) {
        Herald__V1__Lease lease = make_lease(names[i], 1, 1);
        roster_see(stage->roster, names[i], &lease, TTL, START);
    }
    roster_end(stage->roster, START);
    assert_string_equal(stage->said, "joined:c joined:a joined:b refused:- ");
    assert_int_equal(roster_count(stage->roster), 3);
    assert_string_equal(roster_at(stage->roster, 0)->name, "a");
    assert_string_equal(roster_at(stage->roster, 2)->name, "c");
    assert_null(roster_find(stage->roster, "d"));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(joins_with_its_first_lease),
        CASE(dead_within_three_seconds_of_the_last_heartbeat),
        CASE(beat_that_stands_still_is_death_whatever_the_ttl),
        CASE(two_missed_beats_are_not_death),
        CASE(released_lease_is_a_polite_leave),
        CASE(restart_is_a_higher_generation),
        CASE(comes_back_to_life_with_a_new_beat_only),
        CASE(nearly_lapsed_lease_found_at_start_is_not_alive),
        CASE(nobody_dies_during_a_hold),
        CASE(who_renews_during_a_hold_lives_on),
        CASE(seeds_live_until_the_hold_is_over),
        CASE(changed_place_is_told_but_counters_are_not),
        CASE(rates_come_from_beat_to_beat),
        CASE(dead_are_forgotten_when_unlisted),
        CASE(is_bounded_and_sorted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
