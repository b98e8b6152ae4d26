/*
 * One device of one user on one connection. It takes pushes, numbers the durable ones (seq), keeps them until they are
 * acknowledged (unacked.h), and reports the fate of each exactly once.
 *
 *     REGISTERING -> OPEN -> ENDED
 *
 * REGISTERING: authenticated, its route is on its way to Redis. A session is *live* while it has no drain: then its
 * mailboxes are known to be empty and durable pushes may be sent directly; else they are refused, and wait in the
 * mailbox, so nothing overtakes (drain.h). ENDED: has left the tables and its connection; its memory stays until the
 * last of the answers that name it (refs) has come.
 */
#ifndef HERALD_GATEWAY_SESSION_SESSION_H
#define HERALD_GATEWAY_SESSION_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/slab.h"
#include "common/wheel.h"
#include "gateway/auth/identity.h"
#include "gateway/session/push_frame.h"
#include "gateway/session/taken.h"
#include "gateway/session/unacked.h"
#include "gateway/session/users.h"
#include "gateway/ws/conn.h"
#include "link.pb-c.h"

struct backlog;
struct drain;
struct letter;
struct sessions;

enum { SESSION_MAGIC = 0x5E551011 };
enum session_state { SESSION_REGISTERING, SESSION_OPEN, SESSION_ENDED };

/* Exposed to this folder: users.c links it, routes.c and drain.c keep their part of its state in it. One allocation; a
 * million of them are meant to be idle. */
struct session {
    uint32_t magic;
    uint32_t refs;
    uint16_t bad_messages;
    uint8_t state, device_len;
    bool is_registered; /* Redis has the route, as far as is known */
    uint8_t looks;      /* at the route, since it was prolonged */
    bool is_doomed;     /* to be closed at the end of the turn (overflow.h) */
    struct sessions *sessions;
    struct user *user;
    struct session *next; /* of the same user; once ended: to be freed */
    struct conn *conn;
    struct unacked *unacked;    /* NULL while nothing is */
    struct drain *drain;        /* NULL while live */
    struct backlog *backlog;    /* pushes that the connection does not take now; NULL while it does */
    struct taken *taken;        /* of late; NULL: nothing */
    uint64_t seq;               /* the last one given */
    uint64_t begun_ms;          /* by the loop's clock */
    uint64_t since_ms;          /* by Redis' clock, at the first registration; 0 before */
    struct wheel_entry refresh; /* of the route */
    struct wheel_entry expiry;  /* of the token */
    uint64_t expires_ms;        /* wall clock; 0: never */
    char device[];              /* NUL-terminated */
};

/* Whom a delivery is for. device "": every device. connection: of a durable one, the only session that may take it: one
 * that opened since must not, because what the router sent before it may have failed with its predecessor, and comes by
 * the mailbox; 0: any. */
struct addressee {
    const char *user, *device;
    uint64_t connection;
    uint64_t run; /* of a durable one: see taken.h */
    uint32_t run_index;
};

/* What became of a push; texts are borrowed for the call. */
struct session_result {
    Herald__V1__ResultKind kind;
    const char *reason; /* of REFUSED, a constant text; else "" */
    const char *device; /* of ACKED; else "" */
    uint64_t seq;       /* of ACKED */
    uint32_t client_ms; /* of ACKED: since the kernel had it */
};

/* Attaches it to its user and its connection, which goes OPEN. The route is the caller's business. */
struct session *session_new(struct sessions *sessions, struct conn *conn, const struct identity *identity);
/* A session that nothing is under way for takes another place; for slab_compact(). */
slab_move_fn session_move;
/* Frees the memory of one that has ended. */
void session_free(struct session *s);
bool session_is_device(const struct session *s, const char *device, size_t len);

/* Tells the fate of a push; for this folder. */
void session_report(struct session *s, void *receipt, const struct session_result *result);
/* True: it is taken up, and the receipt's result is reported once, now or later. False: not (yet) to be found here. */
bool session_push(struct session *s, struct push_frame *frame, const struct addressee *to, void *receipt);
/* Sends an entry of a mailbox; the letter is the session's then. */
void session_push_entry(struct session *s, struct push_frame *frame, enum unacked_origin origin, struct letter *letter);
/* May more durable pushes be sent now? */
bool session_has_room(const struct session *s);

/* The client acknowledged. ERR_INVALID: a seq that was never given. */
enum err session_ack(struct session *s, uint64_t seq) MUST_CHECK;
void session_ack_id(struct session *s, const char *id, size_t len);
/* What conn_events.fate said of a durable push. */
void session_fate(struct session *s, uint64_t seq, enum err fate);
/* Answers a client's `message`; no-op on an ended session. */
void session_answer_message(struct session *s, const char *id, size_t id_len, int code);

/* The route is in Redis, or cannot be now: tells the client, once. */
void session_opened(struct session *s);
/* Ends the session: reports CLOSED for all that is unacknowledged, and removes the route unless another session took it
 * over. The connection is closed by session_close(), or is gone already (session_end()). */
void session_end(struct session *s, bool has_successor);
void session_close(struct session *s, enum close_reason reason, const char *text);

struct session *session_ref(struct session *s);
void session_unref(struct session *s);

#endif
