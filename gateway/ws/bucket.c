#include "gateway/ws/bucket.h"

enum { WHOLE = 1000, FAR_MS = 3600 * 1000 };

void bucket_init(struct bucket *bucket, int64_t rate, int64_t burst, uint64_t now_ms)
{
    *bucket = (struct bucket){.rate = rate, .burst = burst, .level_m = burst * WHOLE, .at_ms = now_ms};
}

/* rate a second is rate thousandths a millisecond. */
static void pass_time(struct bucket *bucket, uint64_t now_ms)
{
    if (now_ms <= bucket->at_ms)
        return;
    uint64_t passed_ms = now_ms - bucket->at_ms;
    int64_t gained_m = bucket->rate * (int64_t)(passed_ms < FAR_MS ? passed_ms : FAR_MS);
    bucket->at_ms = now_ms;
    bucket->level_m += gained_m;
    if (bucket->level_m > bucket->burst * WHOLE)
        bucket->level_m = bucket->burst * WHOLE;
    bucket->promised_m = bucket->promised_m > gained_m ? bucket->promised_m - gained_m : 0;
}

bool bucket_take(struct bucket *bucket, uint64_t now_ms)
{
    if (bucket->rate == 0)
        return true;
    pass_time(bucket, now_ms);
    if (bucket->level_m < WHOLE)
        return false;
    bucket->level_m -= WHOLE;
    return true;
}

uint64_t bucket_promise(struct bucket *bucket, uint64_t now_ms)
{
    if (bucket->rate == 0)
        return 0;
    pass_time(bucket, now_ms);
    bucket->promised_m += WHOLE;
    return (uint64_t)(bucket->promised_m / bucket->rate);
}

int64_t bucket_promised(struct bucket *bucket, uint64_t now_ms)
{
    pass_time(bucket, now_ms);
    return bucket->promised_m / WHOLE;
}
