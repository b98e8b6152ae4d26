#include "bench/hist.h"

#include <math.h>
#include <stddef.h>

/* Below 2 * HIST_STEPS each value has its own place; each doubling after that has HIST_STEPS places. */
static size_t place_of(uint64_t us)
{
    if (us < 2 * HIST_STEPS)
        return us;
    unsigned shift = 56 - (unsigned)__builtin_clzll(us); /* leaves HIST_STEPS .. 2 * HIST_STEPS - 1 */
    size_t place = shift * HIST_STEPS + (us >> shift);
    return place < HIST_LEN ? place : HIST_LEN - 1;
}

static uint64_t last_of(size_t place)
{
    if (place < 2 * HIST_STEPS)
        return place;
    size_t shift = place / HIST_STEPS - 1;
    return ((place - shift * HIST_STEPS + 1) << shift) - 1;
}

void hist_add(struct hist *hist, uint64_t us)
{
    hist->counts[place_of(us)]++;
}

void hist_merge(struct hist *hist, const struct hist *from)
{
    for (size_t i = 0; i < HIST_LEN; i++)
        hist->counts[i] += from->counts[i];
}

void hist_subtract(struct hist *hist, const struct hist *from)
{
    for (size_t i = 0; i < HIST_LEN; i++)
        hist->counts[i] -= from->counts[i];
}

uint64_t hist_count(const struct hist *hist)
{
    uint64_t total = 0;
    for (size_t i = 0; i < HIST_LEN; i++)
        total += hist->counts[i];
    return total;
}

uint64_t hist_at(const struct hist *hist, double quantile)
{
    uint64_t total = hist_count(hist), seen = 0, wanted = (uint64_t)ceil(quantile * (double)total);
    for (size_t i = 0; i < HIST_LEN && total > 0; i++) {
        seen += hist->counts[i];
        if (seen > 0 && seen >= wanted)
            return last_of(i);
    }
    return 0;
}
