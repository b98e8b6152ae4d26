/*
 * For router_fake_test.c: a Redis that knows routes, mailboxes and client tracking, in place of common/redis*.c.
 * Commands take effect when they are given; replies and invalidations wait until the test lets them come, per
 * connection in order.
 */
#ifndef HERALD_ROUTER_ROUTER_FAKE_REDIS_H
#define HERALD_ROUTER_ROUTER_FAKE_REDIS_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/redis.h"
#include "common/redis_script.h"
#include "link.pb-c.h"

enum { FAKE_USERS = 6, FAKE_WORDS = 16, FAKE_BOX = 2000, FAKE_CONNECTIONS = 3, FAKE_NAME = 48 };

struct redis_reply {
    enum redis_kind kind;
    int64_t integer;
    char text[160];
    size_t count;
    const struct redis_reply *items;
};

struct fake_pending {
    struct fake_pending *next;
    redis_fn *fn;
    void *arg;
    size_t count;
    struct redis_reply reply, items[FAKE_WORDS], left[FAKE_WORDS];
};

struct redis {
    char name[FAKE_NAME];
    bool is_up;
    redis_state_fn *on_state;
    void *arg;
    redis_message_fn *on_message;
    void *message_arg;
    struct fake_pending *first, **last;
};

struct fake_user {
    bool is_online;
    char instance[FAKE_NAME];
    uint64_t generation, connection;
    char box[FAKE_BOX][FAKE_NAME]; /* ids of what is in the mailbox */
    int box_count;
    long long mark, marks[3]; /* one source in these tests; marks: of high and low, one more than the offset */
    long long epoch;          /* life * 1000 + generation of it */
    const char *known[4];     /* devices; NULL: no more */
};

/* Devices' own mailboxes: "<device>:<id>" in the order of arrival, of all users together. */
static struct {
    char items[256][FAKE_NAME];
    int count;
} fake_device_boxes;

/* All that Redis holds; users are called u0 .. u5. */
static struct fake_user fake_users[FAKE_USERS];
static struct {
    char key[FAKE_NAME], position[FAKE_NAME];
} fake_claims[4096];
static int fake_claim_count;
static struct redis *fake_connections[FAKE_CONNECTIONS];
static struct {
    char keys[4096][FAKE_NAME]; /* invalidations on their way */
    size_t count;
    bool is_lossy; /* the test's Redis does not tell */
} fake_invalid;

static inline struct fake_user *fake_user_of(const char *key)
{
    const char *open = strchr(key, '{');
    CHECK(open && open[1] == 'u' && open[2] >= '0' && open[2] < '0' + FAKE_USERS);
    return &fake_users[open[2] - '0'];
}

static inline struct redis *fake_connection(const char *name)
{
    for (int i = 0; i < FAKE_CONNECTIONS; i++)
        if (fake_connections[i] && strcmp(fake_connections[i]->name, name) == 0)
            return fake_connections[i];
    return NULL;
}

static inline void fake_changed(const char *prefix, const char *user)
{
    CHECK(fake_invalid.count < 4096);
    if (!fake_invalid.is_lossy)
        snprintf(fake_invalid.keys[fake_invalid.count++], FAKE_NAME, "%s{%s}", prefix, user);
}

/* --- what the test does --- */

static inline void fake_deliver_invalidations(void)
{
    struct redis *pushes = fake_connection("invalidations");
    for (size_t i = 0; i < fake_invalid.count && pushes->is_up; i++)
        pushes->on_message(pushes->message_arg, "__redis__:invalidate", fake_invalid.keys[i],
                           strlen(fake_invalid.keys[i]));
    fake_invalid.count = 0;
}

/* The oldest reply of a connection; false: there is none. */
static inline bool fake_deliver_one(struct redis *redis, enum err err)
{
    struct fake_pending *pending = redis->first;
    if (!pending)
        return false;
    redis->first = pending->next;
    if (!redis->first)
        redis->last = &redis->first;
    if (pending->fn)
        pending->fn(pending->arg, err, err ? NULL : &pending->reply);
    free(pending);
    return true;
}

static inline void fake_deliver_replies(void)
{
    for (int i = 0; i < FAKE_CONNECTIONS; i++)
        while (fake_connections[i] && fake_deliver_one(fake_connections[i], ERR_OK))
            ;
}

static inline void fake_set_up(struct redis *redis, bool is_up)
{
    if (redis->is_up == is_up)
        return;
    redis->is_up = is_up;
    while (!is_up && fake_deliver_one(redis, ERR_AWAY))
        ;
    if (redis->on_state)
        redis->on_state(redis->arg, is_up);
}

/* --- common/redis.h --- */

