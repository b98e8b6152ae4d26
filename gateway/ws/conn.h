/*
 * A client's connection: the socket, the HTTP upgrade, RFC 6455 framing in, queued frames out. It knows nothing of
 * users: what arrives goes up through struct conn_events, given by the session layer.
 *
 *     HEAD  -> AUTH -> OPEN -> CLOSING -> gone
 *
 * HEAD: reading the HTTP request (ws/http_head.c, ws/upgrade.c). AUTH: upgraded, not yet authenticated. OPEN: in use.
 * CLOSING: our close frame is on its way, waiting for the peer's or the deadline. A conn is in one state, and so on one
 * list of its conns; conn_enter() alone changes it. conn_close() alone ends it, with a reason that is logged and
 * counted. Memory goes at the end of the loop turn.
 */
#ifndef HERALD_GATEWAY_WS_CONN_H
#define HERALD_GATEWAY_WS_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/loop.h"
#include "common/message.h"
#include "common/option.h"
#include "gateway/ws/gate.h"
#include "gateway/ws/takeover.h"

struct conns; /* all connections of a worker, with what they share (listener, receive buffer, pools, wheel) */
struct conn;

/* X(name, label, WebSocket close code; 0: no close frame can or should be sent) */
#define CLOSE_REASON_LIST(X)                                                                                           \
    X(PEER, "peer", 1000)            /* the client closed, politely */                                                 \
    X(LOST, "lost", 0)               /* reset, or end of stream without a close frame */                               \
    X(BAD_REQUEST, "bad_request", 0) /* refused in the HTTP phase, answered there */                                   \
    X(HEAD_TIMEOUT, "head_timeout", 0)                                                                                 \
    X(PROTOCOL, "protocol", 1002) /* RFC 6455 broken */                                                                \
    X(BAD_UTF8, "bad_utf8", 1007)                                                                                      \
    X(TOO_BIG, "too_big", 1009)                                                                                        \
    X(UNSUPPORTED, "unsupported", 1003) /* binary where only text is spoken */                                         \
    X(POLICY, "policy", 1008)           /* too many bad messages */                                                    \
    X(SHUTDOWN, "shutdown", 1001)                                                                                      \
    X(INTERNAL, "internal", 1011)                                                                                      \
    X(UNAUTHORISED, "unauthorised", 4401)                                                                              \
    X(TIMEOUT, "timeout", 4408)   /* authentication or heartbeat */                                                    \
    X(REPLACED, "replaced", 4409) /* a newer connection of the same device */                                          \
    X(RATE, "rate", 4429)                                                                                              \
    X(SLOW, "slow", 4008)                                                                                              \
    X(SHED, "shed", 1013) /* slow, and memory is short: try again later */                                             \
    X(DRAINING, "draining", 4503)

enum close_reason {
#define X(name, label, code) CLOSE_##name,
    CLOSE_REASON_LIST(X)
#undef X
        CLOSE_REASON_COUNT
};
extern const char *const close_reason_names[]; /* NULL-terminated: labels of the metric */

enum conn_state { CONN_HEAD, CONN_AUTH, CONN_OPEN, CONN_CLOSING, CONN_STATE_COUNT };

/* What the upgrade request said; borrowed, valid only during upgraded(). NULL where absent, else percent-decoded. */
struct upgrade_request {
    const char *token;  /* from Authorization: Bearer, ?token=, or a Sec-WebSocket-Protocol item `herald.jwt.<JWT>` */
    const char *device; /* ?device= */
    const char *user;   /* ?user= (only meaningful with auth.mode=none) */
    const char *origin, *user_agent;
    const char *forwarded_for;
};

struct conn_settings {
    char *path; /* "/ws" */
    /* allowed Origin values; empty: all. A star in place of the first label stands for every subdomain */
    struct option_list origins;
    int64_t message_max;               /* bytes of a message, fragments added up; 64 KiB */
    int64_t head_max, head_timeout_ms; /* 8 KiB, 10 s */
    int64_t auth_timeout_ms;           /* 8 s from the accept on */
    int64_t idle_timeout_ms;           /* nothing heard from the client for so long: 4408; 60 s */
    int64_t ping_interval_ms;          /* write-idle for so long: a ping; 25 s; 0: none */
    int64_t close_timeout_ms;          /* CLOSING at the most; 5 s */
    int64_t queue_max_bytes;           /* queued for one connection; beyond: the frame's policy */
    int64_t queue_max_age_ms;          /* oldest queued frame; beyond: close SLOW */
    int64_t connections_max;           /* of a worker; beyond: HTTP 503 with Retry-After */
    int64_t unauthenticated_max;       /* of these, not authenticated yet; the same */
    int64_t connect_rate;              /* new ones a second; 0: any number. Beyond: 503 */
    int64_t connect_burst;             /* and at once, after a pause */
    int64_t retry_max_ms;              /* the longest Retry-After of those */
    int64_t accept_batch;              /* accepted in one turn: those who are connected get theirs between */
    bool is_deflate;                   /* permessage-deflate is accepted where it is offered */
    int64_t deflate_min, deflate_level;
    struct takeover_settings takeover;
};
/* Option rows for the gateway's table, section "ws" and "limit"; defined in ws/conn_options.h. */

