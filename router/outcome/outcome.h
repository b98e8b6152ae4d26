/*
 * Outcomes: every (record, target) ends in exactly one. It is counted, and published to herald.outcome, keyed by the
 * user, where the record asks for it or the configuration says all. The record is held, so that its offset is not
 * committed, until Kafka has what is to be published of it: so no outcome goes missing, and after a crash one may come
 * twice.
 */
#ifndef HERALD_ROUTER_OUTCOME_OUTCOME_H
#define HERALD_ROUTER_OUTCOME_OUTCOME_H

#include <stdbool.h>
#include <stdint.h>

#include "common/kafka.h"
#include "common/loop.h"
#include "link.pb-c.h"
#include "router/record/push.h"

/* The names are fixed: they stand in herald.outcome and in the label `outcome` of herald_router_outcomes_total. */
#define OUTCOME_LIST(X)                                                                                                \
    X(ACKED, "acked")         /* a client acknowledged it */                                                           \
    X(WRITTEN, "written")     /* volatile: handed to the kernel */                                                     \
    X(STORED, "stored")       /* waits in the mailbox */                                                               \
    X(SCHEDULED, "scheduled") /* waits for its time */                                                                 \
    X(EXPIRED, "expired")                                                                                              \
    X(DROPPED, "dropped") /* see the reason */                                                                         \
    X(DUPLICATE, "duplicate")                                                                                          \
    X(DEAD, "dead") /* could not be parsed or addressed */

enum outcome_kind {
#define X(name, label) OUTCOME_##name,
    OUTCOME_LIST(X)
#undef X
        OUTCOME_KIND_COUNT
};

const char *outcome_label(enum outcome_kind kind);
/* NULL-terminated, for the metric table. */
extern const char *const outcome_labels[];

struct record;

/* How long each part of the way took, in ms, as far as it is known by one clock. */
struct outcome_hops {
    uint32_t router_ms;  /* from reading the record until its lane had it */
    uint32_t gateway_ms; /* from there (another machine, from its coming in) until the kernel had it */
    uint32_t client_ms;  /* from there until it was acknowledged */
};

/* Everything is borrowed for the call. */
struct outcome {
    enum outcome_kind kind;
    const char *reason; /* short and constant ("offline", "slow" ...); NULL: none */
    struct push_str id, user, device;
    uint64_t seq;                    /* of an acknowledged durable message; 0: none */
    int64_t timestamp_ms;            /* of the record; latencyMs counts from here to now; 0: unknown */
    const char *instance;            /* that reported it; NULL: none */
    const char *source;              /* "topic/partition/offset": record->source */
    struct record *record;           /* held until Kafka has it; NULL: a later one, which nothing can be held for */
    const struct outcome_hops *hops; /* of what was delivered live; NULL: none */
    bool is_wanted;                  /* the record asked (push.is_outcome_wanted) */
    bool
        is_later; /* what became of a message that had its outcome `stored`: no part of the balance, not counted here */
};

struct outcome_settings {
    const char *topic;
    const char *router; /* this router's id */
    bool publish_all;
    uint32_t later_max; /* later outcomes that Kafka does not have yet; beyond it they are counted as lost */
};

/* Who told what became of a stored message, and is to be answered. */
struct outcome_teller {
    uint32_t number; /* of the instance, and its life */
    uint64_t generation;
    uint64_t fate; /* 0: no answer */
};

struct outcome_events {
    /* The record is not finished before it is released, as often as it was held; release is never called from inside.
     * An orphan is released when its outcome has failed once more: its next owner publishes one. */
    void (*hold)(void *arg, struct record *record);
    void (*release)(void *arg, struct record *record);
    /* Kafka has what it told, or it is not to be published; or too much waits: it is to tell it again. May be called
     * from inside outcome_report_late(). */
    void (*answer)(void *arg, const struct outcome_teller *teller, bool is_taken);
};

struct outcome_log;
/* The producer may be freed before or after the log. Strings of the settings are copied. */
struct outcome_log *outcome_log_new(struct loop *loop, struct kafka_producer *producer,
                                    const struct outcome_settings *settings, const struct outcome_events *events,
                                    void *arg);
/* Releases what it holds; what the producer has still, when that ends. */
void outcome_log_free(struct outcome_log **log);
/* Counts, and publishes if wanted, which is tried until Kafka has it. Never blocks. */
void outcome_report(struct outcome_log *log, const struct outcome *outcome);
/* A second word on a target that has ended as `stored`: what became of it in the mailbox, as a gateway on that instance
 * tells. Published like an outcome, but counted by itself: it is no part of the balance. */
void outcome_report_late(struct outcome_log *log, const char *instance, const struct outcome_teller *teller,
                         const Herald__V1__BoxFate *fate);

#endif
