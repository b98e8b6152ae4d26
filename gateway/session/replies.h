/* The small frames that answer a client. */
#ifndef HERALD_GATEWAY_SESSION_REPLIES_H
#define HERALD_GATEWAY_SESSION_REPLIES_H

#include <stddef.h>

#include "gateway/session/session.h"

void reply_auth_ok(struct session *s);
/* auth_response 401. The caller closes. */
void reply_auth_refused(struct sessions *sessions, struct conn *conn, const char *why);
void reply_heartbeat(struct sessions *sessions, struct conn *conn);
/* id_len 0: the client gave none. */
void reply_message(struct sessions *sessions, struct conn *conn, const char *id, size_t id_len, int code);
void reply_error(struct sessions *sessions, struct conn *conn, int code, const char *why, const char *id,
                 size_t id_len);

#endif
