/*
 * Appends to mailboxes: one call of box_append for a run of messages of one user (or device), in order, each at most
 * once for its source position. The reply tells where the user's live sessions are: their instances get a poke, after
 * which they drain.
 *
 *     mailbox_begin(); mailbox_put() ...; mailbox_send()      within one call, nothing in between
 */
#ifndef HERALD_ROUTER_MAILBOX_H
#define HERALD_ROUTER_MAILBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/redis.h"
#include "router/lane.h"
#include "router/push.h"
#include "router/source.h"

enum { MAILBOX_RUN_MAX = 128, MAILBOX_RUN_BYTES = 1024 * 1024 };

struct mailbox_settings {
    int64_t count_max, bytes_max, ttl_ms; /* of a box */
};

struct mailbox;
/* ERR_OK: all of the run is in the box. Else it may be or not, and is to be sent again. */
typedef void mailbox_fn(void *arg, enum err err);

struct mailbox *mailbox_new(struct redis *redis, struct lanes *lanes, const struct mailbox_settings *settings);
/* No call may be under way. */
void mailbox_free(struct mailbox **mailbox);
bool mailbox_is_up(const struct mailbox *mailbox);
/* device "": the user's own box. Both borrowed until mailbox_send(); the strings in `arg`'s care until fn. */
void mailbox_begin(struct mailbox *mailbox, struct push_str user, struct push_str device);
/* Packs the record. False: the run is long enough now, send it (this record is in it). */
bool mailbox_put(struct mailbox *mailbox, const struct record *record);
/* fn is called exactly once, never from inside, when ERR_OK is returned; else not at all. */
enum err mailbox_send(struct mailbox *mailbox, mailbox_fn *fn, void *arg) MUST_CHECK;

#endif
