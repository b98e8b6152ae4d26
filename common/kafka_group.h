/*
 * A consumer's share of its topic: which partitions it holds, what is to be committed of them, and the rebalances of
 * the group. Private to kafka_consumer.c, which embeds it.
 */
#ifndef HERALD_COMMON_KAFKA_GROUP_H
#define HERALD_COMMON_KAFKA_GROUP_H

#include "kafka_conf.h"

/* One partition; the index in the table is its number. */
struct kafka_part {
    bool is_held;
    bool is_paused;
    uint64_t paused_ms; /* librdkafka was told so last */
    int64_t wanted;     /* next offset to read, as the owner says; -1: nothing to say */
    int64_t sent;       /* the last one sent off to be committed */
    int64_t known;      /* the last one that the broker has */
};

struct kafka_group {
    unsigned magic;
    struct loop *loop;
    rd_kafka_t *handle;
    char *topic;
    struct kafka_consumer_events events;
    void *arg;
    struct kafka_part *parts;
    int32_t part_count;
    struct loop_timer *commit_timer; /* runs while something is to be committed */
    bool is_rebalancing;
    bool is_lost; /* of the revocation being reported */
    bool is_closing;
};

void kafka_group_init(struct kafka_group *group, struct loop *loop, const char *topic,
                      const struct kafka_consumer_events *events, void *arg);
void kafka_group_release(struct kafka_group *group);
/* NULL: never held. */
struct kafka_part *kafka_group_part(struct kafka_group *group, int32_t partition);
void kafka_group_set_paused(struct kafka_group *group, int32_t partition, bool is_paused);
/* A record of this partition is handed out. */
void kafka_group_took(struct kafka_group *group, int32_t partition);
/* The owner says that everything before this offset is finished. */
void kafka_group_want(struct kafka_group *group, int32_t partition, int64_t offset);
/* Sends off what is wanted and not sent yet. */
void kafka_group_commit(struct kafka_group *group);
/* kafka_generation(). */
int32_t kafka_group_generation(struct kafka_group *group);
/* A commit's answer. */
void kafka_group_committed(struct kafka_group *group, rd_kafka_resp_err_t err,
                           const rd_kafka_topic_partition_list_t *offsets);
/* Partitions come or go, with the upcalls. */
void kafka_group_rebalance(struct kafka_group *group, rd_kafka_resp_err_t err,
                           rd_kafka_topic_partition_list_t *partitions);
/* Whatever is still held now is lost. */
void kafka_group_abandon(struct kafka_group *group);

#endif
