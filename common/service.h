/*
 * The life of a daemon that is one process and one loop: command line and configuration (daemon.h), the admin port,
 * signals, readiness, the lease, and an end in order. A daemon gives only what is its own, and its main() is
 *
 *     return service_run(&program, &parts, argc, argv);
 *
 *     start() -> runs until SIGTERM, SIGINT or service_fail() -> stop() -> has_stopped()? again and again -> end()
 *
 * A second signal ends it without waiting. SIGHUP: the log follows the configuration, read again.
 */
#ifndef HERALD_COMMON_SERVICE_H
#define HERALD_COMMON_SERVICE_H

#include "admin.h"
#include "daemon.h"
#include "lease.h"
#include "loop.h"
#include "redis.h"

struct service;

/* What is a daemon's own; arg is what start() returned. */
struct service_parts {
    /* Makes everything. NULL, logged: it cannot start. The settings are those of the program. */
    void *(*start)(struct service *service, const void *settings);
    /* As admin_ready_fn; not asked while stopping. */
    admin_ready_fn *is_ready;
    /* Begins to stop; once. May be called inside any callback. */
    void (*stop)(void *arg);
    /* Asked every few milliseconds after stop(): is nothing left to wait for? */
    bool (*has_stopped)(void *arg, uint64_t passed_ms);
    /* Frees everything; the loop does not run any more, the admin port is still there. */
    void (*end)(void *arg);
};

/* The exit status. */
int service_run(const struct daemon_program *program, const struct service_parts *parts, int argc, char **argv);

struct loop *service_loop(const struct service *service);
struct admin *service_admin(const struct service *service);
/* Unix ms at the start. */
uint64_t service_generation(const struct service *service);
bool service_is_stopping(const struct service *service);
/* It has to stop by itself: exit status 1. */
void service_fail(struct service *service);
/* This process is that instance, in logs and in its lease. To be called in start(). */
void service_set_id(struct service *service, const char *id);
const char *service_id(const struct service *service);
/* A lease with what is known of the process; endpoint "": none. fill as in lease.h. When another process has this id,
 * the service fails. To be freed by the daemon, before its Redis connection. */
struct lease *service_lease(struct service *service, struct redis *redis, Herald__V1__Role role, const char *endpoint,
                            lease_fill_fn *fill, void *arg);

#endif
