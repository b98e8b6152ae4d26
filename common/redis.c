#include "redis.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "log.h"
#include "redis_conn.h"
#include "redis_queue.h"
#include "redis_script.h"

enum { MAGIC = 0x52454449, BACKOFF_MIN_MS = 50, WORDS_MAX = 32 };

enum state {
    AWAY,       /* waiting for the next attempt */
    CONNECTING, /* TCP */
    GREETING,   /* AUTH ... SUBSCRIBE are under way */
    UP,
    FREED
};

struct subscription {
    struct subscription *next;
    char *channel;
    redis_message_fn *fn;
    void *arg;
};

struct redis {
    uint32_t magic;
    struct loop *loop;
    char *host, *name, *user, *password;
    uint16_t port;
    int database;
    uint32_t pending_max;
    uint64_t timeout_ms, backoff_max_ms, backoff_ms;
    redis_state_fn *on_state;
    void *arg;

    enum state state;
    struct redis_conn conn;
    struct redis_queue queue;
    uint32_t own_count;  /* of the queue: commands of this file */
    uint32_t greet_left; /* replies until UP */
    uint64_t client_id;
    uint64_t owed_since_ms; /* when the queue was last empty, or connecting began */
    struct subscription *subscriptions, **subscriptions_end;
    struct redis_counts counts;
    struct loop_timer *retry, *watchdog;
    struct loop_task reap_task;
};

static void drop(struct redis *r, const char *why);

static const struct redis_reply *outer(const redisReply *reply)
{
    return (const struct redis_reply *)(const void *)reply;
}

static void send_command(struct redis *r, const struct redis_slot *slot, int argc, const char *const *argv,
                         const size_t *lens)
{
    if (!r->queue.count)
        r->owed_since_ms = loop_now_ms(r->loop);
    redis_queue_push(&r->queue, slot);
    r->own_count += slot->is_own;
    redis_conn_send(&r->conn, argc, argv, lens);
}

/* --- losing ------------------------------------------------------------------------------------------------------- */

static void fail_pending(struct redis *r, enum err err)
{
    struct redis_slot slot;
    while (redis_queue_pop(&r->queue, &slot)) {
        r->own_count -= slot.is_own;
        if (!slot.is_own && slot.fn)
            slot.fn(slot.arg, err, NULL);
    }
}

static void retry_later(struct redis *r)
{
    uint64_t half = r->backoff_ms / 2;
    loop_timer_start(r->retry, half + arc4random_uniform((uint32_t)half + 1), 0);
    r->backoff_ms = r->backoff_ms * 2 < r->backoff_max_ms ? r->backoff_ms * 2 : r->backoff_max_ms;
}

static void drop(struct redis *r, const char *why)
{
    bool was_up = r->state == UP;
    log_limited(LOG_WARN, "redis away", F_STR("connection", r->name), F_STR("host", r->host), F_UINT("port", r->port),
                F_STR("reason", why));
    redis_conn_close(&r->conn);
    r->state = AWAY;
    r->client_id = 0;
    r->greet_left = 0;
    r->counts.losses += was_up;
    retry_later(r);
    fail_pending(r, ERR_AWAY);
    if (was_up && r->state != FREED && r->on_state)
        r->on_state(r->arg, false);
}

/* --- greeting ----------------------------------------------------------------------------------------------------- */

static void greet_step(struct redis *r)
{
    if (r->state != GREETING || --r->greet_left)
        return;
    r->state = UP;
    r->backoff_ms = BACKOFF_MIN_MS;
    r->counts.connects++;
    log_info("redis up", F_STR("connection", r->name), F_STR("host", r->host), F_UINT("port", r->port));
    if (r->on_state)
        r->on_state(r->arg, true);
}

/* Without the text of the error: where AUTH is not known, Redis quotes its arguments. */
static void auth_done(void *arg, enum err err, const struct redis_reply *reply)
{
    (void)reply;
    if (err == ERR_OK)
        greet_step(arg);
    else
        drop(arg, "refused user or password");
}

static void must_done(void *arg, enum err err, const struct redis_reply *reply)
{
    if (err == ERR_OK)
        greet_step(arg);
    else
        drop(arg, reply ? redis_reply_str(reply, NULL) : "not ready");
}

static void may_done(void *arg, enum err err, const struct redis_reply *reply)
{
    (void)err, (void)reply;
    greet_step(arg);
}

static void id_done(void *arg, enum err err, const struct redis_reply *reply)
{
    struct redis *r = arg;
    r->client_id = err == ERR_OK ? (uint64_t)redis_reply_int(reply) : 0;
    greet_step(r);
}

static void greet(struct redis *r, redis_fn *fn, int argc, const char *const *argv, const size_t *lens)
{
    r->greet_left++;
    send_command(r, &(struct redis_slot){fn, r, true}, argc, argv, lens);
}

static void load_scripts(struct redis *r)
{
    for (int i = 0; i < REDIS_SCRIPT_COUNT; i++) {
        size_t len;
        const char *source = redis_script_source((enum redis_script)i, &len);
        greet(r, may_done, 3, (const char *[]){"SCRIPT", "LOAD", source}, (size_t[]){6, 4, len});
    }
}

