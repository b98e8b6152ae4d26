/*
 * The sending side of permessage-deflate: payloads of frames go in, deflated frames come out. Whether one may refer to
 * what was sent before is its user's affair: deflater_clear() forgets that.
 */
#ifndef HERALD_GATEWAY_WS_DEFLATER_H
#define HERALD_GATEWAY_WS_DEFLATER_H

#include <stddef.h>

#include "common/message.h"

struct deflater;

enum { DEFLATER_BITS_MIN = 9 /* of the window: RFC 7692 has 8 too, zlib has not */ };

/* level: 1 (fast) to 9. window_bits: 9 to 15. */
struct deflater *deflater_new(int level, int window_bits);
void deflater_free(struct deflater **deflater);
/* Memory that it has. */
size_t deflater_bytes(const struct deflater *deflater);
/* What comes next does not refer to anything before. */
void deflater_clear(struct deflater *deflater);
/* A new message with the same frame, its payload deflated. NULL: it is no text or binary frame, is shorter than min_len
 * (at least 1), or would become more than `growth` bytes longer; in this last case what was before is forgotten. */
struct message *deflater_frame(struct deflater *deflater, const struct message *frame, size_t min_len, size_t growth);

#endif
