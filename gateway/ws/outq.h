/*
 * The frames that wait to be written to one connection, in order. A connection has one only while something is queued;
 * queues and their nodes come from the worker's pool. Pure: what is written is told to it, and it tells which frames
 * are done.
 */
#ifndef HERALD_GATEWAY_WS_OUTQ_H
#define HERALD_GATEWAY_WS_OUTQ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "common/list.h"
#include "common/message.h"
#include "common/wheel.h"

struct conn;
struct outq_pool;

enum { OUTQ_FRAME_COST = 64 }; /* what a frame counts beside its bytes: many tiny ones are bounded too */

/* Of outq.c alone. */
struct out_frame {
    struct out_frame *next;
    struct message *message;
    void *receipt;
    uint64_t queued_ms;
};

/* Exposed for its owner, which keeps it on a list of its own. */
struct outq {
    struct list dirty;       /* to be flushed at the end of this turn */
    struct wheel_entry late; /* or then, unless something that does not wait comes before */
    struct conn *conn;
    struct out_frame *first, *last;
    struct out_frame own; /* unless it is used already: most queues never have a second one */
    size_t first_written; /* bytes of the first frame that are gone already */
    size_t cost;          /* of all frames: their bytes and OUTQ_FRAME_COST each */
    bool is_blocked;      /* the kernel took no more: waiting for LOOP_WRITE */
};

/* Called for each frame that leaves and has a receipt. */
typedef void outq_done_fn(struct conn *c, void *receipt);

struct outq_pool *outq_pool_new(void);
/* All queues must have been put back. */
void outq_pool_free(struct outq_pool **pool);
/* Of all queues together. */
size_t outq_pool_cost(const struct outq_pool *pool);

struct outq *outq_get(struct outq_pool *pool, struct conn *c);
/* Must be empty. */
void outq_put(struct outq_pool *pool, struct outq **q);

/* Takes its own reference. */
void outq_push(struct outq_pool *pool, struct outq *q, struct message *frame, void *receipt, uint64_t now_ms);
/* The bytes to write next, in at most `max` pieces; returns how many pieces, and their bytes in *bytes_r. */
int outq_gather(const struct outq *q, struct iovec *pieces_r, int max, size_t *bytes_r);
/* So many bytes were written. Returns how many frames left with them. */
unsigned outq_wrote(struct outq_pool *pool, struct outq *q, size_t bytes, outq_done_fn *done);
/* Drops the frames, except, with keep_started, one that is written in part. */
void outq_drop(struct outq_pool *pool, struct outq *q, bool keep_started, outq_done_fn *done);
/* When the oldest was queued; UINT64_MAX: it is empty. */
uint64_t outq_oldest_ms(const struct outq *q);

#endif
