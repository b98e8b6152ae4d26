#include "gateway/session/handlers.h"

static void ack_seq(struct client_call *call)
{
    int64_t seq;
    if (json_span_int(&call->message->fields[CLIENT_FIELD_SEQ], &seq) != ERR_OK || seq < 0)
        handlers_refuse(call, 400, "seq is a number");
    else if (session_ack(call->session, (uint64_t)seq) != ERR_OK)
        handlers_refuse(call, 400, "that seq was never sent");
}

static void ack_id(struct client_call *call)
{
    struct buf scratch;
    const char *id;
    size_t len;
    buf_init(&scratch);
    if (client_message_str(call->message, CLIENT_FIELD_ID, &scratch, &id, &len) != ERR_OK || len == 0)
        handlers_refuse(call, 400, "ack needs a seq or an id");
    else
        session_ack_id(call->session, id, len);
    buf_release(&scratch);
}

void handle_ack(struct client_call *call)
{
    if (call->message->fields[CLIENT_FIELD_SEQ].kind != JSON_NONE)
        ack_seq(call);
    else
        ack_id(call);
}
