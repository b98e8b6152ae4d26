/* In place of common/bus.c: envelopes are kept for the driver, and those that it makes are handed in. */
#ifndef HERALD_BENCH_FAKE_BUS_H
#define HERALD_BENCH_FAKE_BUS_H

#include "common/bus.h"

/* Tells all that are connected to that they are. */
void fake_bus_connected(void);
/* As if it had come by the one socket that is bound. */
void fake_bus_receive(const void *bytes, size_t len);
/* The oldest envelope that was sent and not taken yet, to be freed; NULL: none. `to` is the endpoint it went to. */
char *fake_bus_take(size_t *len_r, const char **to_r);

#endif
