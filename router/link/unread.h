/*
 * Bytes that were sent to a gateway and that it has not taken: in ZeroMQ's queues on both sides and in the kernel's
 * buffers. ZeroMQ bounds messages, which may be of any size; and the deadline of a delivery ends its charge to the
 * lane, while its bytes still wait. A gateway echoes each hello when it gets to it, so all that was sent before that is
 * taken. Pure.
 */
#ifndef HERALD_ROUTER_LINK_UNREAD_H
#define HERALD_ROUTER_LINK_UNREAD_H

#include <stdbool.h>
#include <stdint.h>

enum { UNREAD_MARKS = 8 };

/* Embedded in a lane; zero: nothing was sent. */
struct unread {
    uint64_t sent, taken;
    struct {
        uint64_t us, sent; /* a hello's time, and what had been sent when it was put */
    } marks[UNREAD_MARKS];
    unsigned last; /* mark */
};

void unread_sent(struct unread *unread, uint64_t bytes);
/* A hello with that time is about to go. */
void unread_mark(struct unread *unread, uint64_t us);
/* It came back. False: it says nothing new. */
bool unread_echoed(struct unread *unread, uint64_t us);
uint64_t unread_bytes(const struct unread *unread);
/* So much was sent since the last hello that waiting for the next would look as if the gateway were slow. */
bool unread_wants_mark(const struct unread *unread, uint64_t max);

#endif
