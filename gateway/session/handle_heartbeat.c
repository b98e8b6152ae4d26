#include "gateway/session/handlers.h"
#include "gateway/session/replies.h"

/* That something was heard at all counts below, in the connection. */
void handle_heartbeat(struct client_call *call)
{
    reply_heartbeat(call->sessions, call->conn);
}
