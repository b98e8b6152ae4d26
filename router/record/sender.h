/*
 * Sends what Kafka must get, to one topic: each item is tried until Kafka has it, or until nobody wants it any more
 * because another router will send it. What it is for (a record whose offset must not be committed before) waits with
 * it, so what waits is bounded by whoever sends.
 *
 * Order: items that Kafka takes at once keep theirs; one that was tried again comes behind later ones.
 */
#ifndef HERALD_ROUTER_RECORD_SENDER_H
#define HERALD_ROUTER_RECORD_SENDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/kafka.h"
#include "common/list.h"
#include "common/loop.h"

struct sender;

/* Embedded in what is sent, which stays until ended(). */
struct sending {
    struct list link;
    struct sender *sender;
};

/* Borrowed. */
struct sender_message {
    const void *key, *value;
    size_t key_len, len;
    const struct kafka_header *headers;
    size_t header_count;
};

/* None of these is called from inside sender_send(), but fill() and failed(). */
struct sender_kind {
    /* For each try; borrowed until the next call. */
    void (*fill)(struct sending *sending, struct sender_message *message_r);
    /* Kafka did not take this; it will be tried again. Headers are not told. May be NULL. */
    void (*failed)(struct sending *sending, enum err err, const struct sender_message *message);
    /* Asked after each failure, and before each further try. */
    bool (*is_wanted)(const struct sending *sending);
    /* Kafka has it; or it was given up, as nobody wants it, or at the end. */
    void (*ended)(struct sending *sending, bool is_sent);
    unsigned pending_gauge, retry_counter, sent_counter;
};

/* topic is copied, kind borrowed. */
struct sender *sender_new(struct loop *loop, struct kafka_producer *producer, const char *topic,
                          const struct sender_kind *kind);
/* What waits for its next try ends now. What the producer holds ends with it, before or after this. */
void sender_free(struct sender **sender);
void sender_send(struct sender *sender, struct sending *sending);
/* Items that have not ended. */
uint32_t sender_pending(const struct sender *sender);

#endif
