#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "clock.h"
#include "kafka_conf.h"
#include "log.h"

enum {
    CONSUMER_MAGIC = 0x4b434f4e,
    COMMIT_INTERVAL_MS = 100,
    COMMIT_RETRY_MS = 1000,
    POLL_MS = 250,
    PING_MS = 1000,
    CLOSE_MS = 5000,
    PARTITION_MAX = 100000 /* far beyond what Kafka is run with; bounds the table below */
};

/* One partition of the topic; the index in the table is its number. */
struct part {
    bool is_held;
    bool is_paused;
    bool is_revoked; /* during the batch in hand: its records in it came before that */
    int64_t wanted;  /* next offset to read, as the owner says; -1: nothing to say */
    int64_t sent;    /* the last one sent off to be committed */
};

struct kafka_consumer {
    unsigned magic;
    struct loop *loop;
    struct kafka_consumer_events events;
    void *arg;
    char *group, *topic;
    int32_t create_partitions;
    uint32_t batch_max;
    rd_kafka_t *handle;
    rd_kafka_queue_t *queue;
    struct kafka_wake wake;
    struct kafka_admin *admin;
    struct loop_task drain_task;
    struct loop_timer *commit_timer; /* runs while something is to be committed */
    struct loop_timer *poll_timer;   /* the group wants to be polled, also when nothing comes */
    struct loop_timer *ping_timer;   /* runs while down */
    rd_kafka_message_t **batch;
    struct part *parts;
    int32_t part_count;
    bool is_up, is_up_known, is_pinging;
    bool is_subscribed;
    bool is_rebalancing;
    bool is_lost; /* of the revocation being reported */
    bool is_closing;
};

static struct part *part_at(struct kafka_consumer *consumer, int32_t partition)
{
    return partition >= 0 && partition < consumer->part_count ? &consumer->parts[partition] : NULL;
}

static struct part *part_add(struct kafka_consumer *consumer, int32_t partition)
{
    if (partition < 0 || partition >= PARTITION_MAX)
        return NULL;
    if (partition >= consumer->part_count) {
        int32_t count = partition + 16;
        consumer->parts = xrealloc(consumer->parts, (size_t)count * sizeof *consumer->parts);
        memset(consumer->parts + consumer->part_count, 0,
               (size_t)(count - consumer->part_count) * sizeof *consumer->parts);
        consumer->part_count = count;
    }
    return &consumer->parts[partition];
}

/* --- is anybody there? --- */

static void set_up(struct kafka_consumer *consumer, bool is_up)
{
    if (consumer->is_up_known && consumer->is_up == is_up)
        return;
    consumer->is_up_known = true;
    consumer->is_up = is_up;
    if (consumer->events.state)
        consumer->events.state(consumer->arg, is_up);
}

static void on_pong(void *arg, bool is_answered)
{
    struct kafka_consumer *consumer = arg;
    MAGIC_CHECK(consumer, CONSUMER_MAGIC);
    consumer->is_pinging = false;
    set_up(consumer, is_answered);
    if (!is_answered)
        loop_timer_start(consumer->ping_timer, PING_MS, 0);
}

/* librdkafka tells when all brokers are down, but not when one is back. */
static void ping(void *arg)
{
    struct kafka_consumer *consumer = arg;
    MAGIC_CHECK(consumer, CONSUMER_MAGIC);
    if (consumer->is_pinging)
        return;
    consumer->is_pinging = true;
    kafka_admin_ping(consumer->admin, consumer->group, on_pong, consumer);
}

static void on_error(rd_kafka_t *handle, int err, const char *reason, void *opaque)
{
    (void)handle;
    struct kafka_consumer *consumer = opaque;
    MAGIC_CHECK(consumer, CONSUMER_MAGIC);
    log_limited(LOG_WARN, "kafka consumer", F_STR("err", rd_kafka_err2name(err)), F_STR("why", reason));
    if (err == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN && !consumer->is_closing) {
        set_up(consumer, false);
        loop_timer_start(consumer->ping_timer, PING_MS, 0);
    }
}

/* --- commits --- */

