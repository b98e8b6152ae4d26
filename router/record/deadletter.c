#include "router/record/deadletter.h"

#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/check.h"
#include "router/metrics.h"
#include "router/record/record.h"

enum { HEADER_MAX = 64 };

struct deadletter {
    struct sender *sender;
    struct kafka_header headers[HEADER_MAX + 2]; /* of the try in hand */
    struct buf why;
    uint32_t open;  /* letters that have not ended */
    bool is_closed; /* freed with the last of them */
};

static struct deadletter_entry *entry_of(const struct sending *sending)
{
    return container_of((struct sending *)(uintptr_t)sending, struct deadletter_entry, sending);
}

static size_t fill_headers(struct deadletter *dl, const struct deadletter_entry *entry)
{
    struct kafka_header *headers = dl->headers;
    size_t count = kafka_record_headers(&entry->record->kafka, headers, HEADER_MAX);
    if (count > HEADER_MAX)
        count = HEADER_MAX;
    if (entry->is_valueless)
        count = 0; /* they may be what is too large */
    buf_clear(&dl->why);
    buf_add_str(&dl->why, push_error_label(entry->error));
    buf_add_str(&dl->why, ": ");
    buf_add_str(&dl->why, push_error_text(entry->error));
    headers[count++] = (struct kafka_header){.name = "herald-error", .value = dl->why.bytes, .len = dl->why.len};
    const struct push_str *source = &entry->record->source;
    headers[count++] = (struct kafka_header){.name = "herald-source", .value = source->at, .len = source->len};
    return count;
}

static void fill(struct sending *sending, struct sender_message *message_r)
{
    struct deadletter_entry *entry = entry_of(sending);
    struct deadletter *dl = entry->deadletter;
    const struct kafka_record *record = &entry->record->kafka;
    *message_r = (struct sender_message){.key = record->key,
                                         .key_len = record->key_len,
                                         .value = entry->is_valueless ? NULL : record->value,
                                         .len = entry->is_valueless ? 0 : record->len,
                                         .headers = dl->headers,
                                         .header_count = fill_headers(dl, entry)};
}

/* Kafka will never take it as it is; that it is too large even without its value is left to a retry. */
static void failed(struct sending *sending, enum err err, const struct sender_message *message)
{
    struct deadletter_entry *entry = entry_of(sending);
    (void)message;
    entry->is_valueless = entry->is_valueless || err == ERR_TOO_LARGE;
}

static bool is_wanted(const struct sending *sending)
{
    return !entry_of(sending)->record->is_orphan;
}

static void destroy(struct deadletter *dl)
{
    buf_release(&dl->why);
    free(dl);
}

static void ended(struct sending *sending, bool is_sent)
{
    struct deadletter_entry *entry = entry_of(sending);
    struct deadletter *dl = entry->deadletter;
    (void)is_sent;
    dl->open--;
    entry->fn(entry->record);
    if (dl->is_closed && dl->open == 0)
        destroy(dl);
}

static const struct sender_kind sender_kind = {.fill = fill,
                                               .failed = failed,
                                               .is_wanted = is_wanted,
                                               .ended = ended,
                                               .pending_gauge = METRIC_DEADLETTERS_PENDING,
                                               .retry_counter = METRIC_DEADLETTER_RETRIES,
                                               .sent_counter = METRIC_DEADLETTERS};

struct deadletter *deadletter_new(struct loop *loop, struct kafka_producer *producer, const char *topic)
{
    struct deadletter *dl = xcalloc(1, sizeof *dl);
    dl->sender = sender_new(loop, producer, topic, &sender_kind);
    buf_init(&dl->why);
    return dl;
}

void deadletter_free(struct deadletter **dl_p)
{
    struct deadletter *dl = *dl_p;
    if (!dl)
        return;
    *dl_p = NULL;
    sender_free(&dl->sender);
    dl->is_closed = true;
    if (dl->open == 0)
        destroy(dl);
}

void deadletter_send(struct deadletter *dl, struct deadletter_entry *entry)
{
    entry->deadletter = dl;
    entry->is_valueless = false;
    dl->open++;
    sender_send(dl->sender, &entry->sending);
}
