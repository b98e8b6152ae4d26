/*
 * Outcomes on their way to Kafka, on the fake loop, with a producer that the test plays: records are held until Kafka
 * has them, whatever happens; and the window of the dispatch knows of it.
 */
#include "router/record/fake_producer.h"
#include "router/router_fake_world.h"

enum { LATER_MAX = 3, RETRY_MS = 1000 };

static struct {
    struct kafka_producer *producer;
    struct outcome_log *log;
    int held, released, taken, refused;
    uint64_t last_fate;
} w;

static void on_hold(void *arg, struct record *record)
{
    (void)arg;
    w.held++;
    ledger_hold(dispatch_ledger(t.d), record);
}

static void on_release(void *arg, struct record *record)
{
    (void)arg;
    w.released++;
    ledger_release(dispatch_ledger(t.d), record);
}

static void on_answer(void *arg, const struct outcome_teller *teller, bool is_taken)
{
    (void)arg;
    assert_int_equal(teller->number, 7);
    assert_int_equal(teller->generation, 70);
    w.last_fate = teller->fate;
    w.taken += is_taken;
    w.refused += !is_taken;
}

static void report(const struct outcome *outcome)
{
    outcome_report(w.log, outcome);
}

static int setup_log(void **state)
{
    static const struct outcome_events events = {on_hold, on_release, on_answer};
    const struct outcome_settings settings = {.topic = "fate", .router = "rt-r0", .later_max = LATER_MAX};
    setup(state);
    memset(&w, 0, sizeof(w));
    memset(&fake_kafka, 0, sizeof(fake_kafka));
    assert_int_equal(kafka_producer_new(t.loop, NULL, &w.producer), ERR_OK);
    w.log = outcome_log_new(t.loop, w.producer, &settings, &events, NULL);
    t.on_outcome = report;
    return 0;
}

/* With room for four outcomes. */
static int setup_small(void **state)
{
    world_outcomes_max = 4;
    setup_log(state);
    world_outcomes_max = 0;
    return 0;
}

static int teardown_log(void **state)
{
    for (int i = 0; i < t.record_count; i++)
        t.records[i]->is_orphan = true;
    while (fake_kafka.count > 0)
        fake_kafka_answer(ERR_CLOSED);
    outcome_log_free(&w.log);
    assert_int_equal(w.held, w.released);
    return teardown(state);
}

/* Stored, as the user is not connected. */
static struct record *accept_wanted(void)
{
    struct record *record = accept("\"to\":{\"user\":\"u1\"},\"content\":1,\"outcome\":true");
    settle_all();
    return record;
}

static uint32_t window(void)
{
    struct dispatch_gauges gauges;
    dispatch_gauges(t.d, &gauges);
    return gauges.records;
}

static void record_waits_for_its_outcome(void **state)
{
    (void)state;
    struct record *record = accept_wanted();
    assert_int_equal(t.outcomes[0], 1);
    assert_int_equal(fake_kafka.count, 1);
    assert_string_equal(fake_kafka.sent[0].key, "u1");
    assert_non_null(strstr(fake_kafka.sent[0].value, "\"outcome\":\"stored\""));
    assert_int_equal(record->refs, BASE_REFS + 1); /* the targets have ended; nothing is committed */
    assert_int_equal(window(), 1);
    assert_true(ledger_is_balanced(dispatch_ledger(t.d))); /* it has its outcome: nothing is in flight */
    assert_int_equal(ledger_counts(dispatch_ledger(t.d))->in_flight, 0);
    fake_kafka_answer(ERR_OK);
    assert_int_equal(record->refs, BASE_REFS);
    assert_int_equal(window(), 0);
}

