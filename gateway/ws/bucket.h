/*
 * A token bucket for new connections, which also keeps an account of those it sent away: whoever comes back later is
 * told a time at which there will be room, behind all who were told before. Pure: time comes in.
 */
#ifndef HERALD_GATEWAY_WS_BUCKET_H
#define HERALD_GATEWAY_WS_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

/* Exposed to be embedded. */
struct bucket {
    int64_t rate, burst;         /* a second; at once, after a pause. rate 0: everybody may come */
    int64_t level_m, promised_m; /* in thousandths: tokens there; those sent away whose time has not come */
    uint64_t at_ms;              /* of these two */
};

void bucket_init(struct bucket *bucket, int64_t rate, int64_t burst, uint64_t now_ms);
/* Takes a token; false: there is none. */
bool bucket_take(struct bucket *bucket, uint64_t now_ms);
/* For one who got none: in how many ms there will be room. */
uint64_t bucket_promise(struct bucket *bucket, uint64_t now_ms);
/* How many were promised room that is not there yet. */
int64_t bucket_promised(struct bucket *bucket, uint64_t now_ms);

#endif
