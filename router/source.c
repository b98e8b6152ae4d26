#include "router/source.h"

#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/log.h"
#include "common/metric.h"
#include "router/metrics.h"
#include "router/record.h"
#include "router/tracker.h"

enum { SOURCE_MAGIC = 0x534f5552, AGE_LOOK_MS = 500 };

struct source_partition {
    struct source *source;
    int32_t number;
    struct tracker *tracker;
    struct list records; /* unfinished, oldest first */
    bool is_full;        /* paused on its own, because the oldest record holds the window */
    bool is_old;         /* the same, because that record is too old */
    bool is_asked, is_begun, is_lost;
    int64_t life;
    int32_t generation;
};

struct source {
    unsigned magic;
    struct loop *loop;
    const struct source_options *options;
    struct push_limits limits;
    struct source_events events;
    void *arg;
    struct kafka_consumer *consumer;
    struct deadletter *deadletter;
    struct outcome_log *outcomes;    /* NULL: none */
    struct source_partition **parts; /* by number; NULL: not held */
    int32_t part_slots;
    uint32_t part_count;
    uint32_t pending;
    struct loop_timer *age_timer;
    bool is_paused;
    bool is_up;
};

static struct source_partition *part_at(struct source *source, int32_t number)
{
    return number >= 0 && number < source->part_slots ? source->parts[number] : NULL;
}

static void set_pending(struct source *source, int change)
{
    source->pending = (uint32_t)((int64_t)source->pending + change);
    metric_set(METRIC_RECORDS_PENDING, source->pending);
}

/* --- one partition's window --- */

static void pause_when_full(struct source_partition *part)
{
    if (part->is_full || tracker_span(part->tracker) < part->source->options->partition_window)
        return;
    part->is_full = true;
    metric_add(METRIC_PARTITION_PAUSES, 1);
    log_limited(LOG_WARN, "partition paused: its oldest record is not finished", F_INT("partition", part->number),
                F_INT("offset", tracker_oldest(part->tracker)));
    kafka_pause(part->source->consumer, part->source->options->topic, part->number);
}

static bool may_run(const struct source_partition *part)
{
    return !part->source->is_paused && !part->is_full && !part->is_old && !part->is_lost &&
           (part->is_begun || !part->is_asked);
}

/* At half of the window: what was fetched ahead is thrown away by each pause. */
static void resume_when_roomy(struct source_partition *part)
{
    if (!part->is_full || tracker_span(part->tracker) > part->source->options->partition_window / 2)
        return;
    part->is_full = false;
    if (may_run(part))
        kafka_resume(part->source->consumer, part->source->options->topic, part->number);
}

static uint64_t oldest_ms(const struct source_partition *part)
{
    const struct list *first = list_first(&part->records);
    if (!first)
        return 0;
    return loop_now_ms(part->source->loop) - container_of(first, struct record, link)->consumed_ms;
}

/* Reading on would only add to what is held up, and to what is read again should this router end. */
static void look_at_age(struct source_partition *part)
{
    struct source *source = part->source;
    bool is_old = oldest_ms(part) > (uint64_t)source->options->window_age_ms;
    if (is_old == part->is_old || part->is_lost)
        return;
    part->is_old = is_old;
    if (!is_old) {
        if (may_run(part))
            kafka_resume(source->consumer, source->options->topic, part->number);
        return;
    }
    metric_add(METRIC_PARTITION_PAUSES, 1);
    log_limited(LOG_WARN, "partition paused: its oldest record is too old", F_INT("partition", part->number),
                F_INT("offset", tracker_oldest(part->tracker)));
    kafka_pause(source->consumer, source->options->topic, part->number);
}

static void on_age_time(void *arg)
{
    struct source *source = arg;
    MAGIC_CHECK(source, SOURCE_MAGIC);
    for (int32_t i = 0; i < source->part_slots; i++)
        if (source->parts[i])
            look_at_age(source->parts[i]);
}

