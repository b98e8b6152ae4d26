#include "gateway/session/sessions.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/recycle.h"
#include "common/slabs.h"
#include "common/table.h"
#include "gateway/metrics.h"
#include "gateway/session/drain.h"
#include "gateway/session/expiry.h"
#include "gateway/session/guest.h"
#include "gateway/session/handlers.h"
#include "gateway/session/login.h"
#include "gateway/session/once.h"
#include "gateway/session/outbox.h"
#include "gateway/session/receipt.h"
#include "gateway/session/routes.h"

enum { SESSIONS_MAGIC = 0x5E550002, TICK_MS = 100, EXPIRY_TICK_MS = 500, ENTRY_MAX = 4 << 20 };
enum {
    MOVES_MAX = 64, /* a tick: of 20,000 sessions nine tenths may leave, and memory is there some seconds later */
    TRIM_AFTER_MS = 3000
};

static struct sessions *sessions_of(void *arg)
{
    struct sessions *sessions = arg;
    MAGIC_CHECK(sessions, SESSIONS_MAGIC);
    return sessions;
}

/* --- from below: connections -----------------------------------------------------------------------------------------
 */

static void on_upgraded(void *arg, struct conn *c, const struct upgrade_request *request)
{
    login_upgraded(sessions_of(arg), c, request);
}

static void on_message(void *arg, struct conn *c, bool is_text, const char *bytes, size_t len)
{
    struct sessions *sessions = sessions_of(arg);
    enum conn_state state = conn_state(c);
    if (state != CONN_AUTH && state != CONN_OPEN)
        return;
    if (!is_text)
        conn_close(c, CLOSE_UNSUPPORTED, "text frames only");
    else
        handlers_take(sessions, c, bytes, len);
}

/* What waited for this may go on, if the session is still there. */
static void on_room(void *arg, struct conn *c)
{
    struct session *s = guest_session(c);
    (void)sessions_of(arg);
    if (s)
        outbox_continue(s);
}

static void tell_fate(void *arg, struct conn *c, void *receipt, enum err fate)
{
    struct sessions *sessions = sessions_of(arg);
    if (receipt_is_seq(receipt)) {
        struct session *s = guest_session(c);
        if (s)
            session_fate(s, receipt_seq(receipt), fate);
        return;
    }
    struct session_result result = {.reason = "", .device = ""};
    if (fate == ERR_OK) {
        result.kind = HERALD__V1__RESULT_KIND__RESULT_WRITTEN;
    } else if (fate == ERR_CLOSED) {
        result.kind = HERALD__V1__RESULT_KIND__RESULT_CLOSED;
    } else {
        metric_add_labelled(METRIC_PUSHES_REFUSED, REFUSAL_SLOW, 1);
        result.kind = HERALD__V1__RESULT_KIND__RESULT_REFUSED;
        result.reason = refusal_names[REFUSAL_SLOW];
    }
    sessions->events->result(sessions->arg, receipt, &result);
}

static void on_fate(void *arg, struct conn *c, void *receipt, enum err fate)
{
    tell_fate(arg, c, receipt, fate);
    on_room(arg, c);
}

static void on_closed(void *arg, struct conn *c, enum close_reason reason)
{
    struct session *s = guest_session(c);
    (void)sessions_of(arg);
    (void)reason;
    if (s)
        session_end(s, false);
    guest_free(c);
}

static void on_moved(void *arg, struct conn *c)
{
    struct session *s = guest_session(c);
    (void)sessions_of(arg);
    if (s)
        s->conn = c;
}

const struct conn_events sessions_conn_events = {on_upgraded, on_message, on_fate, on_closed, on_room, on_moved};

/* --- from above: the link --------------------------------------------------------------------------------------------
 */

static uint32_t report_stale(struct sessions *sessions, void *receipt)
{
    const struct session_result result = {
        .kind = HERALD__V1__RESULT_KIND__RESULT_CLOSED, .reason = refusal_names[REFUSAL_STALE], .device = ""};
    metric_add_labelled(METRIC_PUSHES_REFUSED, REFUSAL_STALE, 1);
    sessions->events->result(sessions->arg, receipt, &result);
    return 1;
}

uint32_t sessions_deliver(struct sessions *sessions, struct push_frame *frame, const struct addressee *to,
                          void *receipt)
{
    struct user *found = users_find(sessions->users, to->user, strlen(to->user));
    bool is_durable = frame->delivery->class_ == HERALD__V1__CLASS__CLASS_DURABLE;
    bool is_bound = is_durable && to->connection > 0, has_other = false;
    uint32_t count = 0;
    for (struct session *s = found ? found->sessions : NULL, *next; s; s = next) {
        next = s->next;
        if (*to->device && !session_is_device(s, to->device, strlen(to->device)))
            continue;
        if (is_bound && conn_id(s->conn) != to->connection)
            has_other = true;
        else
            count += session_push(s, frame, to, receipt);
    }
    return count == 0 && has_other ? report_stale(sessions, receipt) : count;
}

struct broadcast {
    struct push_frame *frame;
    void *receipt;
    uint32_t count;
};

static void broadcast_to(void *arg, struct conn *c)
{
    const struct addressee everyone = {.user = "", .device = ""};
    struct broadcast *broadcast = arg;
    struct session *s = guest_session(c);
    if (s && !conn_is_own(c))
        broadcast->count += session_push(s, broadcast->frame, &everyone, broadcast->receipt);
}

/* Along the connections, not the users: as they came, which is how they lie in memory, here and in the kernel. By
 * users, whose order is that of their hashes, a frame took 9.9 us; so, and with send() in conn_io.c, 9.4. */
