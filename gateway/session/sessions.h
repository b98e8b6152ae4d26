/*
 * The session layer of a worker: between the connections below (struct conn_events) and the link above (struct
 * session_events). Owns users and sessions, their routes in Redis and the drains of their mailboxes.
 */
#ifndef HERALD_GATEWAY_SESSION_SESSIONS_H
#define HERALD_GATEWAY_SESSION_SESSIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/link.h"
#include "common/loop.h"
#include "common/priority.h"
#include "common/redis.h"
#include "gateway/auth/auth.h"
#include "gateway/session/letter.h"
#include "gateway/session/overflow.h"
#include "gateway/session/session.h"

struct routes;

struct session_settings {
    int64_t delay_volatile_ms, delay_durable_ms; /* how long a push may wait for others to the same connection */
    int64_t ack_window;                          /* durable pushes unacknowledged; beyond: REFUSED "window" */
    int64_t unwritten_max;        /* bytes of durable pushes that the kernel has not taken; beyond: REFUSED "slow" */
    int64_t backlog_max;          /* bytes of volatile pushes that wait for a connection; beyond: REFUSED "slow" */
    int overflow[OVERFLOW_COUNT]; /* enum overflow_policy: beyond these two */
    struct priority_weights weights;
    int64_t bad_messages_max; /* of a connection; beyond: close POLICY */
    int64_t drain_page;       /* mailbox entries read at once */
    int64_t behind_ms;        /* after a refusal: look into the mailbox by itself when no poke came so long */
    int64_t route_ttl_ms, devices_ttl_ms;
    int64_t register_spread_ms; /* everyone registers again within it when Redis came back */
    int64_t registrations_max;  /* under way at Redis, and as many removals; more wait */
    int64_t removals_max;       /* routes of ended sessions that wait to be removed, or are under way */
};

struct upstream_request {
    const char *id; /* the client's, "" without; borrowed */
    const char *content;
    size_t id_len, content_len;
};

struct session_events {
    /* The fate of a push, exactly once for each session that took it up. */
    void (*result)(void *arg, void *receipt, const struct session_result *result);
    /* A client's message to the business. ERR_OK: session_answer_message() follows; keep a session_ref(). */
    enum err (*upstream)(void *arg, struct session *s, const struct upstream_request *request);
    /* A mailbox entry was acknowledged, or found expired, and is removed: letter->end says which. Borrowed all. */
    void (*letter)(void *arg, const char *user, const char *device, const struct letter *letter);
};

/* Borrowed all, but `settings`, which is copied. */
struct sessions_parts {
    struct loop *loop;
    const struct session_settings *settings;
    const struct auth *auth;
    struct redis *redis;
    const struct redis_options *redis_options; /* for a second connection: the channel of replaced sessions */
    const char *instance;
    uint64_t generation;
    const struct session_events *events;
    void *arg;
};

/* Exposed to this folder, whose files share it. */
struct sessions {
    uint32_t magic;
    uint32_t count, draining_count;
    uint32_t own_count; /* of `count`: the worker's own, which nobody is told of */
    uint8_t squeeze;    /* slow clients may hold so many times half of what the settings say */
    size_t frames_max;  /* of the whole worker; SIZE_MAX at first */
    struct loop *loop;
    struct session_settings settings;
    const struct auth *auth;
    struct redis *redis;
    const char *instance;
    uint64_t generation;
    const struct session_events *events;
    void *arg;
    struct conns *conns; /* NULL until started */
    struct users *users;
    struct slabs *memory; /* of sessions */
    struct slab *taken_memory;
    uint64_t trim_ms; /* when to have malloc() give back; 0: there is nothing to */
    struct routes *routes;
    struct overflow *overflow;
    struct wheel *drain_wheel, *expiry_wheel;
    struct loop_timer *tick;
    struct push_frame entry_frame; /* of mailbox entries */
    struct link_arena *entry_arena;
    struct buf scratch;
    struct session *dead;
    struct loop_task reap;
};

struct sessions *sessions_new(const struct sessions_parts *parts);
/* The connections must be gone; `redis` must have been freed before (its callbacks name sessions). */
void sessions_free(struct sessions **sessions);
/* `conns`, whose events are sessions_conn_events, is borrowed: before the first delivery. */
void sessions_start(struct sessions *sessions, struct conns *conns);
/* To be called with the state of `redis`. */
void sessions_redis_state(struct sessions *sessions, bool is_up);

/* For conns_new(), with the sessions as their argument. */
extern const struct conn_events sessions_conn_events;

/* How many sessions took it up: so many results follow, perhaps some have come already. When there are only sessions of
 * other connections, one result CLOSED "stale". Receipts must be aligned pointers: odd values are used inside. */
uint32_t sessions_deliver(struct sessions *sessions, struct push_frame *frame, const struct addressee *to,
                          void *receipt);
uint32_t sessions_broadcast(struct sessions *sessions, struct push_frame *frame, void *receipt);
/* There is something in the mailbox of that user (device ""), or of that device. */
void sessions_poke(struct sessions *sessions, const char *user, const char *device);
/* Another device of that user, elsewhere, was the first to acknowledge the message. */
void sessions_withdraw(struct sessions *sessions, const char *user, const char *id);
/* A newer session of that device registered elsewhere: closes this one, if it is still that connection. */
void sessions_kick(struct sessions *sessions, const char *user, size_t user_len, const char *device, size_t device_len,
                   uint64_t connection);
/* How short memory is (gateway/memory/pressure.h): what slow clients may hold is halved `squeeze` times, and from so
 * many bytes of frames on (message_held()) nothing more is queued for them. */
void sessions_squeeze(struct sessions *sessions, uint8_t squeeze, size_t frames_max);
/* Ends every session without touching the connections. */
void sessions_end_all(struct sessions *sessions);

#endif