/* Sends off what is wanted and not sent yet; NULL list when there is nothing. */
static rd_kafka_topic_partition_list_t *take_unsent(struct kafka_consumer *consumer)
{
    rd_kafka_topic_partition_list_t *list = NULL;
    for (int32_t i = 0; i < consumer->part_count; i++) {
        struct part *part = &consumer->parts[i];
        if (!part->is_held || part->wanted <= part->sent)
            continue;
        if (!list)
            list = rd_kafka_topic_partition_list_new(8);
        rd_kafka_topic_partition_list_add(list, consumer->topic, i)->offset = part->wanted;
        part->sent = part->wanted;
    }
    return list;
}

static void commit_unsent(void *arg)
{
    struct kafka_consumer *consumer = arg;
    MAGIC_CHECK(consumer, CONSUMER_MAGIC);
    rd_kafka_topic_partition_list_t *list = take_unsent(consumer);
    if (!list)
        return;
    rd_kafka_resp_err_t err = rd_kafka_commit(consumer->handle, list, 1);
    rd_kafka_topic_partition_list_destroy(list);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
        log_limited(LOG_WARN, "kafka offsets could not be sent", F_STR("why", rd_kafka_err2str(err)));
}

/* A commit that failed is wanted again, as far as the partition is still held and nothing newer was sent. */
static void on_committed(rd_kafka_t *handle, rd_kafka_resp_err_t err, rd_kafka_topic_partition_list_t *offsets,
                         void *opaque)
{
    (void)handle;
    struct kafka_consumer *consumer = opaque;
    MAGIC_CHECK(consumer, CONSUMER_MAGIC);
    if (err == RD_KAFKA_RESP_ERR__NO_OFFSET || !offsets)
        return;
    bool is_retry = false;
    for (int i = 0; i < offsets->cnt; i++) {
        const rd_kafka_topic_partition_t *at = &offsets->elems[i];
        rd_kafka_resp_err_t why = err != RD_KAFKA_RESP_ERR_NO_ERROR ? err : at->err;
        struct part *part = part_at(consumer, at->partition);
        if (why == RD_KAFKA_RESP_ERR_NO_ERROR || !part || !part->is_held)
            continue;
        log_limited(LOG_WARN, "kafka offset not committed, trying again", F_STR("topic", at->topic),
                    F_INT("partition", at->partition), F_STR("why", rd_kafka_err2str(why)));
        part->sent = -1;
        is_retry = true;
    }
    if (is_retry && !consumer->is_closing)
        loop_timer_start(consumer->commit_timer, COMMIT_RETRY_MS, 0);
}

void kafka_commit(struct kafka_consumer *consumer, const char *topic, int32_t partition, int64_t offset)
{
    (void)topic; /* there is one */
    struct part *part = part_at(consumer, partition);
    if (!part || !part->is_held || consumer->is_lost || offset <= part->wanted)
        return;
    bool is_first = part->wanted <= part->sent;
    part->wanted = offset;
    if (is_first && !consumer->is_rebalancing && !consumer->is_closing)
        loop_timer_start(consumer->commit_timer, COMMIT_INTERVAL_MS, 0);
}

/* --- rebalancing --- */

static bool is_cooperative(struct kafka_consumer *consumer)
{
    const char *protocol = rd_kafka_rebalance_protocol(consumer->handle);
    return protocol && strcmp(protocol, "COOPERATIVE") == 0;
}

static void log_rebalance_error(rd_kafka_error_t *error)
{
    if (!error)
        return;
    log_warn("kafka rebalance", F_STR("why", rd_kafka_error_string(error)));
    rd_kafka_error_destroy(error);
}

static void assign(struct kafka_consumer *consumer, rd_kafka_topic_partition_list_t *partitions)
{
    if (is_cooperative(consumer))
        log_rebalance_error(rd_kafka_incremental_assign(consumer->handle, partitions));
    else
        rd_kafka_assign(consumer->handle, partitions);
    for (int i = 0; i < partitions->cnt; i++) {
        int32_t partition = partitions->elems[i].partition;
        struct part *part = part_add(consumer, partition);
        if (!part)
            continue;
        *part = (struct part){.is_held = true, .is_revoked = part->is_revoked, .wanted = -1, .sent = -1};
        consumer->events.assigned(consumer->arg, consumer->topic, partition);
    }
    set_up(consumer, true);
}

