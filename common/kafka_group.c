#include "kafka_group.h"

#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "log.h"

enum {
    GROUP_MAGIC = 0x4b475250,
    COMMIT_INTERVAL_MS = 100,
    COMMIT_RETRY_MS = 1000,
    PAUSE_SETTLES_MS = 100,
    PARTITION_MAX = 100000 /* far beyond what Kafka is run with; bounds the table */
};

static void on_commit_time(void *arg)
{
    struct kafka_group *group = arg;
    MAGIC_CHECK(group, GROUP_MAGIC);
    kafka_group_commit(group);
}

void kafka_group_init(struct kafka_group *group, struct loop *loop, const char *topic,
                      const struct kafka_consumer_events *events, void *arg)
{
    *group = (struct kafka_group){.magic = GROUP_MAGIC, .loop = loop, .events = *events, .arg = arg};
    group->topic = xstrdup(topic);
    group->commit_timer = loop_timer_new(loop, on_commit_time, group);
}

void kafka_group_release(struct kafka_group *group)
{
    loop_timer_free(&group->commit_timer);
    free(group->parts);
    free(group->topic);
    group->magic = 0;
}

struct kafka_part *kafka_group_part(struct kafka_group *group, int32_t partition)
{
    return partition >= 0 && partition < group->part_count ? &group->parts[partition] : NULL;
}

static struct kafka_part *part_add(struct kafka_group *group, int32_t partition)
{
    if (partition < 0 || partition >= PARTITION_MAX)
        return NULL;
    if (partition >= group->part_count) {
        int32_t count = partition + 16;
        group->parts = xrealloc(group->parts, (size_t)count * sizeof *group->parts);
        memset(group->parts + group->part_count, 0, (size_t)(count - group->part_count) * sizeof *group->parts);
        group->part_count = count;
    }
    return &group->parts[partition];
}

static void tell_paused(struct kafka_group *group, int32_t partition, bool is_paused)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, group->topic, partition);
    rd_kafka_resp_err_t err = is_paused ? rd_kafka_pause_partitions(group->handle, list)
                                        : rd_kafka_resume_partitions(group->handle, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
        log_limited(LOG_WARN, "kafka partition could not be paused or resumed", F_INT("partition", partition),
                    F_STR("why", rd_kafka_err2str(err)));
}

void kafka_group_set_paused(struct kafka_group *group, int32_t partition, bool is_paused)
{
    struct kafka_part *part = kafka_group_part(group, partition);
    if (!part || !part->is_held || part->is_paused == is_paused)
        return;
    part->is_paused = is_paused;
    part->paused_ms = loop_now_ms(group->loop);
    tell_paused(group, partition, is_paused);
}

/* The batch in hand still comes after a pause; what comes later shows that librdkafka forgot it (one that meets the
 * start of fetching does not hold in 2.0.2): it is told again. */
static void hold_paused(struct kafka_group *group, struct kafka_part *part, int32_t partition)
{
    uint64_t now_ms = loop_now_ms(group->loop);
    if (now_ms - part->paused_ms < PAUSE_SETTLES_MS)
        return;
    part->paused_ms = now_ms;
    tell_paused(group, partition, true);
}

void kafka_group_took(struct kafka_group *group, int32_t partition)
{
    struct kafka_part *part = &group->parts[partition];
    if (part->is_paused)
        hold_paused(group, part, partition);
}

/* --- commits --- */

/* Sends off what is wanted and not sent yet; NULL list when there is nothing. */
static rd_kafka_topic_partition_list_t *take_unsent(struct kafka_group *group)
{
    rd_kafka_topic_partition_list_t *list = NULL;
    for (int32_t i = 0; i < group->part_count; i++) {
        struct kafka_part *part = &group->parts[i];
        if (!part->is_held || part->wanted <= part->sent)
            continue;
        if (!list)
            list = rd_kafka_topic_partition_list_new(8);
        rd_kafka_topic_partition_list_add(list, group->topic, i)->offset = part->wanted;
        part->sent = part->wanted;
    }
    return list;
}

void kafka_group_commit(struct kafka_group *group)
{
    rd_kafka_topic_partition_list_t *list = take_unsent(group);
    if (!list)
        return;
    rd_kafka_resp_err_t err = rd_kafka_commit(group->handle, list, 1);
    rd_kafka_topic_partition_list_destroy(list);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
        log_limited(LOG_WARN, "kafka offsets could not be sent", F_STR("why", rd_kafka_err2str(err)));
}

/* A commit that failed is wanted again, as far as the partition is still held and nothing newer was sent. */
void kafka_group_committed(struct kafka_group *group, rd_kafka_resp_err_t err,
                           const rd_kafka_topic_partition_list_t *offsets)
{
    if (err == RD_KAFKA_RESP_ERR__NO_OFFSET || !offsets)
        return;
    bool is_retry = false;
    for (int i = 0; i < offsets->cnt; i++) {
        const rd_kafka_topic_partition_t *at = &offsets->elems[i];
        rd_kafka_resp_err_t why = err != RD_KAFKA_RESP_ERR_NO_ERROR ? err : at->err;
        struct kafka_part *part = kafka_group_part(group, at->partition);
        if (!part || !part->is_held)
            continue;
        if (why == RD_KAFKA_RESP_ERR_NO_ERROR) {
            part->known = at->offset > part->known ? at->offset : part->known;
            continue;
        }
        log_limited(LOG_WARN, "kafka offset not committed, trying again", F_STR("topic", at->topic),
                    F_INT("partition", at->partition), F_STR("why", rd_kafka_err2str(why)));
        part->sent = -1;
        is_retry = true;
    }
    if (is_retry && !group->is_closing)
        loop_timer_start(group->commit_timer, COMMIT_RETRY_MS, 0);
}

