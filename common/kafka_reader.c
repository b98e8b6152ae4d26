#include "kafka_reader.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "clock.h"
#include "kafka_conf.h"
#include "list.h"

enum { READER_MAGIC = 0x4b524452, READING_MAGIC = 0x4b524447, STEP_MS = 200, HEADERS_MAX = 64 };

struct kafka_reader {
    unsigned magic;
    struct loop *loop;
    const struct kafka_options *options;
    struct kafka_wake wake;  /* the thread has finished */
    struct reading *reading; /* under way, NULL: none */
    struct list waiting;     /* struct reading */
    struct loop_task start;
    uint32_t count;           /* of both */
    atomic_bool is_cancelled; /* the thread is to give up */
};

/* The part of one partition that is read. */
struct range {
    int32_t partition;
    int64_t from, to; /* to: not included */
    bool is_open;
};

struct reading {
    unsigned magic;
    struct kafka_reader *reader;
    struct list link;
    char *topic;
    struct kafka_read wanted;
    kafka_read_fn *fn;
    void *arg;
    rd_kafka_conf_t *conf; /* until the thread has taken it */
    pthread_t thread;
    uint64_t until_ms;

    rd_kafka_t *handle;
    rd_kafka_topic_t *rkt;
    struct range *ranges;
    size_t range_count, open_count;
    struct kafka_found *found;
    size_t count, room, bytes;
    enum err err;
};

/* --- in the thread: what is there --- */

static bool is_over(const struct reading *r)
{
    return atomic_load(&r->reader->is_cancelled) || clock_mono_ms() >= r->until_ms;
}

static enum err ask_partitions(struct reading *r)
{
    const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_resp_err_t err = RD_KAFKA_RESP_ERR__TIMED_OUT;
    while (!metadata && !is_over(r))
        err = rd_kafka_metadata(r->handle, 0, r->rkt, &metadata, STEP_MS);
    if (!metadata)
        return kafka_err(err);
    const struct rd_kafka_metadata_topic *topic = &metadata->topics[0];
    err = metadata->topic_cnt > 0 ? topic->err : RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    if (err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        r->ranges = xcalloc((size_t)topic->partition_cnt + 1, sizeof(*r->ranges));
        for (int i = 0; i < topic->partition_cnt; i++)
            if (r->wanted.partition < 0 || r->wanted.partition == topic->partitions[i].id)
                r->ranges[r->range_count++].partition = topic->partitions[i].id;
    }
    rd_kafka_metadata_destroy(metadata);
    return kafka_err(err);
}

static enum err ask_offsets(struct reading *r, struct range *range)
{
    int64_t low = 0, high = 0;
    rd_kafka_resp_err_t err = RD_KAFKA_RESP_ERR__TIMED_OUT;
    while (err == RD_KAFKA_RESP_ERR__TIMED_OUT && !is_over(r))
        err = rd_kafka_query_watermark_offsets(r->handle, r->topic, range->partition, &low, &high, STEP_MS * 5);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
        return kafka_err(err);
    bool is_newest = r->wanted.offset < 0;
    range->from = is_newest ? high - (int64_t)r->wanted.count : r->wanted.offset;
    range->to = is_newest ? high : r->wanted.offset + (int64_t)r->wanted.count;
    if (range->from < low)
        range->from = low;
    if (range->to > high)
        range->to = high;
    return ERR_OK;
}

/* --- in the thread: taking --- */

static void found_release(struct kafka_found *found)
{
    free((void *)(uintptr_t)found->headers); /* everything is behind them */
}

/* Copies header names and values to `to`, which has room. */
static char *copy_headers(struct kafka_header *copies, const struct kafka_header *headers, size_t count, char *to)
{
    for (size_t i = 0; i < count; i++) {
        size_t name_len = strlen(headers[i].name) + 1;
        copies[i].name = memcpy(to, headers[i].name, name_len);
        to += name_len;
        copies[i].len = headers[i].len;
        copies[i].value = headers[i].value ? memcpy(to, headers[i].value, headers[i].len) : NULL;
        to += headers[i].len;
    }
    return to;
}