/* The owner may commit a last time from revoked(): sent before the partition is given back, on the same connection
 * that the request to join again goes by, so the broker has it first. */
static void revoke(struct kafka_consumer *consumer, rd_kafka_topic_partition_list_t *partitions)
{
    consumer->is_lost = rd_kafka_assignment_lost(consumer->handle);
    for (int i = 0; i < partitions->cnt; i++) {
        int32_t partition = partitions->elems[i].partition;
        struct part *part = part_at(consumer, partition);
        if (!part || !part->is_held)
            continue;
        kafka_resume(consumer, consumer->topic, partition); /* pausing would outlive the assignment */
        consumer->events.revoked(consumer->arg, consumer->topic, partition, consumer->is_lost);
    }
    if (!consumer->is_lost)
        commit_unsent(consumer);
    consumer->is_lost = false;
    for (int i = 0; i < partitions->cnt; i++) {
        struct part *part = part_at(consumer, partitions->elems[i].partition);
        if (part)
            *part = (struct part){.is_revoked = true, .wanted = -1, .sent = -1};
    }
    if (is_cooperative(consumer))
        log_rebalance_error(rd_kafka_incremental_unassign(consumer->handle, partitions));
    else
        rd_kafka_assign(consumer->handle, NULL);
}

static void on_rebalance(rd_kafka_t *handle, rd_kafka_resp_err_t err, rd_kafka_topic_partition_list_t *partitions,
                         void *opaque)
{
    struct kafka_consumer *consumer = opaque;
    MAGIC_CHECK(consumer, CONSUMER_MAGIC);
    consumer->is_rebalancing = true;
    if (err == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS)
        assign(consumer, partitions);
    else if (err == RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS)
        revoke(consumer, partitions);
    else
        rd_kafka_assign(handle, NULL);
    consumer->is_rebalancing = false;
    /* end the batch here: then all records of revoked partitions that are in it came before, and are dropped */
    rd_kafka_yield(handle);
}

/* --- records --- */

/* True when the owner got it. */
static bool hand_out(struct kafka_consumer *consumer, rd_kafka_message_t *message)
{
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        log_limited(LOG_WARN, "kafka consumer", F_STR("topic", consumer->topic),
                    F_STR("err", rd_kafka_err2name(message->err)), F_STR("why", rd_kafka_message_errstr(message)));
        rd_kafka_message_destroy(message);
        return false;
    }
    const struct part *part = part_at(consumer, message->partition);
    if (!part || !part->is_held || part->is_revoked || consumer->is_closing) {
        rd_kafka_message_destroy(message);
        return false;
    }
    rd_kafka_timestamp_type_t type;
    int64_t timestamp_ms = rd_kafka_message_timestamp(message, &type);
    if (type == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE || timestamp_ms <= 0)
        timestamp_ms = (int64_t)loop_wall_ms(consumer->loop);
    struct kafka_record record = {
        .topic = consumer->topic,
        .partition = message->partition,
        .offset = message->offset,
        .timestamp_ms = timestamp_ms,
        .key = message->key,
        .key_len = message->key_len,
        .value = message->payload,
        .len = message->len,
        .handle = message,
    };
    consumer->events.record(consumer->arg, &record);
    return true;
}

/* How many records the owner got. */
static size_t take_batch(struct kafka_consumer *consumer, rd_kafka_queue_t *queue, int wait_ms)
{
    ssize_t got = rd_kafka_consume_batch_queue(queue, wait_ms, consumer->batch, consumer->batch_max);
    size_t count = 0;
    for (ssize_t i = 0; i < got; i++)
        count += hand_out(consumer, consumer->batch[i]);
    for (int32_t i = 0; i < consumer->part_count; i++)
        consumer->parts[i].is_revoked = false;
    return count;
}

/* One bounded batch a turn. The descriptor tells only empty -> non-empty, so come back while something is left. */
static void drain(void *arg)
{
    struct kafka_consumer *consumer = arg;
    MAGIC_CHECK(consumer, CONSUMER_MAGIC);
    if (take_batch(consumer, consumer->queue, 0) > 0)
        set_up(consumer, true);
    if (rd_kafka_queue_length(consumer->queue) > 0)
        loop_defer(consumer->loop, &consumer->drain_task);
}

