/*
 * The router from accepted records to outcomes, on the fake loop, with a Redis and gateways that the test plays:
 * what each step sends, and a random run that must lose nothing, break no order and end every target exactly once.
 */
#include "router/router_fake_world.h"

static void test_volatile_by_cached_route(void **state)
{
    (void)state;
    connect_user(1, 0);
    settle_all();
    accept("\"to\":{\"user\":\"u1\"},\"content\":1,\"class\":\"volatile\"");
    settle_all();
    uint64_t lookups = metric_get(METRIC_LOOKUPS);
    accept("\"to\":{\"user\":\"u1\"},\"content\":1,\"class\":\"volatile\"");
    loop_fake_end_turn(t.loop);
    assert_int_equal(t.arrived[0], 2);
    assert_true(metric_get(METRIC_LOOKUPS) == lookups);
    answer(0, &t.inbox[0][0], HERALD__V1__RESULT_KIND__RESULT_WRITTEN);
    answer(0, &t.inbox[0][1], HERALD__V1__RESULT_KIND__RESULT_WRITTEN);
    answer(0, &t.inbox[0][1], HERALD__V1__RESULT_KIND__RESULT_WRITTEN); /* twice: ignored */
    assert_int_equal(t.outcomes[0] + t.outcomes[1], 2);
    assert_int_equal(t.last_kind, OUTCOME_WRITTEN);
}

static void test_volatile_offline_and_moved(void **state)
{
    (void)state;
    accept("\"to\":{\"user\":\"u1\"},\"content\":1,\"class\":\"volatile\"");
    settle_all();
    assert_int_equal(t.last_kind, OUTCOME_DROPPED);
    assert_string_equal(t.last_reason, "offline");
    connect_user(1, 0);
    settle_all();
    accept("\"to\":{\"user\":\"u1\"},\"content\":1,\"class\":\"volatile\"");
    settle_all();
    fake_invalid.is_lossy = true; /* the router still believes in gw0 */
    connect_user(1, 1);
    answer(0, &t.inbox[0][0], HERALD__V1__RESULT_KIND__RESULT_NOT_HERE);
    settle_all();
    assert_int_equal(t.arrived[1], 1);
    answer(1, &t.inbox[1][0], HERALD__V1__RESULT_KIND__RESULT_NOT_HERE); /* once more, not for ever */
    assert_int_equal(t.last_kind, OUTCOME_DROPPED);
    assert_int_equal(t.outcomes[1], 1);
}

static void test_failure_spills_it_and_all_behind(void **state)
{
    struct fake_user *u = &fake_users[1];
    (void)state;
    connect_user(1, 0);
    for (int i = 0; i < 4; i++)
        accept("\"to\":{\"user\":\"u1\"},\"content\":1");
    settle_all();
    assert_int_equal(t.arrived[0], 4);
    answer(0, &t.inbox[0][1], HERALD__V1__RESULT_KIND__RESULT_REFUSED);
    settle_all();
    assert_int_equal(u->box_count, 0); /* m0 is still out */
    answer(0, &t.inbox[0][0], HERALD__V1__RESULT_KIND__RESULT_ACKED);
    accept("\"to\":{\"user\":\"u1\"},\"content\":1");
    settle_all();
    assert_int_equal(u->box_count, 4);
    assert_string_equal(u->box[0], "m1");
    assert_string_equal(u->box[1], "m2");
    assert_string_equal(u->box[3], "m4");
    assert_int_equal(t.last_kind, OUTCOME_STORED);
    assert_true(t.pokes[0] >= 1);
    assert_string_equal(t.poked, "u1");
    accept("\"to\":{\"user\":\"u1\"},\"content\":1"); /* the box is known: behind the others, not live */
    settle_all();
    assert_int_equal(t.arrived[0], 4);
    assert_string_equal(u->box[4], "m5");
    answer(0, &t.inbox[0][2], HERALD__V1__RESULT_KIND__RESULT_ACKED); /* late: ignored */
    for (int i = 0; i < t.record_count; i++)
        assert_int_equal(t.outcomes[i], 1);
}

