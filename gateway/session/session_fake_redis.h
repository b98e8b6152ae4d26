/*
 * For session tests on the fake loop: a Redis that knows routes and mailboxes, in place of common/redis*.c. Commands
 * take effect when they are given; answers wait until the test lets them come, in order. What a script is told of
 * times is kept for the test to look at.
 */
#ifndef HERALD_GATEWAY_SESSION_SESSION_FAKE_REDIS_H
#define HERALD_GATEWAY_SESSION_SESSION_FAKE_REDIS_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/redis.h"
#include "common/redis_script.h"
#include "link.pb-c.h"

enum { FAKE_BOXES = 16, FAKE_ENTRIES = 64, FAKE_PARTS = 4 * FAKE_ENTRIES, FAKE_TEXT = 160 };

struct redis_reply {
    enum redis_kind kind;
    int64_t integer;
    char text[FAKE_TEXT];
    size_t len, count;
    const struct redis_reply *items[FAKE_ENTRIES];
};

struct fake_answer {
    struct fake_answer *next;
    redis_fn *fn;
    void *arg;
    size_t used;
    struct redis_reply parts[FAKE_PARTS];
};

struct redis {
    bool is_up;
    redis_state_fn *on_state;
    redis_message_fn *on_message;
    void *arg, *message_arg;
    struct fake_answer *first, **last;
};

struct fake_box {
    char key[64];
    int count;
    struct {
        uint64_t n;
        char packed[FAKE_TEXT];
        size_t len;
    } entries[FAKE_ENTRIES];
};

static struct {
    struct redis *commands, *kicks;
    struct fake_box boxes[FAKE_BOXES];
    char owner[64];               /* "<instance> <generation> <connection>" of the one route of these tests */
    long long since_ms, clock_ms; /* of that route; Redis' clock */
    uint64_t entry;               /* the last id given */
    int registers, refreshes, looks, route_reads, reads, acks, removes;
    char asked_since[24], asked_began[24]; /* of the last registration */
    enum err failing;                      /* all answers, when not ERR_OK */
} fake;

/* --- mailboxes --- */

static inline struct fake_box *fake_box(const char *key)
{
    for (int i = 0; i < FAKE_BOXES; i++) {
        if (fake.boxes[i].key[0] == '\0')
            snprintf(fake.boxes[i].key, sizeof(fake.boxes[i].key), "%s", key);
        if (strcmp(fake.boxes[i].key, key) == 0)
            return &fake.boxes[i];
    }
    CHECK(!"too many boxes");
    return NULL;
}

/* What box_append does; the poke is the test's. source: "topic/partition/offset", "": none. */
static inline void fake_append_from(const char *key, const char *id, const char *source, int64_t expires_at_ms)
{
    struct fake_box *box = fake_box(key);
    Herald__V1__Delivery delivery = HERALD__V1__DELIVERY__INIT;
    CHECK(box->count < FAKE_ENTRIES);
    delivery.id = (char *)(uintptr_t)id;
    delivery.source = (char *)(uintptr_t)source;
    delivery.class_ = HERALD__V1__CLASS__CLASS_DURABLE;
    delivery.content = (ProtobufCBinaryData){1, (uint8_t *)(char[]){"1"}};
    delivery.expires_at_ms = expires_at_ms;
    box->entries[box->count].n = ++fake.entry;
    box->entries[box->count].len = herald__v1__delivery__pack(&delivery, (uint8_t *)box->entries[box->count].packed);
    CHECK(box->entries[box->count++].len <= FAKE_TEXT);
}

static inline void fake_append(const char *key, const char *id, int64_t expires_at_ms)
{
    fake_append_from(key, id, "", expires_at_ms);
}

static inline void fake_append_bytes(const char *key, const char *bytes, size_t len)
{
    struct fake_box *box = fake_box(key);
    box->entries[box->count].n = ++fake.entry;
    box->entries[box->count].len = len;
    memcpy(box->entries[box->count++].packed, bytes, len);
}

/* --- answers --- */

static inline struct fake_answer *fake_answer(struct redis *redis, redis_fn *fn, void *arg)
{
    struct fake_answer *answer = xcalloc(1, sizeof(*answer));
    answer->fn = fn;
    answer->arg = arg;
    answer->used = 1;
    *redis->last = answer;
    redis->last = &answer->next;
    return answer;
}

