/*
 * Random runs of the router, on the fake loop, with a Redis and gateways that the test plays: nothing may be lost, no
 * order broken, and every target must end exactly once.
 */
#include "router/router_fake_world.h"

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
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
