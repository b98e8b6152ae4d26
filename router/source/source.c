#include "router/source/source.h"

#include <stdlib.h>

#include "common/check.h"
#include "common/log.h"
#include "common/metric.h"
#include "router/metrics.h"
#include "router/source/partition.h"

enum { SOURCE_MAGIC = 0x534f5552, AGE_LOOK_MS = 500 };

struct source {
    unsigned magic;
    struct feed feed;
    struct push_limits limits;
    struct partition **parts; /* by number; NULL: not held */
    int32_t part_slots;
    uint32_t part_count;
    struct loop_timer *age_timer;
    bool is_up;
};

static struct partition *part_at(struct source *source, int32_t number)
{
    return number >= 0 && number < source->part_slots ? source->parts[number] : NULL;
}

static void on_age_time(void *arg)
{
    struct source *source = arg;
    MAGIC_CHECK(source, SOURCE_MAGIC);
    for (int32_t i = 0; i < source->part_slots; i++)
        if (source->parts[i])
            partition_look_at_age(source->parts[i]);
}

/* --- upcalls of records --- */

static void on_finished(struct record *record)
{
    partition_finished(record->partition, record);
}

static void report_dead(struct record *record, enum push_error error)
{
    const struct feed *feed = record->feed;
    const struct outcome outcome = {
        .kind = OUTCOME_DEAD,
        .reason = push_error_label(error),
        .id = record->id,
        .user = record->push.user,
        .device = record->push.device,
        .timestamp_ms = record->kafka.timestamp_ms,
        .source = record->source.at,
        .record = record,
        .is_wanted = record->push.is_outcome_wanted,
    };
    if (feed->outcomes)
        outcome_report(feed->outcomes, &outcome);
    if (feed->events.dead)
        feed->events.dead(feed->arg, record);
}

static void on_dead(struct record *record, enum push_error error)
{
    metric_add_labelled(METRIC_RECORDS_BAD, error, 1);
    report_dead(record, error);
    log_limited(LOG_WARN, "record goes to the dead-letter topic", F_STR("source", record->source.at),
                F_STR("error", push_error_label(error)));
    record->letter = (struct deadletter_entry){.record = record, .error = error, .fn = record_done};
    deadletter_send(record->feed->deadletter, &record->letter);
}

/* --- upcalls of the consumer --- */

static void on_assigned(void *arg, const char *topic, int32_t number)
{
    struct source *source = arg;
    MAGIC_CHECK(source, SOURCE_MAGIC);
    CHECK(!part_at(source, number));
    if (number >= source->part_slots) {
        int32_t slots = number + 16;
        source->parts = xrealloc(source->parts, (size_t)slots * sizeof(struct partition *));
        for (int32_t i = source->part_slots; i < slots; i++)
            source->parts[i] = NULL;
        source->part_slots = slots;
    }
    metric_set(METRIC_PARTITIONS, ++source->part_count);
    metric_add(METRIC_PARTITIONS_ASSIGNED, 1);
    log_info("partition assigned", F_STR("topic", topic), F_INT("partition", number));
    source->parts[number] = partition_new(&source->feed, number);
    if (source->feed.events.assigned)
        source->feed.events.assigned(source->feed.arg, number);
}

static void on_revoked(void *arg, const char *topic, int32_t number, bool is_lost)
{
    struct source *source = arg;
    MAGIC_CHECK(source, SOURCE_MAGIC);
    struct partition *part = part_at(source, number);
    CHECK(part);
    log_info("partition revoked", F_STR("topic", topic), F_INT("partition", number), F_BOOL("lost", is_lost),
             F_UINT("unfinished", partition_pending(part)));
    source->parts[number] = NULL;
    metric_set(METRIC_PARTITIONS, --source->part_count);
    metric_add(METRIC_PARTITIONS_REVOKED, 1);
    partition_free(&part);
}

static void on_state(void *arg, bool is_up)
{
    struct source *source = arg;
    MAGIC_CHECK(source, SOURCE_MAGIC);
    source->is_up = is_up;
    metric_set(METRIC_KAFKA_UP, is_up);
    if (is_up)
        log_info("kafka is reachable");
    else
        log_warn("kafka is not reachable");
    if (source->feed.events.state)
        source->feed.events.state(source->feed.arg, is_up);
}

