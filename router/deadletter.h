/*
 * The dead-letter topic: records that could not be understood, as they came (key, value, headers), with the headers
 * herald-error ("label: text") and herald-source ("topic/partition/offset") added. A letter is tried until Kafka has
 * it. One that Kafka calls too large goes without its value: herald-source tells where the original is.
 */
#ifndef HERALD_ROUTER_DEADLETTER_H
#define HERALD_ROUTER_DEADLETTER_H

#include <stdbool.h>

#include "common/kafka.h"
#include "common/list.h"
#include "common/loop.h"
#include "router/push.h"

typedef void deadletter_fn(void *arg);

/* Embedded in what owns the record, which must stay until fn was called or deadletter_cancel() said true. */
struct deadletter_entry {
    struct list link;
    struct deadletter *deadletter;
    const struct kafka_record *record;
    const char *source; /* "topic/partition/offset" */
    enum push_error error;
    deadletter_fn *fn; /* Kafka has it; or, after an earlier cancel, it is given up */
    void *arg;
    bool is_waiting; /* for its next try, not with the producer */
    bool is_cancelled;
    bool is_valueless;
};

struct deadletter;
struct deadletter *deadletter_new(struct loop *loop, struct kafka_producer *producer, const char *topic);
/* Waiting entries are forgotten without a call; those with the producer still get theirs. */
void deadletter_free(struct deadletter **deadletter);
/* The caller fills record, source, error, fn and arg. fn is never called from inside. */
void deadletter_send(struct deadletter *deadletter, struct deadletter_entry *entry);
/* No further tries. True: it is forgotten at once, fn will not be called. False: the producer holds it, fn follows. */
bool deadletter_cancel(struct deadletter_entry *entry);

#endif
