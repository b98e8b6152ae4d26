#include "gateway/session/expiry.h"

#include "common/check.h"
#include "gateway/metrics.h"
#include "gateway/session/sessions.h"

void expiry_set(struct session *s, uint64_t expires_ms)
{
    struct sessions *sessions = s->sessions;
    uint64_t wall_ms = loop_wall_ms(sessions->loop), left_ms = expires_ms > wall_ms ? expires_ms - wall_ms : 0;
    s->expires_ms = expires_ms;
    if (expires_ms == 0)
        wheel_remove(sessions->expiry_wheel, &s->expiry);
    else
        wheel_add(sessions->expiry_wheel, &s->expiry, loop_now_ms(sessions->loop) + left_ms);
}

void expiry_forget(struct session *s)
{
    wheel_remove(s->sessions->expiry_wheel, &s->expiry);
}

void expiry_due(struct wheel_entry *entry, void *arg)
{
    struct session *s = container_of(entry, struct session, expiry);
    (void)arg;
    MAGIC_CHECK(s, SESSION_MAGIC);
    if (loop_wall_ms(s->sessions->loop) < s->expires_ms) {
        expiry_set(s, s->expires_ms); /* the wall clock was put back */
        return;
    }
    metric_add(METRIC_SESSIONS_EXPIRED, 1);
    session_close(s, CLOSE_UNAUTHORISED, "the token has expired");
}
