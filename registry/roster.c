#include "registry/roster.h"

#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/memory.h"

enum {
    RATE_SPAN_MIN_MS = 200, /* closer beats say nothing about a rate */
    SWEEP_SPAN_MAX_MS = 1000
};

static const double RATE_MIN = 0.05;

struct roster {
    struct roster_settings settings;
    roster_event_fn *on_event;
    void *arg;
    struct instance **instances; /* sorted by name */
    size_t count, size;
    uint64_t changes;
    uint64_t hold_until_ms;
    uint64_t sweep_ms; /* as_of of the sweep before this one: no beat that is new now is older */
};

const char *roster_event_name(enum roster_event event)
{
    static const char *const names[] = {
#define X(name, text) text,
        ROSTER_EVENT_LIST(X)
#undef X
    };
    return names[event];
}

struct roster *roster_new(const struct roster_settings *settings, roster_event_fn *on_event, void *arg)
{
    struct roster *r = xcalloc(1, sizeof(*r));
    r->settings = *settings;
    r->on_event = on_event;
    r->arg = arg;
    return r;
}

static void instance_free(struct instance *in)
{
    if (in->lease)
        herald__v1__lease__free_unpacked(in->lease, NULL);
    free(in->name);
    free(in);
}

void roster_free(struct roster **roster)
{
    struct roster *r = *roster;
    if (!r)
        return;
    for (size_t i = 0; i < r->count; i++)
        instance_free(r->instances[i]);
    free(r->instances);
    free(r);
    *roster = NULL;
}