static void test_silence_is_a_failure(void **state)
{
    (void)state;
    connect_user(1, 0);
    accept("\"to\":{\"user\":\"u1\"},\"content\":1");
    settle_all();
    loop_fake_advance(t.loop, ACK_WAIT - 100);
    settle_all();
    assert_int_equal(t.outcomes[0], 0);
    loop_fake_advance(t.loop, 200);
    settle_all();
    assert_int_equal(t.last_kind, OUTCOME_STORED);
    assert_string_equal(t.last_reason, "timeout");
    assert_int_equal(fake_users[1].box_count, 1);
}

static void test_list_is_one_delivery_an_instance(void **state)
{
    (void)state;
    connect_user(1, 0);
    connect_user(2, 0);
    connect_user(3, 1);
    for (int u = 1; u <= 3; u++) {
        char json[64];
        snprintf(json, sizeof(json), "\"to\":{\"user\":\"u%d\"},\"content\":1,\"class\":\"volatile\"", u);
        accept(json);
    }
    settle_all();
    int before[GATEWAYS] = {t.deliveries[0], t.deliveries[1]}, arrived = t.arrived[0];
    accept("\"to\":{\"users\":[\"u1\",\"u3\",\"u2\",\"u4\"]},\"content\":1");
    settle_all();
    assert_int_equal(t.deliveries[0] - before[0], 1);
    assert_int_equal(t.deliveries[1] - before[1], 1);
    assert_int_equal(t.arrived[0] - arrived, 2);
    assert_int_equal(t.outcomes[3], 1); /* u4: stored */
    assert_int_equal(fake_users[4].box_count, 1);
}

static void test_all(void **state)
{
    (void)state;
    accept("\"to\":{\"all\":true},\"content\":1");
    settle_all();
    for (int g = 0; g < GATEWAYS; g++) {
        assert_int_equal(t.outcomes[0], 0);
        answer(g, &t.inbox[g][0], HERALD__V1__RESULT_KIND__RESULT_WRITTEN);
    }
    assert_int_equal(t.outcomes[0], 1);
    assert_int_equal(t.last_kind, OUTCOME_WRITTEN);
    assert_string_equal(t.last_reason, "sessions=12");
}

static void test_dead_instance(void **state)
{
    (void)state;
    connect_user(1, 0);
    accept("\"to\":{\"user\":\"u1\"},\"content\":1");
    accept("\"to\":{\"user\":\"u1\"},\"content\":1,\"class\":\"volatile\"");
    settle_all();
    connect_user(1, 1);
    lanes_gone(dispatch_lanes(t.d), "gw0");
    settle_all();
    assert_int_equal(fake_users[1].box_count, 1);
    assert_int_equal(t.arrived[1], 1); /* the volatile one, after a second look */
    assert_string_equal(t.inbox[1][0].id, "m1");
    assert_int_equal(t.pokes[1], 1);
    join(0); /* another life: the old route is not valid any more */
    disconnect_user(1);
    settle_all();
    accept("\"to\":{\"user\":\"u1\"},\"content\":1");
    settle_all();
    assert_int_equal(fake_users[1].box_count, 2);
}

static void test_poke_waits_for_an_instance_to_be_known(void **state)
{
    (void)state;
    lanes_gone(dispatch_lanes(t.d), "gw1");
    t.generation[1]++;
    connect_user(1, 1); /* the user is on a gateway that the membership view does not have yet */
    t.generation[1]--;
    accept("\"to\":{\"user\":\"u1\"},\"content\":1");
    settle_all();
    assert_int_equal(fake_users[1].box_count, 1);
    assert_int_equal(t.pokes[1], 0);
    join(1);
    settle_all();
    assert_int_equal(t.pokes[1], 1);
}

