#include "bench/schedule.h"

void schedule_init(struct schedule *schedule, const struct plan *plan)
{
    *schedule = (struct schedule){.plan = plan};
}

void schedule_begin(struct schedule *schedule, uint64_t start_us, uint64_t seconds)
{
    schedule->start_us = start_us;
    for (size_t s = 0; s < schedule->plan->stream_count; s++) {
        const struct stream *stream = &schedule->plan->streams[s];
        uint64_t count = stream->rate * seconds;
        schedule->from[s] = schedule->sent[s];
        schedule->upto[s] = schedule->sent[s] + count - count % stream->burst;
    }
}

static uint64_t due_us(const struct schedule *schedule, size_t s)
{
    const struct stream *stream = &schedule->plan->streams[s];
    uint64_t i = schedule->sent[s] - schedule->from[s];
    return schedule->start_us + (uint64_t)((double)(i - i % stream->burst) * 1e6 / (double)stream->rate);
}

bool schedule_next(const struct schedule *schedule, struct due *due_r)
{
    bool is_any = false;
    for (size_t s = 0; s < schedule->plan->stream_count; s++) {
        uint64_t at_us = schedule->sent[s] < schedule->upto[s] ? due_us(schedule, s) : UINT64_MAX;
        if (at_us == UINT64_MAX || (is_any && at_us >= due_r->at_us))
            continue;
        is_any = true;
        *due_r = (struct due){.stream = s, .i = schedule->sent[s], .at_us = at_us};
    }
    return is_any;
}

void schedule_sent(struct schedule *schedule, const struct due *due)
{
    schedule->sent[due->stream]++;
}

uint64_t schedule_expected_of(const struct schedule *schedule, size_t s)
{
    return (schedule->upto[s] - schedule->from[s]) *
           stream_reach(&schedule->plan->streams[s], schedule->plan->connections);
}

uint64_t schedule_expected(const struct schedule *schedule)
{
    uint64_t total = 0;
    for (size_t s = 0; s < schedule->plan->stream_count; s++)
        total += schedule_expected_of(schedule, s);
    return total;
}