/* One of the frame's fates is reported through conn_events.fate, exactly once, for frames sent with a receipt. */
struct conn_events {
    /* The 101 is queued. Authenticate now from `request`, or wait for a first message. May call conn_close(). */
    void (*upgraded)(void *arg, struct conn *c, const struct upgrade_request *request);
    /* A whole message: UTF-8 valid text, or binary. Borrowed. */
    void (*message)(void *arg, struct conn *c, bool is_text, const char *bytes, size_t len);
    /* ERR_OK: handed to the kernel; ERR_FULL: dropped by policy; ERR_CLOSED: the connection went first. */
    void (*fate)(void *arg, struct conn *c, void *receipt, enum err fate);
    /* Last call for this conn; its fates came before. Only for those that upgraded() has told of. Both come at the end
     * of a turn, so never inside a call made from above. */
    void (*closed)(void *arg, struct conn *c, enum close_reason reason);
    /* The kernel has taken all that it had refused: it is not blocked any more. */
    void (*room)(void *arg, struct conn *c);
    /* It stands at another address now: an owner that has it must take the new one. Only while OPEN, and never inside a
     * call made from above. */
    void (*moved)(void *arg, struct conn *c);
};

/* settings and events are borrowed for the life of it. */
struct conns *conns_new(struct loop *loop, const struct conn_settings *settings, const struct conn_events *events,
                        void *arg);
/* Accepts on this descriptor (not owned) until conns_stop_accepting(). */
void conns_start_accepting(struct conns *conns, int listener);
void conns_stop_accepting(struct conns *conns);
/* New connections are refused for that reason (503), until it is opened again. */
void conns_close_gate(struct conns *conns, enum gate_refusal refusal, bool is_closed);
/* Gives back what is only kept for those to come, or to send less. */
void conns_trim(struct conns *conns);
/* Closes every connection with that reason. */
void conns_close_all(struct conns *conns, enum close_reason reason);
/* Without those that were adopted. */
uint32_t conns_count(const struct conns *conns, enum conn_state state);
/* A connected stream socket, the other end of which is this process' own (owned from now on): a client like any other,
 * but that it is let in whatever the limits say, and not counted among the connections. */
void conns_adopt(struct conns *conns, int fd);
/* All must be gone or going; frees at once. */
void conns_free(struct conns **conns);
/* Every connection in that state; fn must not close others than its own. */
void conns_each(struct conns *conns, enum conn_state state, void (*fn)(void *arg, struct conn *c), void *arg);

/* AUTH -> OPEN. */
void conn_authenticated(struct conn *c);
/* The session layer's own pointer; NULL at first. */
void conn_set_owner(struct conn *c, void *owner);
void *conn_owner(const struct conn *c);
enum conn_state conn_state(const struct conn *c);
bool conn_is_own(const struct conn *c);      /* by conns_adopt() */
const char *conn_peer(const struct conn *c); /* numeric address, for logs; valid until the next call */
uint64_t conn_id(const struct conn *c);      /* unique in the worker's life, from 1 */

/* Queues a frame, encoded by ws/frame.h, for the one write at the end of this turn. Takes its own reference. receipt:
 * NULL when nobody wants to know. A frame that finds the queue full is dropped, with fate ERR_FULL.
 * No-op with fate ERR_CLOSED unless AUTH or OPEN. Fates never come before this call returned. */
void conn_send(struct conn *c, struct message *frame, void *receipt);
/* What is queued waits for conn_release(), or the end of the connection: so that the 101 and the answer to the token,
 * which Redis has a part in, leave in one write. */
void conn_hold(struct conn *c);
void conn_release(struct conn *c);
/* The same, but the write may wait so long for company. What is sent without delay takes it along; order is kept. */
void conn_send_late(struct conn *c, struct message *frame, void *receipt, uint64_t delay_ms);
/* The kernel takes no more now; room() will tell. */
bool conn_is_blocked(const struct conn *c);
/* Bytes that are queued. */
size_t conn_queued(const struct conn *c);
/* Sends the close frame with the reason's code and `text` (may be NULL, at most 123 bytes) after what is queued, then
 * CLOSING. Safe from every upcall; a second call is a no-op. */
void conn_close(struct conn *c, enum close_reason reason, const char *text);

#endif