static void test_redis_away(void **state)
{
    (void)state;
    connect_user(1, 0);
    settle_all();
    accept("\"to\":{\"user\":\"u1\"},\"content\":1");
    settle_all();
    set_redis(false);
    loop_fake_advance(t.loop, 400);
    accept("\"to\":{\"user\":\"u1\"},\"content\":1"); /* cached: goes on */
    accept("\"to\":{\"user\":\"u2\"},\"content\":1");
    accept("\"to\":{\"user\":\"u2\"},\"content\":1,\"ttlMs\":1000");
    accept("\"to\":{\"user\":\"u3\"},\"content\":1,\"ttlMs\":1000,\"class\":\"volatile\"");
    settle_all();
    assert_int_equal(t.arrived[0], 2);
    answer(0, &t.inbox[0][0], HERALD__V1__RESULT_KIND__RESULT_CLOSED);
    loop_fake_advance(t.loop, 2500);
    settle_all();
    assert_int_equal(t.outcomes[0], 0); /* waits */
    assert_int_equal(t.outcomes[4], 1); /* has expired meanwhile */
    set_redis(true);
    loop_fake_advance(t.loop, 1000);
    settle_all();
    assert_int_equal(fake_users[1].box_count, 2);
    assert_string_equal(fake_users[1].box[0], "m0");
    assert_string_equal(fake_users[1].box[1], "m1");
    assert_int_equal(fake_users[2].box_count, 1);
    for (int i = 0; i < t.record_count; i++)
        assert_int_equal(t.outcomes[i], 1);
    assert_true(resolver_is_caching(dispatch_resolver(t.d)));
}

static void test_orphans_have_no_outcome(void **state)
{
    (void)state;
    connect_user(1, 0);
    struct record *out = accept("\"to\":{\"user\":\"u1\"},\"content\":1");
    struct record *waiting = accept("\"to\":{\"user\":\"u2\"},\"content\":1");
    out->is_orphan = waiting->is_orphan = true;
    dispatch_abandoned(t.d, out);
    dispatch_abandoned(t.d, waiting);
    assert_int_equal(ledger_counts(dispatch_ledger(t.d))->in_flight, 0); /* at once */
    settle_all();
    loop_fake_advance(t.loop, ACK_WAIT + 2000);
    settle_all();
    assert_int_equal(t.outcomes[0] + t.outcomes[1], 0);
    assert_int_equal(fake_users[1].box_count + fake_users[2].box_count, 0);
    assert_true(ledger_counts(dispatch_ledger(t.d))->abandoned == 2);
    assert_int_equal(ledger_counts(dispatch_ledger(t.d))->in_flight, 0);
}

static void test_window_and_lane_are_bounded(void **state)
{
    (void)state;
    connect_user(1, 0);
    for (int i = 0; i < 120; i++)
        accept("\"to\":{\"user\":\"u1\"},\"content\":1,\"class\":\"volatile\"");
    assert_int_equal(t.fulls, 1);
    settle_all();
    assert_int_equal(t.arrived[0], 50); /* lane.messages; the others are dropped */
    assert_string_equal(t.last_reason, "lane_full");
    assert_int_equal(t.rooms, 1);
}

/* --- random --- */

static struct {
    unsigned seed;
    bool is_restless;        /* users come and go all the time, mostly to the same gateway */
    int session[FAKE_USERS]; /* the gateway; -1: none */
    int last[FAKE_USERS];    /* the gateway of the last session */
    bool is_draining[FAKE_USERS];
    uint64_t run[FAKE_USERS][3]; /* of what the session took last, and its number in it */
    uint32_t run_index[FAKE_USERS][3];
    int client[FAKE_USERS][3]; /* the highest number of each priority that the client has seen; -1 */
    int priority_of[RECORDS];
    bool has_seen[RECORDS];
    int duplicates;
    int user_of[RECORDS];
    int first_of[RECORDS]; /* the record with the same id that came first: itself, or this one is a duplicate */
    struct {
        int gateway;
        struct arrival arrival;
        Herald__V1__ResultKind kind;
    } results[RECORDS * 2]; /* on their way to the router */
    int result_count;
} r;

static unsigned dice(unsigned sides)
{
    r.seed = r.seed * 1103515245u + 12345u;
    return (r.seed >> 16) % sides;
}

/* A client gets a durable message: the first time each must come in order. */
static void client_sees(int user, const char *id)
{
    int number = (int)strtol(id + 1, NULL, 10);
    if (r.has_seen[number])
        return;
    int *client = &r.client[user][r.priority_of[number]];
    assert_true(number > *client);
    *client = number;
    r.has_seen[number] = true;
}

