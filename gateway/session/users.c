#include "gateway/session/users.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/slabs.h"
#include "common/table.h"
#include "gateway/session/session.h"

struct users {
    struct table *by_name;
    struct slabs *memory;
};

static bool match(const void *item, const void *key, size_t key_len)
{
    const struct user *user = item;
    return user->name_len == key_len && memcmp(user->name, key, key_len) == 0;
}

struct users *users_new(void)
{
    struct users *users = xcalloc(1, sizeof *users);
    users->by_name = table_new(match);
    users->memory = slabs_new("user");
    return users;
}

void users_free(struct users **users)
{
    if (!*users)
        return;
    CHECK(table_count((*users)->by_name) == 0);
    table_free(&(*users)->by_name);
    slabs_free(&(*users)->memory);
    free(*users);
    *users = NULL;
}

uint32_t users_count(const struct users *users)
{
    return table_count(users->by_name);
}

struct user *users_find(const struct users *users, const char *name, size_t len)
{
    return table_find(users->by_name, name, len);
}

struct session *user_session(const struct user *user, const char *device, size_t len)
{
    for (struct session *s = user->sessions; s; s = s->next)
        if (session_is_device(s, device, len))
            return s;
    return NULL;
}

static struct user *user_new(struct users *users, const char *name, size_t len)
{
    CHECK(len <= UINT8_MAX);
    struct user *user = slabs_get(users->memory, sizeof *user + len + 1);
    user->name_len = (uint8_t)len;
    memcpy(user->name, name, len);
    return user;
}

void users_attach(struct users *users, const char *name, size_t len, struct session *s)
{
    struct user *user = users_find(users, name, len);
    if (!user) {
        user = user_new(users, name, len);
        table_add(users->by_name, name, len, user);
    }
    s->user = user;
    s->next = user->sessions;
    user->sessions = s;
}

void users_detach(struct users *users, struct session *s)
{
    struct user *user = s->user;
    struct session **at = &user->sessions;
    while (*at != s)
        at = &(*at)->next;
    *at = s->next;
    s->next = NULL;
    s->user = NULL;
    if (user->sessions)
        return;
    CHECK(table_remove(users->by_name, user->name, user->name_len) == user);
    slabs_put(user);
}

static bool move(void *arg, void *from, void *to)
{
    struct users *users = arg;
    struct user *user = to;
    CHECK(table_replace(users->by_name, user->name, user->name_len, user) == from);
    for (struct session *s = user->sessions; s; s = s->next)
        s->user = user;
    return true;
}

size_t users_compact(struct users *users, size_t max)
{
    return slabs_compact(users->memory, max, move, users);
}

struct user *users_next(const struct users *users, size_t *cursor)
{
    return table_next(users->by_name, cursor);
}
