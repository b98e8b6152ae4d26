/* One registry: what it is made of, started and stopped in the right order. */
#ifndef HERALD_REGISTRY_REGISTRY_H
#define HERALD_REGISTRY_REGISTRY_H

#include "common/err.h"
#include "common/loop.h"
#include "registry/settings.h"

struct registry;

/* Listens, connects and starts to watch. ERR_SYSTEM or ERR_INVALID: cannot start; the log says why. */
enum err registry_new(struct loop *loop, const struct registry_settings *settings,
                      struct registry **registry_r) MUST_CHECK;
void registry_free(struct registry **registry);
/* Gives back the leader's lock and the lease, so that others take over at once, then stops the loop. */
void registry_stop(struct registry *registry);
/* The process must end with a failure: another one of the same id took over. */
bool registry_has_failed(const struct registry *registry);

#endif
