/* One registry: what it is made of, started and stopped in the right order. */
#ifndef HERALD_REGISTRY_REGISTRY_H
#define HERALD_REGISTRY_REGISTRY_H

#include "common/service.h"

extern const struct service_parts registry_parts;

#endif