static void drain(int user)
{
    struct fake_user *u = &fake_users[user];
    char name[3] = {'u', (char)('0' + user), '\0'};
    for (int i = 0; i < u->box_count; i++)
        client_sees(user, u->box[i]);
    if (u->box_count > 0)
        fake_changed("herald:box:", name);
    u->box_count = 0;
    r.is_draining[user] = false;
}

/* A session takes nothing that does not follow what it took. */
static bool follows(int user, const struct arrival *arrival)
{
    int priority = r.priority_of[strtol(arrival->id + 1, NULL, 10)];
    bool is_next = r.run[user][priority] == arrival->run && r.run_index[user][priority] + 1 == arrival->run_index;
    if (arrival->run != 0 && arrival->run_index != 0 && !is_next)
        return false;
    r.run[user][priority] = arrival->run;
    r.run_index[user][priority] = arrival->run_index;
    return true;
}

static void send_result(int g, const struct arrival *arrival, Herald__V1__ResultKind kind)
{
    CHECK(r.result_count < RECORDS * 2);
    r.results[r.result_count].gateway = g;
    r.results[r.result_count].arrival = *arrival;
    r.results[r.result_count++].kind = kind;
}

static void random_arrival(int g, const struct arrival *arrival, bool is_durable)
{
    int user = arrival->user[1] - '0';
    assert_true(is_durable);
    if (dice(40) == 0)
        return; /* a hole in the lane */
    if (r.session[user] != g)
        send_result(g, arrival, HERALD__V1__RESULT_KIND__RESULT_NOT_HERE);
    else if (arrival->connection > 0 && arrival->connection != fake_users[user].connection)
        send_result(g, arrival, HERALD__V1__RESULT_KIND__RESULT_CLOSED); /* stale */
    else if (r.is_draining[user] || fake_users[user].box_count > 0 || !follows(user, arrival))
        send_result(g, arrival, HERALD__V1__RESULT_KIND__RESULT_REFUSED);
    else {
        client_sees(user, arrival->id);
        if (dice(12) > 0) /* else the result is lost */
            send_result(g, arrival, HERALD__V1__RESULT_KIND__RESULT_ACKED);
    }
}

static void random_poke(int g, const char *user)
{
    if (r.session[user[1] - '0'] == g)
        r.is_draining[user[1] - '0'] = true; /* for a while */
}

static void random_connect(int user)
{
    if (!t.redis->is_up) /* a registration would fail */
        return;
    if (r.session[user] >= 0 && dice(2) == 0) {
        r.session[user] = -1;
        disconnect_user(user);
        return;
    }
    if (!r.is_restless || dice(8) == 0) /* else again where it was, perhaps before anybody noticed */
        r.last[user] = (int)dice(GATEWAYS);
    r.session[user] = r.last[user];
    connect_user(user, r.session[user]);
    memset(r.run[user], 0, sizeof(r.run[user]));
    memset(r.run_index[user], 0, sizeof(r.run_index[user]));
    r.is_draining[user] = true;
}

static void deliver_result(void)
{
    if (r.result_count == 0)
        return;
    int g = r.results[0].gateway;
    struct arrival arrival = r.results[0].arrival;
    Herald__V1__ResultKind kind = r.results[0].kind;
    memmove(r.results, r.results + 1, (size_t)--r.result_count * sizeof(r.results[0]));
    answer(g, &arrival, kind);
}

static void random_step(void)
{
    static const char *const priorities[] = {"normal", "high", "low"};
    char json[120];
    int user = (int)dice(FAKE_USERS);
    switch (dice(10)) {
    case 0:
    case 1:
    case 2:
        if (t.record_count >= 600)
            break;
        r.first_of[t.record_count] = t.record_count;
        if (world_dedup.window_ms > 0 && t.record_count > 0 && dice(6) == 0) {
            int again = r.first_of[dice((unsigned)t.record_count)];
            r.first_of[t.record_count] = again;
            user = r.user_of[again];
        }
        r.user_of[t.record_count] = user;
        int first = r.first_of[t.record_count];
        if (first == t.record_count)
            r.priority_of[first] = world_lane_waiting > 0 ? (int)dice(3) : 0;
        snprintf(json, sizeof(json), "\"to\":{\"user\":\"u%d\"},\"content\":1,\"priority\":\"%s\"", user,
                 priorities[r.priority_of[first]]);
        accept_as(r.first_of[t.record_count], json);
        break;
    case 3:
        if (r.is_restless || dice(4) == 0)
            random_connect(user);
        break;
    case 4:
        (void)fake_deliver_one(fake_connections[dice(FAKE_CONNECTIONS)], ERR_OK);
        break;
    case 5:
        fake_deliver_replies();
        break;
    case 6:
        fake_deliver_invalidations();
        break;
    case 7:
        deliver_result();
        break;
    case 8:
        if (dice(40) == 0)
            set_redis(!t.redis->is_up);
        loop_fake_advance(t.loop, dice(20) == 0 ? 1000 : dice(30));
        break;
    default:
        if (r.session[user] >= 0)
            drain(user);
        loop_fake_end_turn(t.loop);
    }
}

