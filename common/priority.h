/*
 * Three queues that take turns by weight: with 16:4:1, while all wait, of 21 bytes that leave 16 are high, 4 normal and
 * 1 low. So the low one is slow, but never starves; what one class does not use the others share by their weights.
 * Within a class it is first in, first out. Pure, and intrusive: the things queue by a list link of theirs.
 */
#ifndef HERALD_COMMON_PRIORITY_H
#define HERALD_COMMON_PRIORITY_H

#include <stddef.h>
#include <stdint.h>

#include "list.h"

enum priority_class { PRIORITY_HIGH, PRIORITY_NORMAL, PRIORITY_LOW, PRIORITY_COUNT };

/* Each at least 1. */
struct priority_weights {
    int64_t of[PRIORITY_COUNT];
};

struct priority_queue {
    struct list lists[PRIORITY_COUNT];
    uint64_t spent[PRIORITY_COUNT]; /* cost over weight; whoever has spent least is next */
    uint32_t count;                 /* of all things */
};

void priority_init(struct priority_queue *queue);
void priority_push(struct priority_queue *queue, enum priority_class class, struct list *link);
/* Whose turn it is. Only when count > 0. */
enum priority_class priority_next(const struct priority_queue *queue);
/* Takes the first of the class out, for its cost (bytes) at these weights. NULL: there is none. */
struct list *priority_pop(struct priority_queue *queue, enum priority_class class, size_t cost,
                          const struct priority_weights *weights);
/* The first of the class, which stays; NULL: there is none. */
struct list *priority_first(const struct priority_queue *queue, enum priority_class class);
/* Takes a thing out that is somewhere in the queue, free of charge. */
void priority_remove(struct priority_queue *queue, struct list *link);

#endif
