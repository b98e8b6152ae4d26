/*
 * What this registry may believe about the leader lock. Pure: time comes in as an argument (monotonic ms).
 *
 * A grant is believed from the moment it was *asked for*, not answered, for less than the lock lives: a leader that
 * was stopped, or cut off from Redis, knows by its own clock that it is none any more before another can become one.
 */
#ifndef HERALD_REGISTRY_CLAIM_H
#define HERALD_REGISTRY_CLAIM_H

#include <stdbool.h>
#include <stdint.h>

enum {
    CLAIM_HOLDER_MAX = 128,
    CLAIM_RENEW_MS = 1000, /* the holder renews */
    CLAIM_TRY_MS = 250     /* the others try: a lock given back is taken at once */
};

/* Exposed to be embedded. */
struct claim {
    uint64_t ttl_ms;
    uint64_t token;                /* the fencing token; 0: never held */
    uint64_t until_ms;             /* held until then */
    uint64_t asked_ms;             /* the last attempt */
    char holder[CLAIM_HOLDER_MAX]; /* of the last answer; "" unknown */
};

void claim_init(struct claim *claim, uint64_t ttl_ms);
/* Is it time to ask (again)? */
bool claim_is_due(const struct claim *claim, uint64_t now_ms);
void claim_asked(struct claim *claim, uint64_t now_ms);
/* The answer to what was asked at asked_ms. */
void claim_answered(struct claim *claim, uint64_t asked_ms, bool is_granted, uint64_t token, const char *holder);
/* Given back, or found lost (a fenced write was refused). */
void claim_drop(struct claim *claim);
bool claim_is_held(const struct claim *claim, uint64_t now_ms);

#endif
