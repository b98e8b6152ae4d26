#include "gateway/session/handlers.h"
#include "gateway/session/replies.h"

enum { ID_LEN_MAX = 128 };

static void send_up(struct client_call *call, const char *id, size_t id_len)
{
    const struct json_span *content = &call->message->fields[CLIENT_FIELD_CONTENT];
    struct sessions *sessions = call->sessions;
    struct upstream_request request = {
        .id = id ? id : "", .id_len = id_len, .content = content->at, .content_len = content->len};
    enum err err = sessions->events->upstream(sessions->arg, call->session, &request);
    if (err != ERR_OK)
        reply_message(sessions, call->conn, id, id_len, err == ERR_TOO_LARGE ? 413 : 503);
}

void handle_message(struct client_call *call)
{
    struct buf scratch;
    const char *id;
    size_t id_len;
    const struct client_message *m = call->message;
    buf_init(&scratch);
    if (client_message_str(m, CLIENT_FIELD_ID, &scratch, &id, &id_len) != ERR_OK || id_len > ID_LEN_MAX)
        handlers_refuse(call, 400, "id is a string of at most 128 bytes");
    else if (m->fields[CLIENT_FIELD_CONTENT].kind == JSON_NONE)
        handlers_refuse(call, 400, "no content");
    else if (m->fields[CLIENT_FIELD_TO].kind != JSON_NONE && m->fields[CLIENT_FIELD_TO].kind != JSON_NULL)
        reply_message(call->sessions, call->conn, id, id_len, 403); /* no policy allows it yet */
    else
        send_up(call, id, id_len);
    buf_release(&scratch);
}
