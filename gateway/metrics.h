/* The gateway's metrics: METRIC_<id> for each row of its areas' lists. A worker counts with metric_add(METRIC_..., 1).
 */
#ifndef HERALD_GATEWAY_METRICS_H
#define HERALD_GATEWAY_METRICS_H

#include "common/metric.h"
#include "gateway/link/link_metrics.h"
#include "gateway/memory/memory_metrics.h"
#include "gateway/session/session_metrics.h"
#include "gateway/worker_metrics.h"
#include "gateway/ws/ws_metrics.h"

/* X(id, kind, name, help, label, label values) */
#define GATEWAY_METRIC_LIST(X)                                                                                         \
    WS_METRIC_LIST(X) SESSION_METRIC_LIST(X) LINK_METRIC_LIST(X) WORKER_METRIC_LIST(X) MEMORY_METRIC_LIST(X)

enum gateway_metric {
#define X(id, kind, name, help, label, values) METRIC_##id,
    GATEWAY_METRIC_LIST(X)
#undef X
        GATEWAY_METRIC_COUNT
};

extern const struct metric gateway_metrics[];

#endif
