/*
 * Opens the connections of one client process: at the ramp's pace, a bounded number at a time, and again after they
 * were closed. One loopback address has 28,000 ports, so further connections come from 127.0.0.2, 127.0.0.3 ...
 */
#ifndef HERALD_BENCH_OPENER_H
#define HERALD_BENCH_OPENER_H

#include <stdint.h>

#include "bench/client.h"

struct opener;

struct opener *opener_new(struct client *client);
/* Opens what is due and may be; returns how many us nothing will be. */
uint64_t opener_turn(struct opener *opener);
/* TCP is there: says what it came for. */
void opener_greet(struct opener *opener, struct client_conn *conn);
/* One of those under way has ended: well or not. */
void opener_done(struct opener *opener);
/* To be opened again after so long. */
void opener_later(struct opener *opener, struct client_conn *conn, uint64_t delay_ms);

#endif
