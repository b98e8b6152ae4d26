#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "kafka_conf.h"
#include "log.h"

enum { PRODUCER_MAGIC = 0x4b50524f, CALL_MAGIC = 0x4b50434c, PURGE_WAIT_MS = 1000, RENEW_DELAY_MS = 1000 };

struct kafka_producer {
    unsigned magic;
    struct loop *loop;
    struct kafka_options options; /* copies, for making the handle anew */
    rd_kafka_t *handle;           /* NULL between a fatal error and the next try */
    struct kafka_admin *admin;
    struct kafka_wake wake;
    struct loop_task renew_task;
    struct loop_timer *renew_timer;
    const rd_kafka_message_t *told; /* while its callback is told what became of it */
};

struct call {
    unsigned magic;
    kafka_delivered_fn *fn;
    void *arg;
};

static const struct kafka_property preset[] = {{"linger.ms", "2"},
                                               {"queue.buffering.max.messages", "100000"},
                                               {"queue.buffering.max.kbytes", "65536"},
                                               {"message.max.bytes", "10485760"},
                                               {"batch.size", "524288"},
                                               {"message.timeout.ms", "30000"},
                                               {NULL, NULL}};
static const struct kafka_property fixed[] = {{"enable.idempotence", "true"}, {"acks", "all"}, {NULL, NULL}};

static void on_delivered(rd_kafka_t *handle, const rd_kafka_message_t *message, void *opaque)
{
    struct kafka_producer *producer = opaque;
    (void)handle;
    struct call *call = message->_private;
    if (!call)
        return;
    MAGIC_CHECK(producer, PRODUCER_MAGIC);
    MAGIC_CHECK(call, CALL_MAGIC);
    enum err err = kafka_err(message->err);
    if (err != ERR_OK && err != ERR_CLOSED)
        log_limited(LOG_WARN, "kafka did not take a record", F_STR("topic", rd_kafka_topic_name(message->rkt)),
                    F_STR("why", rd_kafka_err2str(message->err)));
    kafka_delivered_fn *fn = call->fn;
    void *arg = call->arg;
    call->magic = 0;
    free(call);
    producer->told = message;
    fn(arg, err);
    producer->told = NULL;
}

void kafka_unsent(const struct kafka_producer *producer, struct kafka_record *record_r)
{
    const rd_kafka_message_t *message = producer->told;
    CHECK(message);
    *record_r = (struct kafka_record){.topic = rd_kafka_topic_name(message->rkt),
                                      .partition = message->partition,
                                      .offset = message->offset,
                                      .key = message->key,
                                      .key_len = message->key_len,
                                      .value = message->payload,
                                      .len = message->len};
}

static void on_error(rd_kafka_t *handle, int err, const char *reason, void *opaque)
{
    struct kafka_producer *producer = opaque;
    MAGIC_CHECK(producer, PRODUCER_MAGIC);
    log_limited(LOG_WARN, "kafka producer", F_STR("err", rd_kafka_err2name(err)), F_STR("why", reason));
    /* an idempotent producer that lost its place can never send again: a new one is needed */
    if (err == RD_KAFKA_RESP_ERR__FATAL && handle == producer->handle)
        loop_defer(producer->loop, &producer->renew_task);
}

static void on_ready(void *arg)
{
    struct kafka_producer *producer = arg;
    MAGIC_CHECK(producer, PRODUCER_MAGIC);
    if (producer->handle)
        rd_kafka_poll(producer->handle, 0); /* takes all that is queued */
}

static enum err open_handle(struct kafka_producer *producer)
{
    rd_kafka_conf_t *conf = kafka_conf_new(&producer->options, preset, fixed);
    if (!conf)
        return ERR_INVALID;
    rd_kafka_conf_set_opaque(conf, producer);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivered);
    rd_kafka_conf_set_error_cb(conf, on_error);
    producer->handle = kafka_handle_new(RD_KAFKA_PRODUCER, conf);
    if (!producer->handle)
        return ERR_INVALID;
    rd_kafka_queue_t *queue = rd_kafka_queue_get_main(producer->handle);
    kafka_wake_attach(&producer->wake, queue);
    rd_kafka_queue_destroy(queue);
    producer->admin = kafka_admin_new(producer->loop, producer->handle);
    return ERR_OK;
}

