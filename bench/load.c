/*
 * The load generator: N authenticated WebSocket connections in as many processes as their descriptors need, a producer
 * with open-loop rates, and a check of every message that arrives: in each stream, each connection's numbers run
 * without gap, repetition or reversal, or the run is void. A message carries the time at which it was due, so a late
 * sender, or a slow broker, does not hide latency.
 *
 *     herald-load --gateway HOST:PORT[,..] --connections N [--processes N] [--ramp PER_S] [--reconnect MS]
 *                 [--brokers B --stream to=user|users|all,class=volatile|durable,rate=N,size=BYTES,group=N,burst=N,
 *                 fields=JSON]... [--warm-up S] [--seconds S] [--drain S] [--linger MS] [--prefix P] [--secret S]
 * [--rest US] [--raw]
 *
 * Connects, warms up, prints "ready" and the milliseconds that connecting took, and waits for a line on standard input
 * (so that the caller can look at memory and CPU). Then it runs, prints one JSON object (docs/benchmarks.md), and stays
 * connected until another line or the end of input: leaving costs the server too, and is no part of a delivery. Without
 * --stream nothing is produced: the connections are held. --raw: bare TCP connections that only read (for
 * herald-floor). Exit status 1: void.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "bench/fleet.h"
#include "bench/plan.h"
#include "bench/run.h"
#include "common/check.h"
#include "common/clock.h"

static struct run run; /* histograms are too much for a stack */

static bool wait_line(void)
{
    char line[64];
    return fgets(line, sizeof line, stdin) != NULL;
}

static bool warm_up(const struct plan *plan)
{
    if (plan->stream_count == 0)
        return true;
    run.producer = producer_new(plan);
    if (plan->warm_up_s == 0)
        return true;
    bool is_complete = run_stretch(&run, plan, plan->warm_up_s);
    if (!is_complete || run.now.late || run.now.repeated) {
        fprintf(stderr, "herald-load: the warm-up is void: ");
        run_report(&run, plan, stderr);
    }
    fleet_clear(run.fleet);
    return is_complete;
}

/* Holding, there is nothing but connections to report. */
static bool perform(const struct plan *plan)
{
    bool is_valid = true;
    if (plan->stream_count > 0)
        is_valid = run_stretch(&run, plan, plan->seconds);
    else
        fleet_tally(run.fleet, &run.now);
    run_report(&run, plan, stdout);
    const struct tally *now = &run.now;
    bool is_whole = now->closed == 0 || plan->reconnect_ms > 0;
    return is_valid && is_whole && now->late == 0 && now->repeated == 0;
}

int main(int argc, char **argv)
{
    static struct plan plan;
    static struct schedule schedule;
    if (!plan_parse(&plan, argc, argv))
        return 2;
    prctl(PR_SET_TIMERSLACK, 1000);
    schedule_init(&schedule, &plan);
    run.schedule = &schedule;
    uint64_t start_us = clock_mono_us();
    run.fleet = fleet_start(&plan);
    bool is_up = fleet_wait_up(run.fleet);
    uint64_t connected_us = clock_mono_us() - start_us;
    bool is_valid = is_up && warm_up(&plan);
    if (is_valid) {
        printf("ready %.1f\n", (double)connected_us / 1e3);
        fflush(stdout);
        is_valid = wait_line() && perform(&plan);
        wait_line();
    }
    if (run.producer)
        producer_free(&run.producer);
    fleet_free(&run.fleet);
    return is_valid ? 0 : 1;
}
