#include "router/link/pokes.h"

#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/metric.h"
#include "router/metrics.h"

enum { COUNT_MAX = 1024, WAIT_MS = 15000 };

struct waiting_poke {
    uint64_t generation, since_ms;
    struct push_str user, device; /* owned */
};

static struct push_str copy(struct push_str str)
{
    return (struct push_str){.at = xstrndup(str.at, str.len), .len = str.len};
}

static void forget(struct waiting_poke *poke)
{
    free((char *)(uintptr_t)poke->user.at);
    free((char *)(uintptr_t)poke->device.at);
}

void pokes_release(struct pokes *pokes)
{
    for (uint32_t i = 0; i < pokes->count; i++)
        forget(&pokes->rows[i]);
    free(pokes->rows);
    *pokes = (struct pokes){0};
}

void pokes_add(struct pokes *pokes, uint64_t generation, struct push_str user, struct push_str device, uint64_t now_ms)
{
    if (pokes->count >= COUNT_MAX) {
        metric_add(METRIC_POKES_DROPPED, 1);
        return;
    }
    if (!pokes->rows)
        pokes->rows = xcalloc(COUNT_MAX, sizeof(*pokes->rows));
    pokes->rows[pokes->count++] = (struct waiting_poke){
        .generation = generation, .since_ms = now_ms, .user = copy(user), .device = copy(device)};
}

uint32_t pokes_send(struct pokes *pokes, uint64_t generation, struct envelope *envelope)
{
    uint32_t kept = 0, before = pokes->count;
    for (uint32_t i = 0; i < pokes->count; i++) {
        struct waiting_poke *poke = &pokes->rows[i];
        if (poke->generation == generation) {
            envelope_put_poke(envelope, poke->user, poke->device);
            forget(poke);
        } else {
            pokes->rows[kept++] = *poke;
        }
    }
    pokes->count = kept;
    return before - kept;
}

void pokes_drop_old(struct pokes *pokes, uint64_t now_ms)
{
    uint32_t old = 0;
    while (old < pokes->count && pokes->rows[old].since_ms + WAIT_MS <= now_ms)
        forget(&pokes->rows[old++]);
    if (old == 0)
        return;
    metric_add(METRIC_POKES_DROPPED, old);
    pokes->count -= old;
    memmove(pokes->rows, pokes->rows + old, pokes->count * sizeof(*pokes->rows));
}
