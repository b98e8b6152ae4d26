#include "gateway/session/drain.h"

#include <stdlib.h>

#include "common/check.h"
#include "common/log.h"
#include "gateway/metrics.h"
#include "gateway/session/box.h"
#include "gateway/session/sessions.h"

enum { DRAIN_MAGIC = 0xD2A10001, RETRY_MS = 1000 };
enum drain_state { DRAIN_WAITING, DRAIN_READING, DRAIN_SENDING };

struct drain {
    uint32_t magic;
    uint8_t state, box;    /* enum unacked_origin: USER_BOX or DEVICE_BOX */
    bool is_poked;         /* the boxes are to be gone through once more, from the user's on */
    bool is_unread;        /* something was appended, or nothing read, since a page was last asked for */
    bool is_all_read;      /* the last page was empty */
    uint32_t unacked;      /* entries of this box, sent and not acknowledged */
    struct stream_id last; /* read so far; 0-0: nothing yet */
    struct session *session;
    struct wheel_entry timer; /* WAITING */
};

static void read_more(struct drain *d);

static void count(struct sessions *sessions, int change)
{
    sessions->draining_count += (uint32_t)change;
    metric_set(METRIC_SESSIONS_DRAINING, sessions->draining_count);
}

void drain_open(struct session *s)
{
    if (s->drain)
        return;
    struct drain *d = xcalloc(1, sizeof *d);
    d->magic = DRAIN_MAGIC;
    d->session = s;
    d->state = DRAIN_WAITING;
    d->box = UNACKED_USER_BOX;
    wheel_entry_init(&d->timer);
    s->drain = d;
    count(s->sessions, 1);
}

void drain_free(struct session *s)
{
    if (!s->drain)
        return;
    wheel_remove(s->sessions->drain_wheel, &s->drain->timer);
    free(s->drain);
    s->drain = NULL;
    count(s->sessions, -1);
}

static void wait_for(struct drain *d, int64_t ms)
{
    struct sessions *sessions = d->session->sessions;
    d->state = DRAIN_WAITING;
    wheel_add(sessions->drain_wheel, &d->timer, loop_now_ms(sessions->loop) + (uint64_t)ms);
}

/* From the start of that box. Entries of it that were sent and are unacknowledged are sent again, with a new seq: this
 * happens only when all were acknowledged, or after a time-out. */
static void start_box(struct drain *d, enum unacked_origin box)
{
    wheel_remove(d->session->sessions->drain_wheel, &d->timer);
    d->box = (uint8_t)box;
    d->unacked = 0;
    d->is_all_read = false;
    d->last = (struct stream_id){0, 0};
    d->state = DRAIN_SENDING;
    d->is_unread = true; /* until it is asked for: there may be no room now */
    read_more(d);
}

static void start(struct drain *d)
{
    d->is_poked = false;
    start_box(d, UNACKED_USER_BOX);
}

/* This box was seen empty. */
static void end_box(struct drain *d)
{
    struct session *s = d->session;
    if (d->box == UNACKED_USER_BOX) {
        start_box(d, UNACKED_DEVICE_BOX);
    } else if (d->is_poked) {
        start(d);
    } else {
        metric_add(METRIC_DRAINS, 1);
        drain_free(s);
    }
}

/* --- reading ---------------------------------------------------------------------------------------------------------
 */

/* What the entry says, in the arena; NULL when it can never be delivered. */
static const Herald__V1__Delivery *unpack(struct sessions *sessions, const void *bytes, size_t len)
{
    link_arena_clear(sessions->entry_arena);
    return herald__v1__delivery__unpack(link_arena_allocator(sessions->entry_arena), len, bytes);
}

/* Sends one entry, or has it removed when it is expired or of no use. */
static void take_entry(struct drain *d, const struct redis_reply *entry, struct box_acks *acks)
{
    struct session *s = d->session;
    struct sessions *sessions = s->sessions;
    const void *bytes = NULL;
    size_t len = 0;
    struct stream_id id;
    enum err err = box_entry(entry, &id, &bytes, &len);
    const Herald__V1__Delivery *delivery = err == ERR_OK ? unpack(sessions, bytes, len) : NULL;
    if (id.ms == 0 && id.n == 0) {
        wait_for(d, RETRY_MS); /* not a stream's entry: nothing to go on from */
        return;
    }
    d->last = id;
    if (delivery)
        taken_entry(&s->taken, sessions->taken_memory, delivery, d->box == UNACKED_DEVICE_BOX);
    if (!delivery) {
        metric_add(METRIC_BOX_INVALID, 1);
        log_limited(LOG_WARN, "unreadable mailbox entry removed", F_STR("user", s->user->name), F_UINT("bytes", len));
        box_acks_add(acks, d->box, letter_new(&id, NULL), LETTER_UNREADABLE);
    } else if (delivery->expires_at_ms > 0 && (uint64_t)delivery->expires_at_ms <= loop_wall_ms(sessions->loop)) {
        metric_add(METRIC_BOX_EXPIRED, 1);
        box_acks_add(acks, d->box, letter_new(&id, delivery), LETTER_EXPIRED);
    } else {
        d->unacked++;
        push_frame_set(&sessions->entry_frame, delivery);
        session_push_entry(s, &sessions->entry_frame, d->box, letter_new(&id, delivery));
    }
}

