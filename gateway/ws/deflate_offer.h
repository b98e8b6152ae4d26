/*
 * What a client and we agree on about permessage-deflate (RFC 7692 section 7.1). The client never keeps a window, so
 * that we need none of its to inflate; we keep one where it lets us and there is memory for it.
 */
#ifndef HERALD_GATEWAY_WS_DEFLATE_OFFER_H
#define HERALD_GATEWAY_WS_DEFLATE_OFFER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"

struct deflate_terms {
    bool is_agreed;
    bool may_take_over;   /* the client would inflate with a window that lasts */
    bool is_takeover;     /* and that is what we do */
    bool is_window_asked; /* the answer has to say how large it is */
    uint8_t window_bits;  /* of what we send */
};

/* An item of Sec-WebSocket-Extensions, cut up in place: is it an offer that can be accepted? takeover_bits: the largest
 * window that lasts which we have to give; 0: none. */
bool deflate_offer_accept(char *offer, int takeover_bits, struct deflate_terms *terms_r);
/* Appends what Sec-WebSocket-Extensions of the answer says. */
void deflate_offer_answer(const struct deflate_terms *terms, struct buf *out);

#endif