static inline struct redis_reply *fake_part(struct fake_answer *answer, struct redis_reply *array, enum redis_kind kind)
{
    CHECK(answer->used < FAKE_PARTS && array->count < FAKE_ENTRIES);
    struct redis_reply *part = &answer->parts[answer->used++];
    part->kind = kind;
    array->kind = REDIS_ARRAY;
    array->items[array->count++] = part;
    return part;
}

static inline void fake_text(struct fake_answer *answer, struct redis_reply *array, const void *bytes, size_t len)
{
    struct redis_reply *part = fake_part(answer, array, REDIS_STRING);
    CHECK(len < FAKE_TEXT);
    memcpy(part->text, bytes, len);
    part->len = len;
}

static inline void fake_number(struct fake_answer *answer, long long number)
{
    fake_part(answer, &answer->parts[0], REDIS_INTEGER)->integer = number;
}

/* The oldest answer comes; false: there is none. */
static inline bool fake_come(struct redis *redis)
{
    struct fake_answer *answer = redis->first;
    if (!answer)
        return false;
    redis->first = answer->next;
    if (!redis->first)
        redis->last = &redis->first;
    enum err err = redis->is_up ? fake.failing : ERR_AWAY;
    if (answer->fn)
        answer->fn(answer->arg, err, err ? NULL : &answer->parts[0]);
    free(answer);
    return true;
}

static inline void fake_set_up(bool is_up)
{
    struct redis *redis = fake.commands;
    if (redis->is_up == is_up)
        return;
    redis->is_up = is_up;
    while (!is_up && fake_come(redis))
        ;
    redis->on_state(redis->arg, is_up);
}

/* --- common/redis.h --- */

struct redis *redis_new(struct loop *loop, const struct redis_options *options, const char *name,
                        redis_state_fn *on_state, void *arg)
{
    struct redis *redis = xcalloc(1, sizeof(*redis));
    (void)loop, (void)options;
    redis->on_state = on_state;
    redis->arg = arg;
    redis->last = &redis->first;
    redis->is_up = true;
    *(strcmp(name, "kicks") == 0 ? &fake.kicks : &fake.commands) = redis;
    return redis;
}

void redis_free(struct redis **redis)
{
    (*redis)->is_up = false;
    while (fake_come(*redis))
        ;
    free(*redis);
    *redis = NULL;
}

bool redis_is_up(const struct redis *redis)
{
    return redis->is_up;
}

void redis_subscribe(struct redis *redis, const char *channel, redis_message_fn *fn, void *arg)
{
    (void)channel;
    redis->on_message = fn;
    redis->message_arg = arg;
}

enum err redis_words(struct redis *redis, redis_fn *fn, void *arg, ...)
{
    char text[32];
    if (!redis->is_up)
        return ERR_AWAY;
    struct fake_answer *answer = fake_answer(redis, fn, arg); /* TIME: nothing else is asked so */
    snprintf(text, sizeof(text), "%lld", fake.clock_ms / 1000);
    fake_text(answer, &answer->parts[0], text, strlen(text));
    snprintf(text, sizeof(text), "%lld", fake.clock_ms % 1000 * 1000);
    fake_text(answer, &answer->parts[0], text, strlen(text));
    return ERR_OK;
}

/* HGET <routes> <device>, of the one route */
static inline enum err fake_hget(struct redis *redis, redis_fn *fn, void *arg)
{
    if (!redis->is_up)
        return ERR_AWAY;
    struct redis_reply *reply = &fake_answer(redis, fn, arg)->parts[0];
    fake.route_reads++;
    if (!fake.owner[0])
        return ERR_OK;
    reply->kind = REDIS_STRING;
    reply->len = (size_t)snprintf(reply->text, sizeof(reply->text), "%s %lld", fake.owner, fake.since_ms);
    return ERR_OK;
}

/* XRANGE <box> <from, - or ms-n> + COUNT <count> */
enum err redis_command(struct redis *redis, redis_fn *fn, void *arg, int argc, const char *const *argv,
                       const size_t *lens)
{
    (void)lens;
    if (strcmp(argv[0], "HGET") == 0)
        return fake_hget(redis, fn, arg);
    CHECK(argc == 6 && strcmp(argv[0], "XRANGE") == 0);
    if (!redis->is_up)
        return ERR_AWAY;
    struct fake_answer *answer = fake_answer(redis, fn, arg);
    struct fake_box *box = fake_box(argv[1]);
    const char *dash = strchr(argv[2], '-');
    uint64_t from = dash == argv[2] ? 0 : strtoull(dash + 1, NULL, 10);
    long count = strtol(argv[5], NULL, 10);
    answer->parts[0].kind = REDIS_ARRAY;
    fake.reads++;
    for (int i = 0; i < box->count && (long)answer->parts[0].count < count; i++) {
        char id[32];
        if (box->entries[i].n < from)
            continue;
        struct redis_reply *entry = fake_part(answer, &answer->parts[0], REDIS_ARRAY);
        snprintf(id, sizeof(id), "1-%llu", (unsigned long long)box->entries[i].n);
        fake_text(answer, entry, id, strlen(id));
        struct redis_reply *fields = fake_part(answer, entry, REDIS_ARRAY);
        fake_text(answer, fields, "d", 1);
        fake_text(answer, fields, box->entries[i].packed, box->entries[i].len);
    }
    return ERR_OK;
}

