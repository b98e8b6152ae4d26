#include "gateway/canary/beat.h"

void beat_init(struct beat *beat, uint64_t interval_ms, uint64_t timeout_ms)
{
    *beat = (struct beat){.interval_ms = interval_ms, .timeout_ms = timeout_ms};
}

bool beat_is_due(const struct beat *beat, uint64_t now_ms)
{
    uint64_t pause_ms = beat->has_passed || beat->interval_ms < BEAT_RETRY_MS ? beat->interval_ms : BEAT_RETRY_MS;
    return beat->sent_count == 0 || now_ms >= beat->sent_ms + pause_ms;
}

uint64_t beat_sent(struct beat *beat, uint64_t now_ms)
{
    uint64_t number = ++beat->sent_count;
    beat->sent_ms = now_ms;
    beat->sent_at_ms[number % BEAT_KEPT] = now_ms;
    return number;
}

bool beat_arrived(struct beat *beat, uint64_t number, uint64_t now_ms, uint64_t *latency_ms_r)
{
    if (number == 0 || number > beat->sent_count || number + BEAT_KEPT <= beat->sent_count)
        return false;
    uint64_t *sent_at_ms = &beat->sent_at_ms[number % BEAT_KEPT];
    if (*sent_at_ms == 0 || now_ms >= *sent_at_ms + beat->timeout_ms)
        return false;
    *latency_ms_r = now_ms - *sent_at_ms;
    *sent_at_ms = 0;
    beat->passed_ms = now_ms;
    beat->has_passed = true;
    return true;
}

bool beat_is_passing(const struct beat *beat, uint64_t now_ms)
{
    return beat->has_passed && now_ms < beat->passed_ms + beat->timeout_ms;
}

uint64_t beat_age_ms(const struct beat *beat, uint64_t now_ms)
{
    return beat->has_passed ? now_ms - beat->passed_ms : 0;
}
