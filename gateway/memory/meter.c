#include "gateway/memory/meter.h"

#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/cgroup.h"
#include "common/check.h"
#include "common/message.h"

struct meter {
    const struct meter_settings *settings;
    uint32_t workers;
    struct cgroup *cgroup; /* NULL: none */
    int statm;             /* /proc/self/statm */
    uint64_t page;
};

/* Bytes of address space, of private memory that is present, and of writable private memory. */
struct footprint {
    uint64_t space, present, data;
};

struct meter *meter_new(const struct meter_settings *settings, uint32_t workers)
{
    struct meter *meter = xcalloc(1, sizeof *meter);
    meter->settings = settings;
    meter->workers = workers;
    meter->cgroup = cgroup_new("");
    meter->statm = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    meter->page = (uint64_t)sysconf(_SC_PAGESIZE);
    return meter;
}

void meter_free(struct meter **meter)
{
    if (!*meter)
        return;
    cgroup_free(&(*meter)->cgroup);
    if ((*meter)->statm >= 0)
        close((*meter)->statm);
    free(*meter);
    *meter = NULL;
}

static struct footprint read_footprint(const struct meter *meter)
{
    char text[128] = "";
    unsigned long long space = 0, resident = 0, shared = 0, data = 0;
    ssize_t len = meter->statm < 0 ? -1 : pread(meter->statm, text, sizeof text - 1, 0);
    if (len <= 0 || sscanf(text, "%llu %llu %llu %*u %*u %llu", &space, &resident, &shared, &data) != 4)
        return (struct footprint){0};
    uint64_t own = resident > shared ? resident - shared : 0;
    return (struct footprint){space * meter->page, own * meter->page, data * meter->page};
}

static struct pressure_reading tighter(struct pressure_reading a, struct pressure_reading b)
{
    if (a.limit == 0 || b.limit == 0)
        return a.limit == 0 ? b : a;
    return (double)a.used / (double)a.limit > (double)b.used / (double)b.limit ? a : b;
}

/* Address space that the heap has is never given back from its middle, but what is free there can be used again. */
static uint64_t without_free_heap(uint64_t used, uint64_t limit)
{
    uint64_t reusable = used > limit / 2 ? mallinfo2().fordblks : 0; /* it walks along all free chunks */
    return used - (reusable < used ? reusable : used);
}

static struct pressure_reading of_rlimit(int resource, uint64_t used)
{
    struct rlimit limit;
    if (getrlimit(resource, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return (struct pressure_reading){.sharers = 1};
    used = without_free_heap(used, limit.rlim_cur);
    return (struct pressure_reading){.used = used, .limit = limit.rlim_cur, .sharers = 1};
}

/* No share of a limit may be filled by what waits alone. */
static uint64_t frames_limit(const struct meter *meter, const struct pressure_reading *readings)
{
    uint64_t limit = (uint64_t)meter->settings->frames;
    for (int i = 0; i < PRESSURE_OF_FRAMES; i++) {
        uint64_t half = readings[i].limit / readings[i].sharers / 2;
        if (readings[i].limit > 0 && half < limit)
            limit = half;
    }
    return limit > 0 ? limit : 1;
}

void meter_read(struct meter *meter, struct pressure_reading *readings_r)
{
    const struct footprint footprint = read_footprint(meter);
    for (int i = 0; i < PRESSURE_SOURCE_COUNT; i++)
        readings_r[i] = (struct pressure_reading){.sharers = 1};
    readings_r[PRESSURE_OF_WORKER].used = footprint.present;
    readings_r[PRESSURE_OF_WORKER].limit = (uint64_t)meter->settings->limit / meter->workers;
    struct pressure_reading *cgroup = &readings_r[PRESSURE_OF_CGROUP];
    if (meter->cgroup && cgroup_memory(meter->cgroup, &cgroup->used, &cgroup->limit))
        cgroup->sharers = meter->workers;
    readings_r[PRESSURE_OF_RLIMIT] = tighter(of_rlimit(RLIMIT_AS, footprint.space),
                                             of_rlimit(RLIMIT_DATA, footprint.data));
    readings_r[PRESSURE_OF_FRAMES].used = message_held();
    readings_r[PRESSURE_OF_FRAMES].limit = frames_limit(meter, readings_r);
}
