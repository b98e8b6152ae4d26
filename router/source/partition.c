#include "router/source/partition.h"

#include <stdlib.h>

#include "common/check.h"
#include "common/log.h"
#include "common/metric.h"
#include "router/metrics.h"
#include "router/source/tracker.h"

struct partition {
    struct feed *feed;
    int32_t number;
    struct tracker *tracker;
    struct list records; /* unfinished, oldest first */
    bool is_full;        /* paused on its own, because the oldest record holds the window */
    bool is_old;         /* the same, because that record is too old */
    bool is_asked, is_begun, is_lost;
    int64_t life;
    int32_t generation;
};

static void set_pending(struct feed *feed, int change)
{
    feed->pending = (uint32_t)((int64_t)feed->pending + change);
    metric_set(METRIC_RECORDS_PENDING, feed->pending);
}

/* --- when it rests --- */

void partition_pause(struct partition *part)
{
    kafka_pause(part->feed->consumer, part->feed->options->topic, part->number);
}

void partition_resume(struct partition *part)
{
    bool may_run = !part->feed->is_paused && !part->is_full && !part->is_old && !part->is_lost &&
                   (part->is_begun || !part->is_asked);
    if (may_run)
        kafka_resume(part->feed->consumer, part->feed->options->topic, part->number);
}

static void pause_for(struct partition *part, const char *why)
{
    metric_add(METRIC_PARTITION_PAUSES, 1);
    log_limited(LOG_WARN, "partition paused", F_STR("why", why), F_INT("partition", part->number),
                F_INT("offset", tracker_oldest(part->tracker)));
    partition_pause(part);
}

static void pause_when_full(struct partition *part)
{
    if (part->is_full || tracker_span(part->tracker) < part->feed->options->partition_window)
        return;
    part->is_full = true;
    pause_for(part, "its oldest record is not finished");
}

/* At half of the window: what was fetched ahead is thrown away by each pause. */
static void resume_when_roomy(struct partition *part)
{
    if (!part->is_full || tracker_span(part->tracker) > part->feed->options->partition_window / 2)
        return;
    part->is_full = false;
    partition_resume(part);
}

uint64_t partition_oldest_ms(const struct partition *part)
{
    const struct list *first = list_first(&part->records);
    if (!first)
        return 0;
    return loop_now_ms(part->feed->loop) - container_of(first, struct record, link)->consumed_ms;
}

/* Reading on would only add to what is held up, and to what is read again should this router end. */
void partition_look_at_age(struct partition *part)
{
    bool is_old = partition_oldest_ms(part) > (uint64_t)part->feed->options->window_age_ms;
    if (is_old == part->is_old || part->is_lost)
        return;
    part->is_old = is_old;
    if (is_old)
        pause_for(part, "its oldest record is too old");
    else
        partition_resume(part);
}

/* --- orphans --- */

static void orphan(struct feed *feed, struct record *record)
{
    uint32_t others = record->refs - 1 - (record->is_letter ? 1 : 0); /* one is held by orphan_all() */
    if (record->is_waiting) {
        record->is_waiting = false;
        record_done(record);
    } else if (others > 0) {
        feed->events.abandoned(feed->arg, record);
    }
    record_forget(record);
}

/* All are marked before the first upcall: whatever the router does in one, no record of the partition counts any more.
 */
static void orphan_all(struct partition *part)
{
    list_each (link, &part->records) {
        struct record *record = container_of(link, struct record, link);
        record->is_orphan = true;
        record->partition = NULL;
        record_ref(record, 1);
    }
    struct list *link;
    while ((link = list_pop(&part->records))) {
        struct record *record = container_of(link, struct record, link);
        set_pending(part->feed, -1);
        metric_add(METRIC_RECORDS_ABANDONED, 1);
        orphan(part->feed, record);
        record_done(record);
    }
}

/* --- its records --- */

/* After a pause the rest of the batch in hand still comes, so the tracker has room for that. */
static struct tracker *make_tracker(const struct source_options *options)
{
    return tracker_new((uint32_t)(options->partition_window + options->batch));
}

