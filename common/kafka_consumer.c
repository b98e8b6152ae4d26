#include <stdlib.h>

#include "check.h"
#include "clock.h"
#include "kafka_group.h"
#include "log.h"

enum { CONSUMER_MAGIC = 0x4b434f4e, POLL_MS = 250, PING_MS = 500, CLOSE_MS = 5000, PATIENCE_MS = 1000 };

struct kafka_consumer {
    unsigned magic;
    struct loop *loop;
    struct kafka_group group;
    char *group_id;
    uint32_t batch_max;
    rd_kafka_t *handle;
    rd_kafka_queue_t *queue;
    struct kafka_wake wake;
    struct kafka_admin *admin;
    struct loop_task drain_task;
    struct loop_timer *poll_timer;     /* the group wants to be polled, also when nothing comes */
    struct loop_timer *ping_timer;     /* runs while down */
    struct loop_timer *patience_timer; /* for the topic to be created */
    bool is_up, is_up_known;
    bool is_subscribed;
};

/* --- is anybody there? --- */

static void set_up(struct kafka_consumer *consumer, bool is_up)
{
    if (consumer->is_up_known && consumer->is_up == is_up)
        return;
    consumer->is_up_known = true;
    consumer->is_up = is_up;
    if (consumer->group.events.state)
        consumer->group.events.state(consumer->group.arg, is_up);
}

/* librdkafka tells when all brokers are down, but not when one is back. */
static void ping(void *arg)
{
    struct kafka_consumer *consumer = arg;
    MAGIC_CHECK(consumer, CONSUMER_MAGIC);
    set_up(consumer, kafka_is_connected(consumer->handle));
    if (!consumer->is_up)
        loop_timer_start(consumer->ping_timer, PING_MS, 0);
    else if (!consumer->is_subscribed)
        loop_timer_start(consumer->patience_timer, PATIENCE_MS, 0);
}

static void on_error(rd_kafka_t *handle, int err, const char *reason, void *opaque)
{
    (void)handle;
    struct kafka_consumer *consumer = opaque;
    MAGIC_CHECK(consumer, CONSUMER_MAGIC);
    log_limited(LOG_WARN, "kafka consumer", F_STR("err", rd_kafka_err2name(err)), F_STR("why", reason));
    if (err == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN && !consumer->group.is_closing) {
        set_up(consumer, false);
        loop_timer_start(consumer->ping_timer, PING_MS, 0);
    }
}

/* --- the group --- */

static void on_committed(rd_kafka_t *handle, rd_kafka_resp_err_t err, rd_kafka_topic_partition_list_t *offsets,
                         void *opaque)
{
    (void)handle;
    struct kafka_consumer *consumer = opaque;
    MAGIC_CHECK(consumer, CONSUMER_MAGIC);
    kafka_group_committed(&consumer->group, err, offsets);
}

static void on_rebalance(rd_kafka_t *handle, rd_kafka_resp_err_t err, rd_kafka_topic_partition_list_t *partitions,
                         void *opaque)
{
    (void)handle;
    struct kafka_consumer *consumer = opaque;
    MAGIC_CHECK(consumer, CONSUMER_MAGIC);
    if (err == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS)
        set_up(consumer, true);
    kafka_group_rebalance(&consumer->group, err, partitions);
}

/* --- records --- */

/* True when the owner got it. */
static bool hand_out(struct kafka_consumer *consumer, rd_kafka_message_t *message)
{
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        log_limited(LOG_WARN, "kafka consumer", F_STR("topic", consumer->group.topic),
                    F_STR("err", rd_kafka_err2name(message->err)), F_STR("why", rd_kafka_message_errstr(message)));
        rd_kafka_message_destroy(message);
        return false;
    }
    const struct kafka_part *part = kafka_group_part(&consumer->group, message->partition);
    if (!part || !part->is_held || consumer->group.is_closing) {
        rd_kafka_message_destroy(message);
        return false;
    }
    rd_kafka_timestamp_type_t type;
    int64_t timestamp_ms = rd_kafka_message_timestamp(message, &type);
    if (type == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE || timestamp_ms <= 0)
        timestamp_ms = (int64_t)loop_wall_ms(consumer->loop);
    struct kafka_record record = {
        .topic = consumer->group.topic,
        .partition = message->partition,
        .offset = message->offset,
        .timestamp_ms = timestamp_ms,
        .key = message->key,
        .key_len = message->key_len,
        .value = message->payload,
        .len = message->len,
        .handle = message,
    };
    kafka_group_took(&consumer->group, message->partition);
    consumer->group.events.record(consumer->group.arg, &record);
    return true;
}

