#include "gateway/metrics.h"

const struct metric gateway_metrics[] = {
#define X(id, metric_kind, metric_name, metric_help, metric_label, values)                                             \
    {.name = metric_name,                                                                                              \
     .kind = metric_kind,                                                                                              \
     .help = metric_help,                                                                                              \
     .label = metric_label,                                                                                            \
     .label_values = values,                                                                                           \
     .bounds = metric_kind == METRIC_HISTOGRAM ? metric_latency_bounds : NULL},
    GATEWAY_METRIC_LIST(X)
#undef X
        {.name = NULL},
};
