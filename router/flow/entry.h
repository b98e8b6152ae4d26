/*
 * One target of a record, from the moment it is accepted to its one outcome. While it is unfinished it is in one place:
 * claiming its id (claim; a durable one is held in its flow meanwhile), waiting for its route (waiter), held in its
 * flow, out on one or more lanes (slots), or in a run on its way to the mailbox.
 */
#ifndef HERALD_ROUTER_FLOW_ENTRY_H
#define HERALD_ROUTER_FLOW_ENTRY_H

#include "common/list.h"
#include "router/flow/dedup.h"
#include "router/flow/each.h"
#include "router/flow/flow.h"
#include "router/flow/inflight.h"
#include "router/route/resolver.h"
#include "router/record/record.h"

/* Why it did not arrive: labels of metrics and reasons of outcomes, so they are constants. */
#define MISS_LIST(X)                                                                                                   \
    X(NONE, "")                                                                                                        \
    X(OFFLINE, "offline")     /* no live route */                                                                      \
    X(BOX, "mailbox")         /* behind others in the mailbox */                                                       \
    X(NOT_HERE, "not_here")   /* the gateway has no such session */                                                    \
    X(CLOSED, "closed")       /* the session closed before it acknowledged */                                          \
    X(STALE, "stale")         /* a newer session, unknown to the router, was there */                                  \
    X(GAP, "gap")             /* the session did not take what was sent before it */                                   \
    X(OVERTAKEN, "overtaken") /* the session has had newer ones from the mailbox */                                    \
    X(DRAINING, "draining")   /* the session is emptying the mailbox */                                                \
    X(WINDOW, "window")       /* the session has too much unacknowledged */                                            \
    X(SLOW, "slow")           /* the session's queue is full */                                                        \
    X(MEMORY, "memory")       /* the session is slow, and the gateway short of memory */                               \
    X(EXPIRED, "expired")     /* too old when the gateway got to it */                                                 \
    X(REFUSED, "refused")     /* by the gateway, for another reason */                                                 \
    X(TIMEOUT, "timeout")     /* no result in time */                                                                  \
    X(LANE_FULL, "lane_full")                                                                                          \
    X(GONE, "gone")             /* the instance died or is silent */                                                   \
    X(COLLAPSED, "collapsed")   /* a newer one with its collapse key took its place */                                 \
    X(BEHIND, "behind")         /* kept in order behind one that failed */                                             \
    X(NO_GATEWAY, "no_gateway") /* to all, and there is none */                                                        \
    X(MAILBOX_FULL, "mailbox_full")                                                                                    \
    X(OLD_OWNER, "old_owner") /* the gateway knows a newer owner of the partition */                                   \
    X(UNSUPPORTED, "unsupported")

enum miss {
#define X(name, label) MISS_##name,
    MISS_LIST(X)
#undef X
        MISS_COUNT
};
extern const char *const miss_labels[]; /* NULL-terminated */
/* The gateway's word for it; MISS_REFUSED for one that is not known here. */
enum miss miss_of_reason(const char *reason);

struct entry {
    unsigned magic;
    struct record *record;         /* one reference */
    struct flow_item item;         /* durable */
    struct resolver_waiter waiter; /* also names user and device */
    struct dedup_claim claim;      /* of the id that the producer gave */
    struct each_item each;
    char *device;             /* its own copy of the device's name, where the record does not have it; else NULL */
    struct list slots;        /* by entry_link: attempts under way */
    struct list all_link;     /* of the dispatch */
    struct list record_link;  /* of the record's targets */
    struct list stalled_link; /* the first of a run that waits for Redis */
    bool is_retried;          /* volatile: was resolved a second time */
    uint8_t miss;             /* enum miss: of the last attempt that failed */
    uint32_t written_count;   /* to all: instances that have written it */
    uint64_t session_count;   /* to all: sessions it was written to */
};

#define ENTRY_MAGIC 0x656e7472u

#endif
