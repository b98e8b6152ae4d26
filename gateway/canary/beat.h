/*
 * When canaries are sent, which of them came through, and whether that is enough. Pure: times are monotonic ms.
 * Until the first one passed they are sent every BEAT_RETRY_MS, then at the interval.
 */
#ifndef HERALD_GATEWAY_CANARY_BEAT_H
#define HERALD_GATEWAY_CANARY_BEAT_H

#include <stdbool.h>
#include <stdint.h>

enum { BEAT_RETRY_MS = 500, BEAT_KEPT = 64 };

/* Exposed to be embedded. */
struct beat {
    uint64_t interval_ms, timeout_ms;
    uint64_t sent_count; /* the number of the last one; they count from 1 */
    uint64_t sent_ms;
    uint64_t passed_ms; /* when the last one came through */
    bool has_passed;
    uint64_t sent_at_ms[BEAT_KEPT]; /* by number; 0: came through, or too long ago */
};

void beat_init(struct beat *beat, uint64_t interval_ms, uint64_t timeout_ms);
bool beat_is_due(const struct beat *beat, uint64_t now_ms);
/* Returns its number. */
uint64_t beat_sent(struct beat *beat, uint64_t now_ms);
/* False: never sent, came before, or too late (a repetition counts for nothing). */
bool beat_arrived(struct beat *beat, uint64_t number, uint64_t now_ms, uint64_t *latency_ms_r);
bool beat_is_passing(const struct beat *beat, uint64_t now_ms);
/* Since the last one came through; 0 before the first. */
uint64_t beat_age_ms(const struct beat *beat, uint64_t now_ms);

#endif
