/*
 * Shows the accounts: GET /audit of the router's admin port, its metrics with the label partition, and every two
 * seconds the key herald:audit:<router> in Redis, where registries read them (a registry need not reach the admin
 * port).
 */
#ifndef HERALD_ROUTER_OUTCOME_AUDIT_REPORT_H
#define HERALD_ROUTER_OUTCOME_AUDIT_REPORT_H

#include "common/admin.h"
#include "common/loop.h"
#include "common/redis.h"
#include "router/outcome/audit.h"

/* The accounts as of now, in flight counted. */
typedef struct audit *audit_now_fn(void *arg);

struct audit_report;
/* router is borrowed. */
struct audit_report *audit_report_new(struct loop *loop, struct redis *redis, struct admin *admin, const char *router,
                                      uint64_t generation, audit_now_fn *now, void *arg);
/* The admin must not be asked any more. */
void audit_report_free(struct audit_report **report);

#endif
