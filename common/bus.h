/*
 * ZeroMQ PUSH and PULL on the loop (only bus.c includes zmq.h). ZMQ_FD is edge-triggered: after every send and every
 * receive the events are looked at again, so that none is missed. High-water marks bound what is queued.
 */
#ifndef HERALD_COMMON_BUS_H
#define HERALD_COMMON_BUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "loop.h"

struct bus; /* one ZeroMQ context a process, made after fork() */
struct bus_pull;
struct bus_push;

struct bus *bus_new(struct loop *loop);
/* All sockets must have been freed. */
void bus_free(struct bus **bus);

typedef void bus_recv_fn(void *arg, const void *bytes, size_t len);
enum bus_event { BUS_CONNECTED, BUS_DISCONNECTED };
typedef void bus_event_fn(void *arg, enum bus_event event);

/* Binds tcp://host:port (port 0 or "*": any). At most max_len bytes a message (ZMQ_MAXMSGSIZE: the peer that sends more
 * is cut off). At most 256 messages are handed out a loop turn. `fn` may free the pull. ERR_SYSTEM: the address cannot
 * be bound; ERR_FULL: no more sockets. */
enum err bus_pull_bind(struct bus *bus, const char *endpoint, int hwm, size_t max_len, bus_recv_fn *fn, void *arg,
                       struct bus_pull **pull_r) MUST_CHECK;
/* The port it is bound to. */
uint16_t bus_pull_port(const struct bus_pull *pull);
void bus_pull_free(struct bus_pull **pull);

/* Connects to an endpoint; reconnects by itself (100 ms .. 1 s). Until BUS_CONNECTED and from BUS_DISCONNECTED on a
 * send is ERR_FULL, so that a lane fails fast instead of queueing to nobody (ZMQ_IMMEDIATE); what was queued when a
 * connection broke is lost. BUS_CONNECTED comes after the ZeroMQ handshake; the two events alternate. on_event and
 * on_room may be NULL; on_room is called when a send that said ERR_FULL may be tried again. Both may free the push.
 * ERR_INVALID: not an endpoint; ERR_FULL: no more sockets. */
enum err bus_push_connect(struct bus *bus, const char *endpoint, int hwm, bus_event_fn *on_event, loop_fn *on_room,
                          void *arg, struct bus_push **push_r) MUST_CHECK;
/* Takes a malloc()ed buffer, to be freed by the bus also on error. Never blocks, never calls back. ERR_FULL: high-water
 * mark, or not connected. A message beyond the receiver's max_len breaks the connection: look before. */
enum err bus_push_send(struct bus_push *push, void *bytes, size_t len) MUST_CHECK;
/* What was queued and not yet sent is dropped (linger 0). */
void bus_push_free(struct bus_push **push);

#endif