/* Whoever was asked to begin need not any more. */
static void end(struct partition *part)
{
    if (part->is_asked && part->feed->events.end)
        part->feed->events.end(part->feed->arg, part->number);
}

static void track(struct partition *part, struct record *record)
{
    enum err err = tracker_add(part->tracker, record->kafka.offset, &record->position);
    if (err == ERR_INVALID) { /* the topic was made anew or truncated: what is unfinished no longer exists there */
        log_warn("offsets went back", F_INT("partition", part->number), F_INT("offset", record->kafka.offset));
        metric_add(METRIC_PARTITION_REWINDS, 1);
        orphan_all(part);
        tracker_free(&part->tracker);
        part->tracker = make_tracker(part->feed->options);
        end(part);
        part->is_asked = part->is_begun = false; /* in another life */
        err = tracker_add(part->tracker, record->kafka.offset, &record->position);
    }
    /* not tracking it would commit beyond it: rather begin again from what is committed */
    CHECK(err == ERR_OK);
    record->partition = part;
    list_push(&part->records, &record->link);
    set_pending(part->feed, 1);
    pause_when_full(part);
}

void partition_finished(struct partition *part, struct record *record)
{
    struct feed *feed = part->feed;
    list_remove(&record->link);
    set_pending(feed, -1);
    metric_add(METRIC_RECORDS_FINISHED, 1);
    if (!tracker_done(part->tracker, record->position))
        return;
    kafka_commit(feed->consumer, feed->options->topic, part->number, tracker_next(part->tracker));
    resume_when_roomy(part);
}

/* The router sees a record; the reference that it waited with goes along. The caller has one too. */
static void hand_out(struct partition *part, struct record *record)
{
    record->is_waiting = false;
    record->life = part->life;
    record->generation = part->generation;
    part->feed->events.record(part->feed->arg, record);
    if (!record->is_letter)
        record_detach(record);
}

static void ask_to_begin(struct partition *part, int64_t first_offset)
{
    struct feed *feed = part->feed;
    if (part->is_asked)
        return;
    part->is_asked = true;
    part->is_begun = !feed->events.begin;
    if (part->is_begun)
        return;
    partition_pause(part);
    feed->events.begin(feed->arg, part->number, first_offset);
}

void partition_take(struct partition *part, struct record *record, enum push_error error)
{
    track(part, record);
    if (error != PUSH_ERROR_NONE) {
        record_dead(record, error);
        return;
    }
    record->is_waiting = true;
    record_ref(record, 1);
    ask_to_begin(part, record->kafka.offset);
    if (part->is_begun && record->is_waiting)
        hand_out(part, record);
}

void partition_begin(struct partition *part, int64_t life, int32_t generation)
{
    CHECK(part->is_asked && !part->is_begun);
    part->is_begun = true;
    part->life = life;
    part->generation = generation;
    log_info("partition begins", F_INT("partition", part->number), F_INT("generation", generation),
             F_INT("life", life));
    list_each (link, &part->records) {
        struct record *record = container_of(link, struct record, link);
        if (!record->is_waiting)
            continue;
        record_ref(record, 1);
        hand_out(part, record);
        record_done(record);
    }
    partition_resume(part);
}

void partition_lose(struct partition *part)
{
    if (part->is_lost)
        return;
    part->is_lost = true;
    partition_pause(part);
    orphan_all(part);
}

bool partition_is_lost(const struct partition *part)
{
    return part->is_lost;
}

uint32_t partition_pending(const struct partition *part)
{
    return tracker_pending(part->tracker);
}

/* --- outside --- */

struct partition *partition_new(struct feed *feed, int32_t number)
{
    struct partition *part = xcalloc(1, sizeof *part);
    part->feed = feed;
    part->number = number;
    part->tracker = make_tracker(feed->options);
    list_init(&part->records);
    if (feed->is_paused)
        partition_pause(part);
    return part;
}

void partition_free(struct partition **part_p)
{
    struct partition *part = *part_p;
    if (!part)
        return;
    *part_p = NULL;
    orphan_all(part);
    end(part);
    tracker_free(&part->tracker);
    free(part);
}
