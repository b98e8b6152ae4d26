#include "gateway/session/registrations.h"

#include <stdlib.h>

#include "common/check.h"
#include "gateway/metrics.h"
#include "gateway/session/session.h"

enum { FIRST_SIZE = 256, SIZE_KEPT = 4096 };

struct registrations {
    uint32_t max, under_way;
    struct session **waiting; /* a ring; grows with the sessions, which are bounded */
    uint32_t size, first, count;
};

struct registrations *registrations_new(uint32_t max)
{
    struct registrations *registrations = xcalloc(1, sizeof *registrations);
    registrations->max = max;
    return registrations;
}

void registrations_free(struct registrations **registrations)
{
    if (!*registrations)
        return;
    free((*registrations)->waiting);
    free(*registrations);
    *registrations = NULL;
}

static void resize(struct registrations *registrations, uint32_t size)
{
    struct session **waiting = size ? xmalloc(size * sizeof(struct session *)) : NULL;
    for (uint32_t i = 0; i < registrations->count; i++)
        waiting[i] = registrations->waiting[(registrations->first + i) % registrations->size];
    free(registrations->waiting);
    registrations->waiting = waiting;
    registrations->size = size;
    registrations->first = 0;
}

static void show(const struct registrations *registrations)
{
    metric_set(METRIC_REGISTRATIONS, registrations->under_way);
    metric_set(METRIC_REGISTRATIONS_WAITING, registrations->count);
}

bool registrations_start(struct registrations *registrations, struct session *s)
{
    bool is_free = registrations->under_way < registrations->max && registrations->count == 0;
    if (is_free) {
        registrations->under_way++;
    } else {
        if (registrations->count == registrations->size)
            resize(registrations, registrations->size ? registrations->size * 2 : FIRST_SIZE);
        uint32_t at = (registrations->first + registrations->count++) % registrations->size;
        registrations->waiting[at] = session_ref(s);
        metric_add(METRIC_REGISTRATIONS_DEFERRED, 1);
    }
    show(registrations);
    return is_free;
}

void registrations_done(struct registrations *registrations)
{
    CHECK(registrations->under_way > 0);
    registrations->under_way--;
    show(registrations);
}

struct session *registrations_next(struct registrations *registrations)
{
    if (registrations->count == 0 || registrations->under_way >= registrations->max)
        return NULL;
    struct session *s = registrations->waiting[registrations->first];
    registrations->first = (registrations->first + 1) % registrations->size;
    registrations->count--;
    registrations->under_way++;
    if (registrations->count == 0 && registrations->size > SIZE_KEPT)
        resize(registrations, 0);
    show(registrations);
    return s;
}
