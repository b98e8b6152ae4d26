/*
 * A session that is not live: its mailboxes hold something, or are not known to be empty. The drain reads the user's
 * mailbox page by page, then the device's, sends the entries as durable pushes within the session's window, and has
 * them removed when the client acknowledges. Both boxes seen empty: the session is live, the drain is freed.
 *
 *     WAITING  for the registration, for a poke, or for the timer
 *     READING  a page is on its way
 *     SENDING  for acknowledgements, or for room to send more
 *
 * A poke says that a router appended something after it found this session: whatever was seen empty before does not
 * count any more. The counterpart is box_append.lua: see there why no entry is left behind.
 */
#ifndef HERALD_GATEWAY_SESSION_DRAIN_H
#define HERALD_GATEWAY_SESSION_DRAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "common/wheel.h"
#include "gateway/session/session.h"

/* Not live from now on. Waits for drain_registered() or drain_poke(). */
void drain_open(struct session *s);
void drain_free(struct session *s);
/* A live session refused a durable push: what follows must not overtake it, so it waits for the poke that comes when
 * the router has put it into the mailbox; after a while it looks by itself. */
void drain_fall_behind(struct session *s);
/* The route is registered or refreshed, and so many entries are in the boxes. */
void drain_registered(struct session *s, int64_t box_len);
void drain_poke(struct session *s);
/* Something was acknowledged or written: there may be room for more. */
void drain_continue(struct session *s);
/* Entries were removed from a box, `left` are in it. */
void drain_box_acked(struct session *s, enum unacked_origin box, enum err err, int64_t left);
/* An entry of a box that this session sent was acknowledged by its client. */
void drain_entry_acked(struct session *s, enum unacked_origin box);
/* The wheel's callback. */
void drain_due(struct wheel_entry *entry, void *arg);

#endif
