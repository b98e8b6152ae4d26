/* All client processes of a plan, and what they counted together. */
#ifndef HERALD_BENCH_FLEET_H
#define HERALD_BENCH_FLEET_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/plan.h"
#include "bench/tally.h"

struct fleet;

/* Forks them; they begin to connect. To be called before there are threads. They die with this process. */
struct fleet *fleet_start(const struct plan *plan);
/* Until all connections are up. False, and why on standard error: they are not, within two minutes more than the ramp
 * takes, or (without reconnecting) one was closed. */
bool fleet_wait_up(struct fleet *fleet);
/* The sum of all tallies now. */
void fleet_tally(const struct fleet *fleet, struct tally *sum_r);
/* Without histograms, which is quicker. */
void fleet_counts(const struct fleet *fleet, struct tally *sum_r);
/* Counts begin anew, but for those of connections; nothing may be under way. */
void fleet_clear(struct fleet *fleet);
void fleet_free(struct fleet **fleet);

#endif