/* After a pause the rest of the batch in hand still comes, so the tracker has room for that. */
static struct tracker *make_tracker(const struct source *source)
{
    return tracker_new((uint32_t)(source->options->partition_window + source->options->batch));
}

/* --- references --- */

void record_ref(struct record *record, uint32_t count)
{
    MAGIC_CHECK(record, RECORD_MAGIC);
    record->refs += count;
}

static void finish(struct record *record)
{
    struct source_partition *part = record->partition;
    struct source *source = part->source;
    list_remove(&record->link);
    set_pending(source, -1);
    metric_add(METRIC_RECORDS_FINISHED, 1);
    if (!tracker_done(part->tracker, record->position))
        return;
    kafka_commit(source->consumer, source->options->topic, part->number, tracker_next(part->tracker));
    resume_when_roomy(part);
}

void record_done(struct record *record)
{
    MAGIC_CHECK(record, RECORD_MAGIC);
    CHECK(record->refs > 0);
    if (--record->refs > 0)
        return;
    if (!record->is_orphan)
        finish(record);
    record_free(&record);
}

static void on_letter(void *arg)
{
    record_done(arg);
}

static void report_dead(const struct record *record, enum push_error error)
{
    const struct outcome outcome = {
        .kind = OUTCOME_DEAD,
        .reason = push_error_label(error),
        .id = record->id,
        .user = record->push.user,
        .device = record->push.device,
        .timestamp_ms = record->kafka.timestamp_ms,
        .source = record->source.at,
        .is_wanted = record->push.is_outcome_wanted,
    };
    if (record->owner->outcomes)
        outcome_report(record->owner->outcomes, &outcome);
    if (record->owner->events.dead)
        record->owner->events.dead(record->owner->arg, record);
}

void record_dead(struct record *record, enum push_error error)
{
    MAGIC_CHECK(record, RECORD_MAGIC);
    if (record->is_orphan || record->is_letter)
        return;
    metric_add_labelled(METRIC_RECORDS_BAD, error, 1);
    report_dead(record, error);
    log_limited(LOG_WARN, "record goes to the dead-letter topic", F_STR("source", record->source.at),
                F_STR("error", push_error_label(error)));
    record->is_letter = true;
    record->refs++;
    record->letter = (struct deadletter_entry){
        .record = &record->kafka, .source = record->source.at, .error = error, .fn = on_letter, .arg = record};
    deadletter_send(record->owner->deadletter, &record->letter);
}

/* --- orphans --- */

static void orphan(struct source *source, struct record *record)
{
    bool is_letter_dropped = record->is_letter && deadletter_cancel(&record->letter);
    uint32_t others = record->refs - 1 - (record->is_letter ? 1 : 0); /* one is held by orphan_all() */
    if (record->is_waiting) {
        record->is_waiting = false;
        record_done(record);
    } else if (others > 0) {
        source->events.abandoned(source->arg, record);
    }
    record_forget(record);
    if (is_letter_dropped)
        record_done(record);
}

/* All are marked before the first upcall: whatever the router does in one, no record of the partition counts any more.
 */
static void orphan_all(struct source_partition *part)
{
    struct source *source = part->source;
    list_each (link, &part->records) {
        struct record *record = container_of(link, struct record, link);
        record->is_orphan = true;
        record->partition = NULL;
        record_ref(record, 1);
    }
    struct list *link;
    while ((link = list_pop(&part->records))) {
        struct record *record = container_of(link, struct record, link);
        set_pending(source, -1);
        metric_add(METRIC_RECORDS_ABANDONED, 1);
        orphan(source, record);
        record_done(record);
    }
}

/* --- upcalls of the consumer --- */