static void on_ready(void *arg)
{
    struct kafka_consumer *consumer = arg;
    MAGIC_CHECK(consumer, CONSUMER_MAGIC);
    loop_defer(consumer->loop, &consumer->drain_task);
}

void kafka_record_free(struct kafka_record *record)
{
    if (record->handle)
        rd_kafka_message_destroy(record->handle);
    record->handle = NULL;
}

size_t kafka_record_headers(const struct kafka_record *record, struct kafka_header *headers_r, size_t max)
{
    rd_kafka_headers_t *headers;
    if (!record->handle || rd_kafka_message_headers(record->handle, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return 0;
    size_t count = rd_kafka_header_cnt(headers);
    for (size_t i = 0; i < count && i < max; i++)
        rd_kafka_header_get_all(headers, i, &headers_r[i].name, &headers_r[i].value, &headers_r[i].len);
    return count;
}

static void set_paused(struct kafka_consumer *consumer, int32_t partition, bool is_paused)
{
    struct part *part = part_at(consumer, partition);
    if (!part || !part->is_held || part->is_paused == is_paused)
        return;
    part->is_paused = is_paused;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, consumer->topic, partition);
    rd_kafka_resp_err_t err = is_paused ? rd_kafka_pause_partitions(consumer->handle, list)
                                        : rd_kafka_resume_partitions(consumer->handle, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
        log_limited(LOG_WARN, "kafka partition could not be paused or resumed", F_INT("partition", partition),
                    F_STR("why", rd_kafka_err2str(err)));
}

void kafka_pause(struct kafka_consumer *consumer, const char *topic, int32_t partition)
{
    (void)topic;
    set_paused(consumer, partition, true);
}

void kafka_resume(struct kafka_consumer *consumer, const char *topic, int32_t partition)
{
    (void)topic;
    set_paused(consumer, partition, false);
}

/* --- birth and death --- */

static void subscribe(struct kafka_consumer *consumer)
{
    if (consumer->is_subscribed)
        return;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, consumer->topic, RD_KAFKA_PARTITION_UA);
    rd_kafka_resp_err_t err = rd_kafka_subscribe(consumer->handle, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
        log_error("kafka topic cannot be subscribed", F_STR("topic", consumer->topic),
                  F_STR("why", rd_kafka_err2str(err)));
    consumer->is_subscribed = err == RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* First the topic, then the subscription: a subscription to what is missing notices it only much later. */
static void on_topic(void *arg, bool is_answered)
{
    struct kafka_consumer *consumer = arg;
    MAGIC_CHECK(consumer, CONSUMER_MAGIC);
    set_up(consumer, is_answered);
    if (is_answered) {
        subscribe(consumer);
        return;
    }
    kafka_admin_create_topic(consumer->admin, consumer->topic, consumer->create_partitions, on_topic, consumer);
}

static rd_kafka_t *open_handle(struct kafka_consumer *consumer, const struct kafka_consumer_settings *settings)
{
    static const struct kafka_property preset[] = {{"partition.assignment.strategy", "cooperative-sticky"},
                                                   {"fetch.wait.max.ms", "10"},
                                                   {"fetch.min.bytes", "1"},
                                                   {"fetch.error.backoff.ms", "100"},
                                                   {"queued.min.messages", "20000"},
                                                   {"queued.max.messages.kbytes", "16384"},
                                                   {"fetch.max.bytes", "16777216"},
                                                   {"topic.metadata.refresh.interval.ms", "10000"},
                                                   {"session.timeout.ms", "10000"},
                                                   {"heartbeat.interval.ms", "1000"},
                                                   {NULL, NULL}};
    const struct kafka_property fixed[] = {
        {"group.id", settings->group},
        {"enable.auto.commit", "false"},
        {"enable.partition.eof", "false"},
        {"auto.offset.reset", settings->from_earliest ? "earliest" : "latest"},
        {"allow.auto.create.topics", settings->create_partitions > 0 ? "true" : "false"},
        {NULL, NULL}};
    rd_kafka_conf_t *conf = kafka_conf_new(settings->options, preset, fixed);
    if (!conf)
        return NULL;
    rd_kafka_conf_set_opaque(conf, consumer);
    rd_kafka_conf_set_error_cb(conf, on_error);
    rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
    rd_kafka_conf_set_offset_commit_cb(conf, on_committed);
    return kafka_handle_new(RD_KAFKA_CONSUMER, conf);
}

static void start(struct kafka_consumer *consumer)
{
    struct loop *loop = consumer->loop;
    rd_kafka_poll_set_consumer(consumer->handle);
    consumer->queue = rd_kafka_queue_get_consumer(consumer->handle);
    consumer->admin = kafka_admin_new(loop, consumer->handle);
    kafka_wake_init(&consumer->wake, loop, on_ready, consumer);
    kafka_wake_attach(&consumer->wake, consumer->queue);
    consumer->commit_timer = loop_timer_new(loop, commit_unsent, consumer);
    consumer->ping_timer = loop_timer_new(loop, ping, consumer);
    consumer->poll_timer = loop_timer_new(loop, on_ready, consumer);
    loop_timer_start(consumer->poll_timer, POLL_MS, POLL_MS);
    if (consumer->create_partitions > 0) {
        kafka_admin_create_topic(consumer->admin, consumer->topic, consumer->create_partitions, on_topic, consumer);
    } else {
        subscribe(consumer);
        ping(consumer);
    }
}

enum err kafka_consumer_new(struct loop *loop, const struct kafka_consumer_settings *settings,
                            const struct kafka_consumer_events *events, void *arg, struct kafka_consumer **consumer_r)
{
    struct kafka_consumer *consumer = xcalloc(1, sizeof *consumer);
    consumer->magic = CONSUMER_MAGIC;
    consumer->loop = loop;
    consumer->events = *events;
    consumer->arg = arg;
    consumer->batch_max = settings->batch_max;
    consumer->create_partitions = settings->create_partitions;
    *consumer_r = NULL;
    consumer->handle = open_handle(consumer, settings);
    if (!consumer->handle) {
        free(consumer);
        return ERR_INVALID;
    }
    consumer->group = xstrdup(settings->group);
    consumer->topic = xstrdup(settings->topic);
    consumer->batch = xcalloc(settings->batch_max, sizeof *consumer->batch);
    loop_task_init(&consumer->drain_task, drain, consumer);
    start(consumer);
    *consumer_r = consumer;
    return ERR_OK;
}

/* Leaves the group, serving the last rebalance from a queue of its own, and waits no longer than CLOSE_MS for it. */
static void leave(struct kafka_consumer *consumer)
{
    rd_kafka_queue_io_event_enable(consumer->queue, -1, NULL, 0);
    rd_kafka_queue_t *last = rd_kafka_queue_new(consumer->handle);
    commit_unsent(consumer);
    rd_kafka_error_t *error = rd_kafka_consumer_close_queue(consumer->handle, last);
    if (error)
        rd_kafka_error_destroy(error);
    uint64_t until_ms = clock_mono_ms() + CLOSE_MS;
    while (!rd_kafka_consumer_closed(consumer->handle) && clock_mono_ms() < until_ms)
        take_batch(consumer, last, 50);
    if (!rd_kafka_consumer_closed(consumer->handle))
        log_warn("kafka group could not be left in time", F_STR("group", consumer->group));
    for (int32_t i = 0; i < consumer->part_count; i++) {
        if (consumer->parts[i].is_held)
            consumer->events.revoked(consumer->arg, consumer->topic, i, true);
        consumer->parts[i].is_held = false;
    }
    rd_kafka_queue_destroy(last);
}

void kafka_consumer_free(struct kafka_consumer **consumer_p)
{
    struct kafka_consumer *consumer = *consumer_p;
    if (!consumer)
        return;
    consumer->is_closing = true;
    loop_timer_free(&consumer->poll_timer);
    loop_timer_free(&consumer->ping_timer);
    leave(consumer);
    *consumer_p = NULL;
    loop_timer_free(&consumer->commit_timer);
    loop_task_cancel(consumer->loop, &consumer->drain_task);
    kafka_wake_release(&consumer->wake);
    kafka_admin_free(&consumer->admin);
    rd_kafka_queue_destroy(consumer->queue);
    rd_kafka_destroy_flags(consumer->handle, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    free(consumer->batch);
    free(consumer->parts);
    free(consumer->group);
    free(consumer->topic);
    consumer->magic = 0;
    free(consumer);
}
