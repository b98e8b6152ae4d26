/*
 * The event loop: one a process, single-threaded, over libevent (only loop.c, net.c and admin.c know that).
 * loop_fake.c implements the same calls with a clock and descriptors that a test drives by hand.
 *
 * A turn: wait for events -> their callbacks -> deferred tasks (work that batches, such as one writev for all that
 * was queued for a connection) -> reap tasks (memory of what died this turn). A callback never frees its caller:
 * it hands it to loop_reap().
 */
#ifndef HERALD_COMMON_LOOP_H
#define HERALD_COMMON_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "list.h"

struct loop;
struct loop_timer;
struct loop_signal;
struct event_base;

enum { LOOP_READ = 0x02, LOOP_WRITE = 0x04 }; /* the values of EV_READ and EV_WRITE, asserted in loop.c */

typedef void loop_fd_fn(int fd, short events, void *arg);
typedef void loop_fn(void *arg);

/* Embedded in what owns the descriptor; exposed so that a connection needs no allocation of its own for it. */
struct loop_fd {
    _Alignas(8) unsigned char event[128]; /* a struct event; its size is asserted in loop.c */
};

/* Embedded; its members are the loop's own. A task that is already queued is not queued twice. */
struct loop_task {
    struct list link;
    loop_fn *fn;
    void *arg;
    uint32_t ran_turn;
    bool is_queued;
};

struct loop *loop_new(void);
/* Runs reap tasks that are still queued; deferred ones are forgotten. */
void loop_free(struct loop **loop);
/* Runs until loop_stop(). */
void loop_run(struct loop *loop);
/* One turn; waits at most until the next event or timer, not at all when nothing is watched or tasks are queued.
 * For tests and embedding. */
void loop_turn(struct loop *loop);
/* Ends loop_run() after this turn; before loop_run(), it returns at once. */
void loop_stop(struct loop *loop);
/* After fork() in the child. */
void loop_after_fork(struct loop *loop);
/* Monotonic milliseconds, read once a turn. */
uint64_t loop_now_ms(const struct loop *loop);
/* Read now: for what has happened before this moment, and perhaps since the turn began. */
uint64_t loop_fresh_ms(const struct loop *loop);
/* Wall-clock milliseconds, read once a turn. */
uint64_t loop_wall_ms(const struct loop *loop);

/* Level-triggered, persistent. The watch is off until loop_fd_want(). */
void loop_fd_init(struct loop *loop, struct loop_fd *watch, int fd, loop_fd_fn *fn, void *arg);
/* Which of LOOP_READ | LOOP_WRITE to watch from now on; 0 for none. Costs a syscall only when it changes. */
void loop_fd_want(struct loop_fd *watch, int events);
/* Stops watching; the owner closes the descriptor after it. */
void loop_fd_release(struct loop_fd *watch);

struct loop_timer *loop_timer_new(struct loop *loop, loop_fn *fn, void *arg);
/* (Re)starts the timer: first after delay_ms, then every every_ms (0: once). Never early; a late periodic one skips
 * what it missed, and one of a multiple of 50 ms meets others at the same time: its first call may be so much later. fn
 * may stop, restart or free its own timer. */
void loop_timer_start(struct loop_timer *timer, uint64_t delay_ms, uint64_t every_ms);
void loop_timer_stop(struct loop_timer *timer);
void loop_timer_free(struct loop_timer **timer);

struct loop_signal *loop_signal_new(struct loop *loop, int signo, loop_fn *fn, void *arg);
void loop_signal_free(struct loop_signal **sig);

void loop_task_init(struct loop_task *task, loop_fn *fn, void *arg);
/* Runs at the end of this turn, in the order of queueing, also when a deferred task asks for it. A task that already
 * ran at this turn's end (one that defers itself) runs next turn, which does not wait then. */
void loop_defer(struct loop *loop, struct loop_task *task);
/* Runs after all deferred tasks of this turn: the place to free. */
void loop_reap(struct loop *loop, struct loop_task *task);
/* Takes a queued task back; no-op when it is not queued. */
void loop_task_cancel(struct loop *loop, struct loop_task *task);

/* Only for admin.c (evhttp needs it). */
struct event_base *loop_event_base(struct loop *loop);

#endif
