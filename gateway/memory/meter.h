/*
 * What is used of what a worker may use: of its share of memory.limit, of the control group's limit, of RLIMIT_AS and
 * RLIMIT_DATA, and of memory.frames. Read from the system each time, because limits may be changed meanwhile.
 */
#ifndef HERALD_GATEWAY_MEMORY_METER_H
#define HERALD_GATEWAY_MEMORY_METER_H

#include <stdint.h>

#include "gateway/memory/pressure.h"

struct meter_settings {
    int64_t limit;  /* of all workers together; 0: none but the system's */
    int64_t frames; /* of one worker; at most half of what is its share of a limit */
};

struct meter;

/* The settings are borrowed. */
struct meter *meter_new(const struct meter_settings *settings, uint32_t workers);
void meter_free(struct meter **meter);
/* readings_r[PRESSURE_SOURCE_COUNT], for pressure_after(). */
void meter_read(struct meter *meter, struct pressure_reading *readings_r);

#endif