static void hops_are_told(void **state)
{
    (void)state;
    connect_user(2, 0);
    struct record *record = accept("\"to\":{\"user\":\"u2\"},\"content\":1,\"outcome\":true");
    record->kafka.timestamp_ms -= 5;
    loop_fake_advance(t.loop, 20); /* before Redis says where the user is */
    settle_all();
    assert_int_equal(t.arrived[0], 1);
    loop_fake_advance(t.loop, 90);
    Herald__V1__Result result = HERALD__V1__RESULT__INIT;
    result.slot = t.inbox[0][0].slot;
    result.slot_generation = t.inbox[0][0].slot_generation;
    result.kind = HERALD__V1__RESULT_KIND__RESULT_ACKED;
    result.gateway_ms = 3;
    result.client_ms = 80;
    dispatch_result(t.d, lanes_number(dispatch_lanes(t.d), gateway_name(0), 3), &result);
    assert_int_equal(fake_kafka.count, 1);
    assert_non_null(strstr(fake_kafka.sent[0].value, "\"latencyMs\":115,\"hops\":{\"kafkaMs\":5,\"routerMs\":20,"
                                                     "\"gatewayMs\":3,\"clientMs\":80},\"router\""));
    (void)accept_wanted(); /* not live: there is no more to say than when it was read */
    assert_non_null(strstr(fake_kafka.sent[1].value, "\"hops\":{\"kafkaMs\":0},"));
}

static void unwanted_outcome_holds_nothing(void **state)
{
    (void)state;
    struct record *record = accept("\"to\":{\"user\":\"u1\"},\"content\":1");
    settle_all();
    assert_int_equal(t.outcomes[0], 1);
    assert_int_equal(record->refs, BASE_REFS);
    assert_int_equal(fake_kafka.total, 0);
}

/* Given up by the producer, again and again: the same bytes go again until they are there. */
static void failed_outcome_is_published_again(void **state)
{
    static const enum err failures[] = {ERR_TIMEOUT, ERR_CLOSED, ERR_REFUSED, ERR_AWAY, ERR_TIMEOUT};
    char first[640];
    (void)state;
    uint64_t retries = metric_get(METRIC_OUTCOME_RETRIES), published = metric_get(METRIC_OUTCOMES_PUBLISHED);
    struct record *record = accept_wanted();
    snprintf(first, sizeof(first), "%s", fake_kafka.sent[0].value);
    for (size_t i = 0; i < 5; i++) {
        fake_kafka_answer(failures[i]);
        assert_int_equal(fake_kafka.count, 0);
        assert_int_equal(record->refs, BASE_REFS + 1);
        assert_int_equal(window(), 1);
        loop_fake_advance(t.loop, RETRY_MS);
        assert_int_equal(fake_kafka.count, 1);
        assert_string_equal(fake_kafka.sent[0].value, first);
        assert_string_equal(fake_kafka.sent[0].key, "u1");
        assert_string_equal(fake_kafka.sent[0].topic, "fate");
    }
    assert_int_equal(metric_get(METRIC_OUTCOME_RETRIES), retries + 5);
    fake_kafka_answer(ERR_OK);
    assert_int_equal(metric_get(METRIC_OUTCOMES_PUBLISHED), published + 1);
    assert_int_equal(record->refs, BASE_REFS);
}

/* They have metrics of their own, however they end: the identity of the others must not know of them. */
static void canaries_are_in_no_other_number(void **state)
{
    (void)state;
    struct dispatch_gauges gauges;
    uint64_t targets = metric_get(METRIC_TARGETS), abandoned = metric_get(METRIC_TARGETS_ABANDONED);
    uint64_t canaries = metric_get(METRIC_CANARIES), lost = metric_get(METRIC_CANARIES_ABANDONED);
    struct record *canary = accept("\"to\":{\"user\":\"~canary-gw0\"},\"content\":1,\"outcome\":true");
    dispatch_gauges(t.d, &gauges);
    assert_int_equal(gauges.targets, 0);
    assert_int_equal(metric_get(METRIC_CANARIES), canaries + 1);
    canary->is_orphan = true;
    dispatch_abandoned(t.d, canary);
    assert_int_equal(metric_get(METRIC_TARGETS), targets);
    assert_int_equal(metric_get(METRIC_TARGETS_ABANDONED), abandoned);
    assert_int_equal(metric_get(METRIC_CANARIES_ABANDONED), lost + 1);
    dispatch_gauges(t.d, &gauges);
    assert_int_equal(gauges.targets, 0);
    assert_true(ledger_is_balanced(dispatch_ledger(t.d)));
}

