/*
 * The durable pushes of one session that were sent and not acknowledged yet, oldest first: their seqs follow one
 * another without a gap. Exists only while there are any (a NULL pointer is an empty one). Pure.
 */
#ifndef HERALD_GATEWAY_SESSION_UNACKED_H
#define HERALD_GATEWAY_SESSION_UNACKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/message.h"

struct unacked;

struct letter;

/* BOX: came out of a mailbox, where it stays until acknowledged. */
enum unacked_origin { UNACKED_LIVE, UNACKED_USER_BOX, UNACKED_DEVICE_BOX };

struct unacked_entry {
    uint64_t id_hash; /* of the message's id, for acknowledging by id */
    union {
        void *receipt;         /* LIVE */
        struct letter *letter; /* BOX; whoever takes the entry out owns it */
    };
    struct message *cancel; /* of a message with `once`: the frame that takes it back, a reference; else NULL */
    union {
        uint32_t len;        /* bytes of the frame, until it is written */
        uint32_t written_ms; /* then: when that was, as unacked_mark_written() said; 0: not known */
    };
    uint8_t origin;
    bool is_written; /* handed to the kernel */
    bool is_done;    /* acknowledged by id, behind an older one that is not */
};

typedef void unacked_fn(void *arg, uint64_t seq, const struct unacked_entry *entry);

/* Takes over the reference to the cancel frame. seq must be one more than that of the newest entry there is. */
void unacked_add(struct unacked **ring, uint64_t seq, const struct unacked_entry *entry);
/* From the oldest to the newest; bounds the memory. */
uint32_t unacked_count(const struct unacked *ring);
/* Bytes of frames that the kernel has not taken yet. */
size_t unacked_unwritten(const struct unacked *ring);
/* No-op when it is not (any more) in the ring. */
void unacked_mark_written(struct unacked *ring, uint64_t seq, uint32_t now_ms);

/* These take entries out, call fn for each that was not done before, and free the ring when it is empty.
 * fn must not touch the ring. They return how often they called it. */
uint32_t unacked_ack_through(struct unacked **ring, uint64_t seq, unacked_fn *fn, void *arg);
uint32_t unacked_ack_id(struct unacked **ring, uint64_t id_hash, unacked_fn *fn, void *arg);
uint32_t unacked_take_all(struct unacked **ring, unacked_fn *fn, void *arg);

#endif