static void on_assigned(void *arg, const char *topic, int32_t number)
{
    struct source *source = arg;
    MAGIC_CHECK(source, SOURCE_MAGIC);
    CHECK(!part_at(source, number));
    if (number >= source->part_slots) {
        int32_t slots = number + 16;
        source->parts = xrealloc(source->parts, (size_t)slots * sizeof(struct source_partition *));
        for (int32_t i = source->part_slots; i < slots; i++)
            source->parts[i] = NULL;
        source->part_slots = slots;
    }
    struct source_partition *part = xcalloc(1, sizeof *part);
    part->source = source;
    part->number = number;
    part->tracker = make_tracker(source);
    list_init(&part->records);
    source->parts[number] = part;
    metric_set(METRIC_PARTITIONS, ++source->part_count);
    metric_add(METRIC_PARTITIONS_ASSIGNED, 1);
    log_info("partition assigned", F_STR("topic", topic), F_INT("partition", number));
    if (source->is_paused)
        kafka_pause(source->consumer, topic, number);
    if (source->events.assigned)
        source->events.assigned(source->arg, number);
}

static void on_revoked(void *arg, const char *topic, int32_t number, bool is_lost)
{
    struct source *source = arg;
    MAGIC_CHECK(source, SOURCE_MAGIC);
    struct source_partition *part = part_at(source, number);
    CHECK(part);
    log_info("partition revoked", F_STR("topic", topic), F_INT("partition", number), F_BOOL("lost", is_lost),
             F_UINT("unfinished", tracker_pending(part->tracker)));
    source->parts[number] = NULL;
    metric_set(METRIC_PARTITIONS, --source->part_count);
    metric_add(METRIC_PARTITIONS_REVOKED, 1);
    orphan_all(part);
    if (part->is_asked && source->events.end)
        source->events.end(source->arg, number);
    tracker_free(&part->tracker);
    free(part);
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
    if (source->events.state)
        source->events.state(source->arg, is_up);
}

static void track(struct source_partition *part, struct record *record)
{
    enum err err = tracker_add(part->tracker, record->kafka.offset, &record->position);
    if (err == ERR_INVALID) { /* the topic was made anew or truncated: what is unfinished no longer exists there */
        log_warn("offsets went back", F_INT("partition", part->number), F_INT("offset", record->kafka.offset));
        metric_add(METRIC_PARTITION_REWINDS, 1);
        orphan_all(part);
        tracker_free(&part->tracker);
        part->tracker = make_tracker(part->source);
        if (part->is_asked && part->source->events.end)
            part->source->events.end(part->source->arg, part->number);
        part->is_asked = part->is_begun = false; /* in another life */
        err = tracker_add(part->tracker, record->kafka.offset, &record->position);
    }
    /* not tracking it would commit beyond it: rather begin again from what is committed */
    CHECK(err == ERR_OK);
    record->partition = part;
    list_push(&part->records, &record->link);
    set_pending(part->source, 1);
    pause_when_full(part);
}

/* The router sees a record; the reference that it waited with goes along. The caller has one too. */
static void hand_out(struct source_partition *part, struct record *record)
{
    struct source *source = part->source;
    record->is_waiting = false;
    record->life = part->life;
    record->generation = part->generation;
    source->events.record(source->arg, record);
    if (!record->is_letter)
        record_detach(record);
}

static void ask_to_begin(struct source_partition *part, int64_t first_offset)
{
    struct source *source = part->source;
    if (part->is_asked)
        return;
    part->is_asked = true;
    part->is_begun = !source->events.begin;
    if (part->is_begun)
        return;
    kafka_pause(source->consumer, source->options->topic, part->number);
    source->events.begin(source->arg, part->number, first_offset);
}

void source_begin(struct source *source, int32_t number, int64_t life, int32_t generation)
{
    struct source_partition *part = part_at(source, number);
    CHECK(part && part->is_asked && !part->is_begun);
    part->is_begun = true;
    part->life = life;
    part->generation = generation;
    log_info("partition begins", F_INT("partition", number), F_INT("generation", generation), F_INT("life", life));
    list_each (link, &part->records) {
        struct record *record = container_of(link, struct record, link);
        if (!record->is_waiting)
            continue;
        record_ref(record, 1);
        hand_out(part, record);
        record_done(record);
    }
    if (may_run(part))
        kafka_resume(source->consumer, source->options->topic, number);
}

