/* What a worker says of itself, and the master of it. X(id, kind, name, help, label, label values) */
#ifndef HERALD_GATEWAY_WORKER_METRICS_H
#define HERALD_GATEWAY_WORKER_METRICS_H

#define WORKER_METRIC_LIST(X)                                                                                          \
    X(WORKER_LISTENING, METRIC_GAUGE, "herald_gateway_worker_listening", "1 while it accepts connections.", NULL,      \
      NULL)                                                                                                            \
    X(WORKER_READY, METRIC_GAUGE, "herald_gateway_worker_ready",                                                       \
      "1 while it accepts connections, Redis is up, its lease was renewed in time, canaries come through, and memory " \
      "suffices.",                                                                                                     \
      NULL, NULL)                                                                                                      \
    X(WORKER_STARTS, METRIC_COUNTER, "herald_gateway_worker_starts_total", "Times it was started by the master.",      \
      NULL, NULL)                                                                                                      \
    X(WORKER_GENERATION, METRIC_GAUGE, "herald_gateway_worker_generation", "Of its present life, Unix ms.", NULL,      \
      NULL)                                                                                                            \
    X(REDIS_UP, METRIC_GAUGE, "herald_gateway_redis_up", "1 while its connection to Redis is up.", NULL, NULL)

#endif