static void on_record(void *arg, const struct kafka_record *kafka)
{
    static const struct record_events record_events = {.finished = on_finished, .dead = on_dead};
    struct source *source = arg;
    MAGIC_CHECK(source, SOURCE_MAGIC);
    struct partition *part = part_at(source, kafka->partition);
    CHECK(part);
    if (partition_is_lost(part)) {
        struct kafka_record dropped = *kafka;
        kafka_record_free(&dropped);
        return;
    }
    metric_add(METRIC_RECORDS, 1);
    metric_add(METRIC_RECORD_BYTES, kafka->len);
    enum push_error error;
    struct record *record = record_new(kafka, &source->limits, &record_events, &error);
    record->feed = &source->feed;
    record->kafka.topic = source->feed.options->topic; /* an orphan may outlive the consumer */
    record->consumed_ms = loop_now_ms(source->feed.loop);
    partition_take(part, record, error);
    record_done(record);
}

/* --- outside --- */

enum err source_new(struct loop *loop, const struct kafka_options *kafka, const struct source_options *options,
                    struct kafka_producer *producer, struct outcome_log *outcomes, const struct source_events *events,
                    void *arg, struct source **source_r)
{
    static const struct kafka_consumer_events consumer_events = {
        .record = on_record, .assigned = on_assigned, .revoked = on_revoked, .state = on_state};
    struct source *source = xcalloc(1, sizeof *source);
    source->magic = SOURCE_MAGIC;
    source->feed = (struct feed){.loop = loop,
                                 .options = options,
                                 .events = *events,
                                 .arg = arg,
                                 .deadletter = deadletter_new(loop, producer, options->dead_topic),
                                 .outcomes = outcomes};
    source->limits = (struct push_limits){.content_max = (uint32_t)options->content_max,
                                          .users_max = (uint32_t)options->users_max};
    kafka_ensure_topic(producer, options->dead_topic, (int32_t)options->partitions);
    kafka_ensure_topic(producer, options->outcome_topic, (int32_t)options->partitions);
    kafka_ensure_topic(producer, options->upstream_topic, (int32_t)options->partitions);
    const struct kafka_consumer_settings settings = {
        .options = kafka,
        .group = options->group,
        .topic = options->topic,
        .from_earliest = options->from == 0,
        .batch_max = (uint32_t)options->batch,
        .create_partitions = (int32_t)options->partitions,
    };
    source->age_timer = loop_timer_new(loop, on_age_time, source);
    if (options->window_age_ms > 0)
        loop_timer_start(source->age_timer, AGE_LOOK_MS, AGE_LOOK_MS);
    *source_r = source;
    enum err err = kafka_consumer_new(loop, &settings, &consumer_events, source, &source->feed.consumer);
    if (err != ERR_OK)
        source_free(source_r);
    return err;
}

void source_begin(struct source *source, int32_t number, int64_t life, int32_t generation)
{
    struct partition *part = part_at(source, number);
    CHECK(part);
    partition_begin(part, life, generation);
}

void source_lose(struct source *source, int32_t number)
{
    struct partition *part = part_at(source, number);
    if (part)
        partition_lose(part);
}

int32_t source_generation(const struct source *source)
{
    return source->feed.consumer ? kafka_generation(source->feed.consumer) : -1;
}

int64_t source_committed(const struct source *source, int32_t partition)
{
    return source->feed.consumer ? kafka_committed(source->feed.consumer, partition) : -1;
}

void source_pause(struct source *source)
{
    if (source->feed.is_paused)
        return;
    source->feed.is_paused = true;
    metric_add(METRIC_SOURCE_PAUSES, 1);
    for (int32_t i = 0; i < source->part_slots; i++)
        if (source->parts[i])
            partition_pause(source->parts[i]);
}

void source_resume(struct source *source)
{
    if (!source->feed.is_paused)
        return;
    source->feed.is_paused = false;
    for (int32_t i = 0; i < source->part_slots; i++)
        if (source->parts[i])
            partition_resume(source->parts[i]);
}

bool source_is_paused(const struct source *source)
{
    return source->feed.is_paused;
}

void source_stop(struct source *source)
{
    loop_timer_free(&source->age_timer);
    kafka_consumer_free(&source->feed.consumer);
}

void source_free(struct source **source_p)
{
    struct source *source = *source_p;
    if (!source)
        return;
    *source_p = NULL;
    source_stop(source);
    deadletter_free(&source->feed.deadletter);
    free(source->parts);
    source->magic = 0;
    free(source);
}

bool source_is_up(const struct source *source)
{
    return source->is_up;
}

uint32_t source_partitions(const struct source *source)
{
    return source->part_count;
}

uint32_t source_pending(const struct source *source)
{
    return source->feed.pending;
}

uint64_t source_oldest_ms(const struct source *source)
{
    uint64_t age_ms = 0;
    for (int32_t i = 0; i < source->part_slots; i++) {
        uint64_t part_ms = source->parts[i] ? partition_oldest_ms(source->parts[i]) : 0;
        age_ms = part_ms > age_ms ? part_ms : age_ms;
    }
    return age_ms;
}