void source_lose(struct source *source, int32_t number)
{
    struct source_partition *part = part_at(source, number);
    if (!part || part->is_lost)
        return;
    part->is_lost = true;
    kafka_pause(source->consumer, source->options->topic, number);
    orphan_all(part);
}

int32_t source_generation(const struct source *source)
{
    return source->consumer ? kafka_generation(source->consumer) : -1;
}

int64_t source_committed(const struct source *source, int32_t partition)
{
    return source->consumer ? kafka_committed(source->consumer, partition) : -1;
}

static void on_record(void *arg, const struct kafka_record *kafka)
{
    struct source *source = arg;
    MAGIC_CHECK(source, SOURCE_MAGIC);
    struct source_partition *part = part_at(source, kafka->partition);
    CHECK(part);
    if (part->is_lost) {
        struct kafka_record dropped = *kafka;
        kafka_record_free(&dropped);
        return;
    }
    metric_add(METRIC_RECORDS, 1);
    metric_add(METRIC_RECORD_BYTES, kafka->len);
    enum push_error error;
    struct record *record = record_new(kafka, &source->limits, &error);
    record->owner = source;
    record->kafka.topic = source->options->topic; /* an orphan may outlive the consumer */
    record->consumed_ms = loop_now_ms(source->loop);
    record->refs = 1;
    track(part, record);
    if (error != PUSH_ERROR_NONE) {
        record_dead(record, error);
    } else {
        record->is_waiting = true;
        record_ref(record, 1);
        ask_to_begin(part, kafka->offset);
        if (part->is_begun && record->is_waiting)
            hand_out(part, record);
    }
    record_done(record);
}

/* --- the rest --- */

enum err source_new(struct loop *loop, const struct kafka_options *kafka, const struct source_options *options,
                    struct kafka_producer *producer, struct outcome_log *outcomes, const struct source_events *events,
                    void *arg, struct source **source_r)
{
    static const struct kafka_consumer_events consumer_events = {
        .record = on_record, .assigned = on_assigned, .revoked = on_revoked, .state = on_state};
    struct source *source = xcalloc(1, sizeof *source);
    source->magic = SOURCE_MAGIC;
    source->loop = loop;
    source->options = options;
    source->limits = (struct push_limits){.content_max = (uint32_t)options->content_max,
                                          .users_max = (uint32_t)options->users_max};
    source->events = *events;
    source->arg = arg;
    source->outcomes = outcomes;
    source->deadletter = deadletter_new(loop, producer, options->dead_topic);
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
    enum err err = kafka_consumer_new(loop, &settings, &consumer_events, source, &source->consumer);
    if (err != ERR_OK)
        source_free(source_r);
    return err;
}

void source_pause(struct source *source)
{
    if (source->is_paused)
        return;
    source->is_paused = true;
    metric_add(METRIC_SOURCE_PAUSES, 1);
    for (int32_t i = 0; i < source->part_slots; i++)
        if (source->parts[i])
            kafka_pause(source->consumer, source->options->topic, i);
}

void source_resume(struct source *source)
{
    if (!source->is_paused)
        return;
    source->is_paused = false;
    for (int32_t i = 0; i < source->part_slots; i++)
        if (source->parts[i] && may_run(source->parts[i]))
            kafka_resume(source->consumer, source->options->topic, i);
}

bool source_is_paused(const struct source *source)
{
    return source->is_paused;
}

void source_stop(struct source *source)
{
    loop_timer_free(&source->age_timer);
    kafka_consumer_free(&source->consumer);
}

void source_free(struct source **source_p)
{
    struct source *source = *source_p;
    if (!source)
        return;
    *source_p = NULL;
    source_stop(source);
    deadletter_free(&source->deadletter);
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
    return source->pending;
}

uint64_t source_oldest_ms(const struct source *source)
{
    uint64_t age_ms = 0;
    for (int32_t i = 0; i < source->part_slots; i++) {
        uint64_t part_ms = source->parts[i] ? oldest_ms(source->parts[i]) : 0;
        age_ms = part_ms > age_ms ? part_ms : age_ms;
    }
    return age_ms;
}