/* Every message that is still queued or in flight gets its callback with ERR_CLOSED from inside here. */
static void close_handle(struct kafka_producer *producer, int flush_ms)
{
    rd_kafka_t *handle = producer->handle;
    if (!handle)
        return;
    if (flush_ms > 0)
        rd_kafka_flush(handle, flush_ms);
    producer->handle = NULL; /* callbacks that produce again get ERR_AWAY */
    rd_kafka_purge(handle, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    rd_kafka_flush(handle, PURGE_WAIT_MS);
    kafka_admin_free(&producer->admin);
    rd_kafka_queue_t *queue = rd_kafka_queue_get_main(handle);
    rd_kafka_queue_io_event_enable(queue, -1, NULL, 0);
    rd_kafka_queue_destroy(queue);
    kafka_handle_destroy(handle);
}

static void renew(void *arg)
{
    struct kafka_producer *producer = arg;
    MAGIC_CHECK(producer, PRODUCER_MAGIC);
    close_handle(producer, 0);
    loop_timer_start(producer->renew_timer, RENEW_DELAY_MS, 0);
}

static void reopen(void *arg)
{
    struct kafka_producer *producer = arg;
    MAGIC_CHECK(producer, PRODUCER_MAGIC);
    log_warn("kafka producer starts anew after a fatal error");
    if (open_handle(producer) != ERR_OK)
        loop_timer_start(producer->renew_timer, RENEW_DELAY_MS, 0);
}

static void copy_options(struct kafka_options *to, const struct kafka_options *from)
{
    to->brokers = xstrdup(from->brokers);
    to->properties.count = from->properties.count;
    to->properties.items = xcalloc(from->properties.count + 1, sizeof(char *));
    for (size_t i = 0; i < from->properties.count; i++)
        to->properties.items[i] = xstrdup(from->properties.items[i]);
}

static void release_options(struct kafka_options *options)
{
    for (size_t i = 0; i < options->properties.count; i++)
        free(options->properties.items[i]);
    free(options->properties.items);
    free(options->brokers);
}

enum err kafka_producer_new(struct loop *loop, const struct kafka_options *options, struct kafka_producer **producer_r)
{
    struct kafka_producer *producer = xcalloc(1, sizeof *producer);
    producer->magic = PRODUCER_MAGIC;
    producer->loop = loop;
    copy_options(&producer->options, options);
    kafka_wake_init(&producer->wake, loop, on_ready, producer);
    loop_task_init(&producer->renew_task, renew, producer);
    producer->renew_timer = loop_timer_new(loop, reopen, producer);
    *producer_r = producer;
    enum err err = open_handle(producer);
    if (err != ERR_OK)
        kafka_producer_free(producer_r, 0);
    return err;
}

void kafka_producer_free(struct kafka_producer **producer_p, int flush_ms)
{
    struct kafka_producer *producer = *producer_p;
    if (!producer)
        return;
    close_handle(producer, flush_ms);
    *producer_p = NULL;
    loop_task_cancel(producer->loop, &producer->renew_task);
    loop_timer_free(&producer->renew_timer);
    kafka_wake_release(&producer->wake);
    release_options(&producer->options);
    producer->magic = 0;
    free(producer);
}

static rd_kafka_headers_t *pack_headers(const struct kafka_header *headers, size_t count)
{
    if (count == 0)
        return NULL;
    rd_kafka_headers_t *packed = rd_kafka_headers_new(count);
    for (size_t i = 0; i < count; i++)
        rd_kafka_header_add(packed, headers[i].name, -1, headers[i].value, (ssize_t)headers[i].len);
    return packed;
}

enum err kafka_produce(struct kafka_producer *producer, const char *topic, const void *key, size_t key_len,
                       const void *value, size_t len, const struct kafka_header *headers, size_t header_count,
                       kafka_delivered_fn *fn, void *arg)
{
    if (!producer->handle)
        return ERR_AWAY;
    struct call *call = NULL;
    if (fn) {
        call = xcalloc(1, sizeof *call);
        *call = (struct call){.magic = CALL_MAGIC, .fn = fn, .arg = arg};
    }
    rd_kafka_headers_t *packed = pack_headers(headers, header_count);
    rd_kafka_vu_t fields[] = {
        {.vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = topic},
        {.vtype = RD_KAFKA_VTYPE_KEY, .u.mem = {.ptr = (void *)key, .size = key_len}},
        {.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {.ptr = (void *)value, .size = len}},
        {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
        {.vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = call},
        {.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = packed},
    };
    size_t field_count = sizeof fields / sizeof fields[0] - (packed ? 0 : 1);
    rd_kafka_error_t *error = rd_kafka_produceva(producer->handle, fields, field_count);
    if (!error)
        return ERR_OK; /* librdkafka owns the headers now */
    enum err err = kafka_err(rd_kafka_error_code(error));
    rd_kafka_error_destroy(error);
    if (packed)
        rd_kafka_headers_destroy(packed);
    free(call);
    return err == ERR_OK ? ERR_SYSTEM : err;
}

void kafka_ensure_topic(struct kafka_producer *producer, const char *topic, int32_t partitions)
{
    if (producer->admin && partitions > 0)
        kafka_admin_create_topic(producer->admin, topic, partitions, NULL, NULL);
}
