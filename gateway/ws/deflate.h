/*
 * permessage-deflate (RFC 7692) without context takeover: so nothing is kept for a connection but one bit, all of a
 * worker share one deflater and one inflater, and a frame that goes to many is deflated once. What is agreed on:
 * ws/deflate_offer.h; windows that last from message to message: ws/takeover.h.
 */
#ifndef HERALD_GATEWAY_WS_DEFLATE_H
#define HERALD_GATEWAY_WS_DEFLATE_H

#include <stddef.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/message.h"

struct deflate;

enum { DEFLATE_WINDOW_BITS = 13 /* of what we send: messages are small, and each begins with an empty window */ };

/* level: 1 (fast) to 9. min_len: payloads shorter than that are sent as they are. */
struct deflate *deflate_new(int level, size_t min_len);
void deflate_free(struct deflate **deflate);

/* The same frame with its payload deflated; or `frame` itself where that is no shorter, or it is no text or binary
 * frame. Made once and kept with the frame, so borrowed as long as the frame is. */
struct message *deflate_frame(struct deflate *deflate, struct message *frame);

/* Appends what was deflated to `out`. ERR_INVALID: it was not; ERR_TOO_LARGE: more than max bytes (then `out` holds
 * some of them). */
enum err deflate_inflate(struct deflate *deflate, const char *bytes, size_t len, size_t max,
                         struct buf *out) MUST_CHECK;

#endif
