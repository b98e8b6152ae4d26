/* Who is here: users by name, each with its sessions (one a device). A user exists while it has a session. */
#ifndef HERALD_GATEWAY_SESSION_USERS_H
#define HERALD_GATEWAY_SESSION_USERS_H

#include <stddef.h>
#include <stdint.h>

struct session;
struct users;

/* Exposed, because sessions walk their siblings and print their user's name. */
struct user {
    struct session *sessions; /* singly linked by session.next: few */
    uint8_t name_len;
    char name[]; /* NUL-terminated */
};

struct users *users_new(void);
/* All sessions must have left. */
void users_free(struct users **users);
uint32_t users_count(const struct users *users);
struct user *users_find(const struct users *users, const char *name, size_t len);
/* The user's session of that device; NULL when there is none. */
struct session *user_session(const struct user *user, const char *device, size_t len);
/* Puts the session, which has no user yet, under that user, made if need be. */
void users_attach(struct users *users, const char *name, size_t len, struct session *s);
/* Takes it away; the user goes with its last session. */
void users_detach(struct users *users, struct session *s);
/* Moves users together where many have left, at most so many; returns how many moved. */
size_t users_compact(struct users *users, size_t max);
/* Walks all users, as table_next(). */
struct user *users_next(const struct users *users, size_t *cursor);

#endif
