#include "gateway/session/routes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/log.h"
#include "common/redis_script.h"
#include "gateway/metrics.h"
#include "gateway/session/command.h"
#include "gateway/session/drain.h"
#include "gateway/session/goodbyes.h"
#include "gateway/session/redis_clock.h"
#include "gateway/session/registrations.h"
#include "gateway/session/sessions.h"

enum {
    WHEEL_TICK_MS = 200,
    RETRY_MS = 2000,
    LOOK_MAX_MS = 100000, /* so long a lost poke or kick may go unnoticed */
    LOOK_ALL_FACTOR = 3,
    CHANNEL_MAX = 160
};

struct routes {
    struct sessions *sessions;
    struct wheel *wheel; /* session.refresh: when to refresh, or to register */
    struct goodbyes *goodbyes;
    struct registrations *registrations;
    struct redis_clock *clock;
    struct redis *kicks; /* subscribed to herald:kick:<instance> */
};

static uint64_t random_below(uint64_t n)
{
    return n ? (uint64_t)random() % n : 0;
}

static void schedule(struct session *s, uint64_t least_ms, uint64_t spread_ms)
{
    struct sessions *sessions = s->sessions;
    wheel_add(sessions->routes->wheel, &s->refresh, loop_now_ms(sessions->loop) + least_ms + random_below(spread_ms));
}

/* A route is prolonged at a third of its life, and between only looked at. */
static uint64_t look_ms(const struct sessions *sessions)
{
    uint64_t third_ms = (uint64_t)sessions->settings.route_ttl_ms / 3;
    return third_ms < LOOK_MAX_MS ? third_ms : LOOK_MAX_MS;
}

/* Is it too early to prolong it? */
static bool is_only_look(const struct session *s)
{
    return (s->looks + 1) * look_ms(s->sessions) < (uint64_t)s->sessions->settings.route_ttl_ms / 3 &&
           s->looks < UINT8_MAX;
}

static void schedule_refresh(struct session *s)
{
    uint64_t after_ms = look_ms(s->sessions);
    schedule(s, after_ms - after_ms / 5, after_ms / 5);
}

/* As route_register wants it: the time Redis gave, or before that how long ago the session began, so that the last to
 * come wins, not the last to get through. */
static int64_t since(const struct session *s)
{
    return s->since_ms > 0 ? (int64_t)s->since_ms : -(int64_t)(loop_now_ms(s->sessions->loop) - s->begun_ms);
}

/* KEYS and the first ARGVs of route_register and route_refresh. */
static void begin(struct command *command, const struct session *s)
{
    command_init(command);
    command_add_key(command, "route", s, false);
    command_add_key(command, "devices", s, false);
    command_add_key(command, "box", s, false);
    command_add_key(command, "box", s, true);
    command_add(command, s->device);
    command_add(command, s->sessions->instance);
    command_add_uint(command, s->sessions->generation);
    command_add_uint(command, conn_id(s->conn));
    command_add_int(command, since(s));
    command_add_uint(command, (uint64_t)s->sessions->settings.route_ttl_ms);
    command_add_uint(command, (uint64_t)s->sessions->settings.devices_ttl_ms);
}

static void failed(struct session *s)
{
    metric_add_labelled(METRIC_ROUTES, ROUTE_EVENT_FAILED, 1);
    schedule(s, RETRY_MS, RETRY_MS);
}

static void lost(struct session *s)
{
    metric_add_labelled(METRIC_ROUTES, ROUTE_EVENT_LOST, 1);
    session_close(s, CLOSE_REPLACED, "replaced by a newer connection of this device");
}

/* --- registration ----------------------------------------------------------------------------------------------------
 */

/* Redis has a session that it takes for the newer one. Not so when that one began before this one can have begun,
 * counted back from the answer: then Redis' clock was not what it was believed to be (it was set). */
static bool is_mistaken(struct session *s, const struct redis_reply *reply)
{
    int64_t other_ms = redis_reply_int(redis_reply_at(reply, 0)), now_ms = redis_reply_int(redis_reply_at(reply, 3));
    int64_t age_ms = (int64_t)(loop_fresh_ms(s->sessions->loop) - s->begun_ms);
    if (s->since_ms > 0 || other_ms >= now_ms - age_ms)
        return false;
    redis_clock_correct(s->sessions->routes->clock, now_ms);
    return true;
}

static void registered(struct session *s, const struct redis_reply *reply)
{
    if (redis_reply_int(redis_reply_at(reply, 2)) != 1) {
        if (is_mistaken(s, reply))
            routes_register(s);
        else
            lost(s);
        return;
    }
    metric_add_labelled(METRIC_ROUTES, ROUTE_EVENT_REGISTERED, 1);
    s->since_ms = (uint64_t)redis_reply_int(redis_reply_at(reply, 0));
    s->is_registered = true;
    s->looks = 0;
    session_opened(s);
    drain_registered(s, redis_reply_int(redis_reply_at(reply, 1)));
    schedule_refresh(s);
}

