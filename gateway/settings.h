/* Everything that can be configured of a gateway: the settings struct, filled by the option table (common/option.h). */
#ifndef HERALD_GATEWAY_SETTINGS_H
#define HERALD_GATEWAY_SETTINGS_H

#include <stdint.h>

#include "common/daemon.h"
#include "common/err.h"
#include "common/option.h"
#include "common/redis.h"
#include "gateway/auth/auth.h"
#include "gateway/canary/canary.h"
#include "gateway/link/inbox.h"
#include "gateway/link/peers.h"
#include "gateway/link/upstream.h"
#include "gateway/relief.h"
#include "gateway/session/sessions.h"
#include "gateway/ws/conn.h"

enum { NODE_LEN_MAX = 64, INSTANCE_LEN_MAX = NODE_LEN_MAX + 12 };

struct gateway_settings {
    struct daemon_settings daemon; /* first: daemon_start() relies on it */
    char *node;
    int64_t workers;
    int64_t stop_timeout_ms;
    char *ws_listen, *ws_url;
    int64_t ws_backlog, ws_user_timeout_ms, ws_notsent_lowat;
    struct conn_settings conn;
    struct auth_settings auth;
    struct session_settings session;
    char *link_advertise;
    struct inbox_settings inbox;
    struct peers_settings peers;
    struct upstream_settings upstream;
    int64_t box_fates_max;
    struct canary_settings canary;
    struct relief_settings relief;
    struct redis_options redis;
};

extern const struct option gateway_options[];

/* What the table cannot say: fills in node and workers where they are left open, and checks what belongs together.
 * ERR_INVALID, logged. */
enum err settings_complete(struct gateway_settings *settings) MUST_CHECK;

#endif
