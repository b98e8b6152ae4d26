/*
 * What becomes of a push when its connection takes no more and what waits there has reached its bound
 * (session.unwritten_max, session.backlog_bytes): by class of traffic. Sessions that are to be disconnected are closed
 * at the end of the turn, because whoever pushes is just going through them.
 */
#ifndef HERALD_GATEWAY_SESSION_OVERFLOW_H
#define HERALD_GATEWAY_SESSION_OVERFLOW_H

#include <stdint.h>

#include "common/loop.h"
#include "link.pb-c.h"

struct overflow;
struct session;

#define OVERFLOW_LIST(X) X(DURABLE, "durable") X(VOLATILE, "volatile") X(BROADCAST, "broadcast")
#define X(name, text) OVERFLOW_##name,
enum overflow_class { OVERFLOW_LIST(X) OVERFLOW_COUNT };
#undef X
extern const char *const overflow_names[];

/* REFUSE: this one is not taken. A durable one is never taken then: it goes to the mailbox. */
enum overflow_policy { OVERFLOW_REFUSE, OVERFLOW_DISCONNECT, OVERFLOW_DROP_OLDEST };
#define OVERFLOW_CHOICES_DURABLE "spill|disconnect"
#define OVERFLOW_CHOICES_OTHERS "drop-newest|disconnect|drop-oldest"

struct overflow *overflow_new(struct loop *loop);
void overflow_free(struct overflow **overflow);

enum overflow_class overflow_class_of(const Herald__V1__Delivery *delivery);
/* The session did not take one of that class, or gave one up for it: counts, and does what the policy says. */
void overflow_happened(struct overflow *overflow, struct session *s, enum overflow_class class,
                       enum overflow_policy policy);

#endif
