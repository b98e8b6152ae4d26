#include "registry/watcher.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/clock.h"
#include "common/lease.h"
#include "common/log.h"
#include "common/memory.h"
#include "registry/metrics.h"

enum {
    WATCHER_MAGIC = 0x57415443,
    SLOW_US = 500000,   /* an answer this late: Redis stood still, and renewals with it */
    SLOW_HOLD_MS = 1200 /* then everybody gets the time of one more renewal */
};

struct watcher {
    uint32_t magic;
    struct loop *loop;
    struct redis *redis;
    struct roster *roster;
    loop_fn *on_sweep;
    void *arg;
    struct loop_timer *timer;
    bool has_swept, is_seeded;
    uint64_t members_version;

    /* the sweep under way */
    bool has_failed;
    uint32_t pending; /* answers not yet here; 0: no sweep under way */
    uint64_t started_us, leases_asked_ms;
    char **names;
    size_t count, next; /* answers come in the order of the questions */
    int64_t ttl_ms;     /* of names[next] */
};

static void clear_names(struct watcher *w)
{
    for (size_t i = 0; i < w->count; i++)
        free(w->names[i]);
    free(w->names);
    w->names = NULL;
    w->count = w->next = 0;
}

static void hold(struct watcher *w, enum metric_hold cause, uint64_t for_ms)
{
    metric_add_labelled(METRIC_HOLDS, cause, 1);
    roster_hold(w->roster, loop_now_ms(w->loop) + for_ms);
}

static void end_sweep(struct watcher *w)
{
    clear_names(w);
    uint64_t took_us = clock_mono_us() - w->started_us;
    metric_add_labelled(METRIC_SWEEPS, w->has_failed ? SWEEP_FAILED : SWEEP_OK, 1);
    if (took_us >= SLOW_US)
        hold(w, HOLD_SLOW, SLOW_HOLD_MS);
    if (w->has_failed)
        return;
    metric_observe(METRIC_SWEEP_SECONDS, took_us);
    roster_end(w->roster, w->leases_asked_ms);
    w->has_swept = true;
    w->on_sweep(w->arg);
}

/* Every answer ends here: the last one ends the sweep. */
static void answered(struct watcher *w)
{
    CHECK(w->pending > 0);
    if (--w->pending == 0)
        end_sweep(w);
}

static void ttl_answered(void *arg, enum err err, const struct redis_reply *reply)
{
    struct watcher *w = arg;
    MAGIC_CHECK(w, WATCHER_MAGIC);
    w->ttl_ms = err ? -1 : redis_reply_int(reply);
    if (err)
        w->has_failed = true;
    answered(w);
}

/* An unreadable lease is as good as none. */
static void see(struct watcher *w, const char *name, const struct redis_reply *reply)
{
    size_t len = 0;
    const char *bytes = redis_reply_str(reply, &len);
    if (redis_reply_kind(reply) != REDIS_STRING) {
        roster_see(w->roster, name, NULL, -2, w->leases_asked_ms);
        return;
    }
    Herald__V1__Lease *lease = NULL;
    if (lease_parse(NULL, bytes, len, &lease) != ERR_OK || strcmp(lease->instance, name) != 0) {
        metric_add(METRIC_BAD_LEASES, 1);
        log_limited(LOG_WARN, "lease cannot be read", F_STR("of", name));
    } else {
        roster_see(w->roster, name, lease, w->ttl_ms, w->leases_asked_ms);
    }
    if (lease)
        herald__v1__lease__free_unpacked(lease, NULL);
}

static void lease_answered(void *arg, enum err err, const struct redis_reply *reply)
{
    struct watcher *w = arg;
    MAGIC_CHECK(w, WATCHER_MAGIC);
    CHECK(w->next < w->count);
    if (err)
        w->has_failed = true;
    else
        see(w, w->names[w->next], reply);
    w->next++;
    answered(w);
}

static bool ask(struct watcher *w, redis_fn *fn, const char *command, const char *key)
{
    if (redis_words(w->redis, fn, w, command, key, NULL) != ERR_OK) {
        w->has_failed = true;
        return false;
    }
    w->pending++;
    return true;
}

static void ask_leases(struct watcher *w)
{
    char key[256];
    w->leases_asked_ms = loop_now_ms(w->loop);
    roster_begin(w->roster);
    for (size_t i = 0; i < w->count && !w->has_failed; i++) {
        snprintf(key, sizeof(key), "herald:lease:%s", w->names[i]);
        /* the remaining time first: it is known when the lease comes */
        if (ask(w, ttl_answered, "PTTL", key))
            (void)ask(w, lease_answered, "GET", key);
    }
}

