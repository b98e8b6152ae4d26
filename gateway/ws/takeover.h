/*
 * Context takeover of permessage-deflate (RFC 7692 section 7.1.1): connections that have a deflater of their own, whose
 * window lasts from message to message, so that messages which resemble each other become a fraction. Two prices: tens
 * of kilobytes for each of them, so there is a budget, and who comes when it is spent gets none; and a message to many
 * is deflated for each.
 *
 * Connections are known by their id, and the rest of the gateway has nothing of this but a bit of each connection.
 * A window comes into being with the first message that is deflated, and may be forgotten at any time: what is sent
 * next then refers to nothing, which is allowed always.
 */
#ifndef HERALD_GATEWAY_WS_TAKEOVER_H
#define HERALD_GATEWAY_WS_TAKEOVER_H

#include <stddef.h>
#include <stdint.h>

#include "common/message.h"

struct takeover;

enum { TAKEOVER_GROWTH = 16 /* bytes that a frame may become longer: rather that than to forget the window */ };

struct takeover_settings {
    int64_t budget; /* bytes; 0: none has a window that lasts */
    int64_t window_bits, min_len;
};

/* The settings are borrowed. level: of deflate, 1 to 9. */
struct takeover *takeover_new(const struct takeover_settings *settings, int level);
void takeover_free(struct takeover **takeover);
/* Bits of the window that another connection can have; 0: none, the budget is spent. */
int takeover_bits(const struct takeover *takeover);
/* Only while takeover_bits() allows it. Counts as much as the largest window, from now on. */
void takeover_add(struct takeover *takeover, uint64_t conn_id, int window_bits);
void takeover_remove(struct takeover *takeover, uint64_t conn_id);
/* The frame as this connection has to get it, a new reference; all frames made so have to be sent, in this order. */
struct message *takeover_frame(struct takeover *takeover, uint64_t conn_id, struct message *frame);
/* Gives back the memory of all windows; those that are used come again. */
void takeover_trim(struct takeover *takeover);

#endif