static size_t copy(const struct reading *r, struct kafka_found *found, rd_kafka_message_t *message)
{
    struct kafka_record *record = &found->record;
    rd_kafka_timestamp_type_t type;
    *record = (struct kafka_record){.topic = r->topic,
                                    .partition = message->partition,
                                    .offset = message->offset,
                                    .timestamp_ms = rd_kafka_message_timestamp(message, &type),
                                    .key_len = message->key_len,
                                    .len = message->len,
                                    .handle = message};
    struct kafka_header headers[HEADERS_MAX];
    size_t count = kafka_record_headers(record, headers, HEADERS_MAX);
    record->handle = NULL;
    count = count > HEADERS_MAX ? HEADERS_MAX : count;
    size_t size = count * sizeof(struct kafka_header) + record->key_len + record->len + 1;
    for (size_t i = 0; i < count; i++)
        size += strlen(headers[i].name) + 1 + headers[i].len;
    struct kafka_header *copies = xmalloc(size);
    char *to = copy_headers(copies, headers, count, (char *)(copies + count));
    record->key = message->key ? memcpy(to, message->key, record->key_len) : NULL;
    record->value = message->payload ? memcpy(to + record->key_len, message->payload, record->len) : NULL;
    found->headers = copies;
    found->header_count = count;
    return size;
}

static int order(const void *left, const void *right)
{
    const struct kafka_record *a = &((const struct kafka_found *)left)->record;
    const struct kafka_record *b = &((const struct kafka_found *)right)->record;
    if (a->timestamp_ms != b->timestamp_ms)
        return a->timestamp_ms < b->timestamp_ms ? 1 : -1;
    if (a->partition != b->partition)
        return a->partition < b->partition ? 1 : -1;
    return a->offset < b->offset ? 1 : -1;
}

static size_t found_size(const struct kafka_found *found)
{
    return found->record.len + found->record.key_len;
}

/* Sorts, and lets the oldest go until at most `count` of no more than the bytes are left. */
static void trim(struct reading *r, size_t count)
{
    if (r->count > 0)
        qsort(r->found, r->count, sizeof(*r->found), order);
    while (r->count > count || (r->bytes > KAFKA_READ_BYTES_MAX && r->count > 1)) {
        struct kafka_found *last = &r->found[--r->count];
        r->bytes -= found_size(last);
        found_release(last);
    }
}

static void take(struct reading *r, rd_kafka_message_t *message)
{
    if (r->count == r->room) {
        r->room = r->room ? r->room * 2 : 64;
        r->found = xrealloc(r->found, r->room * sizeof(*r->found));
    }
    (void)copy(r, &r->found[r->count], message);
    r->bytes += found_size(&r->found[r->count++]);
    if (r->bytes > KAFKA_READ_BYTES_MAX)
        trim(r, r->count);
}

static void finish_range(struct reading *r, struct range *range)
{
    r->open_count -= range->is_open;
    range->is_open = false;
}

/* A record, the end of a partition, or an error of one. */
static void take_event(struct reading *r, rd_kafka_message_t *message)
{
    struct range *range = NULL;
    for (size_t i = 0; i < r->range_count && !range; i++)
        if (r->ranges[i].partition == message->partition)
            range = &r->ranges[i];
    if (!range || !range->is_open)
        return;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR && message->offset < range->to)
        take(r, message);
    else if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR && message->err != RD_KAFKA_RESP_ERR__PARTITION_EOF)
        r->err = kafka_err(message->err);
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR || message->offset + 1 >= range->to)
        finish_range(r, range);
}

static void take_all(struct reading *r, rd_kafka_queue_t *queue)
{
    for (size_t i = 0; i < r->range_count; i++) {
        struct range *range = &r->ranges[i];
        range->is_open = range->from < range->to &&
                         rd_kafka_consume_start_queue(r->rkt, range->partition, range->from, queue) == 0;
        r->open_count += range->is_open;
    }
    while (r->open_count > 0 && !is_over(r)) {
        rd_kafka_message_t *message = rd_kafka_consume_queue(queue, STEP_MS);
        if (!message)
            continue;
        take_event(r, message);
        rd_kafka_message_destroy(message);
    }
    if (r->open_count > 0)
        r->err = ERR_TIMEOUT;
    for (size_t i = 0; i < r->range_count; i++)
        if (r->ranges[i].from < r->ranges[i].to)
            rd_kafka_consume_stop(r->rkt, r->ranges[i].partition);
}

static void read_topic(struct reading *r)
{
    r->err = ask_partitions(r);
    for (size_t i = 0; i < r->range_count && !r->err; i++)
        r->err = ask_offsets(r, &r->ranges[i]);
    if (r->err)
        return;
    rd_kafka_queue_t *queue = rd_kafka_queue_new(r->handle);
    take_all(r, queue);
    rd_kafka_queue_destroy(queue);
    trim(r, r->wanted.count);
}