/* Where the name is, or would be. */
static size_t position(const struct roster *r, const char *name, bool *is_there_r)
{
    size_t low = 0, high = r->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(r->instances[middle]->name, name);
        if (order == 0) {
            *is_there_r = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *is_there_r = false;
    return low;
}

static struct instance *find(const struct roster *r, const char *name)
{
    bool is_there;
    size_t at = position(r, name, &is_there);
    return is_there ? r->instances[at] : NULL;
}

/* NULL when the roster is full. */
static struct instance *find_or_add(struct roster *r, const char *name, uint64_t now_ms)
{
    bool is_there;
    size_t at = position(r, name, &is_there);
    if (is_there)
        return r->instances[at];
    if (r->count >= r->settings.instances_max) {
        r->on_event(r->arg, ROSTER_REFUSED, NULL);
        return NULL;
    }
    if (r->count == r->size) {
        r->size = r->size ? r->size * 2 : 16;
        r->instances = xrealloc(r->instances, r->size * sizeof(struct instance *));
    }
    memmove(&r->instances[at + 1], &r->instances[at], (r->count - at) * sizeof(struct instance *));
    struct instance *in = xcalloc(1, sizeof(*in));
    in->name = xstrdup(name);
    in->died_ms = now_ms;
    r->instances[at] = in;
    r->count++;
    return in;
}

static Herald__V1__Lease *copy_lease(const Herald__V1__Lease *lease)
{
    size_t len = herald__v1__lease__get_packed_size(lease);
    uint8_t *packed = xmalloc(len ? len : 1);
    herald__v1__lease__pack(lease, packed);
    Herald__V1__Lease *copy = herald__v1__lease__unpack(memory_protobuf(), len, packed);
    free(packed);
    CHECK(copy);
    return copy;
}

static void set_lease(struct instance *in, const Herald__V1__Lease *lease)
{
    if (in->lease)
        herald__v1__lease__free_unpacked(in->lease, NULL);
    in->lease = copy_lease(lease);
}

static void become(struct roster *r, struct instance *in, enum roster_event event)
{
    r->changes++;
    r->on_event(r->arg, event, in);
}

static void bury(struct roster *r, struct instance *in, bool has_left, uint64_t now_ms)
{
    in->is_live = false;
    in->has_left = has_left;
    in->died_ms = now_ms;
    in->in_per_s = in->out_per_s = 0;
    become(r, in, has_left ? ROSTER_LEFT : ROSTER_DIED);
}

static double smooth(double before, uint64_t old_count, uint64_t new_count, uint64_t span_ms)
{
    double now = new_count > old_count ? (double)(new_count - old_count) * 1000.0 / (double)span_ms : 0;
    double mean = before > 0 ? (before + now) / 2 : now;
    return mean < RATE_MIN ? 0 : mean; /* else it would only ever come near to 0 */
}

static void measure(struct instance *in, const Herald__V1__Lease *lease, uint64_t heartbeat_ms)
{
    uint64_t span_ms = heartbeat_ms > in->heartbeat_ms ? heartbeat_ms - in->heartbeat_ms : 0;
    if (!in->is_live || span_ms < RATE_SPAN_MIN_MS)
        return;
    in->in_per_s = smooth(in->in_per_s, in->lease->messages_in, lease->messages_in, span_ms);
    in->out_per_s = smooth(in->out_per_s, in->lease->messages_out, lease->messages_out, span_ms);
}

/* When was this beat, which was not there in the sweep before? */
static uint64_t beat_time(const struct roster *r, const struct instance *in, int64_t ttl_ms, uint64_t as_of_ms)
{
    if (ttl_ms >= 0 && (uint64_t)ttl_ms <= r->settings.lease_ttl_ms) {
        uint64_t age_ms = r->settings.lease_ttl_ms - (uint64_t)ttl_ms;
        return as_of_ms > age_ms ? as_of_ms - age_ms : 0;
    }
    /* no usable remaining time: any moment since the last sweep is possible, the earliest is the safe one */
    bool is_sweep_recent = r->sweep_ms > 0 && as_of_ms - r->sweep_ms <= SWEEP_SPAN_MAX_MS;
    return in->lease && is_sweep_recent ? r->sweep_ms : as_of_ms;
}

static bool is_silent(const struct instance *in, uint64_t now_ms)
{
    return now_ms >= in->heartbeat_ms + ROSTER_SILENT_MS;
}

static bool is_same_place(const Herald__V1__Lease *a, const Herald__V1__Lease *b)
{
    return strcmp(a->endpoint, b->endpoint) == 0 && strcmp(a->url, b->url) == 0 && a->draining == b->draining &&
           a->role == b->role;
}

static void see_first_life(struct roster *r, struct instance *in, const Herald__V1__Lease *lease, uint64_t beat_ms,
                           uint64_t as_of_ms)
{
    set_lease(in, lease);
    in->heartbeat_ms = beat_ms;
    in->in_per_s = in->out_per_s = 0;
    if (is_silent(in, as_of_ms))
        return;
    enum roster_event event = in->is_live ? ROSTER_RESTARTED : ROSTER_JOINED;
    in->is_live = true;
    in->has_left = false;
    become(r, in, event);
}

static void see_same_life(struct roster *r, struct instance *in, const Herald__V1__Lease *lease, uint64_t beat_ms,
                          uint64_t as_of_ms)
{
    bool is_moved = !is_same_place(in->lease, lease);
    measure(in, lease, beat_ms);
    set_lease(in, lease);
    in->heartbeat_ms = beat_ms;
    if (!in->is_live && !is_silent(in, as_of_ms)) {
        in->is_live = true;
        in->has_left = false;
        become(r, in, ROSTER_JOINED);
    } else if (in->is_live && is_moved) {
        become(r, in, ROSTER_CHANGED);
    }
}

static void judge(struct roster *r, struct instance *in, bool has_lease, uint64_t now_ms)
{
    if (!in->is_live || now_ms < r->hold_until_ms)
        return;
    bool has_beaten = !is_silent(in, now_ms);
    if (!has_lease || !has_beaten)
        bury(r, in, !has_lease && has_beaten, now_ms);
}

void roster_begin(struct roster *r)
{
    for (size_t i = 0; i < r->count; i++)
        r->instances[i]->is_listed = false;
}

void roster_see(struct roster *r, const char *name, const Herald__V1__Lease *lease, int64_t ttl_ms, uint64_t as_of_ms)
{
    struct instance *in = find_or_add(r, name, as_of_ms);
    if (!in)
        return;
    in->is_listed = true;
    if (lease) {
        uint64_t beat_ms = beat_time(r, in, ttl_ms, as_of_ms);
        const Herald__V1__Lease *known = in->lease;
        /* a lower generation counts only when the higher one is dead: a stale process must not displace its successor
         */
        if (!known || lease->generation > known->generation || (lease->generation < known->generation && !in->is_live))
            see_first_life(r, in, lease, beat_ms, as_of_ms);
        else if (lease->generation == known->generation && lease->beat != known->beat)
            see_same_life(r, in, lease, beat_ms, as_of_ms);
    }
    judge(r, in, lease != NULL, as_of_ms);
}

void roster_end(struct roster *r, uint64_t as_of_ms)
{
    size_t kept = 0;
    for (size_t i = 0; i < r->count; i++) {
        struct instance *in = r->instances[i];
        if (!in->is_listed)
            judge(r, in, false, as_of_ms);
        if (!in->is_listed && roster_is_forgettable(r, in, as_of_ms))
            instance_free(in);
        else
            r->instances[kept++] = in;
    }
    r->count = kept;
    r->sweep_ms = as_of_ms;
}

void roster_seed(struct roster *r, const Herald__V1__Lease *lease, uint64_t now_ms)
{
    if (find(r, lease->instance))
        return;
    struct instance *in = find_or_add(r, lease->instance, now_ms);
    if (!in)
        return;
    set_lease(in, lease);
    in->heartbeat_ms = now_ms;
    in->is_live = true;
    become(r, in, ROSTER_JOINED);
}

void roster_hold(struct roster *r, uint64_t until_ms)
{
    if (until_ms > r->hold_until_ms)
        r->hold_until_ms = until_ms;
}

uint64_t roster_changes(const struct roster *r)
{
    return r->changes;
}

size_t roster_count(const struct roster *r)
{
    return r->count;
}

const struct instance *roster_at(const struct roster *r, size_t i)
{
    CHECK(i < r->count);
    return r->instances[i];
}

const struct instance *roster_find(const struct roster *r, const char *name)
{
    return find(r, name);
}

bool roster_is_current(const struct roster *r, const char *name, uint64_t generation)
{
    const struct instance *in = find(r, name);
    return in && in->is_live && in->lease->generation == generation;
}

bool roster_is_forgettable(const struct roster *r, const struct instance *in, uint64_t now_ms)
{
    return !in->is_live && now_ms >= in->died_ms + r->settings.forget_ms;
}
