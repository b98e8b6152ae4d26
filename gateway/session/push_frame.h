/*
 * A delivery as the client sees it: {"type":"push","id":..,"seq":..,"content":<as produced>,"timestamp":..,"from":..}
 * in a WebSocket text frame. Encoded once for everybody where there is no seq; with one, only the few bytes that differ
 * are written anew and the content is copied once. One push_frame is reused over and over.
 */
#ifndef HERALD_GATEWAY_SESSION_PUSH_FRAME_H
#define HERALD_GATEWAY_SESSION_PUSH_FRAME_H

#include <stdint.h>

#include "common/buf.h"
#include "common/message.h"
#include "link.pb-c.h"

struct push_frame {
    const Herald__V1__Delivery *delivery; /* borrowed, until the next set */
    struct buf head, tail;                /* what stands before seq and behind content; empty until needed */
    struct message *shared;               /* NULL until asked for */
};

void push_frame_init(struct push_frame *frame);
void push_frame_release(struct push_frame *frame);
void push_frame_set(struct push_frame *frame, const Herald__V1__Delivery *delivery);
/* Without a seq. Borrowed: the push_frame holds the reference. */
struct message *push_frame_shared(struct push_frame *frame);
/* With one. A new message: the caller has its reference. */
struct message *push_frame_with_seq(struct push_frame *frame, uint64_t seq);

/* Where in the shared frame a seq would stand. */
uint32_t push_frame_split(struct push_frame *frame);
/* A shared frame, with a seq put in there. A new message: the caller has its reference. */
struct message *push_frame_numbered(const struct message *shared, uint32_t split, uint64_t seq);
/* {"type":"cancel","id":..}: takes the push back. A new message: the caller has its reference. */
struct message *push_frame_cancel(struct push_frame *frame);

#endif