/* The producer has no room, or starts anew. */
static void outcome_waits_for_room(void **state)
{
    (void)state;
    fake_kafka.refusal = ERR_FULL;
    struct record *first = accept_wanted(), *second = accept_wanted();
    loop_fake_advance(t.loop, 10 * RETRY_MS);
    assert_int_equal(fake_kafka.total, 0);
    assert_int_equal(window(), 2);
    fake_kafka.refusal = ERR_OK;
    loop_fake_advance(t.loop, RETRY_MS);
    assert_int_equal(fake_kafka.count, 2);
    assert_non_null(strstr(fake_kafka.sent[0].value, "\"id\":\"m0\""));
    assert_non_null(strstr(fake_kafka.sent[1].value, "\"id\":\"m1\""));
    fake_kafka_answer(ERR_OK);
    fake_kafka_answer(ERR_OK);
    assert_int_equal(first->refs + second->refs, 2 * BASE_REFS);
}

/* What waited does not take as many seconds as there are batches of it. */
static void all_go_soon_when_kafka_is_back(void **state)
{
    enum { COUNT = 2000 };
    (void)state;
    fake_kafka.refusal = ERR_AWAY;
    for (int i = 0; i < COUNT; i++)
        (void)accept_wanted();
    fake_kafka.refusal = ERR_OK;
    loop_fake_advance(t.loop, RETRY_MS);
    while (fake_kafka.count > 0)
        fake_kafka_answer(ERR_OK);
    assert_int_equal(fake_kafka.total, COUNT);
    assert_int_equal(window(), 0);
}

/* Consumption pauses before what waits has no bound, and goes on. */
static void window_is_full_of_outcomes(void **state)
{
    (void)state;
    for (int i = 0; i < 99; i++)
        (void)accept_wanted();
    assert_int_equal(t.fulls, 0);
    (void)accept_wanted();
    assert_int_equal(t.fulls, 1);
    for (int i = 0; i < 25; i++)
        fake_kafka_answer(ERR_OK);
    assert_int_equal(t.rooms, 0);
    fake_kafka_answer(ERR_OK);
    assert_int_equal(t.rooms, 1);
}

static void outcomes_of_a_list_fill_the_window(void **state)
{
    (void)state;
    (void)accept("\"to\":{\"users\":[\"u1\",\"u2\",\"u3\",\"u4\",\"u5\"]},\"content\":1,\"outcome\":true");
    settle_all();
    assert_int_equal(fake_kafka.count, 5);
    assert_int_equal(window(), 1);
    assert_int_equal(t.fulls, 1);
    fake_kafka_answer(ERR_OK);
    fake_kafka_answer(ERR_OK);
    assert_int_equal(t.rooms, 0);
    fake_kafka_answer(ERR_OK);
    assert_int_equal(t.rooms, 1);
    assert_int_equal(window(), 1);
    fake_kafka_answer(ERR_OK);
    fake_kafka_answer(ERR_OK);
    assert_int_equal(window(), 0);
}

/* The partition went: what is with Kafka may still arrive, what failed is not tried again. */
static void orphans_outcome_is_left_to_the_next_owner(void **state)
{
    (void)state;
    uint64_t abandoned = metric_get(METRIC_OUTCOMES_ABANDONED);
    struct record *waiting = accept_wanted();
    fake_kafka_answer(ERR_TIMEOUT);
    struct record *arriving = accept_wanted(), *failing = accept_wanted();
    waiting->is_orphan = arriving->is_orphan = failing->is_orphan = true;
    dispatch_abandoned(t.d, waiting);
    fake_kafka_answer(ERR_OK);
    assert_int_equal(arriving->refs, BASE_REFS);
    fake_kafka_answer(ERR_TIMEOUT);
    assert_int_equal(failing->refs, BASE_REFS);
    loop_fake_advance(t.loop, RETRY_MS);
    assert_int_equal(waiting->refs, BASE_REFS);
    assert_int_equal(fake_kafka.total, 3);
    assert_int_equal(window(), 0);
    assert_int_equal(metric_get(METRIC_OUTCOMES_ABANDONED), abandoned + 2);
}