static void *run(void *arg)
{
    struct reading *r = arg;
    char why[128];
    r->handle = rd_kafka_new(RD_KAFKA_CONSUMER, r->conf, why, sizeof why);
    if (r->handle) {
        r->conf = NULL;
        r->rkt = rd_kafka_topic_new(r->handle, r->topic, NULL);
        if (r->rkt) {
            read_topic(r);
            rd_kafka_topic_destroy(r->rkt);
        } else {
            r->err = ERR_REFUSED;
        }
        rd_kafka_destroy(r->handle);
    } else {
        r->err = ERR_SYSTEM;
    }
    uint64_t one = 1;
    ssize_t put = write(r->reader->wake.fd, &one, sizeof one);
    (void)put;
    return NULL;
}

/* --- on the loop --- */

static void end(struct reading *r, enum err err)
{
    MAGIC_CHECK(r, READING_MAGIC);
    r->reader->count--;
    r->fn(r->arg, err, r->found, err ? 0 : r->count);
    for (size_t i = 0; i < r->count; i++)
        found_release(&r->found[i]);
    if (r->conf)
        rd_kafka_conf_destroy(r->conf);
    r->magic = 0;
    free(r->found);
    free(r->ranges);
    free(r->topic);
    free(r);
}

/* Signals are for the loop's thread. */
static bool start_thread(struct reading *r)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int err = pthread_create(&r->thread, NULL, run, r);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return err == 0;
}

static void start_next(void *arg)
{
    struct kafka_reader *reader = arg;
    struct list *link;
    MAGIC_CHECK(reader, READER_MAGIC);
    while (!reader->reading && (link = list_pop(&reader->waiting))) {
        struct reading *r = container_of(link, struct reading, link);
        r->until_ms = clock_mono_ms() + KAFKA_READ_TIMEOUT_MS;
        if (start_thread(r))
            reader->reading = r;
        else
            end(r, ERR_SYSTEM);
    }
}

static void on_finished(void *arg)
{
    struct kafka_reader *reader = arg;
    MAGIC_CHECK(reader, READER_MAGIC);
    struct reading *r = reader->reading;
    if (!r)
        return;
    pthread_join(r->thread, NULL);
    reader->reading = NULL;
    end(r, r->err);
    start_next(reader);
}

struct kafka_reader *kafka_reader_new(struct loop *loop, const struct kafka_options *options)
{
    struct kafka_reader *reader = xcalloc(1, sizeof *reader);
    reader->magic = READER_MAGIC;
    reader->loop = loop;
    reader->options = options;
    list_init(&reader->waiting);
    loop_task_init(&reader->start, start_next, reader);
    kafka_wake_init(&reader->wake, loop, on_finished, reader);
    return reader;
}

void kafka_reader_free(struct kafka_reader **reader_p)
{
    struct kafka_reader *reader = *reader_p;
    if (!reader)
        return;
    atomic_store(&reader->is_cancelled, true);
    if (reader->reading) {
        pthread_join(reader->reading->thread, NULL);
        end(reader->reading, ERR_CLOSED);
    }
    struct list *link;
    while ((link = list_pop(&reader->waiting)))
        end(container_of(link, struct reading, link), ERR_CLOSED);
    loop_task_cancel(reader->loop, &reader->start);
    kafka_wake_release(&reader->wake);
    reader->magic = 0;
    free(reader);
    *reader_p = NULL;
}

enum err kafka_read(struct kafka_reader *reader, const struct kafka_read *wanted, kafka_read_fn *fn, void *arg)
{
    static const struct kafka_property preset[] = {{"fetch.wait.max.ms", "10"}, {NULL, NULL}};
    static const struct kafka_property fixed[] = {{"enable.auto.commit", "false"},
                                                  {"enable.partition.eof", "true"},
                                                  {"auto.offset.reset", "error"},
                                                  {"allow.auto.create.topics", "false"},
                                                  {NULL, NULL}};
    if (reader->count >= KAFKA_READS_MAX)
        return ERR_FULL;
    rd_kafka_conf_t *conf = kafka_conf_new(reader->options, preset, fixed);
    if (!conf)
        return ERR_INVALID;
    struct reading *r = xcalloc(1, sizeof *r);
    *r = (struct reading){
        .magic = READING_MAGIC, .reader = reader, .wanted = *wanted, .fn = fn, .arg = arg, .conf = conf};
    r->topic = xstrdup(wanted->topic);
    r->wanted.topic = r->topic;
    list_push(&reader->waiting, &r->link);
    reader->count++;
    loop_defer(reader->loop, &reader->start); /* not from inside: a thread that cannot start would call fn */
    return ERR_OK;
}
