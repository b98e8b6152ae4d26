/*
 * Where the router's work comes from: the records of herald.push, each parsed and tracked until all its targets have
 * a terminal outcome; then its offset becomes committable, in order (tracker.h). Records that are no pushes go to the
 * dead-letter topic and are finished when Kafka has them there.
 *
 * A revoked partition's records are orphans: abandoned() is called for each; the router drops what it holds for it,
 * reports no outcomes of it, and gives its references back (inside the call or later), which then only frees memory.
 */
#ifndef HERALD_ROUTER_SOURCE_SOURCE_H
#define HERALD_ROUTER_SOURCE_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/kafka.h"
#include "common/loop.h"
#include "router/outcome/outcome.h"
#include "router/record/record.h"
#include "router/source/source_options.h"

struct source;

struct source_events {
    /* A partition has come; none of its records has yet. May be NULL. */
    void (*assigned)(void *arg, int32_t partition);
    /* The first record of a partition is there: it and those behind it wait for source_begin(). NULL: nothing has to be
     * waited for. */
    void (*begin)(void *arg, int32_t partition, int64_t first_offset);
    /* A partition that has asked to begin is gone. */
    void (*end)(void *arg, int32_t partition);
    void (*record)(void *arg, struct record *record);
    void (*abandoned)(void *arg, struct record *record);
    /* It was reported dead: its one outcome. May be NULL. */
    void (*dead)(void *arg, const struct record *record);
    /* All brokers are down, or one is back. */
    void (*state)(void *arg, bool is_up);
};

/* Subscribes. The producer is for dead letters and creating topics (of all the options' topics); it outlives
 * source_stop(), and may be freed before or after source_free(). Options are
 * borrowed and must stay. The outcome `dead` is reported here, for all records that come to it (outcomes may be NULL).
 */
enum err source_new(struct loop *loop, const struct kafka_options *kafka, const struct source_options *options,
                    struct kafka_producer *producer, struct outcome_log *outcomes, const struct source_events *events,
                    void *arg, struct source **source_r) MUST_CHECK;
/* Hands out what waits of the partition, and from now on. Records carry life and generation. */
void source_begin(struct source *source, int32_t partition, int64_t life, int32_t generation);
/* Another router owns the partition, though Kafka has not said so yet: its records are orphans, and further ones are
 * dropped. */
void source_lose(struct source *source, int32_t partition);
/* As kafka_generation() and kafka_committed(). */
int32_t source_generation(const struct source *source);
int64_t source_committed(const struct source *source, int32_t partition);
/* The router's window is full: no further records (but for the rest of the batch in hand) until source_resume().
 * What was fetched ahead is fetched again then, so resume only at, say, three quarters. */
void source_pause(struct source *source);
void source_resume(struct source *source);
bool source_is_paused(const struct source *source);
/* Leaves the group: commits what is finished, abandons the rest. May block for a few seconds. */
void source_stop(struct source *source);
/* After source_stop(), when the router has given back all records. */
void source_free(struct source **source);
/* Brokers reachable and at least the subscription made. */
bool source_is_up(const struct source *source);
/* Partitions held now. */
uint32_t source_partitions(const struct source *source);
/* Records not finished, and the age in ms of the oldest of them (0: none). */
uint32_t source_pending(const struct source *source);
uint64_t source_oldest_ms(const struct source *source);

#endif