static void random_run(unsigned seed)
{
    memset(&r, 0, sizeof(r));
    memset(r.session, 0xff, sizeof(r.session));
    memset(r.client, 0xff, sizeof(r.client));
    r.seed = seed;
    r.is_restless = seed % 2 == 0;
    t.on_arrival = random_arrival;
    t.on_poke = random_poke;
    for (int i = 0; i < 6000; i++) {
        random_step();
        if (i % 100 == 0)
            assert_true(ledger_is_balanced(dispatch_ledger(t.d)));
    }
    set_redis(true);
    for (int i = 0; i < 40; i++) {
        settle_all();
        while (r.result_count > 0)
            deliver_result();
        loop_fake_advance(t.loop, 500);
    }
    for (int user = 0; user < FAKE_USERS; user++)
        drain(user);
    assert_int_equal(ledger_counts(dispatch_ledger(t.d))->in_flight, 0);
    for (int i = 0; i < t.record_count; i++) {
        assert_int_equal(t.outcomes[i], 1);
        assert_true(r.has_seen[r.first_of[i]]); /* nothing was lost */
        bool is_duplicate = t.kinds[i] == OUTCOME_DUPLICATE;
        if (r.first_of[i] == i)
            assert_false(is_duplicate);
        else if (world_dedup.when_away == DEDUP_WAIT)
            assert_true(is_duplicate);
        r.duplicates += is_duplicate;
    }
}

static void test_random(void **state)
{
    uint64_t acked = 0, stored = 0, waited_before = metric_get(METRIC_LANE_WAITED);
    int waited = 0, duplicates = 0;
    for (unsigned seed = 1; seed <= 180; seed++) {
        world_dedup = (struct dedup_settings){.window_ms = seed % 3 ? 3600000 : 0,
                                              .when_away = seed % 3 == 1 ? DEDUP_WAIT : DEDUP_DELIVER};
        world_lane_waiting = seed % 4 == 1 || seed % 4 == 2 ? 30 : 0; /* then with priorities, and a narrow lane */
        world_lane_messages = world_lane_waiting ? 2 : 0;
        assert_int_equal(setup(state), 0);
        random_run(seed);
        waited += (int)(metric_get(METRIC_LANE_WAITED) - waited_before);
        waited_before = metric_get(METRIC_LANE_WAITED);
        duplicates += r.duplicates;
        acked += ledger_counts(dispatch_ledger(t.d))->finished[OUTCOME_ACKED];
        stored += ledger_counts(dispatch_ledger(t.d))->finished[OUTCOME_STORED];
        assert_int_equal(teardown(state), 0);
    }
    world_dedup.window_ms = 0;
    assert_true(acked > 5000 && stored > 5000 && duplicates > 2000 && waited > 2000);
}

int main(void)
{
    metric_setup(router_metrics, 1);
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_volatile_by_cached_route),
        TEST(test_volatile_offline_and_moved),
        TEST(test_failure_spills_it_and_all_behind),
        TEST(test_silence_is_a_failure),
        TEST(test_list_is_one_delivery_an_instance),
        TEST(test_all),
        TEST(test_dead_instance),
        TEST(test_poke_waits_for_an_instance_to_be_known),
        TEST(test_redis_away),
        TEST(test_orphans_have_no_outcome),
        TEST(test_window_and_lane_are_bounded),
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
