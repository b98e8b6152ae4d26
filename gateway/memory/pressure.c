#include "gateway/memory/pressure.h"

#include <stddef.h>

const char *const pressure_level_names[] = {
#define X(name, label) label,
    PRESSURE_LEVEL_LIST(X)
#undef X
        NULL,
};

const char *const pressure_source_names[] = {
#define X(name, label) label,
    PRESSURE_SOURCE_LIST(X)
#undef X
        NULL,
};

static uint32_t permille(const struct pressure_reading *reading)
{
    if (reading->limit == 0)
        return 0;
    double share = (double)reading->used / (double)reading->limit * 1000;
    return share < 1e6 ? (uint32_t)share : 1000000;
}

/* A level that holds already ends later than it begins. */
static enum pressure_level level_of(const struct pressure_settings *settings, enum pressure_level before,
                                    uint32_t share)
{
    int level = PRESSURE_SHED;
    while (level > PRESSURE_NORMAL) {
        int64_t at = settings->at[level] - (level <= (int)before ? settings->slack : 0);
        if (share >= (uint64_t)(at > 0 ? at : 0) * 10)
            break;
        level--;
    }
    return (enum pressure_level)level;
}

static uint64_t excess_of(const struct pressure_settings *settings, const struct pressure_reading *reading)
{
    int64_t aim = settings->at[PRESSURE_SHED] - settings->slack;
    uint64_t may = (uint64_t)((double)reading->limit * (double)(aim > 0 ? aim : 0) / 100);
    uint64_t sharers = reading->sharers > 0 ? reading->sharers : 1;
    return reading->limit > 0 && reading->used >= may ? (reading->used - may) / sharers + 1 : 0;
}

struct pressure pressure_after(const struct pressure_settings *settings, enum pressure_level before,
                               const struct pressure_reading *readings)
{
    struct pressure p = {.level = PRESSURE_NORMAL};
    for (int i = 0; i < PRESSURE_SOURCE_COUNT; i++) {
        uint32_t share = permille(&readings[i]);
        if (share > p.permille) {
            p.permille = share;
            p.source = (enum pressure_source)i;
        }
    }
    p.level = level_of(settings, before, p.permille);
    for (int i = 0; i < PRESSURE_SOURCE_COUNT && p.level == PRESSURE_SHED; i++) {
        uint64_t excess = excess_of(settings, &readings[i]);
        p.excess = excess > p.excess ? excess : p.excess;
    }
    return p;
}
