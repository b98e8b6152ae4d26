#include "bench/run.h"

#include <string.h>
#include <time.h>

#include "common/clock.h"

enum { LEAD_US = 200000, TICK_US = 100, SAMPLE_US = 1000000, LOOK_US = 2000 };

static void merged(const struct tally *tally, struct hist *sum_r)
{
    memset(sum_r, 0, sizeof *sum_r);
    for (size_t s = 0; s < PLAN_STREAMS_MAX; s++)
        hist_merge(sum_r, &tally->latency[s]);
}

static void sample(struct run *run, uint64_t now_us)
{
    static struct hist now, before;
    fleet_tally(run->fleet, &run->now);
    if (run->sample_count == RUN_SAMPLES_MAX)
        return;
    merged(&run->now, &now);
    merged(&run->before, &before);
    hist_subtract(&now, &before);
    run->samples[run->sample_count++] = (struct run_sample){
        .at_s = (double)(now_us - run->first_us) / 1e6,
        .received = run->now.received - run->before.received,
        .up = run->now.up,
        .behind_us = producer_behind_us(run->producer),
        .p50_us = hist_at(&now, 0.5),
        .p99_us = hist_at(&now, 0.99),
    };
    run->before = run->now;
}

static void look_for_the_gone(struct run *run, const struct plan *plan, const struct tally *counts, uint64_t now_us)
{
    if (run->gone_us == 0 && counts->up < plan->connections)
        run->gone_us = now_us - run->first_us;
    else if (run->gone_us > 0 && run->back_us == 0 && counts->up == plan->connections)
        run->back_us = now_us - run->first_us;
}

/* At least TICK_US: a producer that spins would take the core from the broker, whose latency would then be measured.
 * What is sent late for that counts as late. */
static void rest(uint64_t us)
{
    uint64_t wait_us = us < TICK_US ? TICK_US : us < LOOK_US ? us : LOOK_US;
    nanosleep(&(struct timespec){.tv_nsec = (long)wait_us * 1000}, NULL);
}

bool run_stretch(struct run *run, const struct plan *plan, uint64_t seconds)
{
    struct tally counts;
    run->first_us = clock_wall_us() + LEAD_US;
    run->sample_count = 0;
    run->gone_us = run->back_us = 0;
    fleet_tally(run->fleet, &run->before);
    schedule_begin(run->schedule, run->first_us, seconds);
    uint64_t expected = schedule_expected(run->schedule), looked_us = 0, sampled_us = run->first_us;
    uint64_t end = run->first_us + seconds * 1000000 + plan->drain_s * 1000000, now = run->first_us;
    bool is_complete = false, is_over = false;
    do {
        now = clock_wall_us();
        rest(producer_turn(run->producer, run->schedule, now));
        if (now >= looked_us + LOOK_US) {
            looked_us = now;
            fleet_counts(run->fleet, &counts);
            look_for_the_gone(run, plan, &counts, now);
            is_complete = counts.received >= expected && (run->gone_us == 0 || run->back_us > 0);
            is_over = now >= run->first_us + seconds * 1000000;
        }
        if (now >= sampled_us + SAMPLE_US) {
            sampled_us += SAMPLE_US;
            sample(run, now);
        }
    } while (now < end && !(is_complete && is_over));
    sample(run, now);
    return is_complete;
}

static void print_latency(const struct hist *hist, FILE *out)
{
    static const struct {
        const char *name;
        double quantile;
    } points[] = {{"p50", 0.5},  {"p75", 0.75},   {"p90", 0.9},      {"p95", 0.95},
                  {"p99", 0.99}, {"p999", 0.999}, {"p9999", 0.9999}, {"max", 1}};
    fprintf(out, "{");
    for (size_t i = 0; i < sizeof points / sizeof *points; i++)
        fprintf(out, "%s\"%s_us\": %lu", i > 0 ? ", " : "", points[i].name,
                (unsigned long)hist_at(hist, points[i].quantile));
    fprintf(out, "}");
}

static void print_counts(const struct run *run, uint64_t expected, FILE *out)
{
    const struct tally *now = &run->now;
    uint64_t unseen = expected > now->received ? expected - now->received : 0;
    double seconds = now->last_us > run->first_us ? (double)(now->last_us - run->first_us) / 1e6 : 0;
    fprintf(
        out,
        "\"expected\": %lu, \"received\": %lu, \"lost\": %lu, \"late\": %lu, \"repeated\": %lu, \"redelivered\": %lu, "
        "\"closed\": %lu, \"refused\": %lu, \"opened\": %lu, \"up\": %lu, \"reads\": %lu, \"seconds\": %.3f",
        (unsigned long)expected, (unsigned long)now->received, (unsigned long)unseen, (unsigned long)now->late,
        (unsigned long)now->repeated, (unsigned long)now->redelivered, (unsigned long)now->closed,
        (unsigned long)now->refused, (unsigned long)now->opened, (unsigned long)now->up, (unsigned long)now->reads,
        seconds);
    if (run->gone_us > 0)
        fprintf(out, ", \"gone_ms\": %.1f, \"back_ms\": %.1f", (double)run->gone_us / 1e3, (double)run->back_us / 1e3);
}

void run_report(const struct run *run, const struct plan *plan, FILE *out)
{
    static struct hist all;
    merged(&run->now, &all);
    fprintf(out, "{\"connections\": %u, \"processes\": %u, ", plan->connections, plan->processes);
    print_counts(run, schedule_expected(run->schedule), out);
    fprintf(out, ", \"latency\": ");
    print_latency(&all, out);
    fprintf(out, ", \"streams\": [");
    for (size_t s = 0; s < plan->stream_count; s++) {
        fprintf(out, "%s{\"expected\": %lu, \"received\": %lu, \"latency\": ", s > 0 ? ", " : "",
                (unsigned long)schedule_expected_of(run->schedule, s), (unsigned long)run->now.received_of[s]);
        print_latency(&run->now.latency[s], out);
        fprintf(out, "}");
    }
    fprintf(out, "], \"samples\": [");
    for (size_t i = 0; i < run->sample_count; i++) {
        const struct run_sample *at = &run->samples[i];
        fprintf(
            out,
            "%s{\"at_s\": %.2f, \"received\": %lu, \"up\": %lu, \"behind_us\": %lu, \"p50_us\": %lu, \"p99_us\": %lu}",
            i > 0 ? ", " : "", at->at_s, (unsigned long)at->received, (unsigned long)at->up,
            (unsigned long)at->behind_us, (unsigned long)at->p50_us, (unsigned long)at->p99_us);
    }
    fprintf(out, "]}\n");
    fflush(out);
}
