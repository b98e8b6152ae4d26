#include "gateway/relief.h"

#include <malloc.h>
#include <stdlib.h>

#include "common/check.h"
#include "common/log.h"
#include "gateway/metrics.h"
#include "gateway/session/shed.h"

enum { RELIEF_MAGIC = 0x4E11EF00, TRIM_PAUSE_MS = 1000 /* a large heap takes milliseconds to look through */ };

struct relief {
    uint32_t magic;
    struct relief_parts parts;
    struct meter *meter;
    struct loop_timer *timer;
    enum pressure_level level;
    uint64_t trimmed_ms;
};

static void show(const struct relief *relief, const struct pressure_reading *readings)
{
    metric_set(METRIC_MEMORY_LEVEL, relief->level);
    for (unsigned i = 0; i < PRESSURE_SOURCE_COUNT; i++) {
        metric_set_labelled(METRIC_MEMORY_USED, i, (int64_t)readings[i].used);
        metric_set_labelled(METRIC_MEMORY_LIMIT, i, (int64_t)readings[i].limit);
    }
}

static void change_level(struct relief *relief, const struct pressure *now, const struct pressure_reading *readings)
{
    const struct pressure_reading *nearest = &readings[now->source];
    bool is_worse = now->level > relief->level;
    log_at(is_worse ? LOG_WARN : LOG_INFO, "memory pressure", F_STR("level", pressure_level_names[now->level]),
           F_STR("before", pressure_level_names[relief->level]), F_STR("source", pressure_source_names[now->source]),
           F_UINT("used", nearest->used), F_UINT("limit", nearest->limit), F_UINT("permille", now->permille));
    metric_add_labelled(METRIC_MEMORY_CHANGES, now->level, 1);
    relief->level = now->level;
    conns_close_gate(relief->parts.conns, GATE_MEMORY, now->level >= PRESSURE_REFUSE);
}

/* The heap keeps what was freed, and so does each pool: nothing of it is lost but the time to get it again. */
static void trim(struct relief *relief)
{
    uint64_t now_ms = loop_now_ms(relief->parts.loop);
    if (relief->trimmed_ms != 0 && now_ms - relief->trimmed_ms < TRIM_PAUSE_MS)
        return;
    relief->trimmed_ms = now_ms;
    conns_trim(relief->parts.conns);
    (void)malloc_trim(0);
    metric_add(METRIC_MEMORY_TRIMS, 1);
}

static void on_time(void *arg)
{
    struct relief *relief = arg;
    struct pressure_reading readings[PRESSURE_SOURCE_COUNT];
    MAGIC_CHECK(relief, RELIEF_MAGIC);
    meter_read(relief->meter, readings);
    struct pressure now = pressure_after(&relief->parts.settings->pressure, relief->level, readings);
    if (now.level != relief->level)
        change_level(relief, &now, readings);
    /* each level halves what one slow client may hold */
    sessions_squeeze(relief->parts.sessions, (uint8_t)now.level, (size_t)readings[PRESSURE_OF_FRAMES].limit);
    if (now.level == PRESSURE_SHED && sessions_shed(relief->parts.sessions, (size_t)now.excess) > 0)
        relief->trimmed_ms = 0;
    if (now.level >= PRESSURE_TRIM)
        trim(relief);
    show(relief, readings);
}

struct relief *relief_new(const struct relief_parts *parts)
{
    struct relief *relief = xcalloc(1, sizeof *relief);
    relief->magic = RELIEF_MAGIC;
    relief->parts = *parts;
    relief->meter = meter_new(&parts->settings->meter, parts->workers);
    relief->timer = loop_timer_new(parts->loop, on_time, relief);
    uint64_t interval_ms = (uint64_t)parts->settings->interval_ms;
    loop_timer_start(relief->timer, interval_ms, interval_ms);
    on_time(relief);
    return relief;
}

void relief_free(struct relief **relief)
{
    if (!*relief)
        return;
    loop_timer_free(&(*relief)->timer);
    meter_free(&(*relief)->meter);
    free(*relief);
    *relief = NULL;
}

bool relief_is_well(const struct relief *relief)
{
    return relief->level < PRESSURE_REFUSE;
}
