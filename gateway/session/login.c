#include "gateway/session/login.h"

#include <string.h>

#include "common/log.h"
#include "gateway/metrics.h"
#include "gateway/session/guest.h"
#include "gateway/session/replies.h"
#include "gateway/session/routes.h"

static void refuse(struct sessions *sessions, struct conn *c, enum err err, const char *why)
{
    enum auth_result result = err == ERR_EXPIRED   ? AUTH_RESULT_EXPIRED
                              : err == ERR_REFUSED ? AUTH_RESULT_REFUSED
                                                   : AUTH_RESULT_INVALID;
    metric_add_labelled(METRIC_AUTHS, result, 1);
    log_limited(LOG_INFO, "authentication refused", F_STR("peer", conn_peer(c)), F_STR("why", why));
    reply_auth_refused(sessions, c, why);
    conn_close(c, CLOSE_UNAUTHORISED, why);
}

static void open_session(struct sessions *sessions, struct conn *c, const struct identity *identity)
{
    const struct user *user = users_find(sessions->users, identity->user, strlen(identity->user));
    struct session *older = user ? user_session(user, identity->device, strlen(identity->device)) : NULL;
    if (older)
        session_close(older, CLOSE_REPLACED, "replaced by a newer connection of this device");
    guest_free(c);
    metric_add_labelled(METRIC_AUTHS, AUTH_RESULT_OK, 1);
    struct session *s = session_new(sessions, c, identity);
    log_debug("session opened", F_STR("user", identity->user), F_STR("device", identity->device),
              F_UINT("connection", conn_id(c)), F_STR("peer", conn_peer(c)));
    routes_register(s);
}

void login_decide(struct sessions *sessions, struct conn *c, const struct auth_claim *claim)
{
    struct identity identity;
    const char *why = NULL;
    enum err err = auth_check(sessions->auth, claim, loop_wall_ms(sessions->loop), &identity, &why);
    if (err == ERR_OK)
        open_session(sessions, c, &identity);
    else
        refuse(sessions, c, err, why);
}

static void open_canary(struct sessions *sessions, struct conn *c)
{
    struct identity identity;
    identity_of_canary(sessions->instance, &identity);
    open_session(sessions, c, &identity);
}

void login_upgraded(struct sessions *sessions, struct conn *c, const struct upgrade_request *request)
{
    struct auth_claim claim = {
        .user = request->user,
        .device = request->device,
        .token = request->token,
        .user_len = request->user ? strlen(request->user) : 0,
        .device_len = request->device ? strlen(request->device) : 0,
        .token_len = request->token ? strlen(request->token) : 0,
    };
    if (conn_is_own(c)) {
        open_canary(sessions, c);
    } else if (auth_is_decidable(sessions->auth, &claim)) {
        conn_hold(c); /* session_opened() lets go: one system call instead of two is 5 us of 30 */
        login_decide(sessions, c, &claim);
    } else if (claim.device && claim.device_len <= DEVICE_LEN_MAX) {
        guest_new(c, claim.device);
    }
}
