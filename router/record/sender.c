#include "router/record/sender.h"

#include <stdlib.h>

#include "common/check.h"
#include "common/log.h"
#include "common/metric.h"

enum {
    SENDER_MAGIC = 0x53454e44,
    RETRY_MS = 1000,
    RETRY_BATCH = 256, /* while Kafka is away */
    RETRY_STEP = 4     /* with each item that Kafka takes: it is back, and what waits goes ever faster */
};

struct sender {
    unsigned magic;
    struct kafka_producer *producer;
    char *topic;
    const struct sender_kind *kind;
    struct list waiting; /* for their next try */
    struct loop_timer *retry_timer;
    uint32_t pending;   /* not ended */
    uint32_t producing; /* of them, with the producer */
    bool is_retry_due;
    bool is_closed; /* freed with the last one that the producer holds */
};

static void set_pending(struct sender *sender, int change)
{
    sender->pending = (uint32_t)((int64_t)sender->pending + change);
    metric_set(sender->kind->pending_gauge, sender->pending);
}

static void end(struct sender *sender, struct sending *sending, bool is_sent)
{
    if (is_sent)
        metric_add(sender->kind->sent_counter, 1);
    set_pending(sender, -1);
    sender->kind->ended(sending, is_sent);
}

static void start_retry(struct sender *sender)
{
    if (!sender->is_retry_due)
        loop_timer_start(sender->retry_timer, RETRY_MS, 0);
    sender->is_retry_due = true;
}

static void wait_for_retry(struct sender *sender, struct sending *sending, enum err err,
                           const struct sender_message *message)
{
    if (sender->kind->failed)
        sender->kind->failed(sending, err, message);
    list_push(&sender->waiting, &sending->link);
    metric_add(sender->kind->retry_counter, 1);
    start_retry(sender);
    log_limited(LOG_WARN, "Kafka did not take a record, it will be tried again", F_STR("topic", sender->topic),
                F_ERR(err), F_UINT("waiting", sender->pending));
}

static void on_delivered(void *arg, enum err err);

/* False: the producer takes nothing now. */
static bool try_once(struct sender *sender, struct sending *sending)
{
    struct sender_message message = {0};
    sender->kind->fill(sending, &message);
    enum err err = kafka_produce(sender->producer, sender->topic, message.key, message.key_len, message.value,
                                 message.len, message.headers, message.header_count, on_delivered, sending);
    if (err == ERR_OK)
        sender->producing++;
    else
        wait_for_retry(sender, sending, err, &message);
    return err == ERR_OK || err == ERR_TOO_LARGE; /* that is the item's own fault */
}

static void retry(struct sender *sender, int count)
{
    struct list *link;
    bool is_taking = true;
    while (is_taking && count-- > 0 && (link = list_pop(&sender->waiting))) {
        struct sending *sending = container_of(link, struct sending, link);
        if (sender->kind->is_wanted(sending))
            is_taking = try_once(sender, sending);
        else
            end(sender, sending, false);
    }
}

static void on_retry_time(void *arg)
{
    struct sender *sender = arg;
    MAGIC_CHECK(sender, SENDER_MAGIC);
    sender->is_retry_due = false;
    retry(sender, RETRY_BATCH);
    if (!list_is_empty(&sender->waiting))
        start_retry(sender);
}

static void destroy(struct sender *sender)
{
    sender->magic = 0;
    free(sender->topic);
    free(sender);
}

static void on_delivered(void *arg, enum err err)
{
    struct sending *sending = arg;
    struct sender *sender = sending->sender;
    MAGIC_CHECK(sender, SENDER_MAGIC);
    sender->producing--;
    if (err == ERR_OK || sender->is_closed || !sender->kind->is_wanted(sending)) {
        end(sender, sending, err == ERR_OK);
    } else {
        struct kafka_record unsent;
        kafka_unsent(sender->producer, &unsent);
        const struct sender_message message = {
            .key = unsent.key, .key_len = unsent.key_len, .value = unsent.value, .len = unsent.len};
        wait_for_retry(sender, sending, err, &message);
    }
    if (err == ERR_OK && !sender->is_closed)
        retry(sender, RETRY_STEP);
    if (sender->is_closed && sender->producing == 0)
        destroy(sender);
}

struct sender *sender_new(struct loop *loop, struct kafka_producer *producer, const char *topic,
                          const struct sender_kind *kind)
{
    struct sender *sender = xcalloc(1, sizeof *sender);
    sender->magic = SENDER_MAGIC;
    sender->producer = producer;
    sender->topic = xstrdup(topic);
    sender->kind = kind;
    list_init(&sender->waiting);
    sender->retry_timer = loop_timer_new(loop, on_retry_time, sender);
    return sender;
}

void sender_free(struct sender **sender_p)
{
    struct sender *sender = *sender_p;
    struct list *link;
    if (!sender)
        return;
    *sender_p = NULL;
    loop_timer_free(&sender->retry_timer);
    sender->is_closed = true;
    while ((link = list_pop(&sender->waiting)))
        end(sender, container_of(link, struct sending, link), false);
    if (sender->producing == 0)
        destroy(sender);
}

void sender_send(struct sender *sender, struct sending *sending)
{
    sending->sender = sender;
    list_init(&sending->link);
    set_pending(sender, 1);
    (void)try_once(sender, sending);
}

uint32_t sender_pending(const struct sender *sender)
{
    return sender->pending;
}