struct redis *redis_new(struct loop *loop, const struct redis_options *options, const char *name,
                        redis_state_fn *on_state, void *arg)
{
    struct redis *redis = xcalloc(1, sizeof(*redis));
    (void)loop;
    (void)options;
    snprintf(redis->name, sizeof(redis->name), "%s", name);
    redis->on_state = on_state;
    redis->arg = arg;
    redis->last = &redis->first;
    for (int i = 0; i < FAKE_CONNECTIONS; i++) {
        if (!fake_connections[i]) {
            fake_connections[i] = redis;
            return redis;
        }
    }
    CHECK(!"too many connections");
    return redis;
}

void redis_free(struct redis **redis)
{
    while (fake_deliver_one(*redis, ERR_CLOSED))
        ;
    for (int i = 0; i < FAKE_CONNECTIONS; i++)
        if (fake_connections[i] == *redis)
            fake_connections[i] = NULL;
    free(*redis);
    *redis = NULL;
}

bool redis_is_up(const struct redis *redis)
{
    return redis->is_up;
}

uint64_t redis_client_id(const struct redis *redis)
{
    return redis->is_up ? 77 : 0;
}

void redis_subscribe(struct redis *redis, const char *channel, redis_message_fn *fn, void *arg)
{
    (void)channel;
    redis->on_message = fn;
    redis->message_arg = arg;
}

static struct fake_pending *fake_pend(struct redis *redis, redis_fn *fn, void *arg)
{
    struct fake_pending *pending = xcalloc(1, sizeof(*pending));
    pending->fn = fn;
    pending->arg = arg;
    pending->reply.items = pending->items;
    *redis->last = pending;
    redis->last = &pending->next;
    return pending;
}

static void fake_put_route(struct fake_pending *pending, const struct fake_user *user)
{
    size_t at = pending->reply.count;
    pending->reply.kind = REDIS_ARRAY;
    if (!user->is_online)
        return;
    pending->items[at].kind = pending->items[at + 1].kind = REDIS_STRING;
    snprintf(pending->items[at].text, sizeof(pending->items[at].text), "web");
    snprintf(pending->items[at + 1].text, sizeof(pending->items[at + 1].text), "%s %llu %llu 5", user->instance,
             (unsigned long long)user->generation, (unsigned long long)user->connection);
    pending->reply.count = at + 2;
}

static inline int fake_device_box(const char *device)
{
    int count = 0;
    for (int i = 0; i < fake_device_boxes.count; i++)
        count += strncmp(fake_device_boxes.items[i], device, strlen(device)) == 0;
    return count;
}

static void fake_put_known(struct fake_pending *pending, const struct fake_user *user)
{
    pending->reply.kind = REDIS_ARRAY;
    for (size_t i = 0; i < 4 && user->known[i]; i++) {
        pending->items[i].kind = REDIS_STRING;
        snprintf(pending->items[i].text, sizeof(pending->items[i].text), "%s", user->known[i]);
        pending->reply.count = i + 1;
    }
}

enum err redis_words(struct redis *redis, redis_fn *fn, void *arg, ...)
{
    va_list args;
    va_start(args, arg);
    const char *verb = va_arg(args, const char *), *key = va_arg(args, const char *);
    va_end(args);
    if (!redis->is_up)
        return ERR_AWAY;
    struct fake_pending *pending = fake_pend(redis, fn, arg);
    pending->reply.kind = REDIS_INTEGER;
    if (strcmp(verb, "HGETALL") == 0)
        fake_put_route(pending, fake_user_of(key));
    else if (strcmp(verb, "EXISTS") == 0)
        pending->reply.integer = strstr(key, "}:") ? fake_device_box(strstr(key, "}:") + 2) > 0
                                                   : fake_user_of(key)->box_count > 0;
    else if (strcmp(verb, "HKEYS") == 0)
        fake_put_known(pending, fake_user_of(key));
    else if (strcmp(verb, "SET") == 0)
        snprintf(fake_invalid.keys[fake_invalid.count++], FAKE_NAME, "%s", key);
    return ERR_OK;
}

static void fake_claim(struct fake_pending *pending, const char *key, const char *position)
{
    int i = 0;
    while (i < fake_claim_count && strcmp(fake_claims[i].key, key) != 0)
        i++;
    if (i == fake_claim_count) {
        CHECK(fake_claim_count++ < 4096);
        snprintf(fake_claims[i].key, FAKE_NAME, "%s", key);
        snprintf(fake_claims[i].position, FAKE_NAME, "%s", position);
    }
    pending->reply.kind = REDIS_STRING;
    snprintf(pending->reply.text, sizeof(pending->reply.text), "%s", fake_claims[i].position);
}

