/*
 * What a test does with the loop of loop_fake.c, which is linked in place of loop.c: nothing blocks, time stands
 * still until it is advanced, descriptors are only numbers that become ready when the test says so.
 */
#ifndef HERALD_COMMON_LOOP_FAKE_H
#define HERALD_COMMON_LOOP_FAKE_H

#include "loop.h"

/* Lets time pass, firing timers in order of their due times, with end-of-turn work after each. */
void loop_fake_advance(struct loop *loop, uint64_t ms);
/* So much of this turn has passed: loop_fresh_ms() sees it, loop_now_ms() not before the next advance. */
void loop_fake_stall(struct loop *loop, uint64_t ms);
/* Calls the watch of fd with those of `events` that it wants, then does the end-of-turn work. False: not wanted. */
bool loop_fake_ready(struct loop *loop, int fd, int events);
/* What the watch of fd wants now; 0 when there is none. */
int loop_fake_wants(struct loop *loop, int fd);
/* Raises a signal that is watched, then does the end-of-turn work. */
void loop_fake_signal(struct loop *loop, int signo);
/* The end-of-turn work alone. */
void loop_fake_end_turn(struct loop *loop);

#endif
