/*
 * Very many descriptors of one kind in the loop: 8 bytes for each, where a loop_fd takes 128 and libevent's map
 * another 16. An epoll set of its own, which the loop watches as one descriptor: so a turn serves a bounded number of
 * them, and one more epoll_wait() is what it costs.
 */
#ifndef HERALD_COMMON_POLL_SET_H
#define HERALD_COMMON_POLL_SET_H

#include <stdint.h>

#include "loop.h"

struct poll_set;

/* Embedded in what owns the descriptor: container_of() finds it. The memory must stay until the end of the turn in
 * which the member was released. */
struct poll_member {
    int fd;
    uint32_t wanted; /* LOOP_READ | LOOP_WRITE */
};

/* events: those of LOOP_READ | LOOP_WRITE that are wanted and there; both when the descriptor is broken.
 * Level-triggered. */
typedef void poll_set_fn(struct poll_member *member, int events);

struct poll_set *poll_set_new(struct loop *loop, poll_set_fn *fn);
/* Members that are still in it are watched no more. */
void poll_set_free(struct poll_set **set);

/* Not watched until poll_set_want(). */
void poll_member_init(struct poll_member *member, int fd);
/* As loop_fd_want(). */
void poll_set_want(struct poll_set *set, struct poll_member *member, uint32_t events);
/* What embeds the member was copied to another place: it is watched there. Not from inside fn. */
void poll_set_moved(struct poll_set *set, struct poll_member *to);
/* Stops watching; the owner closes the descriptor after it. */
void poll_set_release(struct poll_set *set, struct poll_member *member);

#endif
