/*
 * The canary's client: it connects to this worker over a socket pair and speaks RFC 6455 on it like any other client,
 * so that what it sees has come through the session, the framing and the queue that everybody's messages come through.
 * It acknowledges each push as soon as it has told of it.
 */
#ifndef HERALD_GATEWAY_CANARY_CANARY_CLIENT_H
#define HERALD_GATEWAY_CANARY_CANARY_CLIENT_H

#include <stdbool.h>
#include <stddef.h>

#include "common/loop.h"
#include "gateway/ws/conn.h"

struct canary_client;

/* The content of a push, as JSON text; borrowed. */
typedef void canary_push_fn(void *arg, const char *content, size_t len);

/* loop, conns and path are borrowed. Not connected yet. */
struct canary_client *canary_client_new(struct loop *loop, struct conns *conns, const char *path, canary_push_fn *fn,
                                        void *arg);
void canary_client_free(struct canary_client **client);
/* No-op while there is a connection. */
void canary_client_connect(struct canary_client *client);
void canary_client_drop(struct canary_client *client);
/* Authenticated, so that pushes reach it. */
bool canary_client_is_open(const struct canary_client *client);

#endif
