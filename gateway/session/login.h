/* From a connection to a session: decides on a claim, replaces the device's older session, and has the route
 * registered. */
#ifndef HERALD_GATEWAY_SESSION_LOGIN_H
#define HERALD_GATEWAY_SESSION_LOGIN_H

#include "gateway/auth/auth.h"
#include "gateway/session/sessions.h"

/* At the upgrade: decides when the request says enough, else waits for a first message. */
void login_upgraded(struct sessions *sessions, struct conn *c, const struct upgrade_request *request);
/* A claim from anywhere: the connection has a session afterwards, or is told why not and closed. */
void login_decide(struct sessions *sessions, struct conn *c, const struct auth_claim *claim);

#endif