/* How many records the owner got. One is taken at a time, although librdkafka can fill an array: there, records that
 * were taken before a rebalance or a pause which is met in the same call stand beside those after it; librdkafka 2.0.2
 * skips some of them, and swallows one when the call is ended by rd_kafka_yield(). */
static size_t take_batch(struct kafka_consumer *consumer, rd_kafka_queue_t *queue, int wait_ms)
{
    size_t count = 0;
    for (uint32_t i = 0; i < consumer->batch_max; i++) {
        rd_kafka_message_t *message = rd_kafka_consume_queue(queue, wait_ms);
        if (!message)
            break;
        count += hand_out(consumer, message);
        wait_ms = 0;
    }
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

void kafka_commit(struct kafka_consumer *consumer, const char *topic, int32_t partition, int64_t offset)
{
    (void)topic; /* there is one */
    kafka_group_want(&consumer->group, partition, offset);
}

int64_t kafka_committed(struct kafka_consumer *consumer, int32_t partition)
{
    const struct kafka_part *part = kafka_group_part(&consumer->group, partition);
    return part && part->is_held ? part->known : -1;
}

int32_t kafka_generation(struct kafka_consumer *consumer)
{
    return kafka_group_generation(&consumer->group);
}

void kafka_pause(struct kafka_consumer *consumer, const char *topic, int32_t partition)
{
    (void)topic;
    kafka_group_set_paused(&consumer->group, partition, true);
}

void kafka_resume(struct kafka_consumer *consumer, const char *topic, int32_t partition)
{
    (void)topic;
    kafka_group_set_paused(&consumer->group, partition, false);
}

/* --- birth and death --- */

static void subscribe(struct kafka_consumer *consumer)
{
    if (consumer->is_subscribed)
        return;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, consumer->group.topic, RD_KAFKA_PARTITION_UA);
    rd_kafka_resp_err_t err = rd_kafka_subscribe(consumer->handle, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
        log_error("kafka topic cannot be subscribed", F_STR("topic", consumer->group.topic),
                  F_STR("why", rd_kafka_err2str(err)));
    consumer->is_subscribed = err == RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* First the topic, then the subscription: a subscription to what is missing notices it only much later. But where
 * brokers answer and nothing is heard of the topic, it may well be there. */
static void on_topic(void *arg, bool is_answered)
{
    struct kafka_consumer *consumer = arg;
    MAGIC_CHECK(consumer, CONSUMER_MAGIC);
    (void)is_answered;
    subscribe(consumer);
}

static void on_patience_end(void *arg)
{
    on_topic(arg, false);
}

static rd_kafka_t *open_handle(struct kafka_consumer *consumer, const struct kafka_consumer_settings *settings)
{
    /* when more than this is queued, librdkafka looks again only after a second: it has to be work for that long.
     * Not cooperative: partitions that stay during a rebalance go on to be committed, a commit that waits behind the
     * request to join is refused for its old generation, and librdkafka 2.0.2 then gives up all partitions as lost:
     * everything finished since is read again. Given back before joining, they are committed to the last record. The
     * price is that all stand still until each member's next heartbeat, hence a short one. */
    static const struct kafka_property preset[] = {{"partition.assignment.strategy", "roundrobin"},
                                                   {"fetch.wait.max.ms", "10"},
                                                   {"fetch.min.bytes", "1"},
                                                   {"fetch.error.backoff.ms", "100"},
                                                   {"queued.min.messages", "1000000"},
                                                   {"queued.max.messages.kbytes", "65536"},
                                                   {"fetch.max.bytes", "16777216"},
                                                   {"topic.metadata.refresh.interval.ms", "10000"},
                                                   {"session.timeout.ms", "10000"},
                                                   {"heartbeat.interval.ms", "300"},
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

static void start(struct kafka_consumer *consumer, int32_t create_partitions)
{
    struct loop *loop = consumer->loop;
    rd_kafka_poll_set_consumer(consumer->handle);
    consumer->queue = rd_kafka_queue_get_consumer(consumer->handle);
    consumer->admin = kafka_admin_new(loop, consumer->handle);
    kafka_wake_init(&consumer->wake, loop, on_ready, consumer);
    kafka_wake_attach(&consumer->wake, consumer->queue);
    consumer->ping_timer = loop_timer_new(loop, ping, consumer);
    consumer->patience_timer = loop_timer_new(loop, on_patience_end, consumer);
    consumer->poll_timer = loop_timer_new(loop, on_ready, consumer);
    loop_timer_start(consumer->poll_timer, POLL_MS, POLL_MS);
    if (create_partitions > 0)
        kafka_admin_create_topic(consumer->admin, consumer->group.topic, create_partitions, on_topic, consumer);
    else
        subscribe(consumer);
    loop_timer_start(consumer->ping_timer, PING_MS, 0);
}

enum err kafka_consumer_new(struct loop *loop, const struct kafka_consumer_settings *settings,
                            const struct kafka_consumer_events *events, void *arg, struct kafka_consumer **consumer_r)
{
    struct kafka_consumer *consumer = xcalloc(1, sizeof *consumer);
    consumer->magic = CONSUMER_MAGIC;
    consumer->loop = loop;
    consumer->batch_max = settings->batch_max;
    *consumer_r = NULL;
    consumer->handle = open_handle(consumer, settings);
    if (!consumer->handle) {
        free(consumer);
        return ERR_INVALID;
    }
    kafka_group_init(&consumer->group, loop, settings->topic, events, arg);
    consumer->group.handle = consumer->handle;
    consumer->group_id = xstrdup(settings->group);
    loop_task_init(&consumer->drain_task, drain, consumer);
    start(consumer, settings->create_partitions);
    *consumer_r = consumer;
    return ERR_OK;
}

/* Leaves the group, serving the last rebalance from a queue of its own, and waits no longer than CLOSE_MS for it. */
static void leave(struct kafka_consumer *consumer)
{
    rd_kafka_queue_io_event_enable(consumer->queue, -1, NULL, 0);
    rd_kafka_queue_t *last = rd_kafka_queue_new(consumer->handle);
    kafka_group_commit(&consumer->group);
    rd_kafka_error_t *error = rd_kafka_consumer_close_queue(consumer->handle, last);
    if (error)
        rd_kafka_error_destroy(error);
    uint64_t until_ms = clock_mono_ms() + CLOSE_MS;
    while (!rd_kafka_consumer_closed(consumer->handle) && clock_mono_ms() < until_ms)
        take_batch(consumer, last, 50);
    if (!rd_kafka_consumer_closed(consumer->handle))
        log_warn("kafka group could not be left in time", F_STR("group", consumer->group_id));
    kafka_group_abandon(&consumer->group);
    rd_kafka_queue_destroy(last);
}

void kafka_consumer_free(struct kafka_consumer **consumer_p)
{
    struct kafka_consumer *consumer = *consumer_p;
    if (!consumer)
        return;
    consumer->group.is_closing = true;
    loop_timer_free(&consumer->poll_timer);
    loop_timer_free(&consumer->ping_timer);
    leave(consumer);
    *consumer_p = NULL;
    loop_timer_free(&consumer->patience_timer);
    loop_task_cancel(consumer->loop, &consumer->drain_task);
    kafka_wake_release(&consumer->wake);
    kafka_admin_free(&consumer->admin);
    rd_kafka_queue_destroy(consumer->queue);
    kafka_handle_destroy(consumer->handle);
    kafka_group_release(&consumer->group);
    free(consumer->group_id);
    consumer->magic = 0;
    free(consumer);
}
