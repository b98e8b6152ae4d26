/*
 * The FIFO of one user's (or one user's device's) durable messages of one priority, kept only while something of it is
 * unfinished. It decides what may go out live and what has to be spilled to the mailbox, so that order holds. Pure: it
 * knows nothing of lanes or Redis.
 *
 *     LIVE ------ an item failed ------> BREAKING -- nothing ahead of it is out any more --> SPILLING -- empty --> gone
 *
 * LIVE: items go out by the route with one stamp. While any is out, those that would go by another route (the user
 * has moved meanwhile) are held back: else the newer could arrive, by the new route, before the older is known to have
 * failed on the old one.
 * What goes out while anything is out is a *run*, numbered without a gap. A session takes an item only if it took the
 * one before it: so what it refused, or never got, is not overtaken by what was sent before this router knew. BREAKING:
 * some item failed. Nothing goes out any more. The items ahead of it are still waiting for their fates; they must not
 * be overtaken by it in the mailbox, so nothing is spilled yet. That is bounded by the ack wait. SPILLING: all that is
 * left goes to the mailbox in order, in runs, one under way at a time; what arrives now joins the end. Results that
 * come late for items that were out are of no more use: the box will deliver them.
 */
#ifndef HERALD_ROUTER_FLOW_FLOW_H
#define HERALD_ROUTER_FLOW_FLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/list.h"

enum flow_mode { FLOW_LIVE, FLOW_BREAKING, FLOW_SPILLING };
enum flow_place { FLOW_NONE, FLOW_HELD, FLOW_OUT, FLOW_FAILED, FLOW_RUN };

struct flow;
struct flows;

/* Embedded in an entry. */
struct flow_item {
    struct list link;
    struct flow *flow; /* NULL: in none */
    uint8_t place;     /* enum flow_place */
    uint8_t priority;  /* set before flow_add(): each has a flow of its own */
};

/* first_run: runs are numbered from here; so that those of two routers, or two lives of one, never meet. */
struct flows *flows_new(uint64_t first_run);
/* All flows must be gone. */
void flows_free(struct flows **flows);
uint32_t flows_count(const struct flows *flows);

/* The one before it in its flow; NULL at the front. */
struct flow_item *flow_before(const struct flow_item *item);
/* Is it the last of those that are out? */
bool flow_is_last_out(const struct flow_item *item);
/* The last of those that are out did not go out after all, and is about to leave: its number is free again. */
void flow_unsent(struct flow_item *item);
/* Puts an item at the end (HELD) of the flow of that user and device ("": the user's own); makes the flow when there is
 * none. */
void flow_add(struct flows *flows, struct flow_item *item, const char *user, size_t user_len, const char *device,
              size_t device_len);
enum flow_mode flow_mode(const struct flow *flow);
/* The first held item; NULL when there is none. */
struct flow_item *flow_held(const struct flow *flow);
/* May the first held item go out now by a route with this stamp? */
bool flow_may_send(const struct flow *flow, uint64_t stamp);
/* Where the next item to go out stands: its run, and its number in it. */
struct flow_position {
    uint64_t run;
    uint32_t index;
};
/* Of the first held item, which flow_may_send(). Begins a run when nothing is out; the same for each device that the
 * item goes to. */
struct flow_position flow_next(struct flow *flow);
/* Something that is out was missed on one of several ways: that one takes no more of this run. After some more items
 * the flow holds back until nothing is out, so that another run can begin. */
void flow_torn(struct flow *flow);
/* The first held item went out. */
void flow_sent(struct flow_item *item, uint64_t stamp);
/* The item cannot be delivered live (it was out, or was not even sent). LIVE becomes BREAKING. */
void flow_failed(struct flow_item *item);
/* The item is finished (acknowledged, expired, abandoned), wherever it stands: it leaves. The flow is freed with its
 * last item: true is returned then. Not for items of a run under way that end by flow_stored(). */
bool flow_remove(struct flow_item *item);

/* Is a run to be taken now: nothing is out ahead of the first failure, none is under way, and there is something left?
 */
bool flow_wants_run(const struct flow *flow);
/* Items that are still out: their attempts are to be given up before the run. NULL when there is none (more). The item
 * becomes held. Only when flow_wants_run(). */
struct flow_item *flow_recall(struct flow *flow);
/* Takes the next item, in order, into the run; NULL at the end of the flow. The caller stops when the run is large
 * enough. */
struct flow_item *flow_run_take(struct flow *flow);
/* Walks the run, first to last: flow_run_next(flow, NULL), then the one before. */
struct flow_item *flow_run_next(const struct flow *flow, const struct flow_item *before);
/* The run is in the mailbox: the first item of it leaves; NULL when none was left. Repeat until NULL; look at
 * *is_gone_r after each: the flow was freed with its last item. */
struct flow_item *flow_stored(struct flow *flow, bool *is_gone_r);
/* Is a run under way? */
bool flow_has_run(const struct flow *flow);

#endif
