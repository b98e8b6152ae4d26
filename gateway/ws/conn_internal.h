/* The bodies of struct conn and struct conns, shared by conn.c, conn_close.c, conn_http.c, conn_io.c, conns.c and
 * conn_fate.c; nobody else includes this. */
#ifndef HERALD_GATEWAY_WS_CONN_INTERNAL_H
#define HERALD_GATEWAY_WS_CONN_INTERNAL_H

#include <netinet/in.h>

#include "common/buf.h"
#include "common/list.h"
#include "common/poll_set.h"
#include "common/slab.h"
#include "common/wheel.h"
#include "gateway/ws/bucket.h"
#include "gateway/ws/conn.h"
#include "gateway/ws/deflate.h"
#include "gateway/ws/gate.h"
#include "gateway/ws/http_head.h"
#include "gateway/ws/outq.h"
#include "gateway/ws/takeover.h"
#include "gateway/ws/ws_codec.h"

enum {
    CONN_MAGIC = 0x436f6e6e,
    CONNS_MAGIC = 0x436f6e73,
    CONN_GONE = CONN_STATE_COUNT, /* the socket is closed; fates and closed() are still to be told */
    CONN_RECEIVE_SIZE = 64 * 1024,
    CONN_HEADS_KEPT = 64,
    LATE_TICK_MS = 1
};

/* One for each connection, so every byte counts: nothing here that only a busy connection needs. */
struct conn {
    uint32_t magic;
    struct poll_member socket; /* fd -1: closed */
    struct conns *conns;
    struct list link; /* on conns->states[state] */
    struct wheel_entry deadline;
    uint64_t id;
    void *owner;
    union {
        struct http_head *head; /* HEAD, once bytes came */
        struct ws_codec *codec; /* after it, while a frame or message is incomplete */
    };
    struct outq *outq; /* while something is queued, or is_dirty */
    uint64_t heard_ms, sent_ms;
    uint64_t until_ms; /* HEAD, AUTH, CLOSING: the end of the state */
    uint32_t pending_fates;
    uint8_t state;  /* enum conn_state, or CONN_GONE */
    uint8_t reason; /* enum close_reason, from CLOSING on */
    bool is_upgraded : 1;
    bool is_close_received : 1;
    bool is_deaf : 1; /* what still comes in is thrown away */
    bool is_eof : 1;  /* nothing more comes in */
    bool is_shut : 1; /* our side is shut down */
    bool is_told : 1; /* closed() was called */
    bool is_deflate : 1;
    bool is_takeover : 1; /* and with a window of its own */
    bool is_own : 1;
    bool is_held : 1;     /* nothing is written for now */
    struct in6_addr peer; /* IPv4 as mapped addresses: 16 bytes instead of text */
};
_Static_assert(sizeof(struct conn) <= 152, "a million of them are idle: think twice");

struct fate {
    struct conn *conn;
    void *receipt; /* NULL: it is no fate, but room */
    enum err err;
};

struct fates {
    struct fate *items;
    size_t count, size;
};

struct conns {
    uint32_t magic;
    struct loop *loop;
    struct poll_set *sockets;
    const struct conn_settings *settings;
    const struct conn_events *events;
    void *arg;
    uint64_t last_id;

    struct list states[CONN_STATE_COUNT + 1]; /* and CONN_GONE */
    uint32_t counts[CONN_STATE_COUNT + 1];
    uint32_t own_counts[CONN_STATE_COUNT]; /* of these, those that were adopted */
    struct list told;                      /* to be freed at the end of the turn */
    struct list dirty;
    struct fates fates, fates_spare;
    struct loop_task end_turn, reap;

    struct wheel *wheel;
    struct loop_timer *wheel_timer;
    uint64_t ping_phase;
    struct wheel *late; /* queues whose writes wait for company */
    struct loop_timer *late_timer;
    uint64_t late_until_ms; /* when the last of them is due */
    bool is_late_ticking;

    int listener; /* -1: none */
    struct loop_fd listener_watch;
    struct loop_timer *accept_timer; /* resumes accepting */
    struct gate gate;
    struct bucket bucket;

    struct slab *slab;
    struct outq_pool *outqs;
    struct ws_codec_pool *codecs;
    struct deflate *deflate;
    struct takeover *takeover;
    struct http_head *heads[CONN_HEADS_KEPT];
    unsigned head_count;
    struct message *ping;
    struct buf answer;
    char peer_text[INET6_ADDRSTRLEN];
    char receive[CONN_RECEIVE_SIZE];
};

/* --- conn.c: states and time */

struct conn *conn_new(struct conns *conns, int fd, const struct in6_addr *peer, bool is_own);
void conn_free(struct conn *c);
/* One that nothing is under way for takes another place; for slab_compact(). */
slab_move_fn conn_move;
void conn_enter(struct conn *c, unsigned state);
/* Puts the wheel entry to what is due next. */
void conn_arm(struct conn *c);
wheel_fn conn_due, conn_late_due;
/* Attaches a queue, and has it flushed at the end of the turn unless it is blocked. */
void conn_mark_dirty(struct conn *c);
/* Queues whatever the limits say. */
void conn_queue(struct conn *c, struct message *frame, void *receipt);
/* Is there room by limit.queue_bytes? Tries to write first. */
bool conn_has_room(struct conn *c, size_t frame_len);

/* --- conn_close.c: the ways to an end */

/* As conn_close() with another code (0: an empty close frame). */
void conn_close_code(struct conn *c, enum close_reason reason, uint16_t code, const char *text);
/* Answers the request with an HTTP status and closes. */
void conn_refuse(struct conn *c, enum close_reason reason, int status, const char *why);
/* The bucket is empty: 503, and back when there is room. has_more: something came behind the request. */
void conn_turn_away(struct conn *c, bool has_more);
/* The socket is closed now; the rest follows at the end of the turn. Never inside an upcall. */
void conn_gone(struct conn *c, enum close_reason reason);
/* CLOSING, and the queue is empty: what comes next? */
void conn_closing_drained(struct conn *c);

/* --- conn_http.c: the HTTP phase */

void conn_head_input(struct conn *c, const char *bytes, size_t len);
void conn_head_release(struct conn *c);

/* --- conn_io.c: reading and writing */

poll_set_fn conn_on_ready;
void conn_frames_input(struct conn *c, const char *bytes, size_t len);
/* Writes what is queued as far as the kernel takes it. False: the connection is broken. */
bool conn_write(struct conn *c);
/* conn_write() and what follows from its outcome. Never inside an upcall. */
void conn_flush(struct conn *c);

/* --- conn_fate.c: what is told at the end of the turn */

void conn_add_fate(struct conn *c, void *receipt, enum err err);
/* room() is told in its turn. */
void conn_add_room(struct conn *c);
outq_done_fn conn_fate_written, conn_fate_closed;
/* Tells pending fates, then the end of connections that have none left. */
void conn_tell(struct conns *conns);

#endif
