/* Reads the accounts of every live router from Redis (herald:audit:<router>), again and again, into an audit. */
#ifndef HERALD_REGISTRY_AUDITOR_H
#define HERALD_REGISTRY_AUDITOR_H

#include "common/loop.h"
#include "common/redis.h"
#include "registry/audit.h"
#include "registry/roster.h"

struct auditor;
struct auditor *auditor_new(struct loop *loop, struct redis *redis, struct roster *roster);
/* After Redis was freed: no answer may come any more. */
void auditor_free(struct auditor **auditor);
const struct audit *auditor_audit(const struct auditor *auditor);

#endif
