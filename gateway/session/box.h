/* The mailboxes of a session in Redis: the user's, and the device's own. Reading pages, removing what is acknowledged.
 */
#ifndef HERALD_GATEWAY_SESSION_BOX_H
#define HERALD_GATEWAY_SESSION_BOX_H

#include "common/redis.h"
#include "gateway/session/letter.h"
#include "gateway/session/session.h"

/* Entries behind `after` (0-0: from the start), at most `count`. fn gets the session, with a reference to give back. As
 * redis_command(). */
enum err box_read(struct session *s, enum unacked_origin box, const struct stream_id *after, uint64_t count,
                  redis_fn *fn) MUST_CHECK;
/* Of an entry of the reply: its id, and the value of field "d". ERR_INVALID: not of that form; id_r may be right
 * all the same, else it is 0-0. */
enum err box_entry(const struct redis_reply *entry, struct stream_id *id_r, const void **bytes_r,
                   size_t *len_r) MUST_CHECK;

enum { BOX_ACKS_MAX = 128 };

/* Collects entries to be removed, so that many go in one call; flushes by itself when full or when the box changes.
 * Once Redis has removed an entry, and no other session was first, its end is told by session_events.letter. */
struct box_acks {
    struct session *session;
    enum unacked_origin box;
    uint32_t count;
    struct letter *letters[BOX_ACKS_MAX];
};
void box_acks_init(struct box_acks *acks, struct session *s);
/* Takes the letter over. */
void box_acks_add(struct box_acks *acks, enum unacked_origin box, struct letter *letter, enum letter_end end);
void box_acks_flush(struct box_acks *acks);

#endif
