#include "gateway/link/returns.h"

#include <stdlib.h>

#include "common/check.h"
#include "gateway/metrics.h"

struct returns {
    struct loop *loop;
    struct pendings *pendings;
};

/* pending_fn: the owner is the peer, with a reference that ends here. */
static void send_result(void *arg, void *owner, const Herald__V1__Result *result)
{
    struct peer *peer = owner;
    (void)arg;
    metric_add_labelled(METRIC_RESULTS, result->kind, 1);
    if (!peer_put_result(peer, result))
        metric_add(METRIC_RESULTS_LOST, 1);
    peer_unref(&peer);
}

struct returns *returns_new(struct loop *loop)
{
    struct returns *returns = xcalloc(1, sizeof *returns);
    returns->loop = loop;
    returns->pendings = pendings_new(send_result, returns);
    return returns;
}

void returns_free(struct returns **returns)
{
    if (!*returns)
        return;
    pendings_free(&(*returns)->pendings);
    free(*returns);
    *returns = NULL;
}

struct pending *returns_expect(struct returns *returns, struct peer *peer, const Herald__V1__Target *target,
                               bool is_broadcast)
{
    struct pending *p = pending_new(returns->pendings, peer_ref(peer), target->slot, target->slot_generation,
                                    is_broadcast, (uint32_t)loop_now_ms(returns->loop));
    metric_set(METRIC_PENDING, pendings_count(returns->pendings));
    return p;
}

void returns_report(struct returns *returns, void *receipt, const struct session_result *result)
{
    Herald__V1__Result report = HERALD__V1__RESULT__INIT;
    report.kind = result->kind;
    report.reason = (char *)result->reason;
    report.device = (char *)result->device;
    report.seq = result->seq;
    report.client_ms = result->client_ms;
    pending_report(receipt, &report, (uint32_t)loop_now_ms(returns->loop));
    metric_set(METRIC_PENDING, pendings_count(returns->pendings));
}
