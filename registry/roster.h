/*
 * Who lives: the registry's judgement over the leases it reads. Pure: time comes in as an argument (monotonic ms).
 *
 * A sweep is one reading of all leases: roster_begin(), roster_see() for each name in herald:instances, roster_end().
 * When an instance last beat is worked out from its lease's remaining time, so the judgement does not depend on when
 * a sweep happened to come by. An instance is dead once its lease is gone or its beat is older than ROSTER_SILENT_MS,
 * whichever is noticed first: with a sweep every 250 ms that is less than 3 s after the last heartbeat.
 *
 * Silence means nothing while nobody could be heard: after a lost connection, a slow answer or an emptied Redis the
 * watcher calls roster_hold(), and until then nobody is declared dead.
 */
#ifndef HERALD_REGISTRY_ROSTER_H
#define HERALD_REGISTRY_ROSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lease.pb-c.h"

enum {
    ROSTER_SILENT_MS = 2600,
    /* Long enough for an instance to reconnect to Redis (back-off up to 1 s) and renew its lease (every second). */
    ROSTER_HOLD_MS = 2500
};

#define ROSTER_EVENT_LIST(X)                                                                                           \
    X(JOINED, "joined")       /* first lease, or alive again */                                                        \
    X(RESTARTED, "restarted") /* same name, higher generation, without having been seen dead */                        \
    X(CHANGED, "changed")     /* another endpoint, URL or drain flag */                                                \
    X(LEFT, "left")           /* the lease was taken back before its time: a polite stop */                            \
    X(DIED, "died")           /* the lease ran out, or its beat stands still */                                        \
    X(REFUSED, "refused")     /* instances_max is reached: not taken in (instance is NULL) */

enum roster_event {
#define X(name, text) ROSTER_##name,
    ROSTER_EVENT_LIST(X)
#undef X
        ROSTER_EVENT_COUNT
};
const char *roster_event_name(enum roster_event event);

/* Exposed to be read; only roster.c writes it. */
struct instance {
    char *name;
    Herald__V1__Lease *lease; /* the last one read; NULL: none ever was */
    bool is_live;
    bool has_left;         /* dead, by a polite stop */
    bool is_listed;        /* its name is in herald:instances as of the last sweep */
    uint64_t heartbeat_ms; /* when it last beat, as far as known */
    uint64_t died_ms;      /* when it was declared dead, or first seen without a lease */
    double in_per_s, out_per_s;
};

struct roster;
typedef void roster_event_fn(void *arg, enum roster_event event, const struct instance *in);

struct roster_settings {
    uint64_t lease_ttl_ms; /* with which leases are written */
    uint64_t forget_ms;    /* dead for longer: forgotten */
    size_t instances_max;
};

struct roster *roster_new(const struct roster_settings *settings, roster_event_fn *on_event, void *arg);
void roster_free(struct roster **roster);

void roster_begin(struct roster *roster);
/* lease NULL: none there. ttl_ms: PTTL of the lease key, negative when unknown. as_of_ms: when the reading was asked
 * for. The lease is copied. */
void roster_see(struct roster *roster, const char *name, const Herald__V1__Lease *lease, int64_t ttl_ms,
                uint64_t as_of_ms);
/* Instances that this sweep did not list count as without a lease. */
void roster_end(struct roster *roster, uint64_t as_of_ms);

/* At start: an instance of the last published snapshot, believed alive until the hold is over. Known ones are left. */
void roster_seed(struct roster *roster, const Herald__V1__Lease *lease, uint64_t now_ms);
/* Nobody is declared dead before until_ms. */
void roster_hold(struct roster *roster, uint64_t until_ms);

/* Grows with everything that routing must hear of: live set, generations, endpoints, URLs, drain flags. */
uint64_t roster_changes(const struct roster *roster);
/* In the order of their names. */
size_t roster_count(const struct roster *roster);
const struct instance *roster_at(const struct roster *roster, size_t i);
const struct instance *roster_find(const struct roster *roster, const char *name);
/* Is this the live generation of that instance? What a route says is true only then. */
bool roster_is_current(const struct roster *roster, const char *name, uint64_t generation);
/* Should the leader take this name out of herald:instances? */
bool roster_is_forgettable(const struct roster *roster, const struct instance *in, uint64_t now_ms);

#endif
