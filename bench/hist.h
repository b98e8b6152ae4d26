/*
 * Latencies in fixed memory, in the manner of HdrHistogram: exact up to 255 us, within 0.8 % beyond, up to 19 hours.
 * http://hdrhistogram.org/
 */
#ifndef HERALD_BENCH_HIST_H
#define HERALD_BENCH_HIST_H

#include <stdint.h>

enum { HIST_STEPS = 128, HIST_LEN = 31 * HIST_STEPS };

/* Exposed to lie in shared memory; all zero is empty. */
struct hist {
    uint64_t counts[HIST_LEN];
};

/* What is beyond the range counts as its end. */
void hist_add(struct hist *hist, uint64_t us);
/* Adds what `from` has. */
void hist_merge(struct hist *hist, const struct hist *from);
/* Takes away what `from` has: the counts since then. */
void hist_subtract(struct hist *hist, const struct hist *from);
uint64_t hist_count(const struct hist *hist);
/* The value that `quantile` (0 .. 1) of the counts do not exceed, rounded up to its step; 0 when empty. */
uint64_t hist_at(const struct hist *hist, double quantile);

#endif
