#include "gateway/session/handlers.h"

#include "common/log.h"
#include "gateway/metrics.h"
#include "gateway/session/guest.h"
#include "gateway/session/replies.h"

enum { ID_LEN_MAX = 128 };

static const struct {
    void (*fn)(struct client_call *call);
    bool is_for_guests;
} handlers[CLIENT_MESSAGE_TYPE_COUNT] = {
    [CLIENT_MESSAGE_AUTH] = {handle_auth, true},
    [CLIENT_MESSAGE_HEARTBEAT] = {handle_heartbeat, false},
    [CLIENT_MESSAGE_ACK] = {handle_ack, false},
    [CLIENT_MESSAGE_MESSAGE] = {handle_message, false},
};

/* The connection's count of bad messages, one more. */
static uint16_t count_bad(const struct client_call *call)
{
    if (call->session)
        return ++call->session->bad_messages;
    struct guest *guest = guest_of(call->conn);
    if (!guest)
        guest = guest_new(call->conn, "");
    return ++guest->bad_messages;
}

void handlers_refuse(const struct client_call *call, int code, const char *why)
{
    struct buf scratch;
    const char *id = NULL;
    size_t id_len = 0;
    buf_init(&scratch);
    if (client_message_str(call->message, CLIENT_FIELD_ID, &scratch, &id, &id_len) != ERR_OK || id_len > ID_LEN_MAX)
        id_len = 0;
    reply_error(call->sessions, call->conn, code, why, id, id_len);
    buf_release(&scratch);
    if (count_bad(call) < call->sessions->settings.bad_messages_max)
        return;
    log_limited(LOG_INFO, "too many bad messages", F_STR("peer", conn_peer(call->conn)), F_STR("last", why));
    if (call->session)
        session_close(call->session, CLOSE_POLICY, "too many bad messages");
    else
        conn_close(call->conn, CLOSE_POLICY, "too many bad messages");
}

void handlers_take(struct sessions *sessions, struct conn *c, const char *text, size_t len)
{
    struct client_message message;
    const char *why;
    client_message_parse(text, len, &message, &why);
    metric_add_labelled(METRIC_CLIENT_MESSAGES, message.type, 1);
    struct client_call call = {sessions, c, guest_session(c), &message};
    if (message.type == CLIENT_MESSAGE_BAD)
        handlers_refuse(&call, 400, why ? why : "not a JSON object");
    else if (message.type == CLIENT_MESSAGE_UNKNOWN)
        handlers_refuse(&call, 400, "unknown type");
    else if (!call.session && !handlers[message.type].is_for_guests)
        handlers_refuse(&call, 401, "authenticate first");
    else
        handlers[message.type].fn(&call);
}