static void not_registered(struct session *s)
{
    s->is_registered = false;
    session_opened(s);
    failed(s);
}

static void answered(struct session *s, enum err err, const struct redis_reply *reply)
{
    registrations_done(s->sessions->routes->registrations);
    if (s->state == SESSION_ENDED)
        log_debug("session ended while it registered", F_STR("device", s->device));
    else if (err == ERR_OK && redis_reply_count(reply) == 4)
        registered(s, reply);
    else
        not_registered(s);
}

static void start_waiting(struct routes *routes);

static void on_registered(void *arg, enum err err, const struct redis_reply *reply)
{
    struct session *s = arg;
    MAGIC_CHECK(s, SESSION_MAGIC);
    struct routes *routes = s->sessions->routes;
    answered(s, err, reply);
    session_unref(s);
    start_waiting(routes);
}

/* Its turn has come. False: Redis does not take it now, and that is its answer. */
static bool send_registration(struct session *s)
{
    struct command command;
    begin(&command, s);
    command_add_int(&command, redis_clock_at(s->sessions->routes->clock, s->begun_ms));
    enum err err = redis_script(s->sessions->redis, REDIS_SCRIPT_ROUTE_REGISTER, on_registered, s, 4, command.count,
                                command.words, command.lens);
    if (err == ERR_OK)
        session_ref(s);
    else
        answered(s, err, NULL);
    return err == ERR_OK;
}

/* session_end() is to come for those that are closing: they must not take the place of one that lives. */
static bool is_leaving(const struct session *s)
{
    return s->state == SESSION_ENDED || conn_state(s->conn) == CONN_CLOSING;
}

static void start_waiting(struct routes *routes)
{
    for (struct session *s; (s = registrations_next(routes->registrations)); session_unref(s)) {
        if (is_leaving(s))
            registrations_done(routes->registrations);
        else
            (void)send_registration(s);
    }
}

void routes_register(struct session *s)
{
    struct routes *routes = s->sessions->routes;
    if (!is_leaving(s) && registrations_start(routes->registrations, s) && !send_registration(s))
        start_waiting(routes);
}

/* --- refresh ---------------------------------------------------------------------------------------------------------
 */

static void refreshed(struct session *s, const struct redis_reply *reply)
{
    if (redis_reply_int(redis_reply_at(reply, 0)) != 1) {
        lost(s);
        return;
    }
    metric_add_labelled(METRIC_ROUTES, ROUTE_EVENT_REFRESHED, 1);
    s->looks = is_only_look(s) ? s->looks + 1 : 0;
    taken_age(&s->taken); /* a run that is still going on then is refused from there on, and stays in order */
    drain_registered(s, redis_reply_int(redis_reply_at(reply, 1)));
    schedule_refresh(s);
}

static void on_refreshed(void *arg, enum err err, const struct redis_reply *reply)
{
    struct session *s = arg;
    MAGIC_CHECK(s, SESSION_MAGIC);
    if (s->state != SESSION_ENDED && err == ERR_OK && redis_reply_count(reply) == 2)
        refreshed(s, reply);
    else if (s->state != SESSION_ENDED)
        failed(s);
    session_unref(s);
}

static void refresh(struct session *s)
{
    struct command command;
    begin(&command, s);
    if (is_only_look(s))
        command_add(&command, "look");
    session_ref(s);
    enum err err = redis_script(s->sessions->redis, REDIS_SCRIPT_ROUTE_REFRESH, on_refreshed, s, 4, command.count,
                                command.words, command.lens);
    if (err != ERR_OK)
        on_refreshed(s, err, NULL);
}

static void on_due(struct wheel_entry *entry, void *arg)
{
    struct session *s = container_of(entry, struct session, refresh);
    (void)arg;
    MAGIC_CHECK(s, SESSION_MAGIC);
    if (!redis_is_up(s->sessions->redis))
        schedule_refresh(s); /* routes_renew_all() comes before that */
    else if (s->is_registered)
        refresh(s);
    else
        routes_register(s);
}

void routes_renew_all(struct routes *routes, const char *why)
{
    struct sessions *sessions = routes->sessions;
    size_t cursor = 0;
    if (sessions->count == 0)
        return;
    log_info("sessions register again", F_STR("why", why), F_UINT("sessions", sessions->count));
    redis_clock_tick(routes->clock); /* before the first of them asks what it shows */
    for (struct user *user; (user = users_next(sessions->users, &cursor));)
        for (struct session *s = user->sessions; s; s = s->next) {
            s->is_registered = false;
            schedule(s, 0, (uint64_t)sessions->settings.register_spread_ms);
        }
}