/* Nothing holds a later outcome: those that wait have a bound of their own, and are tried again, too. */
static void later_outcomes_are_tried_again(void **state)
{
    (void)state;
    uint64_t lost = metric_get(METRIC_OUTCOMES_UNPUBLISHED);
    struct outcome_teller teller = {0};
    Herald__V1__BoxFate fate = HERALD__V1__BOX_FATE__INIT;
    fate.kind = HERALD__V1__BOX_FATE_KIND__BOX_FATE_ACKED;
    fate.user = (char *)(uintptr_t) "u1";
    fate.outcome = true;
    for (int i = 0; i < LATER_MAX + 2; i++)
        outcome_report_late(w.log, "gw0", &teller, &fate);
    assert_int_equal(fake_kafka.count, LATER_MAX);
    assert_int_equal(metric_get(METRIC_OUTCOMES_UNPUBLISHED), lost + 2);
    for (int i = 0; i < LATER_MAX; i++)
        fake_kafka_answer(ERR_TIMEOUT);
    loop_fake_advance(t.loop, RETRY_MS);
    assert_int_equal(fake_kafka.count, LATER_MAX);
    for (int i = 0; i < LATER_MAX; i++)
        fake_kafka_answer(ERR_OK);
    assert_int_equal(metric_get(METRIC_OUTCOMES_UNPUBLISHED), lost + 2);
    outcome_report_late(w.log, "gw0", &teller, &fate);
    assert_int_equal(fake_kafka.count, 1);
    assert_int_equal(w.held, 0);
}

/* Whoever told it keeps it until Kafka has it, or until there is nothing to publish. */
static void teller_of_a_later_outcome_is_answered(void **state)
{
    (void)state;
    struct outcome_teller teller = {7, 70, 1};
    Herald__V1__BoxFate fate = HERALD__V1__BOX_FATE__INIT;
    fate.kind = HERALD__V1__BOX_FATE_KIND__BOX_FATE_EXPIRED;
    fate.outcome = true;
    for (; teller.fate <= LATER_MAX; teller.fate++)
        outcome_report_late(w.log, "gw0", &teller, &fate);
    assert_int_equal(w.taken + w.refused, 0);
    uint64_t lost = metric_get(METRIC_OUTCOMES_UNPUBLISHED);
    outcome_report_late(w.log, "gw0", &teller, &fate); /* no room: it is told again later */
    assert_int_equal(w.refused, 1);
    assert_int_equal(w.last_fate, LATER_MAX + 1);
    assert_int_equal(metric_get(METRIC_OUTCOMES_UNPUBLISHED), lost);
    fake_kafka_answer(ERR_TIMEOUT);
    assert_int_equal(w.taken, 0);
    fake_kafka_answer(ERR_OK);
    assert_int_equal(w.taken, 1);
    assert_int_equal(w.last_fate, 2);
    fate.outcome = false;
    outcome_report_late(w.log, "gw0", &teller, &fate);
    assert_int_equal(w.taken, 2);
    assert_int_equal(w.last_fate, LATER_MAX + 1);
}

/* The end: what the producer has gets its answer before or after the log is freed. */
static void log_may_end_before_its_outcomes(void **state)
{
    (void)state;
    struct record *waiting = accept_wanted();
    fake_kafka_answer(ERR_TIMEOUT);
    struct record *arriving = accept_wanted(), *failing = accept_wanted();
    outcome_log_free(&w.log);
    assert_int_equal(waiting->refs, BASE_REFS);
    assert_int_equal(arriving->refs, BASE_REFS + 1);
    fake_kafka_answer(ERR_OK);
    fake_kafka_answer(ERR_CLOSED);
    assert_int_equal(arriving->refs, BASE_REFS);
    assert_int_equal(failing->refs, BASE_REFS);
    loop_fake_advance(t.loop, 10 * RETRY_MS);
    assert_int_equal(fake_kafka.total, 3);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_log, teardown_log)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(record_waits_for_its_outcome),
        TEST(hops_are_told),
        TEST(unwanted_outcome_holds_nothing),
        TEST(failed_outcome_is_published_again),
        TEST(canaries_are_in_no_other_number),
        TEST(outcome_waits_for_room),
        TEST(all_go_soon_when_kafka_is_back),
        TEST(window_is_full_of_outcomes),
        cmocka_unit_test_setup_teardown(outcomes_of_a_list_fill_the_window, setup_small, teardown_log),
        TEST(orphans_outcome_is_left_to_the_next_owner),
        TEST(later_outcomes_are_tried_again),
        TEST(teller_of_a_later_outcome_is_answered),
        TEST(log_may_end_before_its_outcomes),
    };
    metric_setup(router_metrics, 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
