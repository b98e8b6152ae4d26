/*
 * What waits for a lane that takes no more now, by priority (common/priority.h). Nothing is here while a lane keeps up.
 */
#ifndef HERALD_ROUTER_LINK_LANE_QUEUE_H
#define HERALD_ROUTER_LINK_LANE_QUEUE_H

#include "common/priority.h"
#include "router/link/lanes.h"

struct lane_wait {
    struct list link;
    struct slot *slot;
    const struct record *record;
    struct lane_target to;
};

struct lane_queue {
    struct priority_queue by_class;
};

void lane_queue_init(struct lane_queue *queue);
uint32_t lane_queue_count(const struct lane_queue *queue);
/* The slot names its wait until it leaves the queue. */
void lane_queue_put(struct lane_queue *queue, const struct record *record, const struct lane_target *to,
                    struct slot *slot);
/* Takes whoever is next. Only when something waits. */
struct lane_wait lane_queue_take(struct lane_queue *queue, const struct priority_weights *weights);
/* The slot's wait is over. */
void lane_queue_drop(struct lane_queue *queue, struct slot *slot);
/* The first, of any class, that waits; of that record only, unless it is NULL. NULL: there is none. */
struct slot *lane_queue_find(const struct lane_queue *queue, const struct record *record);

#endif