/* A look is cheap, and tells no router; still, those of a million are spread more widely than registrations. */
void routes_look_all(struct routes *routes)
{
    struct sessions *sessions = routes->sessions;
    uint64_t spread_ms = LOOK_ALL_FACTOR * (uint64_t)sessions->settings.register_spread_ms;
    uint64_t end_ms = loop_now_ms(sessions->loop) + spread_ms;
    size_t cursor = 0;
    for (struct user *user; (user = users_next(sessions->users, &cursor));)
        for (struct session *s = user->sessions; s; s = s->next)
            if (s->is_registered && wheel_has(&s->refresh) && s->refresh.due_ms > end_ms)
                schedule(s, 0, spread_ms);
}

/* It was put on the wheel when Redis had answered, for a look_ms() later at the most, and 4/5 of that at the least. */
bool routes_is_settled(const struct session *s, uint64_t age_ms)
{
    uint64_t after_ms = look_ms(s->sessions), least_ms = after_ms - after_ms / 5;
    return s->is_registered && wheel_has(&s->refresh) &&
           s->refresh.due_ms + age_ms <= loop_now_ms(s->sessions->loop) + least_ms;
}

void routes_redis_lost(struct routes *routes)
{
    redis_clock_lost(routes->clock);
}

void routes_tick(struct routes *routes, uint64_t now_ms)
{
    wheel_advance(routes->wheel, now_ms);
    goodbyes_send_waiting(routes->goodbyes);
    redis_clock_tick(routes->clock);
}

/* --- removal ---------------------------------------------------------------------------------------------------------
 */

uint32_t routes_removals(const struct routes *routes)
{
    return goodbyes_count(routes->goodbyes);
}

void routes_forget(struct session *s, bool is_removal)
{
    struct routes *routes = s->sessions->routes;
    wheel_remove(routes->wheel, &s->refresh);
    if (is_removal)
        goodbyes_say(routes->goodbyes, s->user->name, s->device, conn_id(s->conn));
}

/* --- replaced elsewhere ----------------------------------------------------------------------------------------------
 */

/* payload: "<user>\n<device>\n<connection>[ <generation>]" */
static void on_kick(void *arg, const char *channel, const char *payload, size_t len)
{
    struct routes *routes = arg;
    (void)channel;
    const char *end = payload ? payload + len : NULL;
    const char *device = payload ? memchr(payload, '\n', len) : NULL;
    const char *connection = device ? memchr(device + 1, '\n', (size_t)(end - device - 1)) : NULL;
    char numbers[64];
    if (!connection || (size_t)(end - connection) > sizeof numbers) {
        log_limited(LOG_WARN, "malformed kick");
        return;
    }
    size_t numbers_len = (size_t)(end - connection - 1);
    memcpy(numbers, connection + 1, numbers_len);
    numbers[numbers_len] = '\0';
    char *rest;
    uint64_t id = strtoull(numbers, &rest, 10);
    if (*rest == ' ' && strtoull(rest + 1, NULL, 10) != routes->sessions->generation)
        return;
    sessions_kick(routes->sessions, payload, (size_t)(device - payload), device + 1, (size_t)(connection - device - 1),
                  id);
}

static void on_kicks_state(void *arg, bool is_up)
{
    (void)arg;
    (void)is_up; /* what was missed is found by the next refresh */
}

struct routes *routes_new(struct sessions *sessions, const struct redis_options *options)
{
    struct routes *routes = xcalloc(1, sizeof *routes);
    char channel[CHANNEL_MAX];
    routes->sessions = sessions;
    routes->goodbyes = goodbyes_new(sessions->redis, sessions->instance, sessions->generation,
                                    (uint32_t)sessions->settings.removals_max,
                                    (uint32_t)sessions->settings.registrations_max);
    routes->registrations = registrations_new((uint32_t)sessions->settings.registrations_max);
    routes->clock = redis_clock_new(sessions->loop, sessions->redis);
    routes->wheel = wheel_new(WHEEL_TICK_MS, loop_now_ms(sessions->loop), on_due, routes);
    routes->kicks = redis_new(sessions->loop, options, "kicks", on_kicks_state, routes);
    snprintf(channel, sizeof channel, "herald:kick:%s", sessions->instance);
    redis_subscribe(routes->kicks, channel, on_kick, routes);
    return routes;
}

void routes_free(struct routes **routes)
{
    if (!*routes)
        return;
    redis_free(&(*routes)->kicks);
    wheel_free(&(*routes)->wheel);
    goodbyes_free(&(*routes)->goodbyes);
    registrations_free(&(*routes)->registrations);
    redis_clock_free(&(*routes)->clock);
    free(*routes);
    *routes = NULL;
}