/* True when the whole page could be sent. */
static bool take_page(struct drain *d, const struct redis_reply *reply)
{
    struct box_acks acks;
    size_t count_in = redis_reply_count(reply), i = 0;
    box_acks_init(&acks, d->session);
    for (; i < count_in && session_has_room(d->session); i++)
        take_entry(d, redis_reply_at(reply, i), &acks);
    box_acks_flush(&acks);
    return i == count_in;
}

static void on_page(struct drain *d, const struct redis_reply *reply)
{
    bool is_first = d->last.ms == 0 && d->last.n == 0, is_empty = redis_reply_count(reply) == 0;
    d->state = DRAIN_SENDING;
    if (is_empty && d->is_unread) {
        read_more(d);
    } else if (is_empty && is_first) {
        end_box(d);
    } else if (is_empty) {
        d->is_all_read = true;
        if (d->unacked == 0)
            start_box(d, d->box); /* all that was sent is acknowledged: is it removed, too? */
    } else if (take_page(d, reply)) {
        read_more(d);
    } /* else acknowledgements make room, and continue */
}

static void on_read(void *arg, enum err err, const struct redis_reply *reply)
{
    struct session *s = arg;
    MAGIC_CHECK(s, SESSION_MAGIC);
    if (s->drain && s->drain->state == DRAIN_READING) {
        MAGIC_CHECK(s->drain, DRAIN_MAGIC);
        if (err == ERR_OK)
            on_page(s->drain, reply);
        else
            wait_for(s->drain, RETRY_MS);
    }
    session_unref(s);
}

static void read_more(struct drain *d)
{
    struct session *s = d->session;
    if (d->state != DRAIN_SENDING || d->is_all_read || !session_has_room(s))
        return;
    d->state = DRAIN_READING;
    d->is_unread = false;
    uint64_t page = (uint64_t)s->sessions->settings.drain_page;
    if (box_read(s, d->box, &d->last, page, on_read) != ERR_OK)
        wait_for(d, RETRY_MS);
}

/* --- what happens ----------------------------------------------------------------------------------------------------
 */

void drain_fall_behind(struct session *s)
{
    if (s->drain)
        return;
    drain_open(s);
    wait_for(s->drain, s->sessions->settings.behind_ms);
}

void drain_registered(struct session *s, int64_t box_len)
{
    struct drain *d = s->drain;
    if (!d && box_len == 0)
        return;
    drain_open(s);
    d = s->drain;
    if (d->state != DRAIN_WAITING || wheel_has(&d->timer)) {
        if (box_len > 0)
            drain_poke(s);
    } else if (box_len > 0 || d->is_poked) {
        start(d);
    } else {
        drain_free(s);
    }
}

void drain_poke(struct session *s)
{
    drain_open(s);
    struct drain *d = s->drain;
    d->is_poked = d->is_poked || s->state == SESSION_REGISTERING || d->box == UNACKED_DEVICE_BOX;
    d->is_unread = true;
    d->is_all_read = false;
    if (s->state == SESSION_REGISTERING)
        return; /* the answer about the route starts it */
    if (d->state == DRAIN_WAITING)
        start(d);
    else
        read_more(d);
}

void drain_continue(struct session *s)
{
    if (s->drain)
        read_more(s->drain);
}

void drain_box_acked(struct session *s, enum unacked_origin box, enum err err, int64_t left)
{
    struct drain *d = s->drain;
    if (!d) {
        if (err == ERR_OK && left > 0)
            drain_poke(s);
        return;
    }
    if (d->box != box || d->state != DRAIN_SENDING)
        return;
    if (err != ERR_OK)
        wait_for(d, RETRY_MS);
    else if (left == 0 && d->is_unread)
        start_box(d, box); /* a poke came while there was no room: that answer may be older than what it spoke of */
    else if (left == 0)
        end_box(d);
    else if (d->is_all_read && d->unacked == 0)
        start_box(d, box);
}

void drain_entry_acked(struct session *s, enum unacked_origin box)
{
    if (s->drain && s->drain->box == box && s->drain->unacked > 0)
        s->drain->unacked--;
}

void drain_due(struct wheel_entry *entry, void *arg)
{
    struct drain *d = container_of(entry, struct drain, timer);
    (void)arg;
    MAGIC_CHECK(d, DRAIN_MAGIC);
    start(d);
}
