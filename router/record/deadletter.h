/*
 * The dead-letter topic: records that could not be understood, as they came (key, value, headers), with the headers
 * herald-error ("label: text") and herald-source ("topic/partition/offset") added. A letter is tried until Kafka has
 * it, or its record is an orphan. One that Kafka calls too large goes without its value: herald-source tells where the
 * original is.
 */
#ifndef HERALD_ROUTER_RECORD_DEADLETTER_H
#define HERALD_ROUTER_RECORD_DEADLETTER_H

#include <stdbool.h>

#include "common/kafka.h"
#include "common/loop.h"
#include "router/record/push.h"
#include "router/record/sender.h"

struct record;

/* Kafka has it; or the record is an orphan, and it was given up. */
typedef void deadletter_fn(struct record *record);

/* Embedded in the record, which must stay until fn was called. */
struct deadletter_entry {
    struct sending sending;
    struct deadletter *deadletter;
    struct record *record;
    enum push_error error;
    deadletter_fn *fn;
    bool is_valueless;
};

struct deadletter;
struct deadletter *deadletter_new(struct loop *loop, struct kafka_producer *producer, const char *topic);
/* fn is called for what waits for its next try; what is with the producer gets its call when that ends. */
void deadletter_free(struct deadletter **deadletter);
/* The caller fills record, error and fn. fn is never called from inside. */
void deadletter_send(struct deadletter *deadletter, struct deadletter_entry *entry);

#endif
