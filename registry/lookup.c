#include "registry/lookup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"

enum { LOOKUP_MAGIC = 0x4c4f4f4b, KEY_MAX = 640 };

struct lookup {
    uint32_t magic;
    struct redis *redis;
    const struct roster *roster;
    lookup_fn *fn;
    void *arg;
    bool is_full;
    enum err err;
    size_t pending; /* answers not yet here */
    size_t count;
    struct person people[];
};

static void person_release(struct person *p)
{
    for (size_t i = 0; i < p->count; i++)
        free(p->devices[i].name);
    free(p->devices);
    free(p->user);
}

static void lookup_free(struct lookup **lookup)
{
    struct lookup *l = *lookup;
    for (size_t i = 0; i < l->count; i++)
        person_release(&l->people[i]);
    l->magic = 0;
    free(l);
    *lookup = NULL;
}

static struct person *check(struct person *p)
{
    MAGIC_CHECK(p->lookup, LOOKUP_MAGIC);
    return p;
}

/* Found or added; NULL when there are too many. */
static struct device *device_of(struct person *p, const char *name, size_t len)
{
    for (size_t i = 0; i < p->count; i++) {
        if (strlen(p->devices[i].name) == len && memcmp(p->devices[i].name, name, len) == 0)
            return &p->devices[i];
    }
    if (p->count == LOOKUP_DEVICES_MAX)
        return NULL;
    if (p->count == p->size) {
        p->size = p->size ? p->size * 2 : 4;
        p->devices = xrealloc(p->devices, p->size * sizeof(struct device));
    }
    struct device *d = &p->devices[p->count++];
    *d = (struct device){.person = p, .name = xstrndup(name, len)};
    return d;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const struct device *)a)->name, ((const struct device *)b)->name);
}

static bool ask(struct lookup *l, redis_fn *fn, void *arg, const char *command, const char *key)
{
    enum err err = redis_words(l->redis, fn, arg, command, key, NULL);
    if (err) {
        l->err = err;
        return false;
    }
    l->pending++;
    return true;
}

static void finish(struct lookup *l)
{
    l->fn(l->arg, l->err, l->err ? NULL : l->people, l->err ? 0 : l->count);
    lookup_free(&l);
}

static void answered(struct lookup *l, enum err err)
{
    if (err)
        l->err = err;
    if (--l->pending == 0)
        finish(l);
}

static void device_box_answered(void *arg, enum err err, const struct redis_reply *reply)
{
    struct device *d = arg;
    struct lookup *l = check(d->person)->lookup;
    if (!err)
        d->mailbox = (uint64_t)redis_reply_int(reply);
    answered(l, err);
}

/* The last of a person's first answers: now the devices are known, and stay where they are. */
static void box_answered(void *arg, enum err err, const struct redis_reply *reply)
{
    struct person *p = check(arg);
    struct lookup *l = p->lookup;
    qsort(p->devices, p->count, sizeof(struct device), compare_names);
    if (!err)
        p->mailbox = (uint64_t)redis_reply_int(reply);
    for (size_t i = 0; i < p->count && !l->err && !err; i++) {
        char key[KEY_MAX + 260];
        snprintf(key, sizeof(key), "herald:box:{%s}:%s", p->user, p->devices[i].name);
        (void)ask(l, device_box_answered, &p->devices[i], "XLEN", key);
    }
    answered(l, err);
}

static void devices_answered(void *arg, enum err err, const struct redis_reply *reply)
{
    struct person *p = check(arg);
    for (size_t i = 0; !err && i + 1 < redis_reply_count(reply); i += 2) {
        size_t len, seen_len;
        const char *name = redis_reply_str(redis_reply_at(reply, i), &len);
        const char *seen = redis_reply_str(redis_reply_at(reply, i + 1), &seen_len);
        struct device *d = device_of(p, name, len);
        if (d)
            d->last_seen_ms = strtoull(seen, NULL, 10);
    }
    answered(p->lookup, err);
}

static void routes_answered(void *arg, enum err err, const struct redis_reply *reply)
{
    struct person *p = check(arg);
    for (size_t i = 0; !err && i + 1 < redis_reply_count(reply); i += 2) {
        size_t len, value_len;
        const char *name = redis_reply_str(redis_reply_at(reply, i), &len);
        const char *value = redis_reply_str(redis_reply_at(reply, i + 1), &value_len);
        struct device *d = device_of(p, name, len);
        if (!d || route_parse(value, value_len, &d->route) != ERR_OK)
            continue;
        d->has_route = true;
        d->is_online = route_is_valid(&d->route, p->lookup->roster);
        p->is_online = p->is_online || d->is_online;
    }
    answered(p->lookup, err);
}

static bool ask_person(struct lookup *l, struct person *p)
{
    char key[KEY_MAX];
    snprintf(key, sizeof(key), "herald:route:{%s}", p->user);
    if (!ask(l, routes_answered, p, "HGETALL", key))
        return false;
    if (!l->is_full)
        return true;
    snprintf(key, sizeof(key), "herald:devices:{%s}", p->user);
    if (!ask(l, devices_answered, p, "HGETALL", key))
        return false;
    snprintf(key, sizeof(key), "herald:box:{%s}", p->user);
    return ask(l, box_answered, p, "XLEN", key);
}

enum err lookup_start(struct redis *redis, const struct roster *roster, const char *const *users, size_t count,
                      bool is_full, lookup_fn *fn, void *arg)
{
    struct lookup *l = xcalloc(1, sizeof(*l) + count * sizeof(struct person));
    l->magic = LOOKUP_MAGIC;
    l->redis = redis;
    l->roster = roster;
    l->fn = fn;
    l->arg = arg;
    l->is_full = is_full;
    l->count = count;
    for (size_t i = 0; i < count; i++)
        l->people[i] = (struct person){.lookup = l, .user = xstrdup(users[i])};
    for (size_t i = 0; i < count && ask_person(l, &l->people[i]); i++)
        ;
    if (l->pending > 0)
        return ERR_OK;
    enum err err = l->err ? l->err : ERR_INVALID;
    lookup_free(&l);
    return err;
}
