#include "router/deadletter.h"

#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/log.h"
#include "common/metric.h"
#include "router/metrics.h"

enum { DEADLETTER_MAGIC = 0x444c5451, RETRY_MS = 1000, RETRY_BATCH = 256, HEADER_MAX = 64 };

struct deadletter {
    unsigned magic;
    struct loop *loop;
    struct kafka_producer *producer;
    char *topic;
    struct list waiting; /* entries for their next try */
    struct loop_timer *retry_timer;
    uint32_t pending;   /* entries not in Kafka yet */
    uint32_t producing; /* of them, with the producer */
    bool is_retry_due;
    bool is_closed; /* freed with the last one that the producer holds */
};

static void set_pending(struct deadletter *dl, int change)
{
    dl->pending = (uint32_t)((int64_t)dl->pending + change);
    metric_set(METRIC_DEADLETTERS_PENDING, dl->pending);
}

static void start_retry(struct deadletter *dl)
{
    if (!dl->is_retry_due)
        loop_timer_start(dl->retry_timer, RETRY_MS, 0);
    dl->is_retry_due = true;
}

static void wait_for_retry(struct deadletter *dl, struct deadletter_entry *entry)
{
    entry->is_waiting = true;
    list_push(&dl->waiting, &entry->link);
    metric_add(METRIC_DEADLETTER_RETRIES, 1);
    start_retry(dl);
}

static void destroy(struct deadletter *dl)
{
    dl->magic = 0;
    free(dl->topic);
    free(dl);
}

static void on_delivered(void *arg, enum err err)
{
    struct deadletter_entry *entry = arg;
    struct deadletter *dl = entry->deadletter;
    MAGIC_CHECK(dl, DEADLETTER_MAGIC);
    dl->producing--;
    if (err == ERR_OK) {
        metric_add(METRIC_DEADLETTERS, 1);
    } else if (!entry->is_cancelled && !dl->is_closed) {
        /* Kafka will never take it as it is; that it is too large even without its value is left to a retry */
        entry->is_valueless = entry->is_valueless || err == ERR_TOO_LARGE;
        wait_for_retry(dl, entry);
        return;
    }
    set_pending(dl, -1);
    entry->fn(entry->arg);
    if (dl->is_closed && dl->producing == 0)
        destroy(dl);
}

static size_t build_headers(const struct deadletter_entry *entry, struct kafka_header *headers, struct buf *why)
{
    size_t count = kafka_record_headers(entry->record, headers, HEADER_MAX);
    if (count > HEADER_MAX)
        count = HEADER_MAX;
    if (entry->is_valueless)
        count = 0; /* they may be what is too large */
    buf_add_str(why, push_error_label(entry->error));
    buf_add_str(why, ": ");
    buf_add_str(why, push_error_text(entry->error));
    headers[count++] = (struct kafka_header){.name = "herald-error", .value = why->bytes, .len = why->len};
    headers[count++] = (struct kafka_header){
        .name = "herald-source", .value = entry->source, .len = strlen(entry->source)};
    return count;
}

static void try_once(struct deadletter *dl, struct deadletter_entry *entry)
{
    struct kafka_header headers[HEADER_MAX + 2];
    struct buf why;
    buf_init(&why);
    size_t count = build_headers(entry, headers, &why);
    const struct kafka_record *record = entry->record;
    entry->is_waiting = false;
    enum err err = kafka_produce(dl->producer, dl->topic, record->key, record->key_len,
                                 entry->is_valueless ? NULL : record->value, entry->is_valueless ? 0 : record->len,
                                 headers, count, on_delivered, entry);
    buf_release(&why);
    if (err == ERR_OK) {
        dl->producing++;
        return;
    }
    log_limited(LOG_WARN, "dead letter not sent, trying again", F_STR("topic", dl->topic),
                F_STR("source", entry->source), F_ERR(err));
    entry->is_valueless = entry->is_valueless || err == ERR_TOO_LARGE;
    wait_for_retry(dl, entry);
}

static void retry(void *arg)
{
    struct deadletter *dl = arg;
    MAGIC_CHECK(dl, DEADLETTER_MAGIC);
    struct list due;
    dl->is_retry_due = false;
    list_init(&due);
    for (int i = 0; i < RETRY_BATCH && !list_is_empty(&dl->waiting); i++)
        list_push(&due, list_pop(&dl->waiting));
    struct list *link;
    while ((link = list_pop(&due)))
        try_once(dl, container_of(link, struct deadletter_entry, link));
    if (!list_is_empty(&dl->waiting))
        start_retry(dl);
}

struct deadletter *deadletter_new(struct loop *loop, struct kafka_producer *producer, const char *topic)
{
    struct deadletter *dl = xcalloc(1, sizeof *dl);
    dl->magic = DEADLETTER_MAGIC;
    dl->loop = loop;
    dl->producer = producer;
    dl->topic = xstrdup(topic);
    list_init(&dl->waiting);
    dl->retry_timer = loop_timer_new(loop, retry, dl);
    return dl;
}

void deadletter_free(struct deadletter **dl_p)
{
    struct deadletter *dl = *dl_p;
    if (!dl)
        return;
    *dl_p = NULL;
    loop_timer_free(&dl->retry_timer);
    while (list_pop(&dl->waiting))
        ;
    dl->is_closed = true;
    if (dl->producing == 0)
        destroy(dl);
}

void deadletter_send(struct deadletter *dl, struct deadletter_entry *entry)
{
    entry->deadletter = dl;
    entry->is_cancelled = entry->is_valueless = false;
    list_init(&entry->link);
    set_pending(dl, 1);
    try_once(dl, entry);
}

bool deadletter_cancel(struct deadletter_entry *entry)
{
    entry->is_cancelled = true;
    if (!entry->is_waiting)
        return false;
    list_remove(&entry->link);
    entry->is_waiting = false;
    set_pending(entry->deadletter, -1);
    return true;
}