uint32_t sessions_broadcast(struct sessions *sessions, struct push_frame *frame, void *receipt)
{
    struct broadcast broadcast = {frame, receipt, 0};
    conns_each(sessions->conns, CONN_OPEN, broadcast_to, &broadcast);
    return broadcast.count;
}

void sessions_poke(struct sessions *sessions, const char *user, const char *device)
{
    struct user *found = users_find(sessions->users, user, strlen(user));
    for (struct session *s = found ? found->sessions : NULL; s; s = s->next) {
        if (*device && !session_is_device(s, device, strlen(device)))
            continue;
        metric_add(METRIC_POKES, 1);
        drain_poke(s);
    }
}

void sessions_withdraw(struct sessions *sessions, const char *user, const char *id)
{
    struct user *found = users_find(sessions->users, user, strlen(user));
    for (struct session *s = found ? found->sessions : NULL; s; s = s->next)
        once_withdraw(s, table_hash(id, strlen(id)));
}

void sessions_kick(struct sessions *sessions, const char *user, size_t user_len, const char *device, size_t device_len,
                   uint64_t connection)
{
    const struct user *found = users_find(sessions->users, user, user_len);
    struct session *s = found ? user_session(found, device, device_len) : NULL;
    if (s && conn_id(s->conn) == connection)
        session_close(s, CLOSE_REPLACED, "replaced by a newer connection of this device");
}

void sessions_redis_state(struct sessions *sessions, bool is_up)
{
    if (is_up)
        routes_renew_all(sessions->routes, "redis is back");
    else
        routes_redis_lost(sessions->routes);
}

/* --- its life --------------------------------------------------------------------------------------------------------
 */

static void free_dead(void *arg)
{
    struct sessions *sessions = sessions_of(arg);
    for (struct session *s; (s = sessions->dead);) {
        sessions->dead = s->next;
        session_free(s);
    }
}

/* Memory follows those who leave. What malloc() has of theirs lies about between what stays, and goes back some time
 * after, when their last words to Redis have been said. */
static void tidy(struct sessions *sessions, uint64_t now_ms)
{
    size_t moved = users_compact(sessions->users, MOVES_MAX);
    moved += taken_compact(sessions->taken_memory, MOVES_MAX);
    moved += slabs_compact(sessions->memory, MOVES_MAX, session_move, sessions);
    if (moved > 0 || (sessions->trim_ms > 0 && routes_removals(sessions->routes) > 0)) {
        sessions->trim_ms = now_ms + TRIM_AFTER_MS;
    } else if (sessions->trim_ms > 0 && now_ms >= sessions->trim_ms) {
        sessions->trim_ms = 0;
        recycle_trim();
        malloc_trim(0);
    }
}

static void on_tick(void *arg)
{
    struct sessions *sessions = sessions_of(arg);
    uint64_t now_ms = loop_now_ms(sessions->loop);
    routes_tick(sessions->routes, now_ms);
    wheel_advance(sessions->drain_wheel, now_ms);
    wheel_advance(sessions->expiry_wheel, now_ms);
    tidy(sessions, now_ms);
}

struct sessions *sessions_new(const struct sessions_parts *parts)
{
    struct sessions *sessions = xcalloc(1, sizeof *sessions);
    sessions->magic = SESSIONS_MAGIC;
    sessions->loop = parts->loop;
    sessions->settings = *parts->settings;
    sessions->auth = parts->auth;
    sessions->redis = parts->redis;
    sessions->instance = parts->instance;
    sessions->generation = parts->generation;
    sessions->events = parts->events;
    sessions->arg = parts->arg;
    sessions->frames_max = SIZE_MAX;
    sessions->users = users_new();
    sessions->overflow = overflow_new(parts->loop);
    sessions->memory = slabs_new("session");
    sessions->taken_memory = taken_memory_new();
    sessions->drain_wheel = wheel_new(TICK_MS, loop_now_ms(parts->loop), drain_due, sessions);
    sessions->expiry_wheel = wheel_new(EXPIRY_TICK_MS, loop_now_ms(parts->loop), expiry_due, sessions);
    push_frame_init(&sessions->entry_frame);
    sessions->entry_arena = link_arena_new(ENTRY_MAX);
    buf_init(&sessions->scratch);
    loop_task_init(&sessions->reap, free_dead, sessions);
    sessions->routes = routes_new(sessions, parts->redis_options);
    sessions->tick = loop_timer_new(parts->loop, on_tick, sessions);
    loop_timer_start(sessions->tick, TICK_MS, TICK_MS);
    return sessions;
}

void sessions_start(struct sessions *sessions, struct conns *conns)
{
    sessions->conns = conns;
}

void sessions_squeeze(struct sessions *sessions, uint8_t squeeze, size_t frames_max)
{
    sessions->squeeze = squeeze;
    sessions->frames_max = frames_max;
}

void sessions_end_all(struct sessions *sessions)
{
    while (sessions->count > 0) { /* a walk during which things go may leave some out */
        size_t cursor = 0;
        for (struct user *user; (user = users_next(sessions->users, &cursor));)
            session_end(user->sessions, false);
    }
}

void sessions_free(struct sessions **sessions)
{
    struct sessions *t = *sessions;
    if (!t)
        return;
    CHECK(t->count == 0);
    loop_timer_free(&t->tick);
    routes_free(&t->routes);
    wheel_free(&t->drain_wheel);
    wheel_free(&t->expiry_wheel);
    push_frame_release(&t->entry_frame);
    link_arena_free(&t->entry_arena);
    buf_release(&t->scratch);
    overflow_free(&t->overflow);
    loop_task_cancel(t->loop, &t->reap);
    free_dead(t);
    users_free(&t->users);
    slabs_free(&t->memory);
    slab_free(&t->taken_memory);
    free(t);
    *sessions = NULL;
}
