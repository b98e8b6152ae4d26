#include "bench/instructions/fake_redis.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/redis_script.h"

enum { CONNECTIONS_MAX = 4, QUEUE_MAX = 8192, ITEMS_MAX = 4, TEXT_MAX = 64, KEY_MAX = 96 };

struct redis_reply {
    enum redis_kind kind;
    int64_t integer;
    char text[TEXT_MAX];
    size_t count;
    const struct redis_reply *items;
};

struct redis {
    redis_state_fn *on_state;
    redis_message_fn *on_message;
    void *arg, *message_arg;
    bool is_up;
};

/* What was asked; the answer is made when it is due, so that a hop which asks pays for asking alone. */
struct asked {
    redis_fn *fn;
    void *arg;
    enum redis_script script; /* REDIS_SCRIPT_COUNT: a command */
    char verb[12], key[KEY_MAX];
};

static struct {
    struct redis connections[CONNECTIONS_MAX];
    uint32_t connection_count, asked_count;
    struct asked asked[QUEUE_MAX];
    char probe[KEY_MAX]; /* set, and thereby to be told to who tracks it */
    fake_route_fn *route;
    int64_t clock_ms;
} fake;

void fake_redis_setup(fake_route_fn *route, int64_t clock_ms)
{
    fake.route = route;
    fake.clock_ms = clock_ms;
}

void fake_redis_up(void)
{
    for (uint32_t i = 0; i < fake.connection_count; i++)
        fake.connections[i].is_up = true;
    for (uint32_t i = 0; i < fake.connection_count; i++)
        if (fake.connections[i].on_state)
            fake.connections[i].on_state(fake.connections[i].arg, true);
}

static void answer_script(const struct asked *asked)
{
    struct redis_reply items[ITEMS_MAX] = {{.kind = REDIS_INTEGER, .integer = fake.clock_ms},
                                           {.kind = REDIS_INTEGER},
                                           {.kind = REDIS_INTEGER, .integer = 1},
                                           {.kind = REDIS_INTEGER, .integer = fake.clock_ms}};
    struct redis_reply reply = {.kind = REDIS_ARRAY, .count = 4, .items = items};
    if (asked->script == REDIS_SCRIPT_ROUTE_REMOVE)
        reply = (struct redis_reply){.kind = REDIS_INTEGER, .integer = 1};
    else
        CHECK(asked->script == REDIS_SCRIPT_ROUTE_REGISTER);
    if (asked->fn)
        asked->fn(asked->arg, ERR_OK, &reply);
}

static void answer_command(const struct asked *asked)
{
    struct redis_reply items[ITEMS_MAX] = {{.kind = REDIS_STRING, .text = "bench"}, {.kind = REDIS_STRING}};
    struct redis_reply reply = {.kind = REDIS_INTEGER};
    if (strcmp(asked->verb, "HGETALL") == 0) {
        fake.route(asked->key, items[1].text, TEXT_MAX);
        reply = (struct redis_reply){.kind = REDIS_ARRAY, .count = 2, .items = items};
    } else if (strcmp(asked->verb, "TIME") == 0) {
        snprintf(items[0].text, TEXT_MAX, "%lld", (long long)fake.clock_ms / 1000);
        snprintf(items[1].text, TEXT_MAX, "%lld", (long long)fake.clock_ms % 1000 * 1000);
        reply = (struct redis_reply){.kind = REDIS_ARRAY, .count = 2, .items = items};
    }
    if (asked->fn)
        asked->fn(asked->arg, ERR_OK, &reply);
}

void fake_redis_answer(void)
{
    for (uint32_t i = 0; i < fake.asked_count; i++) {
        if (fake.asked[i].script == REDIS_SCRIPT_COUNT)
            answer_command(&fake.asked[i]);
        else
            answer_script(&fake.asked[i]);
    }
    fake.asked_count = 0;
    for (uint32_t i = 0; i < fake.connection_count && fake.probe[0]; i++)
        if (fake.connections[i].on_message)
            fake.connections[i].on_message(fake.connections[i].message_arg, "__redis__:invalidate", fake.probe,
                                           strlen(fake.probe));
    fake.probe[0] = '\0';
}

/* --- common/redis.h --- */

struct redis *redis_new(struct loop *loop, const struct redis_options *options, const char *name,
                        redis_state_fn *on_state, void *arg)
{
    (void)loop, (void)options, (void)name;
    CHECK(fake.connection_count < CONNECTIONS_MAX);
    struct redis *redis = &fake.connections[fake.connection_count++];
    redis->on_state = on_state;
    redis->arg = arg;
    return redis;
}

void redis_free(struct redis **redis)
{
    *redis = NULL;
}

bool redis_is_up(const struct redis *redis)
{
    return redis->is_up;
}

uint32_t redis_pending(const struct redis *redis)
{
    (void)redis;
    return fake.asked_count;
}

uint64_t redis_client_id(const struct redis *redis)
{
    return redis->is_up ? 7 : 0;
}

void redis_subscribe(struct redis *redis, const char *channel, redis_message_fn *fn, void *arg)
{
    if (strcmp(channel, "__redis__:invalidate") != 0)
        return;
    redis->on_message = fn;
    redis->message_arg = arg;
}

static struct asked *ask(const struct redis *redis, redis_fn *fn, void *arg)
{
    CHECK(redis->is_up && fake.asked_count < QUEUE_MAX);
    struct asked *asked = &fake.asked[fake.asked_count++];
    asked->fn = fn;
    asked->arg = arg;
    asked->script = REDIS_SCRIPT_COUNT;
    return asked;
}

enum err redis_words(struct redis *redis, redis_fn *fn, void *arg, ...)
{
    va_list args;
    va_start(args, arg);
    const char *verb = va_arg(args, const char *), *key = va_arg(args, const char *);
    va_end(args);
    struct asked *asked = ask(redis, fn, arg);
    snprintf(asked->verb, sizeof(asked->verb), "%s", verb);
    snprintf(asked->key, sizeof(asked->key), "%s", key ? key : "");
    if (strcmp(verb, "SET") == 0)
        memcpy(fake.probe, asked->key, sizeof(fake.probe));
    return ERR_OK;
}

enum err redis_command(struct redis *redis, redis_fn *fn, void *arg, int argc, const char *const *argv,
                       const size_t *lens)
{
    (void)redis, (void)fn, (void)arg, (void)argc, (void)argv, (void)lens;
    CHECK(!"no script of these asks this");
    return ERR_AWAY;
}

enum err redis_script(struct redis *redis, enum redis_script script, redis_fn *fn, void *arg, int key_count, int argc,
                      const char *const *argv, const size_t *lens)
{
    (void)key_count, (void)argc, (void)argv, (void)lens;
    ask(redis, fn, arg)->script = script;
    return ERR_OK;
}

enum redis_kind redis_reply_kind(const struct redis_reply *reply)
{
    return reply ? reply->kind : REDIS_NIL;
}

const char *redis_reply_str(const struct redis_reply *reply, size_t *len_r)
{
    if (len_r)
        *len_r = reply ? strlen(reply->text) : 0;
    return reply ? reply->text : "";
}

int64_t redis_reply_int(const struct redis_reply *reply)
{
    return reply ? reply->integer : 0;
}

size_t redis_reply_count(const struct redis_reply *reply)
{
    return reply ? reply->count : 0;
}

const struct redis_reply *redis_reply_at(const struct redis_reply *reply, size_t i)
{
    return reply && i < reply->count ? &reply->items[i] : NULL;
}
