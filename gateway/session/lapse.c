#include "gateway/session/lapse.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/check.h"
#include "common/log.h"
#include "gateway/session/command.h"
#include "gateway/session/routes.h"
#include "gateway/session/sessions.h"

enum { SETTLED_MS = 10000, VALUE_MAX = 512 };

/* One whose route was last written before the lease can have gone; NULL: there is none. */
static struct session *find_settled(struct sessions *sessions)
{
    size_t cursor = 0;
    for (struct user *user; (user = users_next(sessions->users, &cursor));)
        for (struct session *s = user->sessions; s; s = s->next)
            if (routes_is_settled(s, SETTLED_MS))
                return s;
    return NULL;
}

/* As route_register.lua writes it. */
static bool is_own_route(const struct session *s, const struct redis_reply *reply)
{
    char own[VALUE_MAX];
    size_t len;
    const char *value = redis_reply_str(reply, &len);
    int own_len = snprintf(own, sizeof own, "%s %" PRIu64 " %" PRIu64 " %" PRIu64, s->sessions->instance,
                           s->sessions->generation, conn_id(s->conn), s->since_ms);
    return (size_t)own_len == len && memcmp(own, value, len) == 0;
}

static void on_route(void *arg, enum err err, const struct redis_reply *reply)
{
    struct session *s = arg;
    MAGIC_CHECK(s, SESSION_MAGIC);
    struct sessions *sessions = s->sessions;
    if (err == ERR_OK && s->state == SESSION_OPEN && is_own_route(s, reply)) {
        log_info("the routes are still there", F_UINT("sessions", sessions->count));
        routes_look_all(sessions->routes);
    } else {
        routes_renew_all(sessions->routes, "redis was emptied");
    }
    session_unref(s);
}

void sessions_lease_vanished(struct sessions *sessions)
{
    struct session *s = find_settled(sessions);
    if (!s) {
        routes_renew_all(sessions->routes, "the lease had vanished");
        return;
    }
    struct command command;
    command_init(&command);
    command_add(&command, "HGET");
    command_add_key(&command, "route", s, false);
    command_add(&command, s->device);
    session_ref(s);
    enum err err = redis_command(sessions->redis, on_route, s, command.count, command.words, command.lens);
    if (err != ERR_OK)
        on_route(s, err, NULL);
}
