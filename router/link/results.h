/* The router's inbox: a PULL socket on which gateways send results, hellos and messages from clients. */
#ifndef HERALD_ROUTER_LINK_RESULTS_H
#define HERALD_ROUTER_LINK_RESULTS_H

#include <stdint.h>

#include "common/bus.h"
#include "common/err.h"
#include "router/link/lanes.h"

struct results;

struct results_events {
    /* From instance `number` (of the lanes), in the life `generation`; borrowed for the call. */
    void (*result)(void *arg, uint32_t number, const Herald__V1__Result *result);
    void (*upstream)(void *arg, uint32_t number, uint64_t generation, const Herald__V1__Upstream *message);
    void (*canary)(void *arg, const Herald__V1__CanaryRequest *request);
    void (*box_fate)(void *arg, uint32_t number, uint64_t generation, const Herald__V1__BoxFate *fate);
};

/* Binds. listen "tcp://host:port", port * : any. ERR_SYSTEM, logged. */
enum err results_new(struct bus *bus, const char *listen, uint32_t hwm, uint32_t envelope_max,
                     struct results **results_r) MUST_CHECK;
uint16_t results_port(const struct results *results);
/* Until this is called, what arrives is dropped. router is borrowed. */
void results_start(struct results *results, const char *router, uint64_t generation, struct lanes *lanes,
                   const struct results_events *events, void *arg);
void results_free(struct results **results);

#endif