static void subscribe(struct redis *r, const struct subscription *s)
{
    greet(r, must_done, 2, (const char *[]){"SUBSCRIBE", s->channel}, NULL);
}

static void begin_greeting(struct redis *r)
{
    r->state = GREETING;
    if (*r->password && *r->user)
        greet(r, auth_done, 3, (const char *[]){"AUTH", r->user, r->password}, NULL);
    else if (*r->password)
        greet(r, auth_done, 2, (const char *[]){"AUTH", r->password}, NULL);
    if (r->database) {
        char text[12];
        snprintf(text, sizeof text, "%d", r->database);
        greet(r, must_done, 2, (const char *[]){"SELECT", text}, NULL);
    }
    greet(r, id_done, 2, (const char *[]){"CLIENT", "ID"}, NULL);
    greet(r, must_done, 1, (const char *[]){"PING"}, NULL); /* refused while Redis still loads its data */
    if (!r->subscriptions)
        load_scripts(r);
    for (const struct subscription *s = r->subscriptions; s; s = s->next)
        subscribe(r, s);
}

/* --- receiving ---------------------------------------------------------------------------------------------------- */

static bool has_prefix(const redisReply *reply, const char *prefix)
{
    size_t len = strlen(prefix);
    return reply->len >= len && !memcmp(reply->str, prefix, len);
}

static bool is_published(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_ARRAY && reply->elements == 3 && reply->element[0]->type == REDIS_REPLY_STRING &&
           !strcmp(reply->element[0]->str, "message") && reply->element[1]->type == REDIS_REPLY_STRING;
}

static void hand_out(struct redis *r, const struct subscription *s, const redisReply *payload)
{
    const char *channel = s->channel;
    uint32_t life = r->conn.life;
    if (payload->type == REDIS_REPLY_NIL)
        s->fn(s->arg, channel, NULL, 0);
    else if (payload->type == REDIS_REPLY_STRING)
        s->fn(s->arg, channel, payload->str, payload->len);
    else if (payload->type == REDIS_REPLY_ARRAY)
        for (size_t i = 0; i < payload->elements && r->conn.life == life; i++)
            if (payload->element[i]->type == REDIS_REPLY_STRING)
                s->fn(s->arg, channel, payload->element[i]->str, payload->element[i]->len);
}

static void publish(struct redis *r, const redisReply *reply)
{
    uint32_t life = r->conn.life;
    for (const struct subscription *s = r->subscriptions; s && r->conn.life == life; s = s->next)
        if (!strcmp(s->channel, reply->element[1]->str))
            hand_out(r, s, reply->element[2]);
}

static enum err judge(struct redis *r, const struct redis_slot *slot, const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ERROR)
        return ERR_OK;
    r->counts.errors++;
    if (has_prefix(reply, "LOADING") || has_prefix(reply, "READONLY") || has_prefix(reply, "MASTERDOWN"))
        return ERR_AWAY;
    if (!slot->is_own && !has_prefix(reply, "NOSCRIPT"))
        log_limited(LOG_WARN, "redis refused a command", F_STR("connection", r->name),
                    F_STRN("reply", reply->str, reply->len));
    return ERR_REFUSED;
}

static void take(struct redis *r, const redisReply *reply)
{
    if (r->subscriptions && is_published(reply)) {
        publish(r, reply);
        return;
    }
    struct redis_slot slot;
    if (!redis_queue_pop(&r->queue, &slot)) {
        drop(r, "a reply that nobody asked for");
        return;
    }
    r->own_count -= slot.is_own;
    uint32_t life = r->conn.life;
    enum err err = judge(r, &slot, reply);
    if (slot.fn)
        slot.fn(slot.arg, err, err == ERR_AWAY ? NULL : outer(reply));
    if (err == ERR_AWAY && r->conn.life == life)
        drop(r, "not ready, or no longer the primary");
}

/* --- what the connection and the loop call ------------------------------------------------------------------------ */

static void on_opened(void *arg)
{
    struct redis *r = arg;
    MAGIC_CHECK(r, MAGIC);
    begin_greeting(r);
}

static void on_replied(void *arg, const redisReply *reply)
{
    struct redis *r = arg;
    MAGIC_CHECK(r, MAGIC);
    take(r, reply);
}

static void on_lost(void *arg, const char *why)
{
    struct redis *r = arg;
    MAGIC_CHECK(r, MAGIC);
    drop(r, why);
}

static const struct redis_conn_events conn_events = {on_opened, on_replied, on_lost};

static void connect_now(void *arg)
{
    struct redis *r = arg;
    MAGIC_CHECK(r, MAGIC);
    char why[128];
    r->state = CONNECTING;
    r->owed_since_ms = loop_now_ms(r->loop);
    if (redis_conn_open(&r->conn, r->host, r->port, why) != ERR_OK)
        drop(r, why);
}

