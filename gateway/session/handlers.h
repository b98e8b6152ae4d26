/* What each type of client message does: one handler a file, found by a const table. */
#ifndef HERALD_GATEWAY_SESSION_HANDLERS_H
#define HERALD_GATEWAY_SESSION_HANDLERS_H

#include "gateway/session/client_message.h"
#include "gateway/session/sessions.h"

/* One message being handled. */
struct client_call {
    struct sessions *sessions;
    struct conn *conn;
    struct session *session; /* NULL before authentication */
    const struct client_message *message;
};

/* A message in text, from a connection in AUTH or OPEN. */
void handlers_take(struct sessions *sessions, struct conn *c, const char *text, size_t len);
/* The message broke a rule: answers {"type":"error"} with that code, and closes when it was one too many. */
void handlers_refuse(const struct client_call *call, int code, const char *why);

void handle_auth(struct client_call *call);
void handle_heartbeat(struct client_call *call);
void handle_ack(struct client_call *call);
void handle_message(struct client_call *call);

#endif
