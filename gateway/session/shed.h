/* When memory is short: the slowest sessions are closed, so that the others can stay. */
#ifndef HERALD_GATEWAY_SESSION_SHED_H
#define HERALD_GATEWAY_SESSION_SHED_H

#include <stddef.h>

struct sessions;

/* A session that holds less is not worth its reconnection. */
enum { SHED_LEAST_BYTES = 16 * 1024 };

/* Closes (SHED) those whose connections take no more and for which most is queued, largest first, until that was
 * `excess` bytes. What was durable in it is reported CLOSED, and so goes to the mailbox. Returns the bytes; frames that
 * others share stay. Never inside an upcall. */
size_t sessions_shed(struct sessions *sessions, size_t excess);

#endif