static void watch_silence(void *arg)
{
    struct redis *r = arg;
    MAGIC_CHECK(r, MAGIC);
    if (r->state == AWAY)
        return;
    uint64_t heard_ms = r->conn.heard_ms, owed_ms = r->owed_since_ms;
    uint64_t quiet_ms = loop_now_ms(r->loop) - (heard_ms > owed_ms ? heard_ms : owed_ms);
    bool is_owed = r->state != UP || r->queue.count;
    r->conn.depth++;
    if (is_owed && quiet_ms >= r->timeout_ms)
        drop(r, "silent for too long");
    else if (!is_owed && quiet_ms >= r->timeout_ms / 2)
        send_command(r, &(struct redis_slot){NULL, NULL, true}, 1, (const char *[]){"PING"}, NULL);
    r->conn.depth--;
}

/* --- for the users ------------------------------------------------------------------------------------------------ */

struct redis *redis_new(struct loop *loop, const struct redis_options *options, const char *name,
                        redis_state_fn *on_state, void *arg)
{
    struct redis *r = xcalloc(1, sizeof *r);
    r->magic = MAGIC;
    r->loop = loop;
    redis_conn_address(options->address, &r->host, &r->port);
    r->name = xstrdup(name);
    r->user = xstrdup(options->user ? options->user : "");
    r->password = xstrdup(options->password ? options->password : "");
    r->database = (int)options->database;
    r->pending_max = (uint32_t)options->pending_max;
    r->timeout_ms = (uint64_t)options->connect_timeout_ms;
    r->backoff_max_ms = (uint64_t)options->backoff_max_ms;
    r->backoff_ms = BACKOFF_MIN_MS;
    r->on_state = on_state;
    r->arg = arg;
    r->subscriptions_end = &r->subscriptions;
    redis_conn_init(&r->conn, loop, &conn_events, r);
    redis_queue_init(&r->queue);
    r->retry = loop_timer_new(loop, connect_now, r);
    r->watchdog = loop_timer_new(loop, watch_silence, r);
    loop_timer_start(r->watchdog, r->timeout_ms / 4, r->timeout_ms / 4);
    connect_now(r);
    return r;
}

static void destroy(void *arg)
{
    struct redis *r = arg;
    MAGIC_CHECK(r, MAGIC);
    r->magic = 0;
    for (struct subscription *s = r->subscriptions, *next; s; s = next) {
        next = s->next;
        free(s->channel);
        free(s);
    }
    loop_timer_free(&r->retry);
    loop_timer_free(&r->watchdog);
    redis_queue_release(&r->queue);
    redis_conn_release(&r->conn);
    explicit_bzero(r->password, strlen(r->password));
    free(r->password);
    free(r->user);
    free(r->name);
    free(r->host);
    free(r);
}

void redis_free(struct redis **redis)
{
    struct redis *r = *redis;
    *redis = NULL;
    if (!r)
        return;
    redis_conn_push(&r->conn);
    redis_conn_close(&r->conn);
    r->state = FREED;
    loop_timer_stop(r->retry);
    loop_timer_stop(r->watchdog);
    fail_pending(r, ERR_CLOSED);
    if (r->conn.depth) {
        loop_task_init(&r->reap_task, destroy, r);
        loop_reap(r->loop, &r->reap_task);
    } else {
        destroy(r);
    }
}

bool redis_is_up(const struct redis *redis)
{
    return redis->state == UP;
}

uint32_t redis_pending(const struct redis *redis)
{
    return redis->queue.count - redis->own_count;
}

const struct redis_counts *redis_counts(const struct redis *redis)
{
    return &redis->counts;
}

uint64_t redis_client_id(const struct redis *redis)
{
    return redis->client_id;
}

enum err redis_command(struct redis *redis, redis_fn *fn, void *arg, int argc, const char *const *argv,
                       const size_t *lens)
{
    CHECK(!redis->subscriptions && argc > 0);
    if (redis->state != UP)
        return ERR_AWAY;
    if (redis_pending(redis) >= redis->pending_max || redis_conn_unsent(&redis->conn) > REDIS_OUT_MAX) {
        redis->counts.full++;
        return ERR_FULL;
    }
    redis->counts.commands++;
    send_command(redis, &(struct redis_slot){fn, arg, false}, argc, argv, lens);
    return ERR_OK;
}

enum err redis_words(struct redis *redis, redis_fn *fn, void *arg, ...)
{
    const char *words[WORDS_MAX];
    int count = 0;
    va_list list;
    va_start(list, arg);
    for (const char *word; (word = va_arg(list, const char *));) {
        CHECK(count < WORDS_MAX);
        words[count++] = word;
    }
    va_end(list);
    return redis_command(redis, fn, arg, count, words, NULL);
}

void redis_subscribe(struct redis *redis, const char *channel, redis_message_fn *fn, void *arg)
{
    struct subscription *s = xcalloc(1, sizeof *s);
    s->channel = xstrdup(channel);
    s->fn = fn;
    s->arg = arg;
    *redis->subscriptions_end = s;
    redis->subscriptions_end = &s->next;
    if (redis->state == UP || redis->state == GREETING)
        subscribe(redis, s);
}
