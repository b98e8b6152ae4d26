/* What a worker says of its memory. X(id, kind, name, help, label, label values) */
#ifndef HERALD_GATEWAY_MEMORY_MEMORY_METRICS_H
#define HERALD_GATEWAY_MEMORY_MEMORY_METRICS_H

#include "gateway/memory/pressure.h"

#define MEMORY_METRIC_LIST(X)                                                                                          \
    X(MEMORY_LEVEL, METRIC_GAUGE, "herald_gateway_memory_level",                                                       \
      "0: normal, 1: trim, 2: refuse new connections, 3: shed the slowest.", NULL, NULL)                               \
    X(MEMORY_CHANGES, METRIC_COUNTER, "herald_gateway_memory_level_changes_total", "Times a level was entered.",       \
      "level", pressure_level_names)                                                                                   \
    X(MEMORY_USED, METRIC_GAUGE, "herald_gateway_memory_used_bytes",                                                   \
      "Of each limit (cgroup: of all processes in it; the others: of this worker).", "limit", pressure_source_names)   \
    X(MEMORY_LIMIT, METRIC_GAUGE, "herald_gateway_memory_limit_bytes", "The limits; 0: there is none.", "limit",       \
      pressure_source_names)                                                                                           \
    X(MEMORY_TRIMS, METRIC_COUNTER, "herald_gateway_memory_trims_total",                                               \
      "Times that pools and free heap were given back to the system.", NULL, NULL)

#endif
