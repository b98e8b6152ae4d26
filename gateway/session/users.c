#include "gateway/session/users.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/table.h"
#include "gateway/session/session.h"

struct users {
    struct table *by_name;
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
    return users;
}

void users_free(struct users **users)
{
    if (!*users)
        return;
    CHECK(table_count((*users)->by_name) == 0);
    table_free(&(*users)->by_name);
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

static struct user *user_new(const char *name, size_t len)
{
    CHECK(len <= UINT8_MAX);
    struct user *user = xmalloc(sizeof *user + len + 1);
    user->sessions = NULL;
    user->name_len = (uint8_t)len;
    memcpy(user->name, name, len);
    user->name[len] = '\0';
    return user;
}

void users_attach(struct users *users, const char *name, size_t len, struct session *s)
{
    struct user *user = users_find(users, name, len);
    if (!user) {
        user = user_new(name, len);
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
    free(user);
}

struct user *users_next(const struct users *users, size_t *cursor)
{
    return table_next(users->by_name, cursor);
}