static inline void fake_box_ack(struct fake_answer *answer, int argc, const char *const *argv)
{
    struct fake_box *box = fake_box(argv[0]);
    char removed[FAKE_TEXT] = "";
    for (int k = 1; k < argc; k++) {
        int i = 0;
        while (i < box->count && box->entries[i].n != strtoull(strchr(argv[k], '-') + 1, NULL, 10))
            i++;
        removed[k - 1] = i < box->count ? '1' : '0';
        if (i < box->count)
            memmove(&box->entries[i], &box->entries[i + 1], (size_t)(--box->count - i) * sizeof(box->entries[0]));
    }
    fake_number(answer, box->count);
    fake_text(answer, &answer->parts[0], removed, (size_t)argc - 1);
    fake.acks++;
}

/* As route_register.lua and route_refresh.lua, for the one route, in a few words. */
static inline void fake_route(struct fake_answer *answer, bool is_refresh, int argc, const char *const *argv)
{
    char caller[64];
    long long since = strtoll(argv[8], NULL, 10), began = argc > 11 ? strtoll(argv[11], NULL, 10) : 0;
    long long entries = fake_box(argv[2])->count + fake_box(argv[3])->count;
    snprintf(caller, sizeof(caller), "%s %s %s", argv[5], argv[6], argv[7]);
    bool is_other = fake.owner[0] && strcmp(fake.owner, caller) != 0, is_late = false;
    if (since <= 0) {
        is_late = since < 0 || (began > 0 && fake.clock_ms - began > 250);
        since = began > 0 && fake.clock_ms + since - began > 250 ? began : fake.clock_ms + since;
    }
    bool is_owner = !is_other || (!is_refresh && !is_late && strtoll(argv[8], NULL, 10) == 0) || fake.since_ms <= since;
    if (is_owner) {
        snprintf(fake.owner, sizeof(fake.owner), "%s", caller);
        fake.since_ms = since;
    }
    if (is_refresh) {
        fake.refreshes++;
        fake_number(answer, is_owner);
        fake_number(answer, is_owner ? entries : 0);
        return;
    }
    fake.registers++;
    snprintf(fake.asked_since, sizeof(fake.asked_since), "%s", argv[8]);
    snprintf(fake.asked_began, sizeof(fake.asked_began), "%s", argc > 11 ? argv[11] : "");
    fake_number(answer, fake.since_ms);
    fake_number(answer, is_owner ? entries : 0);
    fake_number(answer, is_owner);
    fake_number(answer, fake.clock_ms);
}

enum err redis_script(struct redis *redis, enum redis_script script, redis_fn *fn, void *arg, int key_count, int argc,
                      const char *const *argv, const size_t *lens)
{
    (void)key_count, (void)lens;
    if (!redis->is_up)
        return ERR_AWAY;
    struct fake_answer *answer = fake_answer(redis, fn, arg);
    if (script == REDIS_SCRIPT_BOX_ACK) {
        fake_box_ack(answer, argc, argv);
    } else if (script == REDIS_SCRIPT_ROUTE_REMOVE) {
        answer->parts[0].kind = REDIS_INTEGER;
        answer->parts[0].integer = 1;
        fake.removes++;
    } else {
        fake.looks += script == REDIS_SCRIPT_ROUTE_REFRESH && strcmp(argv[argc - 1], "look") == 0;
        fake_route(answer, script == REDIS_SCRIPT_ROUTE_REFRESH, argc, argv);
    }
    return ERR_OK;
}

enum redis_kind redis_reply_kind(const struct redis_reply *reply)
{
    return reply ? reply->kind : REDIS_NIL;
}

const char *redis_reply_str(const struct redis_reply *reply, size_t *len_r)
{
    if (len_r)
        *len_r = reply ? reply->len : 0;
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
    return reply && i < reply->count ? reply->items[i] : NULL;
}

#endif
