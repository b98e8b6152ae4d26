/*
 * Collapse keys among what has not gone out yet: a newer durable message takes the place of older ones with its key in
 * its flow, that is for the same user or device, of the same priority.
 */
#ifndef HERALD_ROUTER_FLOW_COLLAPSE_H
#define HERALD_ROUTER_FLOW_COLLAPSE_H

#include <stdbool.h>

#include "router/flow/entry.h"

enum { COLLAPSE_LOOK_MAX = 1000 /* entries of a flow that are looked at for one */ };

/* The nearest before `at`, at most *left_r entries away, that entry e (in the same flow) makes superfluous: neither out
 * nor on its way to the mailbox, where the script sees to it. NULL: there is none. */
struct entry *collapse_find(const struct entry *e, const struct flow_item *at, uint32_t *left_r);

#endif
