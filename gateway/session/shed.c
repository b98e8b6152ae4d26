#include "gateway/session/shed.h"

#include <stdlib.h>

#include "common/check.h"
#include "common/log.h"
#include "gateway/metrics.h"
#include "gateway/session/backlog.h"
#include "gateway/session/sessions.h"

struct candidate {
    struct session *session;
    size_t bytes;
};

static size_t queued(const struct session *s)
{
    return conn_queued(s->conn) + backlog_bytes(s->backlog, false) + backlog_bytes(s->backlog, true);
}

static int by_bytes(const void *a, const void *b)
{
    size_t left = ((const struct candidate *)a)->bytes, right = ((const struct candidate *)b)->bytes;
    return left < right ? 1 : left > right ? -1 : 0;
}

/* In an array to be freed by the caller. */
static struct candidate *find_slow(struct sessions *sessions, size_t *count_r)
{
    size_t cursor = 0, count = 0, size = 0;
    struct candidate *found = NULL;
    for (struct user *user; (user = users_next(sessions->users, &cursor));) {
        for (struct session *s = user->sessions; s; s = s->next) {
            size_t bytes = conn_is_blocked(s->conn) ? queued(s) : 0;
            if (bytes < SHED_LEAST_BYTES)
                continue;
            if (count == size) {
                size = size ? size * 2 : 64;
                found = xrealloc(found, size * sizeof *found);
            }
            found[count++] = (struct candidate){s, bytes};
        }
    }
    *count_r = count;
    return found;
}

size_t sessions_shed(struct sessions *sessions, size_t excess)
{
    size_t count, shed = 0, freed = 0;
    struct candidate *slow = find_slow(sessions, &count);
    if (count > 1)
        qsort(slow, count, sizeof *slow, by_bytes);
    for (; shed < count && freed < excess; shed++) {
        freed += slow[shed].bytes;
        session_close(slow[shed].session, CLOSE_SHED, "too slow while memory is short");
    }
    free(slow);
    metric_add(METRIC_SESSIONS_SHED, shed);
    metric_add(METRIC_SHED_BYTES, freed);
    if (shed > 0)
        log_limited(LOG_WARN, "slow sessions closed, memory is short", F_UINT("sessions", shed), F_UINT("bytes", freed),
                    F_UINT("excess", excess));
    return freed;
}
