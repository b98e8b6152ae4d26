/* One stretch of a plan: produce what is due, wait for what comes of it, and look at the counts each second. */
#ifndef HERALD_BENCH_RUN_H
#define HERALD_BENCH_RUN_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "bench/fleet.h"
#include "bench/producer.h"
#include "bench/schedule.h"

enum { RUN_SAMPLES_MAX = 900 };

/* What happened in about one second. */
struct run_sample {
    double at_s; /* its end, since the start */
    uint64_t received, up, behind_us, p50_us, p99_us;
};

struct run {
    struct fleet *fleet;
    struct producer *producer;
    struct schedule *schedule;
    uint64_t first_us;         /* wall clock: when the first push was due */
    uint64_t gone_us, back_us; /* after the start: when a connection was first seen missing, all seen back; 0: never */
    struct tally now, before;  /* the last look, the one before */
    struct run_sample samples[RUN_SAMPLES_MAX];
    size_t sample_count;
};

/* False: what was expected did not all arrive within the plan's drain time. */
bool run_stretch(struct run *run, const struct plan *plan, uint64_t seconds);
/* One line of JSON. */
void run_report(const struct run *run, const struct plan *plan, FILE *out);

#endif