static void names_answered(void *arg, enum err err, const struct redis_reply *reply)
{
    struct watcher *w = arg;
    MAGIC_CHECK(w, WATCHER_MAGIC);
    if (err) {
        w->has_failed = true;
        answered(w);
        return;
    }
    size_t count = redis_reply_count(reply);
    w->names = xcalloc(count ? count : 1, sizeof(char *));
    for (size_t i = 0; i < count; i++) {
        size_t len;
        const char *name = redis_reply_str(redis_reply_at(reply, i), &len);
        if (len > 0 && len <= 128 && strlen(name) == len)
            w->names[w->count++] = xstrdup(name);
    }
    ask_leases(w);
    answered(w);
}

/* The snapshot's version can only grow: if it did not, Redis was emptied or went back in time, and the leases too. */
static void version_answered(void *arg, enum err err, const struct redis_reply *reply)
{
    struct watcher *w = arg;
    MAGIC_CHECK(w, WATCHER_MAGIC);
    if (err) {
        w->has_failed = true;
    } else {
        size_t len;
        const char *text = redis_reply_str(reply, &len);
        uint64_t version = strtoull(text, NULL, 10);
        if (version < w->members_version) {
            log_warn("Redis was emptied: everybody gets time to register again", F_UINT("version", version),
                     F_UINT("before", w->members_version));
            hold(w, HOLD_EMPTIED, ROSTER_HOLD_MS);
        }
        w->members_version = version;
        metric_set(METRIC_MEMBERS_VERSION, (int64_t)version);
    }
    answered(w);
}

/* Whom the last leader believed alive is believed alive until there was time to hear from it: so a registry that
 * starts together with a Redis that lost its leases does not publish an empty cluster. */
static void snapshot_answered(void *arg, enum err err, const struct redis_reply *reply)
{
    struct watcher *w = arg;
    MAGIC_CHECK(w, WATCHER_MAGIC);
    if (err) {
        w->has_failed = true;
        answered(w);
        return;
    }
    size_t len, head;
    uint64_t version;
    const char *bytes = redis_reply_str(reply, &len);
    Herald__V1__Members *members = NULL;
    if (lease_number(bytes, len, &version, &head) == ERR_OK)
        members = herald__v1__members__unpack(memory_protobuf(), len - head, (const uint8_t *)bytes + head);
    for (size_t i = 0; members && i < members->n_leases; i++)
        roster_seed(w->roster, members->leases[i], loop_now_ms(w->loop));
    if (members)
        herald__v1__members__free_unpacked(members, NULL);
    w->is_seeded = true;
    answered(w);
}

static void start_sweep(void *arg)
{
    struct watcher *w = arg;
    MAGIC_CHECK(w, WATCHER_MAGIC);
    if (w->pending > 0 || !redis_is_up(w->redis))
        return;
    w->has_failed = false;
    w->started_us = clock_mono_us();
    /* in this order: the version and the snapshot are known before anybody is judged */
    (void)ask(w, version_answered, "GET", "herald:members:version");
    if (!w->is_seeded)
        (void)ask(w, snapshot_answered, "GET", "herald:members");
    (void)ask(w, names_answered, "SMEMBERS", "herald:instances");
}

struct watcher *watcher_new(struct loop *loop, struct redis *redis, struct roster *roster, loop_fn *on_sweep, void *arg)
{
    struct watcher *w = xcalloc(1, sizeof(*w));
    w->magic = WATCHER_MAGIC;
    w->loop = loop;
    w->redis = redis;
    w->roster = roster;
    w->on_sweep = on_sweep;
    w->arg = arg;
    w->timer = loop_timer_new(loop, start_sweep, w);
    loop_timer_start(w->timer, 0, WATCHER_SWEEP_MS);
    return w;
}

void watcher_free(struct watcher **watcher)
{
    struct watcher *w = *watcher;
    if (!w)
        return;
    CHECK(w->pending == 0); /* Redis was freed before, so every answer came */
    loop_timer_free(&w->timer);
    clear_names(w);
    w->magic = 0;
    free(w);
    *watcher = NULL;
}

void watcher_redis_state(struct watcher *w, bool is_up)
{
    metric_set(METRIC_REDIS_UP, is_up);
    w->has_swept = false;
    if (!is_up)
        return;
    hold(w, HOLD_CONNECTED, ROSTER_HOLD_MS);
    start_sweep(w);
}

bool watcher_has_swept(const struct watcher *w)
{
    return w->has_swept;
}

uint64_t watcher_members_version(const struct watcher *w)
{
    return w->members_version;
}
