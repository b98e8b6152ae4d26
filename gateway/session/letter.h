/*
 * What is kept of a mailbox entry from its reading until it is removed: where it stands in the stream, and what its
 * producer is told about it then.
 */
#ifndef HERALD_GATEWAY_SESSION_LETTER_H
#define HERALD_GATEWAY_SESSION_LETTER_H

#include <stdbool.h>
#include <stdint.h>

#include "link.pb-c.h"

/* The id of an entry in a Redis stream, "<ms>-<n>". */
struct stream_id {
    uint64_t ms, n;
};

/* UNREADABLE: nobody is told; so for one that another device has acknowledged (once). */
enum letter_end { LETTER_UNREADABLE, LETTER_ACKED, LETTER_EXPIRED };

struct letter {
    struct stream_id stream_id;
    uint64_t seq; /* in the session that it was acknowledged in; 0: none */
    int64_t timestamp_ms;
    uint8_t end; /* enum letter_end */
    bool is_outcome_wanted;
    const char *source, *router; /* behind the id; router: that stored it, "" when it is not known */
    char id[];                   /* of the message */
};

/* delivery NULL: it cannot be read. */
struct letter *letter_new(const struct stream_id *stream_id, const Herald__V1__Delivery *delivery);
void letter_free(struct letter **letter);

#endif
