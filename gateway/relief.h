/*
 * What a worker does when memory is short. A timer reads the meter (memory/meter.h), the level follows from it
 * (memory/pressure.h), and each level is acted on: pools and the heap given back, the gate closed to new connections,
 * the slowest sessions shed. A change of level is logged.
 */
#ifndef HERALD_GATEWAY_RELIEF_H
#define HERALD_GATEWAY_RELIEF_H

#include "gateway/memory/meter.h"
#include "gateway/memory/pressure.h"
#include "gateway/session/sessions.h"
#include "gateway/ws/conn.h"

struct relief;

struct relief_settings {
    struct meter_settings meter;
    struct pressure_settings pressure;
    int64_t interval_ms;
};

struct relief_parts {
    struct loop *loop;
    const struct relief_settings *settings;
    uint32_t workers; /* that share the limits */
    struct sessions *sessions;
    struct conns *conns;
};

/* Borrows all; to be freed before the connections. */
struct relief *relief_new(const struct relief_parts *parts);
void relief_free(struct relief **relief);
/* May it be sent new connections? */
bool relief_is_well(const struct relief *relief);

#endif
