#include "router/metrics.h"

#include "router/flow/entry.h"
#include "router/link/upstream.h"

#include <string.h>

const char *const miss_labels[] = {
#define X(name, label) label,
    MISS_LIST(X)
#undef X
        NULL};

const char *const result_labels[] = {"unknown", "written", "acked", "not_here", "closed", "refused", NULL};

const char *const handover_labels[] = {"noted", "lost", "failed", "published", "expired", NULL};

const char *const canary_labels[] = {"produced", "failed", NULL};

const char *const upstream_labels[] = {
#define X(name, code) #code,
    UPSTREAM_ANSWER_LIST(X)
#undef X
        NULL};

enum miss miss_of_reason(const char *reason)
{
    static const enum miss known[] = {MISS_DRAINING, MISS_GAP,     MISS_OVERTAKEN, MISS_WINDOW,    MISS_SLOW,
                                      MISS_MEMORY,   MISS_EXPIRED, MISS_CLOSED,    MISS_OLD_OWNER, MISS_COLLAPSED};
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (strcmp(reason, miss_labels[known[i]]) == 0)
            return known[i];
    return MISS_REFUSED;
}

const struct metric router_metrics[] = {
#define X(id, kind, name, help, label, values)                                                                         \
    {name, kind, help, label, values, (kind) == METRIC_HISTOGRAM ? metric_latency_bounds : NULL},
    ROUTER_SOURCE_METRIC_LIST(X) ROUTER_METRIC_LIST(X)
#undef X
        {0}};
