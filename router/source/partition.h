/*
 * One partition that this router holds: its unfinished records in order, up to where that is committed, when it rests,
 * when its records may be worked for, and what becomes of them when it goes. Only for source.c.
 */
#ifndef HERALD_ROUTER_SOURCE_PARTITION_H
#define HERALD_ROUTER_SOURCE_PARTITION_H

#include "router/source/source.h"

/* What a source and its partitions share. */
struct feed {
    struct loop *loop;
    const struct source_options *options;
    struct source_events events;
    void *arg;
    struct kafka_consumer *consumer;
    struct deadletter *deadletter;
    struct outcome_log *outcomes; /* NULL: none */
    uint32_t pending;             /* unfinished records of all partitions */
    bool is_paused;               /* all partitions are */
};

struct partition;

/* Assigned. The feed is borrowed. */
struct partition *partition_new(struct feed *feed, int32_t number);
/* Revoked: its records are orphans. */
void partition_free(struct partition **partition);
/* A record of it was read; the caller's reference stays the caller's. error: it is no push. */
void partition_take(struct partition *partition, struct record *record, enum push_error error);
/* As source_begin() and source_lose(). */
void partition_begin(struct partition *partition, int64_t life, int32_t generation);
void partition_lose(struct partition *partition);
bool partition_is_lost(const struct partition *partition);
/* The record was finished: commits what it held up. */
void partition_finished(struct partition *partition, struct record *record);
void partition_pause(struct partition *partition);
/* No-op where something else keeps it paused. */
void partition_resume(struct partition *partition);
/* Pauses while the oldest record is too old. */
void partition_look_at_age(struct partition *partition);
/* Age of the oldest unfinished record; 0: there is none. */
uint64_t partition_oldest_ms(const struct partition *partition);
uint32_t partition_pending(const struct partition *partition);

#endif
