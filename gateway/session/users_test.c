#include "gateway/session/users.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "gateway/session/session.h"

static struct session *session(const char *device)
{
    size_t len = strlen(device);
    struct session *s = xcalloc(1, sizeof *s + len + 1);
    s->magic = SESSION_MAGIC;
    s->device_len = (uint8_t)len;
    memcpy(s->device, device, len + 1);
    return s;
}

static void devices_of_one_user(void **state)
{
    struct users *users = users_new();
    struct session *web = session("web"), *phone = session("phone"), *tv = session("tv");
    (void)state;
    users_attach(users, "42", 2, web);
    users_attach(users, "42", 2, phone);
    users_attach(users, "42", 2, tv);
    assert_int_equal(users_count(users), 1);
    struct user *user = users_find(users, "42", 2);
    assert_string_equal(user->name, "42");
    assert_ptr_equal(user_session(user, "web", 3), web);
    assert_ptr_equal(user_session(user, "tv", 2), tv);
    assert_null(user_session(user, "we", 2));
    assert_null(user_session(user, "webs", 4));
    users_detach(users, phone); /* from the middle */
    assert_null(phone->user);
    assert_null(user_session(user, "phone", 5));
    assert_ptr_equal(user_session(user, "web", 3), web);
    users_detach(users, web);
    assert_ptr_equal(users_find(users, "42", 2), user);
    users_detach(users, tv);
    assert_null(users_find(users, "42", 2));
    assert_int_equal(users_count(users), 0);
    users_free(&users);
    free(web);
    free(phone);
    free(tv);
}

static void many_users(void **state)
{
    enum { N = 5000 };
    struct users *users = users_new();
    struct session **sessions = xcalloc(N, sizeof(struct session *));
    (void)state;
    for (int i = 0; i < N; i++) {
        char name[32];
        snprintf(name, sizeof name, "user-%d", i);
        sessions[i] = session("d");
        users_attach(users, name, strlen(name), sessions[i]);
    }
    assert_int_equal(users_count(users), N);
    assert_null(users_find(users, "user-", 5));
    for (int i = 0; i < N; i++) {
        char name[32];
        snprintf(name, sizeof name, "user-%d", i);
        assert_ptr_equal(users_find(users, name, strlen(name))->sessions, sessions[i]);
    }
    size_t cursor = 0;
    int seen = 0;
    while (users_next(users, &cursor))
        seen++;
    assert_int_equal(seen, N);
    for (int i = 0; i < N; i++) {
        users_detach(users, sessions[i]);
        free(sessions[i]);
    }
    free(sessions);
    users_free(&users);
}

/* One of ten stays; all of them are found where they are moved to, by name and by session. */
static void most_leave(void **state)
{
    enum { N = 20000, STAYS = 10 };
    struct users *users = users_new();
    struct session **sessions = xcalloc(N, sizeof(struct session *));
    char name[32];
    (void)state;
    for (int i = 0; i < N; i++) {
        snprintf(name, sizeof name, "user-%d", i);
        sessions[i] = session("d");
        users_attach(users, name, strlen(name), sessions[i]);
    }
    for (int i = 0; i < N; i++)
        if (i % STAYS)
            users_detach(users, sessions[i]);
    size_t moved = 0, before = slab_bytes(slab_of(sessions[0]->user));
    for (size_t step; (step = users_compact(users, 64)) > 0; moved += step)
        assert_true(step <= 64);
    assert_true(moved > N / STAYS / 2 && moved <= N / STAYS);
    assert_true(slab_bytes(slab_of(sessions[0]->user)) < before / 4);
    for (int i = 0; i < N; i++) {
        snprintf(name, sizeof name, "user-%d", i);
        const struct user *user = users_find(users, name, strlen(name));
        if (i % STAYS) {
            assert_null(user);
        } else {
            assert_string_equal(user->name, name);
            assert_ptr_equal(user->sessions, sessions[i]);
            assert_ptr_equal(sessions[i]->user, user);
            users_detach(users, sessions[i]);
        }
        free(sessions[i]);
    }
    free(sessions);
    users_free(&users);
}

static void longest_name(void **state)
{
    struct users *users = users_new();
    char name[USER_LEN_MAX];
    struct session *s = session("d");
    (void)state;
    memset(name, 'u', sizeof name);
    users_attach(users, name, sizeof name, s);
    assert_int_equal(users_find(users, name, sizeof name)->name_len, USER_LEN_MAX);
    assert_int_equal(strlen(s->user->name), USER_LEN_MAX);
    users_detach(users, s);
    free(s);
    users_free(&users);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(devices_of_one_user),
        cmocka_unit_test(many_users),
        cmocka_unit_test(most_leave),
        cmocka_unit_test(longest_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
