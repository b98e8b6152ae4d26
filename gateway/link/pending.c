#include "gateway/link/pending.h"

#include <stdlib.h>

#include "common/check.h"
#include "common/slab.h"

enum { PENDING_MAGIC = 0x9E2D0001 };

struct pendings {
    struct slab *slab;
    pending_fn *fn;
    void *arg;
};

struct pending {
    uint32_t magic;
    uint32_t slot, slot_generation, received_ms;
    uint32_t expected, reported, written;
    bool is_broadcast, is_sealed, is_told;
    uint8_t failure; /* Herald__V1__ResultKind; UNKNOWN: none yet */
    const char *reason;
    void *owner;
    struct pendings *pendings;
};

struct pendings *pendings_new(pending_fn *fn, void *arg)
{
    struct pendings *pendings = xcalloc(1, sizeof *pendings);
    pendings->slab = slab_new("pending", sizeof(struct pending));
    pendings->fn = fn;
    pendings->arg = arg;
    return pendings;
}

void pendings_free(struct pendings **pendings)
{
    if (!*pendings)
        return;
    slab_free(&(*pendings)->slab);
    free(*pendings);
    *pendings = NULL;
}

uint32_t pendings_count(const struct pendings *pendings)
{
    return (uint32_t)slab_in_use(pendings->slab);
}

struct pending *pending_new(struct pendings *pendings, void *owner, uint32_t slot, uint32_t slot_generation,
                            bool is_broadcast, uint32_t now_ms)
{
    struct pending *p = slab_get(pendings->slab);
    p->magic = PENDING_MAGIC;
    p->pendings = pendings;
    p->owner = owner;
    p->slot = slot;
    p->slot_generation = slot_generation;
    p->is_broadcast = is_broadcast;
    p->received_ms = now_ms;
    p->reason = "";
    return p;
}

static void tell(struct pending *p, Herald__V1__ResultKind kind, const Herald__V1__Result *report)
{
    if (p->is_told)
        return;
    p->is_told = true;
    Herald__V1__Result result = HERALD__V1__RESULT__INIT;
    result.slot = p->slot;
    result.slot_generation = p->slot_generation;
    result.kind = kind;
    result.count = p->is_broadcast ? p->written : 0;
    if (report) {
        result.reason = report->reason;
        result.device = report->device;
        result.seq = report->seq;
        result.gateway_ms = report->gateway_ms;
        result.client_ms = report->client_ms;
    }
    p->pendings->fn(p->pendings->arg, p->owner, &result);
}

static void tell_success(struct pending *p, const Herald__V1__Result *report, uint32_t took_ms)
{
    Herald__V1__Result timed = *report;
    timed.gateway_ms = took_ms > report->client_ms ? took_ms - report->client_ms : 0;
    tell(p, report->kind, &timed);
}

static void tell_failure(struct pending *p)
{
    Herald__V1__Result report = HERALD__V1__RESULT__INIT;
    report.reason = (char *)p->reason;
    Herald__V1__ResultKind kind = (Herald__V1__ResultKind)p->failure;
    tell(p, p->expected == 0 ? HERALD__V1__RESULT_KIND__RESULT_NOT_HERE : kind, &report);
}

static void end_if_complete(struct pending *p)
{
    if (!p->is_sealed || p->reported < p->expected)
        return;
    if (p->is_broadcast)
        tell(p, HERALD__V1__RESULT_KIND__RESULT_WRITTEN, NULL);
    else
        tell_failure(p);
    p->magic = 0;
    slab_put(p->pendings->slab, p);
}

void pending_report(struct pending *p, const Herald__V1__Result *report, uint32_t now_ms)
{
    MAGIC_CHECK(p, PENDING_MAGIC);
    p->reported++;
    if (report->kind == HERALD__V1__RESULT_KIND__RESULT_ACKED ||
        report->kind == HERALD__V1__RESULT_KIND__RESULT_WRITTEN) {
        p->written++;
        if (!p->is_broadcast)
            tell_success(p, report, now_ms - p->received_ms);
    } else if (p->failure != HERALD__V1__RESULT_KIND__RESULT_REFUSED) {
        p->failure = (uint8_t)report->kind;
        p->reason = report->reason;
    }
    end_if_complete(p);
}

void pending_seal(struct pending *p, uint32_t session_count)
{
    MAGIC_CHECK(p, PENDING_MAGIC);
    CHECK(!p->is_sealed && p->reported <= session_count);
    p->is_sealed = true;
    p->expected = session_count;
    end_if_complete(p);
}