void kafka_group_want(struct kafka_group *group, int32_t partition, int64_t offset)
{
    struct kafka_part *part = kafka_group_part(group, partition);
    if (!part || !part->is_held || group->is_lost || offset <= part->wanted)
        return;
    bool is_first = part->wanted <= part->sent;
    part->wanted = offset;
    if (is_first && !group->is_rebalancing && !group->is_closing)
        loop_timer_start(group->commit_timer, COMMIT_INTERVAL_MS, 0);
}

/* --- rebalancing --- */

/* librdkafka has no getter for it. What it writes the group's metadata as begins with this word and, in host order,
 * the generation. */
int32_t kafka_group_generation(struct kafka_group *group)
{
    static const char word[] = "CGMDv2:";
    enum { WORD_LEN = sizeof word - 1 };
    int32_t generation = -1;
    size_t len = 0;
    void *bytes = NULL;
    rd_kafka_consumer_group_metadata_t *metadata = rd_kafka_consumer_group_metadata(group->handle);
    if (!metadata)
        return -1;
    rd_kafka_error_t *error = rd_kafka_consumer_group_metadata_write(metadata, &bytes, &len);
    rd_kafka_consumer_group_metadata_destroy(metadata);
    if (error) {
        rd_kafka_error_destroy(error);
        return -1;
    }
    if (len >= WORD_LEN + sizeof generation && memcmp(bytes, word, WORD_LEN) == 0)
        memcpy(&generation, (const char *)bytes + WORD_LEN, sizeof generation);
    else
        log_limited(LOG_ERROR, "the group's generation cannot be read from this librdkafka");
    rd_kafka_mem_free(group->handle, bytes);
    return generation;
}

static bool is_cooperative(struct kafka_group *group)
{
    const char *protocol = rd_kafka_rebalance_protocol(group->handle);
    return protocol && strcmp(protocol, "COOPERATIVE") == 0;
}

static void log_rebalance_error(rd_kafka_error_t *error)
{
    if (!error)
        return;
    log_warn("kafka rebalance", F_STR("why", rd_kafka_error_string(error)));
    rd_kafka_error_destroy(error);
}

static void assign(struct kafka_group *group, rd_kafka_topic_partition_list_t *partitions)
{
    if (is_cooperative(group))
        log_rebalance_error(rd_kafka_incremental_assign(group->handle, partitions));
    else
        rd_kafka_assign(group->handle, partitions);
    for (int i = 0; i < partitions->cnt; i++) {
        int32_t partition = partitions->elems[i].partition;
        struct kafka_part *part = part_add(group, partition);
        if (!part)
            continue;
        *part = (struct kafka_part){.is_held = true, .wanted = -1, .sent = -1, .known = -1};
        group->events.assigned(group->arg, group->topic, partition);
    }
}

/* The owner may commit a last time from revoked(): sent before the partition is given back, on the same connection
 * that the request to join again goes by, so the broker has it first. */
static void revoke(struct kafka_group *group, rd_kafka_topic_partition_list_t *partitions)
{
    group->is_lost = rd_kafka_assignment_lost(group->handle);
    for (int i = 0; i < partitions->cnt; i++) {
        int32_t partition = partitions->elems[i].partition;
        struct kafka_part *part = kafka_group_part(group, partition);
        if (!part || !part->is_held)
            continue;
        kafka_group_set_paused(group, partition, false); /* pausing would outlive the assignment */
        group->events.revoked(group->arg, group->topic, partition, group->is_lost);
    }
    if (!group->is_lost)
        kafka_group_commit(group);
    group->is_lost = false;
    for (int i = 0; i < partitions->cnt; i++) {
        struct kafka_part *part = kafka_group_part(group, partitions->elems[i].partition);
        if (part)
            *part = (struct kafka_part){.wanted = -1, .sent = -1};
    }
    if (is_cooperative(group))
        log_rebalance_error(rd_kafka_incremental_unassign(group->handle, partitions));
    else
        rd_kafka_assign(group->handle, NULL);
}

void kafka_group_rebalance(struct kafka_group *group, rd_kafka_resp_err_t err,
                           rd_kafka_topic_partition_list_t *partitions)
{
    group->is_rebalancing = true;
    if (err == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS)
        assign(group, partitions);
    else if (err == RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS)
        revoke(group, partitions);
    else
        rd_kafka_assign(group->handle, NULL);
    group->is_rebalancing = false;
}

void kafka_group_abandon(struct kafka_group *group)
{
    for (int32_t i = 0; i < group->part_count; i++) {
        if (group->parts[i].is_held)
            group->events.revoked(group->arg, group->topic, i, true);
        group->parts[i].is_held = false;
    }
}
