/*
 * Appends to mailboxes: one call of box_append for a run of messages of one user (or device), in order, each at most
 * once for its source position. The reply tells where the user's live sessions are: their instances get a poke, after
 * which they drain. What has to leave the box for it gets an outcome of its own, later than its `stored`.
 *
 *     mailbox_begin(); mailbox_put() ...; mailbox_send()      within one call, nothing in between
 */
#ifndef HERALD_ROUTER_BOX_MAILBOX_H
#define HERALD_ROUTER_BOX_MAILBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/redis.h"
#include "router/link/lanes.h"
#include "router/outcome/outcome.h"
#include "router/record/push.h"
#include "router/record/record.h"

enum { MAILBOX_RUN_MAX = 128, MAILBOX_RUN_BYTES = 1024 * 1024 };

enum mailbox_policy { MAILBOX_DROP_OLDEST, MAILBOX_DROP_NEWEST };

struct mailbox_settings {
    int64_t count_max, bytes_max, ttl_ms; /* of a box */
    int policy;                           /* when it is full: enum mailbox_policy */
};

struct mailbox;
/* ERR_OK: all of the run is in the box, but for those where is_refused (borrowed; in the order of putting): the box is
 * full. Else it may be or not, and is to be sent again. ERR_REFUSED: a newer owner of the partition of some of them has
 * been here; those will never be taken. */
typedef void mailbox_fn(void *arg, enum err err, const bool *is_refused);
/* A message that had been stored has left the box, unread, for its age or to make room. */
typedef void mailbox_left_fn(void *arg, const struct outcome *outcome);

struct mailbox *mailbox_new(struct redis *redis, struct lanes *lanes, const struct mailbox_settings *settings,
                            mailbox_left_fn *on_left, void *arg);
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
