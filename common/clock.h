/*
 * Time. Monotonic time orders and measures; wall time (Unix epoch) is only for what leaves the process.
 * Pure code takes time as an argument; code with a loop asks loop_now_ms(), which is read once a turn.
 */
#ifndef HERALD_COMMON_CLOCK_H
#define HERALD_COMMON_CLOCK_H

#include <stdint.h>

uint64_t clock_mono_ms(void);
uint64_t clock_mono_us(void);
uint64_t clock_wall_ms(void);
uint64_t clock_wall_us(void);

#endif
