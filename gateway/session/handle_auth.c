#include <string.h>

#include "gateway/session/expiry.h"
#include "gateway/session/guest.h"
#include "gateway/session/handlers.h"
#include "gateway/session/login.h"
#include "gateway/session/replies.h"

/* A further token: it may replace the one that the session came with, before that expires. */
static bool renew(struct client_call *call, struct auth_claim *claim)
{
    struct session *s = call->session;
    struct identity identity;
    const char *why = NULL;
    claim->device = s->device;
    claim->device_len = s->device_len;
    enum err err = auth_check(s->sessions->auth, claim, loop_wall_ms(s->sessions->loop), &identity, &why);
    if (err == ERR_OK && strcmp(identity.user, s->user->name) != 0)
        why = "the token is another user's";
    if (why) {
        handlers_refuse(call, 401, why);
        return false;
    }
    expiry_set(s, identity.expires_ms);
    return true;
}

/* {"type":"auth"} behind a token in the upgrade request is common: fine when it says the same. */
static void repeat(struct client_call *call, struct auth_claim *claim)
{
    struct session *s = call->session;
    bool is_same_user = !claim->user || (claim->user_len == s->user->name_len &&
                                         memcmp(claim->user, s->user->name, claim->user_len) == 0);
    if (!is_same_user || (claim->device && !session_is_device(s, claim->device, claim->device_len)))
        handlers_refuse(call, 400, "already authenticated, as somebody else");
    else if ((!claim->token || !auth_is_decidable(s->sessions->auth, claim) || renew(call, claim)) &&
             s->state == SESSION_OPEN)
        reply_auth_ok(s);
}

static void decide(struct client_call *call, struct auth_claim *claim)
{
    const struct guest *guest = guest_of(call->conn);
    char device[DEVICE_LEN_MAX + 1];
    if (!claim->device && guest && *guest->device) { /* ?device=; the guest goes before the claim does */
        claim->device_len = strlen(guest->device);
        memcpy(device, guest->device, claim->device_len + 1);
        claim->device = device;
    }
    login_decide(call->sessions, call->conn, claim);
}

void handle_auth(struct client_call *call)
{
    struct auth_claim claim = {0};
    struct buf user, device, token;
    buf_init(&user);
    buf_init(&device);
    buf_init(&token);
    const struct client_message *m = call->message;
    if (client_message_str(m, CLIENT_FIELD_USER, &user, &claim.user, &claim.user_len) != ERR_OK ||
        client_message_str(m, CLIENT_FIELD_DEVICE, &device, &claim.device, &claim.device_len) != ERR_OK ||
        client_message_str(m, CLIENT_FIELD_TOKEN, &token, &claim.token, &claim.token_len) != ERR_OK)
        handlers_refuse(call, 400, "userId, deviceId and token are strings");
    else if (call->session)
        repeat(call, &claim);
    else
        decide(call, &claim);
    buf_release(&user);
    buf_release(&device);
    buf_release(&token);
}
