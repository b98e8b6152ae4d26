/*
 * A worker: one process, one loop, one instance. The only file that knows all parts: it makes them, ties them
 * together, and takes them down in order.
 */
#ifndef HERALD_GATEWAY_WORKER_H
#define HERALD_GATEWAY_WORKER_H

#include <stdint.h>

#include "gateway/settings.h"

struct worker_start {
    const struct gateway_settings *settings;
    unsigned slot;
    uint64_t generation;
    const char *admin; /* the master's, host:port */
    int64_t master;    /* its process id: the worker ends when that is gone */
};

/* "<node>-<slot>" */
void worker_instance(const struct gateway_settings *settings, unsigned slot, char instance_r[INSTANCE_LEN_MAX + 1]);
/* Runs until SIGTERM, the end of the master, or a lost lease. The exit status. */
int worker_run(const struct worker_start *start);

#endif