/* box_append, but for age and bytes; what is taken out is told by `left`. */
static void fake_box_append(struct fake_user *user, struct fake_pending *pending, int first, const char *const *argv,
                            const size_t *lens)
{
    argv += first - 8, lens += first - 8; /* the script's arguments where they are with three keys */
    first = 8;
    long long count_max = strtoll(argv[3], NULL, 10);
    bool is_newest_refused = argv[6][0] == '1';
    char *code = pending->items[0].text;
    long long normal = user->mark;
    int other = strstr(argv[1], ":high:") ? 1 : strstr(argv[1], ":low:") ? 2 : 0;
    if (other)
        user->mark = user->marks[other] - 1;
    for (int i = first, left_count = (int)strtol(argv[first - 1], NULL, 10); left_count > 0; left_count--, i += 5) {
        Herald__V1__Delivery *delivery = herald__v1__delivery__unpack(NULL, lens[i + 4], (const uint8_t *)argv[i + 4]);
        long long epoch = strtoll(argv[i + 1], NULL, 10) * 1000 + strtoll(argv[i + 2], NULL, 10);
        long long offset = strtoll(argv[i + 3], NULL, 10);
        CHECK(delivery && user->box_count < FAKE_BOX);
        *code = 'a';
        if (epoch < user->epoch)
            *code = 'o';
        else if (epoch / 1000 == user->epoch / 1000 && offset <= user->mark)
            *code = 's';
        else if (is_newest_refused && user->box_count >= count_max)
            *code = 'f';
        else {
            user->mark = offset;
            snprintf(user->box[user->box_count++], FAKE_NAME, "%s", delivery->id);
        }
        user->epoch = epoch > user->epoch ? epoch : user->epoch;
        code++;
        herald__v1__delivery__free_unpacked(delivery, NULL);
    }
    user->marks[other] = user->mark + 1;
    if (other)
        user->mark = normal;
    struct redis_reply *left = &pending->items[4];
    left->kind = REDIS_ARRAY;
    left->items = pending->left;
    while (user->box_count > count_max && left->count < FAKE_WORDS) {
        Herald__V1__Delivery gone = HERALD__V1__DELIVERY__INIT;
        gone.id = user->box[0];
        CHECK(herald__v1__delivery__get_packed_size(&gone) < sizeof(left->text));
        (void)herald__v1__delivery__pack(&gone, (uint8_t *)pending->left[left->count].text);
        pending->left[left->count++].kind = REDIS_STRING;
        memmove(user->box[0], user->box[1], (size_t)--user->box_count * sizeof(user->box[0]));
    }
}

/* No marks, no caps. */
static void fake_device_append(const char *device, struct fake_pending *pending, int first, const char *const *argv,
                               const size_t *lens)
{
    char *code = pending->items[0].text;
    for (int i = first, left_count = (int)strtol(argv[first - 1], NULL, 10); left_count > 0; left_count--, i += 5) {
        Herald__V1__Delivery *delivery = herald__v1__delivery__unpack(NULL, lens[i + 4], (const uint8_t *)argv[i + 4]);
        CHECK(delivery && fake_device_boxes.count < 256);
        snprintf(fake_device_boxes.items[fake_device_boxes.count++], FAKE_NAME, "%.20s:%.20s", device, delivery->id);
        *code++ = 'a';
        herald__v1__delivery__free_unpacked(delivery, NULL);
    }
    pending->items[4].kind = REDIS_ARRAY;
}

/* Takes the scripts in place of what follows; for tests of other parts. */
static enum err (*fake_script_hook)(struct redis *redis, enum redis_script script, redis_fn *fn, void *arg,
                                    const char *const *argv);

enum err redis_script(struct redis *redis, enum redis_script script, redis_fn *fn, void *arg, int key_count, int argc,
                      const char *const *argv, const size_t *lens)
{
    if (!redis->is_up)
        return ERR_AWAY;
    if (fake_script_hook)
        return fake_script_hook(redis, script, fn, arg, argv);
    if (script == REDIS_SCRIPT_DEDUP_CLAIM) {
        fake_claim(fake_pend(redis, fn, arg), argv[0], argv[1]);
        return ERR_OK;
    }
    CHECK(script == REDIS_SCRIPT_BOX_APPEND && (key_count == 3 || key_count == 4));
    struct fake_user *user = fake_user_of(argv[0]);
    struct fake_pending *pending = fake_pend(redis, fn, arg);
    if (strstr(argv[0], "}:"))
        fake_device_append(strstr(argv[0], "}:") + 2, pending, key_count + 5, argv, lens);
    else
        fake_box_append(user, pending, key_count + 5, argv, lens);
    (void)argc;
    char name[3] = {'u', (char)('0' + (user - fake_users)), '\0'};
    fake_changed("herald:box:", name);
    pending->reply.count = 5;
    fake_put_route(pending, user);
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

#endif
