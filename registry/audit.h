/*
 * The accounts of all live routers, added up and checked: accepted = sum of outcomes + in flight + abandoned, in each
 * partition of each router. What a router says of its own balance is not believed, the numbers are. Pure.
 */
#ifndef HERALD_REGISTRY_AUDIT_H
#define HERALD_REGISTRY_AUDIT_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

enum { AUDIT_STALE_MS = 8000 }; /* accounts come every two seconds */

struct audit;
struct audit *audit_new(void);
void audit_free(struct audit **audit);

/* Accounts of a router as its key in Redis has them. ERR_INVALID: they make no sense; those from before stay. */
enum err audit_put(struct audit *audit, const char *router, const char *text, size_t len, uint64_t now_ms) MUST_CHECK;
/* A look at all routers: each live one is named, and those that were not are forgotten at the end. */
void audit_begin(struct audit *audit);
void audit_name(struct audit *audit, const char *router);
void audit_end(struct audit *audit);

/* Over all partitions of all routers, without signs; and the routers without fresh accounts. */
uint64_t audit_imbalance(const struct audit *audit);
size_t audit_unheard(const struct audit *audit, uint64_t now_ms);
/* The document of GET /api/v1/audit (docs/api.md). */
json_t *audit_document(const struct audit *audit, uint64_t now_ms);

#endif
