/*
 * Which router owns a partition of the push topic: the highest (life, generation) that a delivery from it came with. A
 * router that has lost the partition, and does not know it yet, comes with a lower one and is refused: else what it
 * still has in hand could reach a client behind newer messages of the next owner. Pure.
 *
 * At most FENCE_MAX partitions are kept; deliveries of further ones are taken as they come.
 */
#ifndef HERALD_GATEWAY_LINK_FENCE_H
#define HERALD_GATEWAY_LINK_FENCE_H

#include <stdbool.h>
#include <stdint.h>

enum { FENCE_MAX = 4096 };

struct fence;

struct fence *fence_new(void);
void fence_free(struct fence **fence);
/* source is "topic/partition/offset". */
bool fence_admits(struct fence *fence, const char *source, int64_t life, int32_t generation);

#endif
