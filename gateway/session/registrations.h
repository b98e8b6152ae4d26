/*
 * How many registrations of routes are under way at once. 200,000 clients that come back together are as many script
 * calls for a Redis that others need as well: what is beyond the bound waits here, in order. Pure: who may start is
 * handed out, nothing is sent.
 */
#ifndef HERALD_GATEWAY_SESSION_REGISTRATIONS_H
#define HERALD_GATEWAY_SESSION_REGISTRATIONS_H

#include <stdbool.h>
#include <stdint.h>

struct registrations;
struct session;

struct registrations *registrations_new(uint32_t max);
/* Those that wait are merely forgotten. */
void registrations_free(struct registrations **registrations);
/* True: it may start now, and registrations_done() has to follow. False: it waits, and is referred to. */
bool registrations_start(struct registrations *registrations, struct session *s);
void registrations_done(struct registrations *registrations);
/* The next one that may start now, with the reference that was taken when it began to wait; NULL: none. */
struct session *registrations_next(struct registrations *registrations);

#endif
