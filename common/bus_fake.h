/*
 * For tests that play the other side of lanes: the bus and what receives do nothing. The test itself has bus_push_*.
 */
#ifndef HERALD_COMMON_BUS_FAKE_H
#define HERALD_COMMON_BUS_FAKE_H

#include "common/bus.h"

struct bus *bus_new(struct loop *loop)
{
    (void)loop;
    return NULL;
}

void bus_free(struct bus **bus)
{
    (void)bus;
}

enum err bus_pull_bind(struct bus *bus, const char *endpoint, int hwm, size_t max_len, bus_recv_fn *fn, void *arg,
                       struct bus_pull **pull_r)
{
    (void)bus, (void)endpoint, (void)hwm, (void)max_len, (void)fn, (void)arg, (void)pull_r;
    return ERR_SYSTEM;
}

uint16_t bus_pull_port(const struct bus_pull *pull)
{
    (void)pull;
    return 0;
}

void bus_pull_free(struct bus_pull **pull)
{
    (void)pull;
}

#endif
